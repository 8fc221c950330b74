/* store/sealer_test.h: a sealer for tests of the store, which sees no cryptography: a stream from a
 * small generator and a checksum over all. It hides and it notices, like a real one; the real one
 * is tried on stores in cmd/seal_test.c.
 *
 *     mark (1)  key (4)  nonce (4)  text  checksum (8) */
#ifndef STORE_SEALER_TEST_H
#define STORE_SEALER_TEST_H

#include <stdatomic.h>

#include "store/seal.h"

enum { SEALER_ADDED = 17, SEALER_MARK = 0xa5 };

struct sealer_keys {
    atomic_uint keys[4]; /* 0: none; the first that is not seals */
    atomic_uint nonce;
};

static inline uint64_t sealer_mix(uint64_t h, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        h = (h ^ bytes.data[i]) * 0x100000001b3;
        h ^= h >> 29;
    }
    return (h ^ bytes.len) * 0x9e3779b97f4a7c15;
}

static inline uint64_t sealer_sum(const uint8_t *head, struct span aad, struct span plain)
{
    uint64_t h = sealer_mix(0xcbf29ce484222325, span_of(head, 9));

    return sealer_mix(sealer_mix(h, aad), plain);
}

static inline void sealer_stream(const uint8_t *head, const uint8_t *in, size_t len, uint8_t *out)
{
    uint64_t h = sealer_mix(1, span_of(head, 9));

    for (size_t i = 0; i < len; i++) {
        h = h * 6364136223846793005u + 1442695040888963407u;
        out[i] = (uint8_t)(in[i] ^ (uint8_t)(h >> 56));
    }
}

static inline uint32_t sealer_current(void *ctx)
{
    const struct sealer_keys *k = (const struct sealer_keys *)ctx;
    size_t i = 0;

    while (k->keys[i] == 0) {
        i++;
    }
    return k->keys[i];
}

static inline bool sealer_has(void *ctx, uint32_t key)
{
    const struct sealer_keys *k = (const struct sealer_keys *)ctx;

    return key == k->keys[0] || key == k->keys[1] || key == k->keys[2] || key == k->keys[3];
}

static inline bool sealer_key_of(struct span sealed, uint32_t *ret_key)
{
    if (sealed.len < SEALER_ADDED || sealed.data[0] != SEALER_MARK) {
        return false;
    }
    memcpy(ret_key, sealed.data + 1, 4);
    return true;
}

static inline err sealer_seal(void *ctx, uint32_t key, struct span aad, struct span plain,
                              uint8_t *ret_sealed)
{
    uint32_t nonce = atomic_fetch_add(&((struct sealer_keys *)ctx)->nonce, 1);
    uint64_t sum;

    ret_sealed[0] = SEALER_MARK;
    memcpy(ret_sealed + 1, &key, 4);
    memcpy(ret_sealed + 5, &nonce, 4);
    sum = sealer_sum(ret_sealed, aad, plain);
    sealer_stream(ret_sealed, plain.data, plain.len, ret_sealed + 9);
    memcpy(ret_sealed + 9 + plain.len, &sum, 8);
    return OK;
}

static inline err sealer_open(void *ctx, struct span aad, struct span sealed, uint8_t *ret_plain)
{
    size_t len = sealed.len - SEALER_ADDED;
    uint64_t sum;
    uint32_t key = 0;

    if (!sealer_key_of(sealed, &key)) {
        return err_set(ERR_CORRUPT, "not of the form");
    }
    if (!sealer_has(ctx, key)) {
        return err_set(ERR_SEALED, "no key %08x", key);
    }
    sealer_stream(sealed.data, sealed.data + 9, len, ret_plain);
    sum = sealer_sum(sealed.data, aad, span_of(ret_plain, len));
    return memcmp(&sum, sealed.data + 9 + len, 8) == 0 ? OK : err_set(ERR_CORRUPT, "not the same");
}

static inline struct store_sealer sealer_over(struct sealer_keys *keys)
{
    return (struct store_sealer){ .ctx = keys,
                                  .added = SEALER_ADDED,
                                  .current = sealer_current,
                                  .has = sealer_has,
                                  .key_of = sealer_key_of,
                                  .seal = sealer_seal,
                                  .open = sealer_open };
}

#endif
