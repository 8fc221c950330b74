/* store/store.c: hands each call to the backend. Looks after what every backend may rely on: the
 * arguments are of the shape that store.h asks for, a reader does not write, and no key is absent.
 * A breach is a bug of ours, hence assert. */
#include "store/store.h"

#include <assert.h>

#include "store/backend.h"
#include "store/row.h"

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

err store_find(struct store_tx *tx, const struct kind *kind, const void *key, struct arena *arena,
               void *ret_record, bool *ret_found)
{
    assert(has_whole_key(kind, key));
    return tx->backend->find(tx, kind, key, arena, ret_record, ret_found);
}

err store_get(struct store_tx *tx, const struct kind *kind, const void *key, struct arena *arena,
              void *ret_record)
{
    bool found;

    TRY(store_find(tx, kind, key, arena, ret_record, &found));
    return found ? OK : ERR(NOT_FOUND);
}

err store_insert(struct store_tx *tx, const struct kind *kind, const void *record)
{
    assert(tx->may_write && has_whole_key(kind, record));
    return tx->backend->insert(tx, kind, record);
}

err store_put(struct store_tx *tx, const struct kind *kind, const void *record)
{
    assert(tx->may_write && has_whole_key(kind, record));
    return tx->backend->put(tx, kind, record);
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

err store_scan(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
               struct arena *arena, void *ret_rows, size_t *ret_n)
{
    assert(is_scan_of(kind, scan));
    assert(scan->limit >= 1 && scan->limit <= SCAN_LIMIT_MAX);
    return tx->backend->scan(tx, kind, scan, arena, ret_rows, ret_n);
}

err store_walk(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
               struct arena *arena, store_row_fn fn, void *arg)
{
    assert(is_scan_of(kind, scan));
    return tx->backend->walk(tx, kind, scan, arena, fn, arg);
}

err store_count(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
                int64_t *ret_n)
{
    assert(is_scan_of(kind, scan));
    return tx->backend->count(tx, kind, scan, ret_n);
}
