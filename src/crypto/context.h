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
    X509_STORE_CTX *path; /* used again for each path check */
};

AUTO_DEFINE(bio, BIO *, BIO_free_all)
AUTO_DEFINE(evp_pkey, EVP_PKEY *, EVP_PKEY_free)
AUTO_DEFINE(evp_pkey_ctx, EVP_PKEY_CTX *, EVP_PKEY_CTX_free)
AUTO_DEFINE(x509, X509 *, X509_free)

/* The context with decoders of every kind. */
static inline OSSL_LIB_CTX *crypto_context_whole(const struct crypto *c)
{
    return c->whole_lib != NULL ? c->whole_lib : c->lib;
}

#endif
