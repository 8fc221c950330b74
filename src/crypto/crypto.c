/* crypto/crypto.c: library contexts, and the few primitives that the rest of berthd asks for
 * directly. Digest and HMAC, computed for every request, have their algorithms fetched once. */
#include "crypto/crypto.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include <openssl/err.h>

#include "crypto/context.h"
#include "crypto/provider.h"

/* False leaves c->lib without a provider. */
static bool load_filtered(struct crypto *c)
{
    c->whole_lib = OSSL_LIB_CTX_new();
    if (c->whole_lib != NULL) {
        c->whole = OSSL_PROVIDER_load(c->whole_lib, "default");
    }
    if (c->whole != NULL && err_is_ok(crypto_provider_load(c->lib, c->whole, &c->provider))) {
        return true;
    }
    if (c->whole != NULL) {
        (void)OSSL_PROVIDER_unload(c->whole);
        c->whole = NULL;
    }
    OSSL_LIB_CTX_free(c->whole_lib);
    c->whole_lib = NULL;
    return false;
}

static bool load_provider(struct crypto *c, enum crypto_profile profile)
{
    c->lib = OSSL_LIB_CTX_new();
    if (c->lib == NULL) {
        return false;
    }
    if (profile == CRYPTO_SERVING && crypto_provider_is_wanted() && load_filtered(c)) {
        return true;
    }
    c->provider = OSSL_PROVIDER_load(c->lib, "default");
    return c->provider != NULL;
}

static bool fetch_all(struct crypto *c)
{
    c->sha256 = EVP_MD_fetch(c->lib, "SHA2-256", NULL);
    c->digest = EVP_MD_CTX_new();
    c->hmac = crypto_hmac_context(c->lib);
    c->path = X509_STORE_CTX_new_ex(c->lib, NULL);
    return c->sha256 != NULL && c->digest != NULL && c->hmac != NULL && c->path != NULL;
}

err crypto_new(enum crypto_profile profile, struct crypto **ret_crypto)
{
    AUTO(crypto) struct crypto *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        return ERR(NOMEM);
    }
    if (!load_provider(c, profile) || !fetch_all(c)) {
        return crypto_fail("OpenSSL library context");
    }
    *ret_crypto = c;
    c = NULL;
    return OK;
}

void crypto_free(struct crypto *c)
{
    if (c == NULL) {
        return;
    }
    X509_STORE_CTX_free(c->path);
    EVP_MAC_CTX_free(c->hmac);
    EVP_MD_CTX_free(c->digest);
    EVP_MD_free(c->sha256);
    if (c->provider != NULL) {
        (void)OSSL_PROVIDER_unload(c->provider);
    }
    OSSL_LIB_CTX_free(c->lib);
    if (c->whole != NULL) {
        (void)OSSL_PROVIDER_unload(c->whole);
    }
    OSSL_LIB_CTX_free(c->whole_lib);
    free(c);
}

struct ossl_lib_ctx_st *crypto_lib_ctx(struct crypto *c)
{
    return c->lib;
}

bool crypto_is_filtered(const struct crypto *c)
{
    return c->whole_lib != NULL;
}

err crypto_sha256(struct crypto *c, struct span bytes, uint8_t ret_digest[CRYPTO_SHA256_LEN])
{
    uint8_t digest[CRYPTO_SHA256_LEN];

    if (EVP_DigestInit_ex2(c->digest, c->sha256, NULL) != 1 ||
        EVP_DigestUpdate(c->digest, bytes.data, bytes.len) != 1 ||
        EVP_DigestFinal_ex(c->digest, digest, NULL) != 1) {
        return crypto_fail("SHA-256");
    }
    memcpy(ret_digest, digest, sizeof(digest));
    return OK;
}

bool crypto_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.data, b.data, a.len) == 0);
}

void crypto_wipe(void *data, size_t len)
{
    OPENSSL_cleanse(data, len);
}

/* The kernel's bytes: no library context has to be shared for it. */
void crypto_random(void *ret_bytes, size_t len)
{
    uint8_t *at = ret_bytes;

    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);

        if (n < 0 && errno != EINTR) {
            abort();
        }
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
}

err crypto_fail(const char *what)
{
    unsigned long code = ERR_get_error();
    char words[256] = "no OpenSSL error queued";

    if (code != 0) {
        ERR_error_string_n(code, words, sizeof(words));
    }
    ERR_clear_error();
    return err_set(ERR_CRYPTO, "%s: %s", what, words);
}
