/* crypto/hmac.c: HMAC-SHA-256 by OpenSSL's EVP_MAC. Making and copying its contexts costs more than
 * the digest, so one context is keyed again and again, and a key that is used often keeps its own.
 */
#include "crypto/hmac.h"

#include <openssl/core_names.h>
#include <stdlib.h>

#include "crypto/context.h"

struct crypto_hmac {
    EVP_MAC_CTX *keyed;
};

EVP_MAC_CTX *crypto_hmac_context(OSSL_LIB_CTX *lib)
{
    static char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    AUTO(evp_mac_ctx) EVP_MAC_CTX *context = NULL;
    EVP_MAC *mac = EVP_MAC_fetch(lib, "HMAC", NULL);
    EVP_MAC_CTX *made;

    context = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac);
    if (context == NULL || EVP_MAC_CTX_set_params(context, params) != 1) {
        return NULL;
    }
    made = context;
    context = NULL;
    return made;
}

static bool set_key(EVP_MAC_CTX *context, struct span key)
{
    /* To EVP_MAC_init no key means the one before. */
    return EVP_MAC_init(context, key.len > 0 ? key.data : (const uint8_t *)"", key.len, NULL) == 1;
}

/* The context has its key. */
static err compute(EVP_MAC_CTX *context, struct span message, uint8_t ret_mac[CRYPTO_SHA256_LEN])
{
    uint8_t mac[CRYPTO_SHA256_LEN];
    size_t len = 0;

    if (EVP_MAC_update(context, message.data, message.len) != 1 ||
        EVP_MAC_final(context, mac, &len, sizeof(mac)) != 1 || len != sizeof(mac)) {
        return crypto_fail("HMAC-SHA-256");
    }
    memcpy(ret_mac, mac, sizeof(mac));
    crypto_wipe(mac, sizeof(mac));
    return OK;
}

err crypto_hmac_sha256(struct crypto *c, struct span key, struct span message,
                       uint8_t ret_mac[CRYPTO_SHA256_LEN])
{
    return set_key(c->hmac, key) ? compute(c->hmac, message, ret_mac) : crypto_fail("HMAC-SHA-256");
}

err crypto_hmac_new(struct crypto *c, struct span key, struct crypto_hmac **ret_hmac)
{
    AUTO(crypto_hmac) struct crypto_hmac *h = calloc(1, sizeof(*h));

    if (h == NULL) {
        return ERR(NOMEM);
    }
    h->keyed = EVP_MAC_CTX_dup(c->hmac);
    if (h->keyed == NULL || !set_key(h->keyed, key)) {
        return crypto_fail("HMAC-SHA-256");
    }
    *ret_hmac = h;
    h = NULL;
    return OK;
}

/* OpenSSL wipes a key as it frees its context. */
void crypto_hmac_free(struct crypto_hmac *h)
{
    if (h != NULL) {
        EVP_MAC_CTX_free(h->keyed);
        free(h);
    }
}

err crypto_hmac_of(struct crypto_hmac *h, struct span message, uint8_t ret_mac[CRYPTO_SHA256_LEN])
{
    return EVP_MAC_init(h->keyed, NULL, 0, NULL) == 1 ? compute(h->keyed, message, ret_mac)
                                                      : crypto_fail("HMAC-SHA-256");
}
