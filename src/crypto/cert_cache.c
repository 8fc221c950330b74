/* crypto/cert_cache.c: parsed certificates by the digest of their bytes: a table of chains and one
 * list from the most to the least recently used. Entries are allocated once, with the cache; the
 * digest is the hash, since SHA-256 spreads evenly. */
#include "crypto/cert_cache.h"

#include <assert.h>
#include <stdlib.h>

enum { CAPACITY_MAX = 65536, NONE = -1 };

struct entry {
    uint8_t sha256[CRYPTO_SHA256_LEN];
    struct crypto_cert *cert;
    int32_t chain;        /* next of the same bucket */
    int32_t newer, older; /* in order of use */
};

struct crypto_cert_cache {
    struct crypto *crypto;
    struct entry *entries;
    int32_t *buckets;
    size_t n_buckets; /* a power of two */
    int32_t used, capacity;
    int32_t newest, oldest;
};

err crypto_cert_cache_new(struct crypto *c, size_t capacity, struct crypto_cert_cache **ret_cache)
{
    struct crypto_cert_cache *cache = calloc(1, sizeof *cache);
    size_t n_buckets = 1;

    assert(capacity >= 1 && capacity <= CAPACITY_MAX);
    while (n_buckets < capacity) {
        n_buckets *= 2;
    }
    if (cache != NULL) {
        cache->entries = calloc(capacity, sizeof *cache->entries);
        cache->buckets = calloc(n_buckets, sizeof *cache->buckets);
    }
    if (cache == NULL || cache->entries == NULL || cache->buckets == NULL) {
        crypto_cert_cache_free(cache);
        return ERR(NOMEM);
    }
    cache->crypto = c;
    cache->capacity = (int32_t)capacity;
    cache->n_buckets = n_buckets;
    cache->newest = cache->oldest = NONE;
    for (size_t i = 0; i < n_buckets; i++) {
        cache->buckets[i] = NONE;
    }
    *ret_cache = cache;
    return OK;
}

void crypto_cert_cache_free(struct crypto_cert_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    for (int32_t i = 0; i < cache->used; i++) {
        crypto_x509_free(cache->entries[i].cert);
    }
    free(cache->entries);
    free(cache->buckets);
    free(cache);
}

static int32_t *bucket_of(struct crypto_cert_cache *cache, const uint8_t *sha256)
{
    uint32_t hash;

    memcpy(&hash, sha256, sizeof hash);
    return &cache->buckets[hash & (cache->n_buckets - 1)];
}

static int32_t find(struct crypto_cert_cache *cache, const uint8_t *sha256)
{
    int32_t i = *bucket_of(cache, sha256);

    while (i != NONE && memcmp(cache->entries[i].sha256, sha256, CRYPTO_SHA256_LEN) != 0) {
        i = cache->entries[i].chain;
    }
    return i;
}

static void unlink_use(struct crypto_cert_cache *cache, int32_t i)
{
    struct entry *e = &cache->entries[i];

    *(e->newer != NONE ? &cache->entries[e->newer].older : &cache->newest) = e->older;
    *(e->older != NONE ? &cache->entries[e->older].newer : &cache->oldest) = e->newer;
}

static void link_newest(struct crypto_cert_cache *cache, int32_t i)
{
    struct entry *e = &cache->entries[i];

    e->newer = NONE;
    e->older = cache->newest;
    *(e->older != NONE ? &cache->entries[e->older].newer : &cache->oldest) = i;
    cache->newest = i;
}

/* Room for one more: unused, or taken from the least recently used. */
static int32_t make_room(struct crypto_cert_cache *cache)
{
    int32_t i = cache->oldest;
    int32_t *link;

    if (cache->used < cache->capacity) {
        return cache->used++;
    }
    link = bucket_of(cache, cache->entries[i].sha256);
    while (*link != i) {
        link = &cache->entries[*link].chain;
    }
    *link = cache->entries[i].chain;
    unlink_use(cache, i);
    crypto_x509_free(cache->entries[i].cert);
    return i;
}

err crypto_cert_cache_get(struct crypto_cert_cache *cache, struct span sha256, struct span der,
                          struct crypto_cert **ret_cert)
{
    struct crypto_cert *cert = NULL;
    int32_t i, *bucket;

    if (sha256.len != CRYPTO_SHA256_LEN) {
        return ERR(MALFORMED);
    }
    i = find(cache, sha256.data);
    if (i != NONE) {
        unlink_use(cache, i);
        link_newest(cache, i);
        *ret_cert = cache->entries[i].cert;
        return OK;
    }
    TRY(crypto_x509_decode(cache->crypto, der, &cert));
    i = make_room(cache);
    bucket = bucket_of(cache, sha256.data);
    memcpy(cache->entries[i].sha256, sha256.data, CRYPTO_SHA256_LEN);
    cache->entries[i].cert = cert;
    cache->entries[i].chain = *bucket;
    *bucket = i;
    link_newest(cache, i);
    *ret_cert = cert;
    return OK;
}
