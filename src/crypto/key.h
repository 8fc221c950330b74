/* crypto/key.h: private keys and making certificates. For tools, `berthd --dev` and src/ca/;
 * nothing here is on the registration path. */
#ifndef CRYPTO_KEY_H
#define CRYPTO_KEY_H

#include "crypto/x509.h"

struct crypto_key; /* an EVP_PKEY */
struct evp_pkey_st;

enum crypto_key_type {
    CRYPTO_KEY_EC_P256,
    CRYPTO_KEY_EC_P384,
    CRYPTO_KEY_RSA_2048,
    CRYPTO_KEY_RSA_3072,
    CRYPTO_KEY_RSA_4096
};

err crypto_key_generate(struct crypto *c, enum crypto_key_type type, struct crypto_key **ret_key);
/* Unencrypted PEM (PKCS#8 or traditional). ERR_MALFORMED; ERR_UNSUPPORTED: a kind of key that the
 * filter does not pass on. */
err crypto_key_decode_pem(struct crypto *c, struct span pem, struct crypto_key **ret_key);
/* PKCS#8 PEM, not encrypted. */
err crypto_key_encode_pem(const struct crypto_key *key, struct buf *out);
void crypto_key_free(struct crypto_key *key);
struct evp_pkey_st *crypto_key_native(const struct crypto_key *key);
/* Does the key belong to the certificate? */
bool crypto_key_matches(const struct crypto_key *key, const struct crypto_cert *cert);
AUTO_DEFINE(crypto_key, struct crypto_key *, crypto_key_free)

/* What goes into a certificate; ca/profile.h makes these. Texts are NUL-terminated. */
struct crypto_cert_spec {
    const char *common_name;
    int64_t not_before_ms, not_after_ms;
    bool is_ca;
    int path_len; /* -1: no constraint; with is_ca only */
    const char
        *key_usage; /* OpenSSL configuration syntax, "critical,keyCertSign,cRLSign"; NULL: none */
    const char *extended_usage;   /* "clientAuth"; NULL: none */
    const char *subject_alt_name; /* "DNS:localhost,IP:127.0.0.1"; NULL: none */
    uint8_t serial[16];           /* random; made positive */
};

/* Signs with issuer_key; issuer NULL: self-signed with subject_key == issuer_key. Adds basic
 * constraints, a subject key identifier and, when the issuer has one, an authority key identifier.
 * SHA-256 (SHA-384 under a P-384 issuer). ERR_CRYPTO: OpenSSL refuses the specification. */
err crypto_key_issue(struct crypto *c, const struct crypto_cert_spec *spec,
                     const struct crypto_key *subject_key, const struct crypto_cert *issuer,
                     const struct crypto_key *issuer_key, struct crypto_cert **ret_cert);

#endif
