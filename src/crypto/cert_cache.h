/* crypto/cert_cache.h: parsed certificates by SHA-256, for one thread. Holds no truth: only what
 * bytes mean, never whether they are trusted. */
#ifndef CRYPTO_CERT_CACHE_H
#define CRYPTO_CERT_CACHE_H

#include "crypto/x509.h"

struct crypto_cert_cache;

/* capacity: entries, 1 to 65,536; the least recently used goes first. */
err crypto_cert_cache_new(struct crypto *c, size_t capacity, struct crypto_cert_cache **ret_cache);
void crypto_cert_cache_free(struct crypto_cert_cache *cache);

/* The certificate of these bytes; borrowed until LIMIT-many later calls may have evicted it, so
 * take a reference to keep it. `sha256` must be the digest of `der`. ERR_MALFORMED. */
err crypto_cert_cache_get(struct crypto_cert_cache *cache, struct span sha256, struct span der,
                          struct crypto_cert **ret_cert);

#endif
