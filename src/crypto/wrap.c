/* crypto/wrap.c: what wrapping a key for a TPM asks of OpenSSL. All algorithms are among those that
 * the filter passes on (crypto/provider.c). */
#include "crypto/wrap.h"

#include <limits.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "crypto/context.h"

AUTO_DEFINE(bn, BIGNUM *, BN_free)
AUTO_DEFINE(param_bld, OSSL_PARAM_BLD *, OSSL_PARAM_BLD_free)
AUTO_DEFINE(params, OSSL_PARAM *, OSSL_PARAM_free)
AUTO_DEFINE(kdf, EVP_KDF *, EVP_KDF_free)
AUTO_DEFINE(kdf_ctx, EVP_KDF_CTX *, EVP_KDF_CTX_free)
AUTO_DEFINE(cipher, EVP_CIPHER *, EVP_CIPHER_free)
AUTO_DEFINE(cipher_ctx, EVP_CIPHER_CTX *, EVP_CIPHER_CTX_free)

/* OpenSSL's constructors take no const and change nothing. */
static OSSL_PARAM octets(const char *name, struct span value)
{
    return OSSL_PARAM_construct_octet_string(name, (void *)value.data, value.len);
}

static OSSL_PARAM text(const char *name, const char *value)
{
    return OSSL_PARAM_construct_utf8_string(name, (char *)value, 0);
}

static OSSL_PARAM *number_params(const struct crypto_wrap_rsa *key, BIGNUM *n)
{
    AUTO(param_bld) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();

    if (build == NULL || n == NULL ||
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
        OSSL_PARAM_BLD_push_uint(build, OSSL_PKEY_PARAM_RSA_E, key->exponent) != 1) {
        return NULL;
    }
    return OSSL_PARAM_BLD_to_param(build);
}

static EVP_PKEY *key_of(struct crypto *c, const struct crypto_wrap_rsa *key)
{
    AUTO(bn)
    BIGNUM *n = key->modulus.len <= INT_MAX
                    ? BN_bin2bn(key->modulus.data, (int)key->modulus.len, NULL)
                    : NULL;
    AUTO(params) OSSL_PARAM *params = number_params(key, n);
    AUTO(evp_pkey_ctx) EVP_PKEY_CTX *into = EVP_PKEY_CTX_new_from_name(c->lib, "RSA", NULL);
    EVP_PKEY *made = NULL;

    if (params != NULL && into != NULL && EVP_PKEY_fromdata_init(into) == 1) {
        (void)EVP_PKEY_fromdata(into, &made, EVP_PKEY_PUBLIC_KEY, params);
    }
    return made;
}

err crypto_wrap_oaep(struct crypto *c, const struct crypto_wrap_rsa *key, struct span label,
                     struct span message, struct buf *out)
{
    const OSSL_PARAM how[] = {
        text(OSSL_ASYM_CIPHER_PARAM_PAD_MODE, OSSL_PKEY_RSA_PAD_MODE_OAEP),
        text(OSSL_ASYM_CIPHER_PARAM_OAEP_DIGEST, "SHA2-256"),
        text(OSSL_ASYM_CIPHER_PARAM_MGF1_DIGEST, "SHA2-256"),
        octets(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, label),
        OSSL_PARAM_construct_end(),
    };
    AUTO(evp_pkey) EVP_PKEY *native = key_of(c, key);
    AUTO(evp_pkey_ctx)
    EVP_PKEY_CTX *ctx = native != NULL ? EVP_PKEY_CTX_new_from_pkey(c->lib, native, NULL) : NULL;
    size_t len = 0;
    uint8_t *room;

    if (ctx == NULL || EVP_PKEY_encrypt_init_ex(ctx, how) != 1 ||
        EVP_PKEY_encrypt(ctx, NULL, &len, message.data, message.len) != 1) {
        return crypto_fail("RSA key");
    }
    room = buf_reserve(out, len);
    if (room == NULL) {
        return ERR(NOMEM);
    }
    return EVP_PKEY_encrypt(ctx, room, &len, message.data, message.len) == 1
               ? OK
               : crypto_fail("RSA-OAEP");
}

err crypto_wrap_kdfa(struct crypto *c, struct span key, struct span label, struct span context,
                     uint8_t *ret_key, size_t len)
{
    OSSL_PARAM how[8];
    size_t n = 0;
    AUTO(kdf) EVP_KDF *kdf = EVP_KDF_fetch(c->lib, "KBKDF", NULL);
    AUTO(kdf_ctx) EVP_KDF_CTX *ctx = kdf != NULL ? EVP_KDF_CTX_new(kdf) : NULL;

    how[n++] = text(OSSL_KDF_PARAM_MODE, "COUNTER");
    how[n++] = text(OSSL_KDF_PARAM_MAC, "HMAC");
    how[n++] = text(OSSL_KDF_PARAM_DIGEST, "SHA2-256");
    how[n++] = octets(OSSL_KDF_PARAM_KEY, key);
    how[n++] = octets(OSSL_KDF_PARAM_SALT, label);
    if (context.len > 0) {
        how[n++] = octets(OSSL_KDF_PARAM_INFO, context);
    }
    how[n] = OSSL_PARAM_construct_end();
    return ctx != NULL && EVP_KDF_derive(ctx, ret_key, len, how) == 1 ? OK : crypto_fail("KDFa");
}

err crypto_wrap_aes_cfb(struct crypto *c, const uint8_t key[CRYPTO_WRAP_AES_KEY_LEN],
                        struct span plain, struct buf *out)
{
    static const uint8_t zero[16];
    AUTO(cipher) EVP_CIPHER *cipher = EVP_CIPHER_fetch(c->lib, "AES-128-CFB", NULL);
    AUTO(cipher_ctx) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint8_t *room = plain.len <= INT_MAX ? buf_reserve(out, plain.len) : NULL;
    int n = 0;

    if (room == NULL) {
        return ERR(NOMEM);
    }
    /* A stream: what goes in comes out, and nothing is held back for an end. */
    if (cipher == NULL || ctx == NULL || EVP_EncryptInit_ex2(ctx, cipher, key, zero, NULL) != 1 ||
        EVP_EncryptUpdate(ctx, room, &n, plain.data, (int)plain.len) != 1 || n != (int)plain.len) {
        return crypto_fail("AES-128-CFB");
    }
    return OK;
}
