/* store/seal_keys.c: which keys a store's secrets may be sealed under. Each has a row with a known
 * text sealed under it, so that a key can be told from another that only looks like it. */
#include <stdlib.h>

#include "store/backend.h"
#include "store/seal_row.h"

enum { PROOF_ROOM = 512, ARENA_SIZE = 64 * 1024 };

static const char PROVEN[] = "berth seal key";

/* The place of a key's proof, as that of a secret. */
static err print_place(const struct seal_key *row, struct buf *out)
{
    return store_seal_row_place(&KIND_SEAL_KEY, &KIND_SEAL_KEY.fields[1], row, out);
}

/* ---- reading ---- */

struct listing {
    struct arena arena;
    struct seal_key *rows;
    size_t n;
};

static err list_keys(struct store_tx *tx, void *arg)
{
    struct listing *l = (struct listing *)arg;
    const struct store_scan scan = { .limit = STORE_SEAL_KEYS_MAX + 1 };

    TRY(store_scan(tx, &KIND_SEAL_KEY, &scan, &l->arena, &l->rows, &l->n));
    return l->n <= STORE_SEAL_KEYS_MAX ? OK
                                       : err_set(ERR_CORRUPT, "seal_key: more keys than can be");
}

static err read_keys(struct store *s, err (*look)(struct store *s, struct listing *l, void *arg),
                     void *arg)
{
    struct listing l = { .n = 0 };
    void *memory = malloc(ARENA_SIZE);
    err e = ERR(NOMEM);

    if (memory != NULL) {
        arena_init(&l.arena, memory, ARENA_SIZE);
        e = store_read(s, list_keys, &l);
    }
    if (err_is_ok(e)) {
        e = look(s, &l, arg);
    }
    free(memory);
    return e;
}

static err note_ids(struct store *s, struct listing *l, void *arg)
{
    struct store_seal_keys *keys = (struct store_seal_keys *)arg;

    (void)s;
    *keys = (struct store_seal_keys){ .n = l->n, .is_whole = l->n > 0 };
    for (size_t i = 0; i < l->n; i++) {
        keys->ids[i] = (uint32_t)l->rows[i].id;
        keys->is_whole = keys->is_whole && l->rows[i].is_whole != 0;
    }
    return OK;
}

err store_seal_keys(struct store *s, struct store_seal_keys *ret_keys)
{
    return read_keys(s, note_ids, ret_keys);
}

static err check_key(const struct store_sealer *sealer, const struct seal_key *row)
{
    uint8_t memory[PROOF_ROOM], text[PROOF_ROOM];
    struct buf place = buf_over(memory, sizeof(memory));
    uint32_t id = (uint32_t)row->id;
    size_t len = sizeof(PROVEN) - 1;
    err e = ERR(CORRUPT);

    if (!sealer->has(sealer->ctx, id)) {
        return err_set(ERR_SEALED, "sealed under key %08x, which is not there", id);
    }
    TRY(print_place(row, &place));
    if (row->proof.len == len + sealer->added) {
        e = sealer->open(sealer->ctx, buf_span(&place), row->proof, text);
    }
    return err_is_ok(e) && memcmp(text, PROVEN, len) == 0
               ? OK
               : err_set(ERR_SEALED, "sealed under another key of the ID %08x", id);
}

static err check_all(struct store *s, struct listing *l, void *arg)
{
    (void)arg;
    for (size_t i = 0; i < l->n; i++) {
        TRY(check_key(s->sealer, &l->rows[i]));
    }
    return OK;
}

err store_seal_check(struct store *s)
{
    return read_keys(s, check_all, NULL);
}

/* ---- writing ---- */

struct noting {
    struct seal_key row;
};

/* As the keys before: the first of a store does not know what there is. */
static err put_key(struct store_tx *tx, void *arg)
{
    struct noting *n = (struct noting *)arg;
    const struct store_scan scan = { .limit = 1 };
    uint8_t memory[4096];
    struct arena arena;
    struct seal_key *others = NULL;
    struct seal_key old;
    size_t n_others = 0;
    bool is_found = false;

    arena_init(&arena, memory, sizeof(memory));
    TRY(store_find(tx, &KIND_SEAL_KEY, &n->row, &arena, &old, &is_found));
    if (is_found) {
        return OK;
    }
    TRY(store_scan(tx, &KIND_SEAL_KEY, &scan, &arena, &others, &n_others));
    n->row.is_whole = n_others > 0 && others[0].is_whole != 0;
    return store_insert(tx, &KIND_SEAL_KEY, &n->row);
}

err store_seal_note(struct store *s, uint32_t key, int64_t now_ms)
{
    uint8_t memory[PROOF_ROOM], proof[PROOF_ROOM];
    struct buf place = buf_over(memory, sizeof(memory));
    struct noting n = { .row = { .id = key, .created_ms = now_ms } };
    struct span text = span_str(PROVEN);

    TRY(print_place(&n.row, &place));
    TRY(s->sealer->seal(s->sealer->ctx, key, buf_span(&place), text, proof));
    n.row.proof = span_of(proof, text.len + s->sealer->added);
    return store_write(s, put_key, &n);
}
