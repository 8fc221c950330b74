/* crypto/hmac.h: a key made ready for HMAC-SHA-256, for who computes with the same one often. What
 * a key leads to is its owner's business. */
#ifndef CRYPTO_HMAC_H
#define CRYPTO_HMAC_H

#include "crypto/crypto.h"

struct crypto_hmac;

/* ERR_NOMEM, ERR_CRYPTO. */
err crypto_hmac_new(struct crypto *c, struct span key, struct crypto_hmac **ret_hmac);
/* Wipes it. NULL-safe. Before its `struct crypto` is freed. */
void crypto_hmac_free(struct crypto_hmac *h);
AUTO_DEFINE(crypto_hmac, struct crypto_hmac *, crypto_hmac_free)

/* As crypto_hmac_sha256 with that key, in less time. One thread at a time. */
err crypto_hmac_of(struct crypto_hmac *h, struct span message, uint8_t ret_mac[CRYPTO_SHA256_LEN]);

#endif
