/* store/store_contract_test.c: store.h's contract, once, run on every backend. What is SQLite's
 * alone is in sqlite_file_test.c. With a sealer and without; what a sealer changes is in
 * store_seal_test.c.
 *
 * A transaction may run on another thread, where cmocka must not assert: functions handed to the
 * store only collect, and the test looks afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "model/kinds.h"
#include "model/records.h"
#include "store/files_test.h"
#include "store/row.h"
#include "store/sealer_test.h"
#include "store/store.h"

/* ---- fixture ---- */

enum { ARENA_SIZE = 1 << 20 };

struct fixture {
    struct store *store;
    struct arena arena;
    struct sealer_keys keys;
    struct store_sealer sealer;
    struct files files;
};

struct backend_case {
    err (*open)(const char *path, struct store **ret_store);
    bool is_sealed;
};
static struct backend_case mem = { files_open_mem, false }, sqlite = { files_open_sqlite, false },
                           sealed_mem = { files_open_mem, true },
                           sealed_sqlite = { files_open_sqlite, true };

static int setup(void **state)
{
    const struct backend_case *backend = (const struct backend_case *)*state;
    struct fixture *f = (struct fixture *)calloc(1, sizeof(*f));

    arena_init(&f->arena, malloc(ARENA_SIZE), ARENA_SIZE);
    files_open(&f->files);
    assert_true(err_is_ok(backend->open(f->files.path, &f->store)));
    f->keys.keys[0] = 1;
    f->sealer = sealer_over(&f->keys);
    if (backend->is_sealed) {
        store_use_sealer(f->store, &f->sealer);
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = (struct fixture *)*state;

    store_close(f->store);
    files_close(&f->files);
    free(f->arena.block);
    free(f);
    return 0;
}

/* ---- transactions as data ---- */

enum verb { PUT, INSERT, DELETE, FAIL };

struct step {
    enum verb verb;
    const struct kind *kind;
    const void *record;
};
struct script {
    const struct step *steps;
    size_t n;
};

static err run_script(struct store_tx *tx, void *arg)
{
    const struct script *script = (const struct script *)arg;

    for (size_t i = 0; i < script->n; i++) {
        const struct step *step = &script->steps[i];

        switch (step->verb) {
        case PUT:
            TRY(store_put(tx, step->kind, step->record));
            break;
        case INSERT:
            TRY(store_insert(tx, step->kind, step->record));
            break;
        case DELETE:
            TRY(store_delete(tx, step->kind, step->record));
            break;
        case FAIL:
            return err_set(ERR_PRECONDITION, "step %zu", i);
        }
    }
    return OK;
}

static enum err_code write_steps(struct fixture *f, const struct step *steps, size_t n)
{
    struct script script = { steps, n };

    return store_write(f->store, run_script, &script).code;
}

static enum err_code write_one(struct fixture *f, enum verb verb, const struct kind *kind,
                               const void *record)
{
    struct step step = { verb, kind, record };

    return write_steps(f, &step, 1);
}

struct getting {
    const struct kind *kind;
    const void *key;
    struct arena *arena;
    void *record;
};

static err run_get(struct store_tx *tx, void *arg)
{
    struct getting *g = (struct getting *)arg;

    return store_get(tx, g->kind, g->key, g->arena, g->record);
}

static enum err_code read_one(struct fixture *f, const struct kind *kind, const void *key,
                              void *ret_record)
{
    struct getting g = { kind, key, &f->arena, ret_record };

    return store_read(f->store, run_get, &g).code;
}

struct scanning {
    const struct kind *kind;
    struct store_scan scan;
    struct arena *arena;
    void *rows;
    size_t n;
    int64_t count;
};

static err run_scan(struct store_tx *tx, void *arg)
{
    struct scanning *s = (struct scanning *)arg;

    TRY(store_scan(tx, s->kind, &s->scan, s->arena, &s->rows, &s->n));
    return store_count(tx, s->kind, &s->scan, &s->count);
}

static struct scanning scan_of(struct fixture *f, const struct kind *kind, struct store_scan scan)
{
    struct scanning s = { .kind = kind, .scan = scan, .arena = &f->arena };

    assert_int_equal(store_read(f->store, run_scan, &s).code, ERR_NONE);
    return s;
}

/* ---- records ---- */

/* Values that differ by seed and field; keys are never absent, other spans are also absent or empty
 * every now and then; integers go to their ends. */
static void fill(struct arena *arena, const struct kind *kind, unsigned seed, void *ret_record)
{
    static const int64_t integers[] = { 0, 1, -1, INT64_MAX, INT64_MIN, 1669000000000 };

    for (int i = 0; i < kind->n_fields; i++) {
        const struct field *f = &kind->fields[i];
        unsigned pick = seed + (unsigned)i;
        struct span value;

        if (!store_row_is_span(f)) {
            store_row_set_int(ret_record, f,
                              i < kind->n_key        ? (int64_t)seed
                              : f->type == FIELD_INT ? integers[pick % 6]
                                                     : (int64_t)(pick % 5));
            continue;
        }
        assert_true(err_is_ok(arena_printf(arena, &value, "%s%c%u\xc3\xa9", f->name,
                                           f->type == FIELD_BLOB ? '\0' : '/', seed)));
        if (i >= kind->n_key && pick % 4 == 0) {
            value = SPAN_NONE;
        } else if (i >= kind->n_key && pick % 4 == 1) {
            value.len = 0;
        }
        store_row_set_span(ret_record, f, value);
    }
}

static void assert_same(const struct kind *kind, const void *a, const void *b)
{
    for (int i = 0; i < kind->n_fields; i++) {
        if (store_row_compare_field(a, b, &kind->fields[i]) != 0) {
            fail_msg("%s.%s differs", kind->name, kind->fields[i].name);
        }
    }
}

union any_record {
    uint8_t bytes[KIND_FIELDS_MAX * sizeof(struct span)];
    max_align_t align;
};

/* ---- tests: rows ---- */

static void test_every_kind(void **state)
{
    struct fixture *f = (struct fixture *)*state;

    for (int k = 0; k < MODEL_KINDS_N; k++) {
        const struct kind *kind = MODEL_KINDS[k];
        union any_record old = { { 0 } }, new = { { 0 } }, got, untouched;

        for (unsigned seed = 0; seed < 8; seed++) {
            fill(&f->arena, kind, seed, &old);
            fill(&f->arena, kind, seed + 101, &new);
            for (int i = 0; i < kind->n_key; i++) {
                const struct field *key = &kind->fields[i];

                memcpy(new.bytes + key->offset, old.bytes + key->offset,
                       store_row_is_span(key)    ? sizeof(struct span)
                       : key->type == FIELD_ENUM ? sizeof(int)
                                                 : sizeof(int64_t));
            }
            memset(&got, 0x5a, sizeof(got));
            untouched = got;
            assert_int_equal(read_one(f, kind, &old, &got), ERR_NOT_FOUND);
            assert_memory_equal(&got, &untouched, sizeof(got));
            assert_int_equal(write_one(f, DELETE, kind, &old), ERR_NOT_FOUND);

            assert_int_equal(write_one(f, INSERT, kind, &old), ERR_NONE);
            assert_int_equal(read_one(f, kind, &old, &got), ERR_NONE);
            assert_same(kind, &got, &old);
            assert_int_equal(write_one(f, INSERT, kind, &new), ERR_EXISTS);
            assert_int_equal(read_one(f, kind, &got, &got), ERR_NONE); /* key and result are one */
            assert_same(kind, &got, &old);

            assert_int_equal(write_one(f, PUT, kind, &new), ERR_NONE);
            assert_int_equal(read_one(f, kind, &old, &got), ERR_NONE);
            assert_same(kind, &got, &new);
        }
        assert_int_equal(write_one(f, DELETE, kind, &old), ERR_NONE);
        assert_int_equal(read_one(f, kind, &old, &got), ERR_NOT_FOUND);
        assert_int_equal(write_one(f, PUT, kind, &old), ERR_NONE); /* put adds, too */
        assert_int_equal(scan_of(f, kind, (struct store_scan){ .limit = 100 }).count, 8);
        arena_reset(&f->arena);
    }
}

static void test_absent_is_not_empty(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct enrollment got, in = { .id_scope = SPAN("s"),
                                  .kind = ENROLLMENT_GROUP,
                                  .key = SPAN(""), /* a key may be empty */
                                  .extra = SPAN(""),
                                  .x509_primary = SPAN(""),
                                  .etag = SPAN("a\0b") };

    assert_int_equal(write_one(f, PUT, &KIND_ENROLLMENT, &in), ERR_NONE);
    assert_int_equal(read_one(f, &KIND_ENROLLMENT, &in, &got), ERR_NONE);
    assert_true(!span_is_absent(got.extra) && got.extra.len == 0);
    assert_true(!span_is_absent(got.x509_primary) && got.x509_primary.len == 0);
    assert_true(span_is_absent(got.iot_hubs) && span_is_absent(got.x509_secondary));
    assert_true(span_eq(got.etag, SPAN("a\0b")));
    assert_int_equal(got.etag.data[3], 0); /* copies end in NUL */
}

/* ---- tests: scans ---- */

static void put_device(struct fixture *f, struct span hub, struct span device_id)
{
    struct device d = { .hub = hub, .device_id = device_id };

    assert_int_equal(write_one(f, PUT, &KIND_DEVICE, &d), ERR_NONE);
}

struct scan_case {
    bool has_prefix;
    const char *after; /* device ID */
    bool descending;
    size_t limit;
    const char *want; /* device IDs */
    int64_t count;
};

static void test_scan_order(void **state)
{
    static const struct scan_case cases[] = {
        { true, NULL, false, 100, " A a a- ab \xc3\xa9", 6 },
        { true, NULL, true, 100, "\xc3\xa9 ab a- a A ", 6 },
        { true, NULL, false, 3, " A a", 6 },
        { true, NULL, true, 1, "\xc3\xa9", 6 },
        { true, "a", false, 100, "a- ab \xc3\xa9", 6 },
        { true, "a", true, 100, "A ", 6 },
        { true, "aa", false, 2, "ab \xc3\xa9", 6 }, /* behind a place where nothing is */
        { true, "\xc3\xa9", false, 100, NULL, 6 },
        { true, "", true, 100, NULL, 6 },
        { false, NULL, false, 100, "zz  A a a- ab \xc3\xa9 0", 8 },
        { false, "ab", false, 100, "\xc3\xa9 0", 8 },
        { false, "A", true, 100, " zz", 8 },
    };
    struct fixture *f = (struct fixture *)*state;
    struct device in_hub = { .hub = SPAN("h") };

    put_device(f, SPAN("h"), SPAN("ab"));
    put_device(f, SPAN("h"), SPAN("\xc3\xa9"));
    put_device(f, SPAN("h"), SPAN("A"));
    put_device(f, SPAN("h"), SPAN(""));
    put_device(f, SPAN("h"), SPAN("a"));
    put_device(f, SPAN("h"), SPAN("a-"));
    put_device(f, SPAN("g"), SPAN("zz"));
    put_device(f, SPAN("h2"), SPAN("0"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct scan_case *c = &cases[i];
        struct device after = { .hub = SPAN("h"), .device_id = span_str(c->after) };
        struct scanning s = scan_of(f, &KIND_DEVICE,
                                    (struct store_scan){ .prefix = c->has_prefix ? &in_hub : NULL,
                                                         .n_prefix = c->has_prefix,
                                                         .after = c->after ? &after : NULL,
                                                         .descending = c->descending,
                                                         .limit = c->limit });
        const struct device *rows = (const struct device *)s.rows;
        char text[128] = "";
        int len = 0;

        for (size_t r = 0; r < s.n; r++) {
            len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%.*s", r > 0 ? " " : "",
                            SPAN_FMT(rows[r].device_id));
        }
        assert_int_equal(s.n == 0, c->want == NULL);
        assert_string_equal(text, c->want ? c->want : "");
        assert_int_equal(s.count, c->count);
    }
}

static void test_scan_of_nothing(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct scanning s = scan_of(f, &KIND_HUB, (struct store_scan){ .limit = 1 });

    assert_int_equal(s.n, 0);
    assert_int_equal(s.count, 0);
}

/* What a scan must give, the slow way: `all` is every row of the kind. */
static size_t expect_scan(const struct kind *kind, const struct store_scan *scan,
                          const struct registration *all, size_t n, size_t *ret_rows)
{
    struct store_order order = store_order_of(kind, scan->index);
    size_t found = 0;

    for (size_t i = 0; i < n; i++) {
        size_t at = found;

        if (scan->n_prefix > 0 &&
            store_order_compare(kind, &order, scan->n_prefix, &all[i], scan->prefix) != 0) {
            continue;
        }
        if (scan->after != NULL) {
            int side = store_order_compare(kind, &order, order.n, &all[i], scan->after);
            if ((side != 0 || !scan->is_inclusive) && (scan->descending ? side >= 0 : side <= 0)) {
                continue;
            }
        }
        for (; at > 0; at--) {
            int side = store_order_compare(kind, &order, order.n, &all[ret_rows[at - 1]], &all[i]);
            if (scan->descending ? side > 0 : side < 0) {
                break;
            }
            ret_rows[at] = ret_rows[at - 1];
        }
        ret_rows[at] = i;
        found++;
    }
    return found < scan->limit ? found : scan->limit;
}

enum { N_REGISTRATIONS = 48 };

/* Few values for each member, so that equal ones, absent ones and every border between occur. */
static void make_registrations(struct fixture *f, struct registration *rows)
{
    struct span scopes[] = { SPAN("0ne0"), SPAN("0ne1") };
    struct span enrollments[] = { SPAN_NONE, SPAN(""), SPAN("a"), SPAN("b") };

    for (size_t i = 0; i < N_REGISTRATIONS; i++) {
        rows[i] = (struct registration){ .id_scope = scopes[i % 2],
                                         .enrollment_kind = (enum enrollment_kind)(i / 2 % 3),
                                         .enrollment = enrollments[i / 6 % 4] };
        assert_true(err_is_ok(arena_printf(&f->arena, &rows[i].key, "%zu", i * 37 % 50)));
        assert_int_equal(write_one(f, PUT, &KIND_REGISTRATION, &rows[i]), ERR_NONE);
    }
}

/* What a walk hands over: noted, compared by the test. */
struct walking {
    const struct kind *kind;
    struct store_scan scan;
    struct arena *arena;
    struct arena seen; /* copies of keys */
    struct span keys[N_REGISTRATIONS];
    size_t n, most, used;
    enum err_code fail_with;
};

static err note_row(const void *row, void *arg, bool *more)
{
    struct walking *w = (struct walking *)arg;
    const struct field *f = &w->kind->fields[w->kind->n_key - 1];

    TRY(arena_copy(&w->seen, store_row_span(row, f), &w->keys[w->n++]));
    w->used = w->arena->used;
    *more = w->n < w->most;
    return w->fail_with != ERR_NONE && !*more ? err_set(w->fail_with, "enough") : OK;
}

static err run_walk(struct store_tx *tx, void *arg)
{
    struct walking *w = (struct walking *)arg;

    return store_walk(tx, w->kind, &w->scan, w->arena, note_row, w);
}

/* The rows of the scan in its order, as many as are wanted. */
static void check_walk(struct fixture *f, const struct registration *all,
                       const struct store_scan *scan, const size_t *want, size_t n)
{
    static uint8_t block[16384];
    struct walking w = { .kind = &KIND_REGISTRATION,
                         .scan = *scan,
                         .arena = &f->arena,
                         .most = scan->limit < N_REGISTRATIONS ? scan->limit : N_REGISTRATIONS };
    size_t mark = f->arena.used;

    arena_init(&w.seen, block, sizeof(block));
    assert_int_equal(store_read(f->store, run_walk, &w).code, ERR_NONE);
    assert_int_equal(w.n, n);
    assert_int_equal(f->arena.used, mark);
    for (size_t i = 0; i < n; i++) {
        assert_true(span_eq(w.keys[i], all[want[i]].key));
    }
}

static void check_scan(struct fixture *f, const struct registration *all, struct store_scan scan)
{
    size_t want[N_REGISTRATIONS];
    size_t n = expect_scan(&KIND_REGISTRATION, &scan, all, N_REGISTRATIONS, want);
    size_t mark = f->arena.used;
    struct scanning s = scan_of(f, &KIND_REGISTRATION, scan);

    assert_int_equal(s.n, n);
    for (size_t i = 0; i < n; i++) {
        assert_same(&KIND_REGISTRATION, (const struct registration *)s.rows + i, &all[want[i]]);
    }
    f->arena.used = mark;
    check_walk(f, all, &scan, want, n);
}

static void test_scans_of_an_index(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct registration all[N_REGISTRATIONS];

    make_registrations(f, all);
    for (int shape = 0; shape < 2 * 2 * 5; shape++) {
        struct store_scan scan = { .index = shape % 2,
                                   .descending = shape / 2 % 2 != 0,
                                   .n_prefix = shape / 4,
                                   .limit = 1000 };

        if (scan.index == 0 && scan.n_prefix > 2) {
            continue;
        }
        for (size_t p = 0; p < N_REGISTRATIONS; p += 5) {
            scan.prefix = &all[p];
            scan.after = NULL;
            check_scan(f, all, scan);
            for (size_t a = 0; a < N_REGISTRATIONS; a += 3) {
                scan.after = &all[a];
                scan.limit = a % 2 == 0 ? 1000 : 2;
                scan.is_inclusive = false;
                check_scan(f, all, scan);
                scan.is_inclusive = true;
                check_scan(f, all, scan);
            }
        }
    }
}

struct lookup {
    struct fixture *f;
    struct store_tx *tx;
    size_t n_rows, n_found;
    int64_t n_counted;
};

static err look_up(const void *row, void *arg, bool *more)
{
    struct lookup *l = (struct lookup *)arg;
    const struct tag *t = (const struct tag *)row;
    struct device d = { .hub = t->hub, .device_id = t->client_id };
    struct store_scan of_hub = { .prefix = &d, .n_prefix = 1 };
    int64_t n;
    bool is_found;

    (void)more;
    TRY(store_find(l->tx, &KIND_DEVICE, &d, &l->f->arena, &d, &is_found));
    TRY(store_count(l->tx, &KIND_DEVICE, &of_hub, &n));
    l->n_rows++;
    l->n_found += is_found && span_eq(d.device_id, t->client_id);
    l->n_counted += n;
    return OK;
}

static err run_looking(struct store_tx *tx, void *arg)
{
    struct lookup *l = (struct lookup *)arg;
    struct store_scan scan = { .limit = 1 };

    l->tx = tx;
    return store_walk(tx, &KIND_TAG, &scan, &l->f->arena, look_up, l);
}

static void test_a_walk_may_look_up_other_kinds(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct lookup l = { .f = f };
    char id[16];

    for (int i = 0; i < 40; i++) {
        struct tag t = { .hub = SPAN("h"), .path = SPAN("p"), .value = SPAN("1") };

        (void)snprintf(id, sizeof(id), "d%02d", i);
        t.client_id = span_str(id);
        assert_int_equal(write_one(f, PUT, &KIND_TAG, &t), ERR_NONE);
        if (i % 2 == 0) {
            put_device(f, t.hub, t.client_id);
        }
    }
    assert_int_equal(store_read(f->store, run_looking, &l).code, ERR_NONE);
    assert_int_equal(l.n_rows, 40);
    assert_int_equal(l.n_found, 20);
    assert_int_equal(l.n_counted, 40 * 20);
}

static void test_a_walk_ends_when_told(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct registration all[N_REGISTRATIONS];
    static uint8_t block[4096];
    struct walking w = { .kind = &KIND_REGISTRATION, .arena = &f->arena, .most = 3 };
    size_t mark;

    make_registrations(f, all);
    mark = f->arena.used;
    arena_init(&w.seen, block, sizeof(block));
    assert_int_equal(store_read(f->store, run_walk, &w).code, ERR_NONE);
    assert_int_equal(w.n, 3);
    w.n = 0;
    w.fail_with = ERR_PRECONDITION;
    assert_int_equal(store_read(f->store, run_walk, &w).code, ERR_PRECONDITION);
    assert_string_equal(err_detail(), "enough");
    assert_int_equal(w.n, 3);
    assert_int_equal(f->arena.used, mark);
    /* Each row takes the room of the one before. */
    w.n = 0;
    w.fail_with = ERR_NONE;
    w.most = N_REGISTRATIONS;
    f->arena.size = w.used + 16;
    assert_int_equal(store_read(f->store, run_walk, &w).code, ERR_NONE);
    assert_int_equal(w.n, N_REGISTRATIONS);
    f->arena.size = mark + 8;
    assert_int_equal(store_read(f->store, run_walk, &w).code, ERR_NOMEM);
    assert_int_equal(f->arena.used, mark);
    f->arena.size = ARENA_SIZE;
}

static void test_secrets_stay_behind(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct enrollment e = { .id_scope = SPAN("s"),
                            .kind = ENROLLMENT_GROUP,
                            .key = SPAN("g"),
                            .primary_key = SPAN("secret"),
                            .endorsement_key = SPAN("public") };
    struct scanning s;
    const struct enrollment *got;

    assert_int_equal(write_one(f, PUT, &KIND_ENROLLMENT, &e), ERR_NONE);
    s = scan_of(f, &KIND_ENROLLMENT, (struct store_scan){ .limit = 1 });
    got = (const struct enrollment *)s.rows;
    assert_true(span_eq(got->primary_key, SPAN("secret")));
    s = scan_of(f, &KIND_ENROLLMENT, (struct store_scan){ .limit = 1, .without_secrets = true });
    got = (const struct enrollment *)s.rows;
    assert_true(span_is_absent(got->primary_key));
    assert_true(span_eq(got->endorsement_key, SPAN("public")));
}

static void test_count_by_index(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct registration all[N_REGISTRATIONS];
    struct scanning s;

    make_registrations(f, all);
    for (int n_prefix = 0; n_prefix <= 4; n_prefix++) {
        static const int64_t want[] = { 48, 24, 8, 2, 1 };

        s = scan_of(f, &KIND_REGISTRATION,
                    (struct store_scan){ .index = REGISTRATION_BY_ENROLLMENT,
                                         .prefix = &all[0],
                                         .n_prefix = n_prefix,
                                         .limit = 1 });
        assert_int_equal(s.count, want[n_prefix]);
        assert_int_equal(s.n, 1);
    }
}

static void test_arena_at_its_cap(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct registration all[N_REGISTRATIONS], got;
    size_t enough = 0;

    make_registrations(f, all);
    for (size_t size = 0; enough == 0; size += 97) {
        /* A block of its own, so that a sanitizer sees a byte too many. */
        uint8_t *block = (uint8_t *)malloc(size > 0 ? size : 1);
        struct arena small;
        struct scanning s = { .kind = &KIND_REGISTRATION, .scan = { .limit = 100 } };
        struct getting g = { &KIND_REGISTRATION, &all[1], &small, &got };
        err e;

        arena_init(&small, block, size);
        s.arena = &small;
        e = store_read(f->store, run_scan, &s);
        if (err_is_ok(e)) {
            assert_int_equal(s.n, N_REGISTRATIONS);
            enough = size;
        } else {
            assert_int_equal(e.code, ERR_NOMEM);
            assert_int_equal(small.used, 0);
            assert_null(s.rows);
        }
        small.size = size < 12 ? size : 12;
        memset(&got, 0, sizeof(got));
        small.used = 0;
        e = store_read(f->store, run_get, &g);
        assert_true(err_is_ok(e) || (err_is(e, ERR_NOMEM) && got.key.data == NULL));
        free(block);
    }
    assert_true(enough > N_REGISTRATIONS * sizeof(struct registration));
}

/* ---- tests: transactions ---- */

static void test_fault_undoes_all(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct hub a = { .host_name = SPAN("a"), .created_ms = 1 };
    struct hub a2 = { .host_name = SPAN("a"), .created_ms = 2 };
    struct hub b = { .host_name = SPAN("b") }, c = { .host_name = SPAN("c") }, got;
    const struct step steps[] = {
        { PUT, &KIND_HUB, &a2 },   { DELETE, &KIND_HUB, &b }, { INSERT, &KIND_HUB, &c },
        { DELETE, &KIND_HUB, &c }, { PUT, &KIND_HUB, &b },    { DELETE, &KIND_HUB, &a },
        { FAIL, NULL, NULL },
    };

    assert_int_equal(write_one(f, PUT, &KIND_HUB, &a), ERR_NONE);
    assert_int_equal(write_one(f, PUT, &KIND_HUB, &b), ERR_NONE);
    for (size_t n = 0; n < sizeof(steps) / sizeof(steps[0]); n++) {
        struct step some[sizeof(steps) / sizeof(steps[0])];

        memcpy(some, steps, sizeof(steps));
        some[n] = (struct step){ FAIL, NULL, NULL };
        assert_int_equal(write_steps(f, some, n + 1), ERR_PRECONDITION);
        assert_non_null(strstr(err_detail(), "step")); /* carried over from the writer's thread */
        assert_int_equal(read_one(f, &KIND_HUB, &a, &got), ERR_NONE);
        assert_int_equal(got.created_ms, 1);
        assert_int_equal(read_one(f, &KIND_HUB, &b, &got), ERR_NONE);
        assert_int_equal(read_one(f, &KIND_HUB, &c, &got), ERR_NOT_FOUND);
    }
    /* A fault of one step that is the end of the whole. */
    assert_int_equal(write_steps(f, (struct step[]){ steps[2], { INSERT, &KIND_HUB, &a2 } }, 2),
                     ERR_EXISTS);
    assert_int_equal(read_one(f, &KIND_HUB, &c, &got), ERR_NOT_FOUND);
    assert_int_equal(write_steps(f, steps, 6), ERR_NONE);
    assert_int_equal(read_one(f, &KIND_HUB, &a, &got), ERR_NOT_FOUND);
}

struct counting {
    struct fixture *fixture;
    unsigned thread;
    int rounds, failed;
    err result;
};

/* Adds one to the shared row; every third transaction of a thread then fails. */
static err add_one(struct store_tx *tx, void *arg)
{
    struct counting *c = (struct counting *)arg;
    uint8_t block[1024];
    struct arena arena;
    struct hub hub = { .host_name = SPAN("counter") };
    bool found;

    arena_init(&arena, block, sizeof(block));
    TRY(store_find(tx, &KIND_HUB, &hub, &arena, &hub, &found));
    hub.created_ms++;
    TRY(store_put(tx, &KIND_HUB, &hub));
    return c->rounds % 3 == 0 ? ERR(PRECONDITION) : OK;
}

static void *count_main(void *arg)
{
    struct counting *c = (struct counting *)arg;

    for (c->rounds = 1; c->rounds <= 60; c->rounds++) {
        err e = store_write(c->fixture->store, add_one, c);

        if (err_is(e, ERR_PRECONDITION)) {
            c->failed++;
        } else if (!err_is_ok(e)) {
            c->result = e;
        }
    }
    return NULL;
}

static void test_many_writers(void **state)
{
    enum { THREADS = 16 };
    struct fixture *f = (struct fixture *)*state;
    struct counting counters[THREADS];
    pthread_t threads[THREADS];
    struct hub hub = { .host_name = SPAN("counter") };
    struct store_stats stats;

    for (unsigned i = 0; i < THREADS; i++) {
        counters[i] = (struct counting){ .fixture = f, .thread = i };
        assert_int_equal(pthread_create(&threads[i], NULL, count_main, &counters[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(counters[i].result.code, ERR_NONE);
        assert_int_equal(counters[i].failed, 20);
    }
    assert_int_equal(read_one(f, &KIND_HUB, &hub, &hub), ERR_NONE);
    assert_int_equal(hub.created_ms, THREADS * 40);
    store_stats(f->store, &stats);
    assert_int_equal(stats.writes, THREADS * 60);
    assert_in_range(stats.batches, 1, stats.writes);
    assert_int_equal(store_write_backlog(f->store), 0);
}

struct looking {
    struct fixture *fixture;
    atomic_bool has_looked;
    int64_t first, second;
};

static err look_twice(struct store_tx *tx, void *arg)
{
    struct looking *l = (struct looking *)arg;
    uint8_t block[1024];
    struct arena arena;
    struct hub hub = { .host_name = SPAN("h") };

    arena_init(&arena, block, sizeof(block));
    TRY(store_get(tx, &KIND_HUB, &hub, &arena, &hub));
    l->first = hub.created_ms;
    atomic_store(&l->has_looked, true);
    (void)usleep(50 * 1000); /* time for the writer, which a backend may also make wait */
    TRY(store_get(tx, &KIND_HUB, &hub, &arena, &hub));
    l->second = hub.created_ms;
    return OK;
}

static void *look_main(void *arg)
{
    struct looking *l = (struct looking *)arg;

    (void)store_read(l->fixture->store, look_twice, l);
    return NULL;
}

static void test_reads_see_one_moment(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct looking looking = { .fixture = f };
    struct hub hub = { .host_name = SPAN("h"), .created_ms = 1 };
    pthread_t thread;

    assert_int_equal(write_one(f, PUT, &KIND_HUB, &hub), ERR_NONE);
    assert_int_equal(pthread_create(&thread, NULL, look_main, &looking), 0);
    while (!atomic_load(&looking.has_looked)) {
        (void)usleep(100);
    }
    hub.created_ms = 2;
    assert_int_equal(write_one(f, PUT, &KIND_HUB, &hub), ERR_NONE);
    assert_int_equal(read_one(f, &KIND_HUB, &hub, &hub), ERR_NONE);
    assert_int_equal(hub.created_ms, 2);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(looking.first, 1);
    assert_int_equal(looking.second, 1);
}

struct late_writer {
    struct store *store;
    struct hub hub;
    const atomic_bool *go; /* NULL: does not wait */
    atomic_bool started;
    err result;
};

static err write_late(struct store_tx *tx, void *arg)
{
    struct late_writer *w = (struct late_writer *)arg;

    atomic_store(&w->started, true);
    while (w->go != NULL && !atomic_load(w->go)) {
        (void)usleep(100);
    }
    return store_put(tx, &KIND_HUB, &w->hub);
}

static void *late_main(void *arg)
{
    struct late_writer *w = (struct late_writer *)arg;

    w->result = store_write(w->store, write_late, w);
    return NULL;
}

/* The first writer holds the others up; all are served by a store that is closing. */
static void test_close_finishes_what_waits(void **state)
{
    enum { WRITERS = 9 };
    struct fixture *f = (struct fixture *)*state;
    static struct late_writer writers[WRITERS];
    pthread_t threads[WRITERS];
    char names[WRITERS];
    atomic_bool go = false;

    for (size_t i = 0; i < WRITERS; i++) {
        names[i] = (char)('a' + i);
        memset(&writers[i], 0, sizeof(writers[i]));
        writers[i].store = f->store;
        writers[i].hub.host_name = span_of(&names[i], 1);
        writers[i].go = i == 0 ? &go : NULL;
        assert_int_equal(pthread_create(&threads[i], NULL, late_main, &writers[i]), 0);
        while (i == 0 && !atomic_load(&writers[0].started)) {
            (void)usleep(100);
        }
    }
    while (store_write_backlog(f->store) < WRITERS - 1) {
        (void)usleep(100);
    }
    atomic_store(&go, true);
    store_close(f->store);
    f->store = NULL;
    for (size_t i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(writers[i].result.code, ERR_NONE);
    }
    store_close(NULL);
}

#define ON_ALL(test)                                                                               \
    cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, &mem),                         \
        cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, &sqlite),                  \
        cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, &sealed_mem),              \
        cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, &sealed_sqlite)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(test_every_kind),
        ON_ALL(test_absent_is_not_empty),
        ON_ALL(test_scan_order),
        ON_ALL(test_scan_of_nothing),
        ON_ALL(test_scans_of_an_index),
        ON_ALL(test_a_walk_may_look_up_other_kinds),
        ON_ALL(test_a_walk_ends_when_told),
        ON_ALL(test_secrets_stay_behind),
        ON_ALL(test_count_by_index),
        ON_ALL(test_arena_at_its_cap),
        ON_ALL(test_fault_undoes_all),
        ON_ALL(test_many_writers),
        ON_ALL(test_reads_see_one_moment),
        ON_ALL(test_close_finishes_what_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
