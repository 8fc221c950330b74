/* store/mem.c: a store in memory, for tests. A table is an array of rows sorted by primary key; the
 * other orders are sorted when they are asked for. One lock: many readers, or one writer in place
 * with a log of what to undo. Simple rather than fast. */
#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "store/backend.h"
#include "store/row.h"

/* A row is one block: the struct, then the bytes of its spans. */
struct table {
    const struct kind *kind;
    struct table *next;
    void **rows;
    size_t n, room;
};

struct change {
    struct change *older;
    struct table *table;
    void *before, *after; /* the row with this key; NULL: none */
};

struct mem_store {
    struct store base;
    pthread_rwlock_t lock; /* guards the tables */
    struct table *tables;
    atomic_size_t waiting, writing; /* writers that want the lock; that are inside mem_write */
    atomic_ullong writes;
};

struct mem_tx {
    struct store_tx base;
    struct mem_store *store;
    struct change *newest;
};

/* ---- rows ---- */

static void *copy_row(const struct kind *kind, const void *record)
{
    size_t size = kind->size;
    uint8_t *row;
    uint8_t *at;

    for (int i = 0; i < kind->n_fields; i++) {
        if (store_row_is_span(&kind->fields[i])) {
            size += store_row_span(record, &kind->fields[i]).len;
        }
    }
    row = (uint8_t *)malloc(size);
    if (row == NULL) {
        return NULL;
    }
    memcpy(row, record, kind->size);
    at = row + kind->size;
    for (int i = 0; i < kind->n_fields; i++) {
        const struct field *f = &kind->fields[i];

        if (store_row_is_span(f) && !store_row_is_absent(record, f)) {
            struct span value = store_row_span(record, f);

            memcpy(at, value.data, value.len);
            store_row_set_span(row, f, span_of(at, value.len));
            at += value.len;
        }
    }
    return row;
}

/* `ret_record` may be what the row was looked up by: written once all is copied. */
static err give_row(const struct kind *kind, const void *row, bool without_secrets,
                    struct arena *arena, void *ret_record)
{
    uint8_t record[KIND_FIELDS_MAX * sizeof(struct span)];

    assert(kind->size <= sizeof(record));
    memcpy(record, row, kind->size);
    for (int i = 0; i < kind->n_fields; i++) {
        const struct field *f = &kind->fields[i];

        if (store_row_is_span(f)) {
            struct span value = SPAN_NONE;

            if (!store_row_is_hidden(f, without_secrets)) {
                TRY(arena_copy(arena, store_row_span(row, f), &value));
            }
            store_row_set_span(record, f, value);
        }
    }
    memcpy(ret_record, record, kind->size);
    return OK;
}

/* Where the key is, or would be. */
static size_t place_of(const struct table *t, const void *key, bool *ret_found)
{
    struct store_order order = store_order_of(t->kind, 0);
    size_t low = 0;
    size_t high = t->n;

    *ret_found = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int side = store_order_compare(t->kind, &order, order.n, t->rows[middle], key);

        if (side == 0) {
            *ret_found = true;
            return middle;
        }
        if (side < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Puts, replaces (the old row is the caller's again) or, with NULL, takes the row of a key. */
static void set_row(struct table *t, const void *key, void *row)
{
    bool found;
    size_t at = place_of(t, key, &found);

    if (found && row != NULL) {
        t->rows[at] = row;
    } else if (found) {
        memmove(t->rows + at, t->rows + at + 1, (t->n - at - 1) * sizeof(void *));
        t->n--;
    } else if (row != NULL) {
        memmove(t->rows + at + 1, t->rows + at, (t->n - at) * sizeof(void *));
        t->rows[at] = row;
        t->n++;
    }
}

static err make_room(struct table *t)
{
    size_t room = t->room == 0 ? 16 : t->room * 2;
    void **rows;

    if (t->n < t->room) {
        return OK;
    }
    rows = (void **)realloc(t->rows, room * sizeof(void *));
    if (rows == NULL) {
        return ERR(NOMEM);
    }
    t->rows = rows;
    t->room = room;
    return OK;
}

/* NULL: nothing was ever put there. */
static struct table *find_table(const struct mem_store *s, const struct kind *kind)
{
    struct table *t = s->tables;

    while (t != NULL && t->kind != kind) {
        t = t->next;
    }
    return t;
}

static err make_table(struct mem_store *s, const struct kind *kind, struct table **ret_table)
{
    struct table *t = find_table(s, kind);

    if (t == NULL) {
        t = (struct table *)calloc(1, sizeof(*t));
        if (t == NULL) {
            return ERR(NOMEM);
        }
        t->kind = kind;
        t->next = s->tables;
        s->tables = t;
    }
    *ret_table = t;
    return OK;
}

/* ---- inside a transaction ---- */

static struct mem_tx *tx_of(struct store_tx *tx)
{
    return (struct mem_tx *)tx;
}

static const void *row_of(struct store_tx *tx, const struct kind *kind, const void *key)
{
    const struct table *t = find_table(tx_of(tx)->store, kind);
    bool found = false;
    size_t at = t != NULL ? place_of(t, key, &found) : 0;

    return found ? t->rows[at] : NULL;
}

static err mem_find(struct store_tx *tx, const struct kind *kind, const void *key,
                    struct arena *arena, void *ret_record, bool *ret_found)
{
    const void *row = row_of(tx, kind, key);
    size_t mark = arena->used;

    if (row != NULL) {
        err e = give_row(kind, row, false, arena, ret_record);

        if (!err_is_ok(e)) {
            arena->used = mark;
            return e;
        }
    }
    *ret_found = row != NULL;
    return OK;
}

/* Takes `row` (NULL: deletes) and notes what was there. */
static err change(struct mem_tx *tx, struct table *t, const void *key, void *row)
{
    struct change *c = (struct change *)malloc(sizeof(*c));
    bool found;
    size_t at;

    if (c == NULL || !err_is_ok(make_room(t))) {
        free(c);
        free(row);
        return ERR(NOMEM);
    }
    at = place_of(t, key, &found);
    *c = (struct change){ tx->newest, t, found ? t->rows[at] : NULL, row };
    tx->newest = c;
    set_row(t, key, row);
    return OK;
}

static err mem_put(struct store_tx *tx, const struct kind *kind, const void *record)
{
    struct table *t;
    void *row;

    TRY(make_table(tx_of(tx)->store, kind, &t));
    row = copy_row(kind, record);
    return row != NULL ? change(tx_of(tx), t, row, row) : ERR(NOMEM);
}

static err mem_insert(struct store_tx *tx, const struct kind *kind, const void *record)
{
    return row_of(tx, kind, record) != NULL ? ERR(EXISTS) : mem_put(tx, kind, record);
}

static err mem_remove(struct store_tx *tx, const struct kind *kind, const void *key)
{
    if (row_of(tx, kind, key) == NULL) {
        return ERR(NOT_FOUND);
    }
    return change(tx_of(tx), find_table(tx_of(tx)->store, kind), key, NULL);
}

/* ---- scans ---- */

struct entry {
    const struct kind *kind;
    const struct store_order *order;
    const void *row;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = (const struct entry *)a;
    const struct entry *y = (const struct entry *)b;

    return store_order_compare(x->kind, x->order, x->order->n, x->row, y->row);
}

static bool has_prefix(const struct kind *kind, const struct store_order *order,
                       const struct store_scan *scan, const void *row)
{
    return scan->n_prefix == 0 ||
           store_order_compare(kind, order, scan->n_prefix, row, scan->prefix) == 0;
}

static bool is_behind(const struct kind *kind, const struct store_order *order,
                      const struct store_scan *scan, const void *row)
{
    int side;

    if (scan->after == NULL) {
        return true;
    }
    side = store_order_compare(kind, order, order->n, row, scan->after);
    return (scan->is_inclusive && side == 0) || (scan->descending ? side < 0 : side > 0);
}

/* The rows of a scan. *ret_entries is the caller's to free, in the order of the walk. */
static err find_entries(struct store_tx *tx, const struct kind *kind,
                        const struct store_order *order, const struct store_scan *scan,
                        struct entry **ret_entries, size_t *ret_n)
{
    const struct table *t = find_table(tx_of(tx)->store, kind);
    size_t n_rows = t != NULL ? t->n : 0;
    struct entry *entries = (struct entry *)calloc(n_rows + 1, sizeof(*entries));
    size_t n = 0;

    if (entries == NULL) {
        return ERR(NOMEM);
    }
    for (size_t i = 0; i < n_rows; i++) {
        if (has_prefix(kind, order, scan, t->rows[i]) && is_behind(kind, order, scan, t->rows[i])) {
            entries[n++] = (struct entry){ kind, order, t->rows[i] };
        }
    }
    qsort(entries, n, sizeof(*entries), compare_entries);
    for (size_t i = 0; scan->descending && i < n / 2; i++) {
        struct entry other = entries[n - 1 - i];

        entries[n - 1 - i] = entries[i];
        entries[i] = other;
    }
    *ret_entries = entries;
    *ret_n = n;
    return OK;
}

static err give_entries(const struct entry *entries, size_t n, const struct store_scan *scan,
                        struct store_rows *rows)
{
    for (size_t i = 0; i < n && rows->n < scan->limit; i++) {
        void *row;

        TRY(store_rows_add(rows, &row));
        TRY(give_row(entries[i].kind, entries[i].row, scan->without_secrets, rows->arena, row));
    }
    return OK;
}

static err mem_scan(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
                    struct arena *arena, void *ret_rows, size_t *ret_n)
{
    struct store_order order = store_order_of(kind, scan->index);
    struct store_rows rows = { .arena = arena, .size = kind->size, .limit = scan->limit };
    size_t mark = arena->used;
    struct entry *entries;
    size_t n;
    err e;

    TRY(find_entries(tx, kind, &order, scan, &entries, &n));
    e = give_entries(entries, n, scan, &rows);
    free(entries);
    if (!err_is_ok(e)) {
        arena->used = mark;
        return e;
    }
    store_rows_end(&rows, ret_rows, ret_n);
    return OK;
}

static err hand_entry(const struct entry *entry, const struct store_scan *scan, struct arena *arena,
                      store_row_fn fn, void *arg, bool *more)
{
    void *row = arena_alloc(arena, entry->kind->size);

    if (row == NULL) {
        return ERR(NOMEM);
    }
    TRY(give_row(entry->kind, entry->row, scan->without_secrets, arena, row));
    return fn(row, arg, more);
}

static err mem_walk(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
                    struct arena *arena, store_row_fn fn, void *arg)
{
    struct store_order order = store_order_of(kind, scan->index);
    size_t mark = arena->used;
    struct entry *entries;
    bool more = true;
    err e = OK;
    size_t n;

    TRY(find_entries(tx, kind, &order, scan, &entries, &n));
    for (size_t i = 0; i < n && more && err_is_ok(e); i++) {
        e = hand_entry(&entries[i], scan, arena, fn, arg, &more);
        arena->used = mark;
    }
    free(entries);
    return e;
}

static err mem_count(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
                     int64_t *ret_n)
{
    const struct table *t = find_table(tx_of(tx)->store, kind);
    struct store_order order = store_order_of(kind, scan->index);
    int64_t n = 0;

    for (size_t i = 0; t != NULL && i < t->n; i++) {
        n += has_prefix(kind, &order, scan, t->rows[i]);
    }
    *ret_n = n;
    return OK;
}

/* ---- transactions ---- */

static err mem_read(struct store *s, store_fn fn, void *arg)
{
    struct mem_store *store = (struct mem_store *)s;
    struct mem_tx tx = { .base = { .backend = s->backend, .sealer = s->sealer }, .store = store };
    err e;

    (void)pthread_rwlock_rdlock(&store->lock);
    e = fn(&tx.base, arg);
    (void)pthread_rwlock_unlock(&store->lock);
    return e;
}

/* Keeps or undoes the newest change, and forgets it. */
static void end_change(struct mem_tx *tx, bool keep)
{
    struct change *c = tx->newest;

    tx->newest = c->older;
    if (!keep) {
        set_row(c->table, c->after != NULL ? c->after : c->before, c->before);
    }
    free(keep ? c->before : c->after);
    free(c);
}

static err mem_write(struct store *s, store_fn fn, void *arg)
{
    struct mem_store *store = (struct mem_store *)s;
    struct mem_tx tx = { .base = { .backend = s->backend, .sealer = s->sealer, .may_write = true },
                         .store = store };
    err e;

    (void)atomic_fetch_add(&store->writing, 1);
    (void)atomic_fetch_add(&store->waiting, 1);
    (void)pthread_rwlock_wrlock(&store->lock);
    (void)atomic_fetch_sub(&store->waiting, 1);
    e = fn(&tx.base, arg);
    while (tx.newest != NULL) {
        end_change(&tx, err_is_ok(e));
    }
    (void)atomic_fetch_add(&store->writes, 1);
    (void)pthread_rwlock_unlock(&store->lock);
    (void)atomic_fetch_sub(&store->writing, 1);
    return e;
}

/* ---- life ---- */

static size_t mem_backlog(struct store *s)
{
    return atomic_load(&((struct mem_store *)s)->waiting);
}

static void mem_stats(struct store *s, struct store_stats *ret_stats)
{
    uint64_t writes = atomic_load(&((struct mem_store *)s)->writes);

    *ret_stats = (struct store_stats){ .writes = writes, .batches = writes };
}

/* What is replaced or deleted goes back to malloc, as all of a process's memory. */
static err mem_scrub(struct store *s, bool whole)
{
    (void)s;
    (void)whole;
    return OK;
}

static void mem_close(struct store *s)
{
    struct mem_store *store = (struct mem_store *)s;
    struct table *next;

    while (atomic_load(&store->writing) > 0) {
        (void)sched_yield();
    }
    for (struct table *t = store->tables; t != NULL; t = next) {
        next = t->next;
        for (size_t i = 0; i < t->n; i++) {
            free(t->rows[i]);
        }
        free(t->rows);
        free(t);
    }
    (void)pthread_rwlock_destroy(&store->lock);
    free(store);
}

static const struct store_backend backend = {
    .close = mem_close,
    .read = mem_read,
    .write = mem_write,
    .backlog = mem_backlog,
    .stats = mem_stats,
    .scrub = mem_scrub,
    .find = mem_find,
    .insert = mem_insert,
    .put = mem_put,
    .remove = mem_remove,
    .scan = mem_scan,
    .walk = mem_walk,
    .count = mem_count,
};

err store_mem_open(struct store **ret_store)
{
    struct mem_store *s = (struct mem_store *)calloc(1, sizeof(*s));

    if (s == NULL) {
        return ERR(NOMEM);
    }
    s->base.backend = &backend;
    (void)pthread_rwlock_init(&s->lock, NULL);
    *ret_store = &s->base;
    return OK;
}
