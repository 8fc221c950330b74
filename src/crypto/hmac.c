/* crypto/hmac.c: HMAC-SHA-256 from OpenSSL's SHA-256, as RFC 2104 spells it: H(K ^ opad, H(K ^
 * ipad, message)). OpenSSL's own EVP_MAC sets up three digest contexts for each key and takes twice
 * the time; the search through a scope's symmetric-key groups is made of nothing else. */
#include "crypto/hmac.h"

#include <stdlib.h>

#include "crypto/context.h"

enum { BLOCK = 64, IPAD = 0x36, OPAD = 0x5c };

struct crypto_hmac {
    EVP_MD_CTX *inner, *outer; /* each has hashed its padded key */
};

static bool begin(struct crypto *c, EVP_MD_CTX *digest, const uint8_t key[BLOCK], uint8_t pad)
{
    uint8_t padded[BLOCK];
    bool is_done;

    for (size_t i = 0; i < BLOCK; i++) {
        padded[i] = key[i] ^ pad;
    }
    is_done = EVP_DigestInit_ex2(digest, c->sha256, NULL) == 1 &&
              EVP_DigestUpdate(digest, padded, BLOCK) == 1;
    crypto_wipe(padded, BLOCK);
    return is_done;
}

static bool finish(EVP_MD_CTX *digest, struct span text, uint8_t ret_hash[CRYPTO_SHA256_LEN])
{
    return EVP_DigestUpdate(digest, text.data, text.len) == 1 &&
           EVP_DigestFinal_ex(digest, ret_hash, NULL) == 1;
}

/* A key of any length as one block. */
static err block_of(struct crypto *c, struct span key, uint8_t ret_block[BLOCK])
{
    memset(ret_block, 0, BLOCK);
    if (key.len > BLOCK) {
        return crypto_sha256(c, key, ret_block);
    }
    if (key.len > 0) {
        memcpy(ret_block, key.data, key.len);
    }
    return OK;
}

/* The hash that was last made may be a key, and stays in the context until the next begins. */
static bool forget(struct crypto *c)
{
    return EVP_DigestInit_ex2(c->digest, c->sha256, NULL) == 1;
}

err crypto_hmac_sha256(struct crypto *c, struct span key, struct span message,
                       uint8_t ret_mac[CRYPTO_SHA256_LEN])
{
    uint8_t block[BLOCK], hash[CRYPTO_SHA256_LEN], mac[CRYPTO_SHA256_LEN];
    bool is_done;

    TRY(block_of(c, key, block));
    is_done = begin(c, c->digest, block, IPAD) && finish(c->digest, message, hash) &&
              begin(c, c->digest, block, OPAD) &&
              finish(c->digest, span_of(hash, sizeof(hash)), mac);
    crypto_wipe(block, sizeof(block));
    if (!forget(c) || !is_done) {
        return crypto_fail("HMAC-SHA-256");
    }
    memcpy(ret_mac, mac, sizeof(mac));
    crypto_wipe(mac, sizeof(mac));
    return OK;
}

err crypto_hmac_new(struct crypto *c, struct span key, struct crypto_hmac **ret_hmac)
{
    AUTO(crypto_hmac) struct crypto_hmac *h = calloc(1, sizeof(*h));
    uint8_t block[BLOCK];
    bool is_done;

    if (h == NULL) {
        return ERR(NOMEM);
    }
    h->inner = EVP_MD_CTX_new();
    h->outer = EVP_MD_CTX_new();
    if (h->inner == NULL || h->outer == NULL) {
        return ERR(NOMEM);
    }
    TRY(block_of(c, key, block));
    is_done = begin(c, h->inner, block, IPAD) && begin(c, h->outer, block, OPAD);
    crypto_wipe(block, sizeof(block));
    if (!is_done) {
        return crypto_fail("HMAC-SHA-256");
    }
    *ret_hmac = h;
    h = NULL;
    return OK;
}

/* OpenSSL wipes a digest's state as it frees it. */
void crypto_hmac_free(struct crypto_hmac *h)
{
    if (h != NULL) {
        EVP_MD_CTX_free(h->inner);
        EVP_MD_CTX_free(h->outer);
        free(h);
    }
}

err crypto_hmac_of(struct crypto *c, const struct crypto_hmac *h, struct span message,
                   uint8_t ret_mac[CRYPTO_SHA256_LEN])
{
    uint8_t hash[CRYPTO_SHA256_LEN], mac[CRYPTO_SHA256_LEN];
    bool is_done = EVP_MD_CTX_copy_ex(c->digest, h->inner) == 1 &&
                   finish(c->digest, message, hash) &&
                   EVP_MD_CTX_copy_ex(c->digest, h->outer) == 1 &&
                   finish(c->digest, span_of(hash, sizeof(hash)), mac);

    if (!forget(c) || !is_done) {
        return crypto_fail("HMAC-SHA-256");
    }
    memcpy(ret_mac, mac, sizeof(mac));
    crypto_wipe(mac, sizeof(mac));
    return OK;
}
