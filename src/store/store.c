/* store/store.c: hands each call to the backend. Looks after what every backend may rely on: the
 * arguments are of the shape that store.h asks for, a reader does not write, no key is absent, and
 * secrets are sealed. A breach is a bug of ours, hence assert. */
#include "store/store.h"

#include <assert.h>

#include "store/backend.h"
#include "store/row.h"
#include "store/seal_row.h"

enum { SCAN_LIMIT_MAX = 1000000 };

static bool has_whole_key(const struct kind *kind, const void *record)
{
    for (int i = 0; i < kind->n_key; i++) {
        if (store_row_is_absent(record, &kind->fields[i])) {
            return false;
        }
    }
    return true;
}

void store_close(struct store *s)
{
    if (s != NULL) {
        s->backend->close(s);
    }
}

err store_read(struct store *s, store_fn fn, void *arg)
{
    return s->backend->read(s, fn, arg);
}

err store_write(struct store *s, store_fn fn, void *arg)
{
    return s->backend->write(s, fn, arg);
}

size_t store_write_backlog(struct store *s)
{
    return s->backend->backlog(s);
}

void store_stats(struct store *s, struct store_stats *ret_stats)
{
    s->backend->stats(s, ret_stats);
}

void store_use_sealer(struct store *s, const struct store_sealer *sealer)
{
    s->sealer = sealer;
}

err store_scrub(struct store *s, bool whole)
{
    return s->backend->scrub(s, whole);
}

static bool is_sealed(const struct store_tx *tx, const struct kind *kind)
{
    return tx->sealer != NULL && store_seal_row_has_secrets(kind);
}

/* *ret_record is written once all is open; `key` may be the same. */
static err find_sealed(struct store_tx *tx, const struct kind *kind, const void *key,
                       struct arena *arena, void *ret_record, bool *ret_found)
{
    alignas(max_align_t) uint8_t row[KIND_FIELDS_MAX * sizeof(struct span)];
    size_t mark = arena->used;
    bool found = false;
    err e;

    assert(kind->size <= sizeof(row));
    TRY(tx->backend->find(tx, kind, key, arena, row, &found));
    if (found) {
        e = store_open_row(tx->sealer, kind, arena, row);
        if (!err_is_ok(e)) {
            arena->used = mark;
            return e;
        }
        memcpy(ret_record, row, kind->size);
    }
    *ret_found = found;
    return OK;
}

err store_find(struct store_tx *tx, const struct kind *kind, const void *key, struct arena *arena,
               void *ret_record, bool *ret_found)
{
    assert(has_whole_key(kind, key));
    return is_sealed(tx, kind) ? find_sealed(tx, kind, key, arena, ret_record, ret_found)
                               : tx->backend->find(tx, kind, key, arena, ret_record, ret_found);
}

err store_get(struct store_tx *tx, const struct kind *kind, const void *key, struct arena *arena,
              void *ret_record)
{
    bool found;

    TRY(store_find(tx, kind, key, arena, ret_record, &found));
    return found ? OK : ERR(NOT_FOUND);
}

static err put_sealed(struct store_tx *tx, const struct kind *kind, const void *record,
                      err (*put)(struct store_tx *tx, const struct kind *kind, const void *record))
{
    struct store_sealed_row row;
    err e;

    if (!is_sealed(tx, kind)) {
        return put(tx, kind, record);
    }
    e = store_seal_row(tx->sealer, kind, record, &row);
    if (err_is_ok(e)) {
        e = put(tx, kind, row.record);
    }
    store_seal_row_done(&row);
    return e;
}

err store_insert(struct store_tx *tx, const struct kind *kind, const void *record)
{
    assert(tx->may_write && has_whole_key(kind, record));
    return put_sealed(tx, kind, record, tx->backend->insert);
}

err store_put(struct store_tx *tx, const struct kind *kind, const void *record)
{
    assert(tx->may_write && has_whole_key(kind, record));
    return put_sealed(tx, kind, record, tx->backend->put);
}

err store_delete(struct store_tx *tx, const struct kind *kind, const void *key)
{
    assert(tx->may_write && has_whole_key(kind, key));
    return tx->backend->remove(tx, kind, key);
}

static bool is_scan_of(const struct kind *kind, const struct store_scan *scan)
{
    struct store_order order;

    if (scan->index < 0 || scan->index > kind->n_indexes) {
        return false;
    }
    order = store_order_of(kind, scan->index);
    return scan->n_prefix >= 0 && scan->n_prefix <= order.n &&
           (scan->n_prefix == 0 || scan->prefix != NULL);
}

static err open_rows(struct store_tx *tx, const struct kind *kind, struct arena *arena,
                     uint8_t *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        TRY(store_open_row(tx->sealer, kind, arena, rows + i * kind->size));
    }
    return OK;
}

static err scan_sealed(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
                       struct arena *arena, void *ret_rows, size_t *ret_n)
{
    size_t mark = arena->used;
    uint8_t *rows = NULL;
    size_t n = 0;
    err e;

    TRY(tx->backend->scan(tx, kind, scan, arena, &rows, &n));
    e = open_rows(tx, kind, arena, rows, n);
    if (!err_is_ok(e)) {
        arena->used = mark;
        return e;
    }
    memcpy(ret_rows, &rows, sizeof(rows));
    *ret_n = n;
    return OK;
}

err store_scan(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
               struct arena *arena, void *ret_rows, size_t *ret_n)
{
    assert(is_scan_of(kind, scan));
    assert(scan->limit >= 1 && scan->limit <= SCAN_LIMIT_MAX);
    return is_sealed(tx, kind) ? scan_sealed(tx, kind, scan, arena, ret_rows, ret_n)
                               : tx->backend->scan(tx, kind, scan, arena, ret_rows, ret_n);
}

/* A walk whose rows are opened on their way. */
struct sealed_walk {
    const struct store_sealer *sealer;
    const struct kind *kind;
    struct arena *arena;
    store_row_fn fn;
    void *arg;
};

static err open_and_hand(const void *row, void *arg, bool *more)
{
    const struct sealed_walk *w = arg;
    size_t mark = w->arena->used;
    void *copy = arena_alloc(w->arena, w->kind->size);
    err e;

    if (copy == NULL) {
        return ERR(NOMEM);
    }
    memcpy(copy, row, w->kind->size);
    e = store_open_row(w->sealer, w->kind, w->arena, copy);
    if (err_is_ok(e)) {
        e = w->fn(copy, w->arg, more);
    }
    w->arena->used = mark;
    return e;
}

err store_walk(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
               struct arena *arena, store_row_fn fn, void *arg)
{
    struct sealed_walk w = { tx->sealer, kind, arena, fn, arg };

    assert(is_scan_of(kind, scan));
    return is_sealed(tx, kind) && !scan->without_secrets
               ? tx->backend->walk(tx, kind, scan, arena, open_and_hand, &w)
               : tx->backend->walk(tx, kind, scan, arena, fn, arg);
}

err store_count(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
                int64_t *ret_n)
{
    assert(is_scan_of(kind, scan));
    return tx->backend->count(tx, kind, scan, ret_n);
}
