/* store/seal.h: secrets at rest. With a sealer, the members of type FIELD_SECRET are sealed on
 * their way into a store and opened on their way out, in store.c, so that no backend ever sees
 * them. What is sealed is bound to its place: the names of kind and field, and the row's primary
 * key. In another row or column it does not open, which is ERR_CORRUPT; under a key that the sealer
 * does not have, ERR_SEALED. Both name the place.
 *
 * The store itself keeps which keys its secrets may be sealed under (KIND_SEAL_KEY). A new key
 * comes into use in this order, so that a crash at any point leaves a store that its keys open:
 *
 *     the sealer can open with it, store_seal_note, the sealer seals with it, store_reseal
 *
 * Absent secrets cost nothing. */
#ifndef STORE_SEAL_H
#define STORE_SEAL_H

#include "store/store.h"

/* How to seal; all but `ctx` from any thread at any time. Key IDs are never 0. */
struct store_sealer {
    void *ctx;
    size_t added;                   /* bytes that a sealed secret is longer */
    uint32_t (*current)(void *ctx); /* the key that seals */
    bool (*has)(void *ctx, uint32_t key);
    /* Which key this may be sealed under, by its form alone. False: it cannot be sealed. */
    bool (*key_of)(struct span sealed, uint32_t *ret_key);
    /* plain.len + added bytes to ret_sealed. */
    err (*seal)(void *ctx, uint32_t key, struct span aad, struct span plain, uint8_t *ret_sealed);
    /* sealed.len - added bytes to ret_plain. ERR_SEALED: no such key. ERR_CORRUPT: not what was
     * sealed, or with another aad. */
    err (*open)(void *ctx, struct span aad, struct span sealed, uint8_t *ret_plain);
};

/* Before the first transaction. *sealer must outlive the store. A store without a sealer keeps
 * secrets as they are: for tests. */
void store_use_sealer(struct store *s, const struct store_sealer *sealer);

/* ---- keys in use ---- */

enum { STORE_SEAL_KEYS_MAX = 64 };

struct store_seal_keys {
    uint32_t ids[STORE_SEAL_KEYS_MAX];
    size_t n;      /* 0: nothing is sealed */
    bool is_whole; /* no secret is unsealed */
};
/* Needs no sealer. ERR_CORRUPT: more than there can be. */
err store_seal_keys(struct store *s, struct store_seal_keys *ret_keys);
/* ERR_SEALED: the sealer lacks a key that is in use, or has another of the same ID. */
err store_seal_check(struct store *s);
/* From now on secrets may be sealed under `key`, which the sealer has; done already is fine. */
err store_seal_note(struct store *s, uint32_t key, int64_t now_ms);

/* ---- sealing anew ---- */

/* How many rows are still to be sealed anew; of a key that is to go: 0 of it at the end. */
struct store_reseal_left {
    uint32_t key; /* 0: not sealed */
    uint64_t rows;
};
struct store_reseal {
    /* Between transactions, on the caller's thread. False: no more now. */
    bool (*on_step)(void *arg, const struct store_reseal_left *left, size_t n);
    void *arg;
};

/* Seals every secret that is not under the current key, a bounded number of rows a write
 * transaction, while others read and write; then the other keys are no longer in use, and
 * store_scrub is due. May be broken off and begun again at any time; the current key stays the
 * same meanwhile. On a store that is not whole, secrets that were never sealed are sealed, too, and
 * all is scrubbed; nobody else may use it then. ret_rows: that were sealed anew. ERR_CLOSED:
 * on_step said so. */
err store_reseal(struct store *s, const struct store_reseal *how, uint64_t *ret_rows);

/* What was replaced or deleted leaves the write-ahead log; `whole`: it leaves the file, too, with
 * all copies in the slack of pages, which takes time and room for a copy of the file. ERR_BUSY:
 * readers are in the way, later again. */
err store_scrub(struct store *s, bool whole);

#endif
