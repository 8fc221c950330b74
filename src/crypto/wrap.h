/* crypto/wrap.h: the primitives that wrap a key for a TPM (TPM 2.0 Library, part 1, annex B and
 * sections 11.4.10, 23, 24). How they are put together is known to tpm/. */
#ifndef CRYPTO_WRAP_H
#define CRYPTO_WRAP_H

#include "crypto/crypto.h"
#include "util/buf.h"

enum { CRYPTO_WRAP_AES_KEY_LEN = 16 };

/* A public RSA key by its numbers, big-endian. */
struct crypto_wrap_rsa {
    struct span modulus;
    uint32_t exponent;
};

/* RSA-OAEP with SHA-256 for digest and mask; the label as it is, a closing NUL among its bytes
 * where there is to be one. Draws the padding's random bytes by itself, as OpenSSL's signatures do.
 * ERR_CRYPTO: not an RSA key, or too long a message. */
err crypto_wrap_oaep(struct crypto *c, const struct crypto_wrap_rsa *key, struct span label,
                     struct span message, struct buf *out);

/* KDFa with SHA-256 (SP 800-108, counter mode, HMAC): label without its NUL. */
err crypto_wrap_kdfa(struct crypto *c, struct span key, struct span label, struct span context,
                     uint8_t *ret_key, size_t len);

/* AES-128 in CFB mode from an initialization vector of zeros: for a key that encrypts once. */
err crypto_wrap_aes_cfb(struct crypto *c, const uint8_t key[CRYPTO_WRAP_AES_KEY_LEN],
                        struct span plain, struct buf *out);

#endif
