/* crypto/crypto.h: an OpenSSL library context of one's own. Each event loop and each worker thread
 * has one, so that nothing of OpenSSL is shared between loops (performance.md: x 1.77 instead of
 * x 1.26 on two cores).
 *
 * On OpenSSL 3.0 and 3.1 a context for serving passes the default provider through a filter
 * (crypto/provider.c) that offers only what a device server uses, which makes decoding a public key
 * three times cheaper. */
#ifndef CRYPTO_CRYPTO_H
#define CRYPTO_CRYPTO_H

#include "util/cleanup.h"
#include "util/err.h"
#include "util/span.h"

struct crypto;

enum crypto_profile {
    CRYPTO_SERVING, /* filtered where the library wants it: EC, RSA, X25519, AES-GCM, ChaCha20,
                       SHA-2, HMAC, KDFs */
    CRYPTO_FULL,    /* the whole default provider: tools, key generation, PEM of every kind */
};

/* One thread at a time may use it. Certificates and keys made with it, and what libssl made over
 * its OSSL_LIB_CTX, are freed before it. ERR_CRYPTO: err_detail has OpenSSL's words. */
err crypto_new(enum crypto_profile profile, struct crypto **ret_crypto);
void crypto_free(struct crypto *c);
AUTO_DEFINE(crypto, struct crypto *, crypto_free)

/* The OSSL_LIB_CTX, for front/tls.c. */
struct ossl_lib_ctx_st *crypto_lib_ctx(struct crypto *c);
/* Is the filtering provider in force? */
bool crypto_is_filtered(const struct crypto *c);

enum { CRYPTO_SHA256_LEN = 32, CRYPTO_SHA1_LEN = 20 };

err crypto_sha256(struct crypto *c, struct span bytes, uint8_t ret_digest[CRYPTO_SHA256_LEN]);
err crypto_hmac_sha256(struct crypto *c, struct span key, struct span message,
                       uint8_t ret_mac[CRYPTO_SHA256_LEN]);
/* Constant time for equal lengths. */
bool crypto_equal(struct span a, struct span b);
void crypto_wipe(void *data, size_t len);
/* For front/ and cmd/ only: the rest is handed its random bytes. Never fails short of a broken
 * system (abort). */
void crypto_random(void *ret_bytes, size_t len);

/* Leaves the oldest queued OpenSSL error as err_detail, empties the queue, gives ERR_CRYPTO. */
err crypto_fail(const char *what);

#endif
