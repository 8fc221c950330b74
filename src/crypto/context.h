/* crypto/context.h: what a struct crypto holds. For this folder only. */
#ifndef CRYPTO_CONTEXT_H
#define CRYPTO_CONTEXT_H

#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/x509_vfy.h>

#include "crypto/crypto.h"

struct crypto {
    OSSL_LIB_CTX *lib;
    OSSL_PROVIDER *provider;
    /* Filtered: a second library context with the whole default provider, which the filter passes
     * on. Otherwise NULL. */
    OSSL_LIB_CTX *whole_lib;
    OSSL_PROVIDER *whole;
    EVP_MD *sha256;
    EVP_MD_CTX *digest;
    EVP_MAC_CTX *hmac;    /* of SHA-256, keyed anew for each use; crypto_hmac_context */
    X509_STORE_CTX *path; /* used again for each path check */
};

AUTO_DEFINE(bio, BIO *, BIO_free_all)
AUTO_DEFINE(evp_pkey, EVP_PKEY *, EVP_PKEY_free)
AUTO_DEFINE(evp_pkey_ctx, EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
AUTO_DEFINE(evp_mac_ctx, EVP_MAC_CTX *, EVP_MAC_CTX_free)
AUTO_DEFINE(x509, X509 *, X509_free)

/* hmac.c: without a key. NULL: out of memory, or not provided. */
EVP_MAC_CTX *crypto_hmac_context(OSSL_LIB_CTX *lib);

/* The context with decoders of every kind. */
static inline OSSL_LIB_CTX *crypto_context_whole(const struct crypto *c)
{
    return c->whole_lib != NULL ? c->whole_lib : c->lib;
}

#endif
