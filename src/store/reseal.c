/* store/reseal.c: sealing anew what is under a key that is to go. Two walks: one counts, one seals.
 * A walk reads a page at a time, without holding up writers; the rows of the page that need it are
 * read again and put in one write transaction, since they may have changed meanwhile. Whoever
 * writes a row seals it under the current key, and who did so under the one before is waited for
 * first, so what lies behind the walk stays done.
 *
 * On a store that is not whole, what does not open where it lies was never sealed. */
#include <assert.h>
#include <stdlib.h>

#include "model/kinds.h"
#include "model/limits.h"
#include "store/backend.h"
#include "store/row.h"
#include "store/seal_row.h"

enum { CURSOR_SIZE = 4096 };

struct walk {
    struct store *store;
    const struct store_reseal *how;
    bool takes_plain;
    uint32_t current; /* the key that is to stay */

    const struct kind *kind; /* being walked */
    struct arena rows, scratch, cursor;
    alignas(max_align_t) uint8_t after[KIND_FIELDS_MAX * sizeof(struct span)];
    bool has_after;
    uint8_t *page;
    size_t n_page;
    size_t limit;

    struct store_reseal_left left[STORE_SEAL_KEYS_MAX + 1];
    size_t n_left;
    bool has_secrets;            /* any row, under whatever key */
    uint64_t n_done, n_done_now; /* of the page under way */
};

/* ---- one secret ---- */

/* 0: it was never sealed. */
static err key_of(struct walk *w, const struct field *f, const void *row, uint32_t *ret_key)
{
    const struct store_sealer *sealer = w->store->sealer;
    struct span sealed = store_row_span(row, f);
    size_t mark = w->scratch.used;
    struct span plain;
    err e = OK;

    if (!sealer->key_of(sealed, ret_key)) {
        *ret_key = 0;
    } else if (w->takes_plain) { /* it may only look so */
        e = store_open_field(sealer, w->kind, f, row, &w->scratch, &plain);
        w->scratch.used = mark;
        if (!err_is_ok(e)) {
            *ret_key = 0;
        }
    }
    if (*ret_key == 0 && !w->takes_plain) {
        return err_set(ERR_CORRUPT, "%s.%s: not sealed", w->kind->name, f->name);
    }
    return err_is(e, ERR_NOMEM) ? e : OK;
}

/* A key of the row that is to go. False: there is none. */
static err find_old_key(struct walk *w, const void *row, uint32_t *ret_key, bool *ret_found)
{
    *ret_found = false;
    for (int i = 0; i < w->kind->n_fields && !*ret_found; i++) {
        const struct field *f = &w->kind->fields[i];

        if (f->type == FIELD_SECRET && !store_row_is_absent(row, f)) {
            w->has_secrets = true;
            TRY(key_of(w, f, row, ret_key));
            *ret_found = *ret_key != w->current;
        }
    }
    return OK;
}

/* ---- one row ---- */

static err open_all(struct walk *w, uint8_t *row)
{
    for (int i = 0; i < w->kind->n_fields; i++) {
        const struct field *f = &w->kind->fields[i];
        uint32_t key;

        if (f->type != FIELD_SECRET || store_row_is_absent(row, f)) {
            continue;
        }
        TRY(key_of(w, f, row, &key));
        if (key != 0) {
            struct span plain;

            TRY(store_open_field(w->store->sealer, w->kind, f, row, &w->scratch, &plain));
            store_row_set_span(row, f, plain);
        }
    }
    return OK;
}

/* `key`: of a row as it was when the page was read. */
static err reseal_row(struct walk *w, struct store_tx *tx, const void *key)
{
    alignas(max_align_t) uint8_t row[KIND_FIELDS_MAX * sizeof(struct span)];
    bool is_found = false, is_old = false;
    uint32_t old;

    TRY(tx->backend->find(tx, w->kind, key, &w->scratch, row, &is_found));
    if (!is_found) {
        return OK;
    }
    TRY(find_old_key(w, row, &old, &is_old));
    if (!is_old) {
        return OK;
    }
    TRY(open_all(w, row));
    TRY(store_put(tx, w->kind, row));
    w->n_done_now++;
    return OK;
}

static err reseal_page(struct store_tx *tx, void *arg)
{
    struct walk *w = (struct walk *)arg;

    w->n_done_now = 0; /* it may be run again */
    for (size_t i = 0; i < w->n_page; i++) {
        const uint8_t *row = w->page + i * w->kind->size;
        size_t mark = w->scratch.used;
        bool is_old;
        uint32_t old;
        err e;

        TRY(find_old_key(w, row, &old, &is_old));
        e = is_old ? reseal_row(w, tx, row) : OK;
        w->scratch.used = mark;
        TRY(e);
    }
    return OK;
}

/* ---- pages ---- */

static err read_page(struct store_tx *tx, void *arg)
{
    struct walk *w = (struct walk *)arg;
    const struct store_scan scan = { .after = w->has_after ? w->after : NULL, .limit = w->limit };

    return tx->backend->scan(tx, w->kind, &scan, &w->rows, &w->page, &w->n_page);
}

/* The next page is behind the last row of this one; the arena it lies in is about to be reset. */
static err move_cursor(struct walk *w)
{
    const uint8_t *last = w->page + (w->n_page - 1) * w->kind->size;

    arena_reset(&w->cursor);
    memset(w->after, 0, sizeof(w->after));
    for (int i = 0; i < w->kind->n_key; i++) {
        const struct field *f = &w->kind->fields[i];

        if (store_row_is_span(f)) {
            struct span value;

            TRY(arena_copy(&w->cursor, store_row_span(last, f), &value));
            store_row_set_span(w->after, f, value);
        } else {
            store_row_set_int(w->after, f, store_row_int(last, f));
        }
    }
    w->has_after = true;
    return OK;
}

/* As many rows as there is memory for: some are large. */
static err next_page(struct walk *w)
{
    err e;

    do {
        arena_reset(&w->rows);
        w->n_page = 0;
        e = store_read(w->store, read_page, w);
    } while (err_is(e, ERR_NOMEM) && w->limit > 1 && (w->limit /= 2) >= 1);
    return e;
}

static err count_old(struct walk *w, uint32_t key)
{
    size_t i = 0;

    while (i < w->n_left && w->left[i].key != key) {
        i++;
    }
    if (i == w->n_left) {
        if (i == sizeof(w->left) / sizeof(w->left[0])) {
            return err_set(ERR_CORRUPT, "%s: more keys than can be", w->kind->name);
        }
        w->left[w->n_left++] = (struct store_reseal_left){ .key = key };
    }
    w->left[i].rows++;
    return OK;
}

static err count_page(struct walk *w)
{
    for (size_t i = 0; i < w->n_page; i++) {
        bool is_old;
        uint32_t old;

        TRY(find_old_key(w, w->page + i * w->kind->size, &old, &is_old));
        if (is_old) {
            TRY(count_old(w, old));
        }
    }
    return OK;
}

/* Rows come and go while we walk: what is left is what it was, less what is done. */
static void count_done(struct walk *w)
{
    for (size_t i = 0; i < w->n_page; i++) {
        bool is_old = false;
        uint32_t old = 0;

        if (!err_is_ok(find_old_key(w, w->page + i * w->kind->size, &old, &is_old)) || !is_old) {
            continue;
        }
        for (size_t k = 0; k < w->n_left; k++) {
            w->left[k].rows -= w->left[k].key == old && w->left[k].rows > 0;
        }
    }
}

static err seal_page(struct walk *w)
{
    bool is_any = false;
    uint32_t old;

    for (size_t i = 0; i < w->n_page && !is_any; i++) {
        TRY(find_old_key(w, w->page + i * w->kind->size, &old, &is_any));
    }
    if (is_any) {
        TRY(store_write(w->store, reseal_page, w));
        w->n_done += w->n_done_now;
        count_done(w);
    }
    return OK;
}

static bool goes_on(const struct walk *w)
{
    return w->how->on_step(w->how->arg, w->left, w->n_left);
}

static err walk_kind(struct walk *w, err (*on_page)(struct walk *w))
{
    w->has_after = false;
    w->limit = LIMIT_RESEAL_ROWS;
    do {
        TRY(next_page(w));
        if (w->n_page > 0) {
            TRY(on_page(w));
            TRY(move_cursor(w));
        }
        if (!goes_on(w)) {
            return ERR(CLOSED);
        }
    } while (w->n_page == w->limit);
    return OK;
}

static err walk_all(struct walk *w, err (*on_page)(struct walk *w))
{
    for (int i = 0; i < MODEL_KINDS_N; i++) {
        w->kind = MODEL_KINDS[i];
        if (store_seal_row_has_secrets(w->kind)) {
            TRY(walk_kind(w, on_page));
        }
    }
    return OK;
}

/* ---- the whole ---- */

static err forget_keys(struct store_tx *tx, void *arg)
{
    const struct walk *w = (const struct walk *)arg;
    const struct store_scan scan = { .limit = STORE_SEAL_KEYS_MAX };
    uint8_t memory[16 * 1024];
    struct arena arena;
    struct seal_key *rows = NULL;
    size_t n = 0;

    arena_init(&arena, memory, sizeof(memory));
    TRY(store_scan(tx, &KIND_SEAL_KEY, &scan, &arena, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        if ((uint32_t)rows[i].id != w->current) {
            TRY(store_delete(tx, &KIND_SEAL_KEY, &rows[i]));
        } else {
            rows[i].is_whole = 1;
            TRY(store_put(tx, &KIND_SEAL_KEY, &rows[i]));
        }
    }
    return OK;
}

static err do_nothing(struct store_tx *tx, void *arg)
{
    (void)tx, (void)arg;
    return OK;
}

static err run(struct walk *w)
{
    /* Who sealed before the key changed and is not committed yet would be overtaken. */
    TRY(store_write(w->store, do_nothing, NULL));
    TRY(walk_all(w, count_page));
    TRY(walk_all(w, seal_page));
    assert(w->store->sealer->current(w->store->sealer->ctx) == w->current);
    if (w->takes_plain && w->has_secrets) { /* before it counts as whole */
        TRY(store_scrub(w->store, true));
    }
    TRY(store_write(w->store, forget_keys, w));
    for (size_t i = 0; i < w->n_left; i++) {
        w->left[i].rows = 0;
    }
    (void)goes_on(w);
    return OK;
}

err store_reseal(struct store *s, const struct store_reseal *how, uint64_t *ret_rows)
{
    struct walk *w =
        (struct walk *)calloc(1, sizeof(*w) + LIMIT_RESEAL_PAGE + LIMIT_RESEAL_ROW + CURSOR_SIZE);
    struct store_seal_keys keys;
    uint8_t *memory;
    err e;

    if (w == NULL) {
        return ERR(NOMEM);
    }
    memory = (uint8_t *)(w + 1);
    arena_init(&w->rows, memory, LIMIT_RESEAL_PAGE);
    arena_init(&w->scratch, memory + LIMIT_RESEAL_PAGE, LIMIT_RESEAL_ROW);
    arena_init(&w->cursor, memory + LIMIT_RESEAL_PAGE + LIMIT_RESEAL_ROW, CURSOR_SIZE);
    w->store = s;
    w->how = how;
    w->current = s->sealer->current(s->sealer->ctx);
    e = store_seal_keys(s, &keys);
    if (err_is_ok(e)) {
        w->takes_plain = !keys.is_whole;
        e = run(w);
    }
    if (err_is_ok(e)) {
        *ret_rows = w->n_done;
    }
    explicit_bzero(memory, LIMIT_RESEAL_PAGE + LIMIT_RESEAL_ROW + CURSOR_SIZE);
    free(w);
    return e;
}
