/* store/store_seal_test.c: store/seal.h's contract, on every backend: what lies in the store is
 * sealed and bound to its place, what comes out is not, and what was sealed otherwise is sealed
 * anew, however often that is broken off. A store without a sealer shows what lies in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <time.h>
#include <unistd.h>

#include "model/limits.h"
#include "store/files_test.h"
#include "store/sealer_test.h"
#include "store/store.h"

/* ---- fixture ---- */

enum { ARENA_SIZE = 4 << 20, KEY_A = 0x1aaa0001, KEY_B = 0x1bbb0002 };

struct backend_case {
    err (*open)(const char *path, struct store **ret_store);
    bool has_file;
};
static struct backend_case mem = { files_open_mem, false }, sqlite = { files_open_sqlite, true };

struct fixture {
    const struct backend_case *backend;
    struct store *store;
    struct arena arena;
    struct sealer_keys keys;
    struct store_sealer sealer;
    struct files files;
};

static int setup(void **state)
{
    struct fixture *f = (struct fixture *)calloc(1, sizeof(*f));

    f->backend = (const struct backend_case *)*state;
    arena_init(&f->arena, malloc(ARENA_SIZE), ARENA_SIZE);
    files_open(&f->files);
    assert_true(err_is_ok(f->backend->open(f->files.path, &f->store)));
    f->keys.keys[0] = KEY_A;
    f->sealer = sealer_over(&f->keys);
    store_use_sealer(f->store, &f->sealer);
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

/* ---- one row ---- */

struct deed {
    const struct kind *kind;
    void *record;
    struct arena *arena;
    enum { PUT, INSERT, GET, DELETE } verb;
};

static err do_it(struct store_tx *tx, void *arg)
{
    struct deed *d = (struct deed *)arg;

    switch (d->verb) {
    case PUT:
        return store_put(tx, d->kind, d->record);
    case INSERT:
        return store_insert(tx, d->kind, d->record);
    case DELETE:
        return store_delete(tx, d->kind, d->record);
    case GET:
        break;
    }
    return store_get(tx, d->kind, d->record, d->arena, d->record);
}

static enum err_code get(struct fixture *f, const struct kind *kind, void *record)
{
    struct deed d = { kind, record, &f->arena, GET };

    return store_read(f->store, do_it, &d).code;
}

static void put(struct fixture *f, const struct kind *kind, void *record)
{
    struct deed d = { kind, record, NULL, PUT };

    assert_int_equal(store_write(f->store, do_it, &d).code, ERR_NONE);
}

/* As it lies there. */
static void get_raw(struct fixture *f, const struct kind *kind, void *record)
{
    store_use_sealer(f->store, NULL);
    assert_int_equal(get(f, kind, record), ERR_NONE);
    store_use_sealer(f->store, &f->sealer);
}

static void put_raw(struct fixture *f, const struct kind *kind, void *record)
{
    store_use_sealer(f->store, NULL);
    put(f, kind, record);
    store_use_sealer(f->store, &f->sealer);
}

static struct device device_of(const char *id)
{
    return (struct device){ .hub = SPAN("hub"), .device_id = span_str(id) };
}

struct scanning {
    const struct kind *kind;
    struct arena *arena;
    void *rows;
    size_t n;
};

static err scan_all(struct store_tx *tx, void *arg)
{
    struct scanning *s = (struct scanning *)arg;
    const struct store_scan scan = { .limit = 100000 };

    return store_scan(tx, s->kind, &scan, s->arena, &s->rows, &s->n);
}

/* ---- in and out ---- */

static void test_in_and_out(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    static uint8_t large[5000];
    struct device d = device_of("d"), got = device_of("d"), raw = device_of("d");
    struct linked_hub link = { .id_scope = SPAN("s"), .host_name = SPAN("h") }, back = link;
    struct deed insert = { &KIND_DEVICE, &d, NULL, INSERT };
    struct scanning s = { &KIND_DEVICE, &f->arena, NULL, 0 };

    memset(large, 'x', sizeof(large));
    d.primary_key = SPAN("the primary key of d");
    d.secondary_key = SPAN(""); /* is not absent */
    assert_int_equal(store_write(f->store, do_it, &insert).code, ERR_NONE);
    assert_int_equal(store_write(f->store, do_it, &insert).code, ERR_EXISTS);
    assert_int_equal(get(f, &KIND_DEVICE, &got), ERR_NONE);
    assert_true(span_eq(got.primary_key, d.primary_key));
    assert_int_equal(got.primary_key.data[got.primary_key.len], 0);
    assert_true(!span_is_absent(got.secondary_key) && got.secondary_key.len == 0);
    get_raw(f, &KIND_DEVICE, &raw);
    assert_int_equal(raw.primary_key.len, d.primary_key.len + SEALER_ADDED);
    assert_int_equal(raw.secondary_key.len, SEALER_ADDED);
    assert_null(memmem(raw.primary_key.data, raw.primary_key.len, "primary", 7));
    assert_true(span_eq(raw.device_id, d.device_id));

    d.secondary_key = SPAN_NONE;
    put(f, &KIND_DEVICE, &d);
    assert_int_equal(store_read(f->store, scan_all, &s).code, ERR_NONE);
    assert_int_equal(s.n, 1);
    assert_true(span_eq(((struct device *)s.rows)->primary_key, d.primary_key));
    assert_true(span_is_absent(((struct device *)s.rows)->secondary_key));

    link.connection_string = span_of(large, sizeof(large));
    put(f, &KIND_LINKED_HUB, &link);
    assert_int_equal(get(f, &KIND_LINKED_HUB, &back), ERR_NONE);
    assert_true(span_eq(back.connection_string, link.connection_string));
}

static void assert_does_not_open(struct fixture *f, const char *id, enum err_code code)
{
    struct device d = device_of(id), untouched = d;
    struct scanning s = { &KIND_DEVICE, &f->arena, NULL, 0 };
    size_t used = f->arena.used;

    assert_int_equal(get(f, &KIND_DEVICE, &d), code);
    assert_memory_equal(&d, &untouched, sizeof(d));
    assert_int_equal(f->arena.used, used);
    assert_non_null(strstr(err_detail(), "device.primary_key"));
    assert_int_equal(store_read(f->store, scan_all, &s).code, code);
    assert_null(s.rows);
    assert_int_equal(f->arena.used, used);
}

/* A sealed secret is of its row and its column. */
static void test_place(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct device a = device_of("a"), b = device_of("b"), moved;
    uint8_t bytes[64];

    a.primary_key = b.primary_key = SPAN("0123456789abcdef");
    a.secondary_key = SPAN("ghijklmnopqrstuv");
    put(f, &KIND_DEVICE, &a);
    put(f, &KIND_DEVICE, &b);
    get_raw(f, &KIND_DEVICE, &a);
    get_raw(f, &KIND_DEVICE, &b);

    moved = b;
    moved.primary_key = a.primary_key; /* of another row */
    put_raw(f, &KIND_DEVICE, &moved);
    assert_does_not_open(f, "b", ERR_CORRUPT);
    put_raw(f, &KIND_DEVICE, &b);
    assert_int_equal(get(f, &KIND_DEVICE, &moved), ERR_NONE);

    moved = a;
    moved.primary_key = a.secondary_key; /* of another column */
    put_raw(f, &KIND_DEVICE, &moved);
    assert_does_not_open(f, "a", ERR_CORRUPT);

    for (size_t n = 0; n < a.primary_key.len; n++) { /* cut, and changed */
        moved.primary_key = span_first(a.primary_key, n);
        put_raw(f, &KIND_DEVICE, &moved);
        assert_does_not_open(f, "a", ERR_CORRUPT);
        memcpy(bytes, a.primary_key.data, a.primary_key.len);
        bytes[n] ^= 4;
        moved.primary_key = span_of(bytes, a.primary_key.len);
        put_raw(f, &KIND_DEVICE, &moved);
        assert_does_not_open(f, "a", n >= 1 && n < 5 ? ERR_SEALED : ERR_CORRUPT);
    }
    moved.primary_key = SPAN("never sealed at all, whoever put it");
    put_raw(f, &KIND_DEVICE, &moved);
    assert_does_not_open(f, "a", ERR_CORRUPT);
    put_raw(f, &KIND_DEVICE, &a);
    f->keys.keys[0] = KEY_B;
    assert_does_not_open(f, "a", ERR_SEALED);
}

/* The integers of a key count, too. */
static void test_place_of_a_policy(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct policy p = { .owner_type = POLICY_OF_HUB,
                        .owner = SPAN("x"),
                        .name = SPAN("owner"),
                        .primary_key = SPAN("0123456789abcdef") };

    put(f, &KIND_POLICY, &p);
    get_raw(f, &KIND_POLICY, &p);
    p.owner_type = POLICY_OF_INSTANCE;
    put_raw(f, &KIND_POLICY, &p);
    assert_int_equal(get(f, &KIND_POLICY, &p), ERR_CORRUPT);
}

/* ---- keys in use ---- */

static void test_keys_in_use(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct store_seal_keys keys;

    assert_true(err_is_ok(store_seal_keys(f->store, &keys)));
    assert_true(keys.n == 0 && !keys.is_whole);
    assert_true(err_is_ok(store_seal_check(f->store)));
    assert_true(err_is_ok(store_seal_note(f->store, KEY_A, 1)));
    assert_true(err_is_ok(store_seal_note(f->store, KEY_A, 2)));
    assert_true(err_is_ok(store_seal_keys(f->store, &keys)));
    assert_true(keys.n == 1 && keys.ids[0] == KEY_A && !keys.is_whole);
    assert_true(err_is_ok(store_seal_check(f->store)));

    f->keys.keys[0] = KEY_B;
    assert_true(err_is(store_seal_check(f->store), ERR_SEALED));
    assert_non_null(strstr(err_detail(), "1aaa0001"));
    f->keys.keys[1] = KEY_A;
    assert_true(err_is_ok(store_seal_check(f->store)));
    assert_true(err_is_ok(store_seal_note(f->store, KEY_B, 2)));
    assert_true(err_is_ok(store_seal_keys(f->store, &keys)));
    assert_int_equal(keys.n, 2);
}

/* The ID alone is not believed. */
static void test_key_of_the_same_id(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct seal_key row = { .id = KEY_A };

    assert_true(err_is_ok(store_seal_note(f->store, KEY_A, 1)));
    assert_int_equal(get(f, &KIND_SEAL_KEY, &row), ERR_NONE);
    ((uint8_t *)(uintptr_t)row.proof.data)[row.proof.len - 1] ^= 1;
    put(f, &KIND_SEAL_KEY, &row);
    assert_true(err_is(store_seal_check(f->store), ERR_SEALED));
    row.proof = SPAN_NONE;
    put(f, &KIND_SEAL_KEY, &row);
    assert_true(err_is(store_seal_check(f->store), ERR_SEALED));
}

/* ---- sealing anew ---- */

struct steps {
    int n, last; /* broken off behind the last; 0: never */
    uint64_t first_left, left;
};

static bool on_step(void *arg, const struct store_reseal_left *left, size_t n)
{
    struct steps *s = (struct steps *)arg;

    s->left = 0;
    for (size_t i = 0; i < n; i++) {
        s->left += left[i].rows;
    }
    s->first_left = s->left > s->first_left ? s->left : s->first_left;
    return ++s->n != s->last;
}

static enum err_code reseal(struct fixture *f, struct steps *s, uint64_t *ret_rows)
{
    const struct store_reseal how = { .on_step = on_step, .arg = s };

    return store_reseal(f->store, &how, ret_rows).code;
}

/* The i-th of many devices; some without keys. */
static struct device nth_device(struct fixture *f, int i)
{
    struct device d = { .hub = SPAN("hub") };

    assert_true(err_is_ok(arena_printf(&f->arena, &d.device_id, "device-%05d", i)));
    if (i % 3 != 0) {
        assert_true(err_is_ok(arena_printf(&f->arena, &d.primary_key, "primary-secret-%d", i)));
    }
    if (i % 3 == 1) {
        assert_true(err_is_ok(arena_printf(&f->arena, &d.secondary_key, "secondary-secret-%d", i)));
    }
    if (i % 300 == 7) { /* a page holds fewer of these */
        static char tags[120000];

        memset(tags, 't', sizeof(tags));
        d.tags = span_of(tags, sizeof(tags));
    }
    return d;
}

enum { MANY = 3 * LIMIT_RESEAL_ROWS + 10 };

struct filling {
    struct fixture *fixture;
    int n;
};

static err fill(struct store_tx *tx, void *arg)
{
    struct filling *fl = (struct filling *)arg;
    struct policy p = { .owner_type = POLICY_OF_HUB, .owner = SPAN("hub"), .name = SPAN("p") };

    for (int i = 0; i < fl->n; i++) {
        struct device d = nth_device(fl->fixture, i);

        TRY(store_put(tx, &KIND_DEVICE, &d));
    }
    p.primary_key = SPAN("policy-secret");
    return store_put(tx, &KIND_POLICY, &p);
}

static void fill_many(struct fixture *f)
{
    struct filling fl = { f, MANY };

    assert_int_equal(store_write(f->store, fill, &fl).code, ERR_NONE);
    arena_reset(&f->arena);
}

/* Every row opens, and lies there under `key`. */
static void assert_all_under(struct fixture *f, uint32_t key)
{
    uint64_t n_secrets = 0;

    for (int i = 0; i < MANY; i++) {
        struct device want = nth_device(f, i), got = want, raw = want;
        struct span secrets[2];

        assert_int_equal(get(f, &KIND_DEVICE, &got), ERR_NONE);
        assert_true(span_eq(got.primary_key, want.primary_key));
        assert_true(span_eq(got.secondary_key, want.secondary_key));
        assert_true(span_eq(got.tags, want.tags));
        assert_int_equal(span_is_absent(got.primary_key), span_is_absent(want.primary_key));
        get_raw(f, &KIND_DEVICE, &raw);
        secrets[0] = raw.primary_key;
        secrets[1] = raw.secondary_key;
        for (size_t k = 0; k < 2; k++) {
            uint32_t used = 0;

            if (!span_is_absent(secrets[k])) {
                assert_true(sealer_key_of(secrets[k], &used));
                assert_int_equal(used, key);
                n_secrets++;
            }
        }
        arena_reset(&f->arena);
    }
    assert_true(n_secrets > MANY / 2);
}

static void assert_only_key(struct fixture *f, uint32_t key)
{
    struct store_seal_keys keys;

    assert_true(err_is_ok(store_seal_keys(f->store, &keys)));
    assert_true(keys.n == 1 && keys.ids[0] == key && keys.is_whole);
}

static bool is_in_file(const struct fixture *f, const char *suffix, const char *words)
{
    static uint8_t bytes[16 << 20];
    char path[128];
    FILE *file;
    size_t n;

    (void)snprintf(path, sizeof(path), "%s%s", f->files.path, suffix);
    file = fopen(path, "r");
    assert_non_null(file);
    n = fread(bytes, 1, sizeof(bytes), file);
    assert_int_equal(fclose(file), 0);
    assert_true(n < sizeof(bytes));
    return memmem(bytes, n, words, strlen(words)) != NULL;
}

static void assert_in_no_file(const struct fixture *f, const char *words)
{
    if (f->backend->has_file) {
        assert_false(is_in_file(f, "", words));
        assert_false(is_in_file(f, "-wal", words));
    }
}

/* A store of before: nothing is sealed, and one secret looks as if it were. */
static void test_migration(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    uint8_t tricky[40] = { SEALER_MARK };
    uint32_t key = KEY_A;
    struct device d = device_of("tricky"), got = d, gone = device_of("gone");
    struct deed deletion = { &KIND_DEVICE, &gone, NULL, DELETE };
    struct steps s = { 0 };
    uint64_t rows = 0;

    store_use_sealer(f->store, NULL);
    fill_many(f);
    memcpy(tricky + 1, &key, 4);
    d.primary_key = span_of(tricky, sizeof(tricky));
    put(f, &KIND_DEVICE, &d);
    gone.primary_key = SPAN("secret-of-one-that-is-gone");
    put(f, &KIND_DEVICE, &gone);
    assert_int_equal(store_write(f->store, do_it, &deletion).code, ERR_NONE);
    store_use_sealer(f->store, &f->sealer);

    assert_true(err_is_ok(store_seal_note(f->store, KEY_A, 1)));
    assert_int_equal(reseal(f, &s, &rows), ERR_NONE);
    assert_int_equal(s.first_left, rows);
    assert_int_equal(s.left, 0);
    assert_int_equal(rows, MANY - (MANY + 2) / 3 + 2); /* those with keys, tricky and the policy */
    assert_all_under(f, KEY_A);
    assert_int_equal(get(f, &KIND_DEVICE, &got), ERR_NONE);
    assert_true(span_eq(got.primary_key, d.primary_key));
    assert_only_key(f, KEY_A);
    assert_in_no_file(f, "primary-secret");
    assert_in_no_file(f, "secondary-secret");
    assert_in_no_file(f, "policy-secret");
    assert_in_no_file(f, "secret-of-one");
}

/* What an earlier berthd deleted, it left lying in free space. */
static void test_migration_of_free_space(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct steps s = { 0 };
    uint64_t rows = 0;
    sqlite3 *db;

    store_use_sealer(f->store, NULL);
    fill_many(f);
    store_close(f->store);
    assert_int_equal(sqlite3_open(f->files.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "PRAGMA secure_delete=OFF;"
                                  "DELETE FROM device WHERE device_id > 'device-00003'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_true(is_in_file(f, "", "primary-secret-400"));
    assert_true(err_is_ok(f->backend->open(f->files.path, &f->store)));
    store_use_sealer(f->store, &f->sealer);
    assert_true(err_is_ok(store_seal_note(f->store, KEY_A, 1)));
    assert_int_equal(reseal(f, &s, &rows), ERR_NONE);
    assert_in_no_file(f, "primary-secret");
}

/* At every step; what is done stays done. */
static void test_migration_broken_off(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    uint64_t rows = 0;
    int rounds = 0;
    struct steps s;

    store_use_sealer(f->store, NULL);
    fill_many(f);
    store_use_sealer(f->store, &f->sealer);
    assert_true(err_is_ok(store_seal_note(f->store, KEY_A, 1)));
    do {
        s = (struct steps){ .last = ++rounds };
    } while (reseal(f, &s, &rows) == ERR_CLOSED);
    assert_true(rounds > 5);
    assert_all_under(f, KEY_A);
    assert_only_key(f, KEY_A);
    assert_in_no_file(f, "primary-secret");
}

static void begin_rotation(struct fixture *f)
{
    struct steps s = { 0 };
    uint64_t rows = 0;

    assert_true(err_is_ok(store_seal_note(f->store, KEY_A, 1)));
    assert_int_equal(reseal(f, &s, &rows), ERR_NONE);
    fill_many(f);
    f->keys.keys[1] = KEY_B;
    assert_true(err_is_ok(store_seal_note(f->store, KEY_B, 2)));
    f->keys.keys[0] = 0; /* B seals; A still opens: */
    f->keys.keys[2] = KEY_A;
}

static void test_rotation(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct store_seal_keys keys;
    struct steps s = { 0 };
    uint32_t key = KEY_A;
    uint64_t rows = 0;
    char mark[8] = { (char)SEALER_MARK };

    begin_rotation(f);
    assert_true(err_is_ok(store_seal_keys(f->store, &keys)));
    assert_true(keys.n == 2 && keys.is_whole);
    assert_int_equal(reseal(f, &s, &rows), ERR_NONE);
    assert_int_equal(s.first_left, rows);
    assert_int_equal(s.left, 0);
    f->keys.keys[2] = 0; /* A is taken away */
    assert_all_under(f, KEY_B);
    assert_only_key(f, KEY_B);
    assert_true(err_is_ok(store_seal_check(f->store)));
    assert_true(err_is_ok(store_scrub(f->store, false)));
    memcpy(mark + 1, &key, 4);
    assert_in_no_file(f, mark); /* nothing that A would open */
}

static void test_rotation_broken_off(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    uint64_t rows = 0;
    int rounds = 0;
    struct steps s;

    begin_rotation(f);
    do {
        s = (struct steps){ .last = ++rounds };
    } while (reseal(f, &s, &rows) == ERR_CLOSED);
    assert_true(rounds > 5);
    f->keys.keys[2] = 0;
    assert_all_under(f, KEY_B);
    assert_only_key(f, KEY_B);
}

/* A whole store holds nothing that is not sealed: it is not taken for a secret. */
static void test_unsealed_in_a_whole_store(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct device d = device_of("planted");
    struct steps s = { 0 };
    uint64_t rows = 0;

    begin_rotation(f);
    d.primary_key = SPAN("a key that somebody else put there");
    put_raw(f, &KIND_DEVICE, &d);
    assert_int_equal(reseal(f, &s, &rows), ERR_CORRUPT);
    assert_non_null(strstr(err_detail(), "device.primary_key"));
}

/* ---- meanwhile ---- */

struct writer {
    struct fixture *fixture;
    int number;
    atomic_bool *is_over;
    int rounds;
    enum err_code result;
};

struct put_or_fail {
    struct device d;
    bool fails;
};

static err put_or_fail(struct store_tx *tx, void *arg)
{
    const struct put_or_fail *p = (const struct put_or_fail *)arg;

    TRY(store_put(tx, &KIND_DEVICE, &p->d));
    return p->fails ? ERR(PRECONDITION) : OK;
}

/* Writes its row over and over, with a key that tells the round; every third time in vain. */
static void *write_over_and_over(void *arg)
{
    struct writer *w = (struct writer *)arg;
    char id[32], key[64];

    (void)snprintf(id, sizeof(id), "device-%05d", w->number);
    w->result = ERR_NONE;
    while (w->result == ERR_NONE && (!atomic_load(w->is_over) || w->rounds < 20)) {
        struct put_or_fail p = { .d = device_of(id), .fails = w->rounds % 3 == 2 };
        enum err_code want = p.fails ? ERR_PRECONDITION : ERR_NONE, code;

        (void)snprintf(key, sizeof(key), "round %d", w->rounds - p.fails);
        p.d.primary_key = span_str(p.fails ? "in vain" : key);
        code = store_write(w->fixture->store, put_or_fail, &p).code;
        w->result = code == want ? ERR_NONE : code != ERR_NONE ? code : ERR_CORRUPT;
        w->rounds++;
    }
    return NULL;
}

static void test_rotation_under_load(void **state)
{
    enum { WRITERS = 4 };
    struct fixture *f = (struct fixture *)*state;
    atomic_bool is_over = false;
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    struct steps s = { 0 };
    uint64_t rows = 0;

    begin_rotation(f);
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){ f, i * (MANY - 1) / (WRITERS - 1), &is_over, 0, ERR_NONE };
        assert_int_equal(pthread_create(&threads[i], NULL, write_over_and_over, &writers[i]), 0);
    }
    assert_int_equal(reseal(f, &s, &rows), ERR_NONE);
    atomic_store(&is_over, true);
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(writers[i].result, ERR_NONE);
    }
    f->keys.keys[2] = 0;
    for (int i = 0; i < WRITERS; i++) {
        char id[32], key[64];
        struct device d;
        int last = writers[i].rounds - 1;

        (void)snprintf(id, sizeof(id), "device-%05d", writers[i].number);
        (void)snprintf(key, sizeof(key), "round %d", last % 3 == 2 ? last - 1 : last);
        d = device_of(id);
        assert_int_equal(get(f, &KIND_DEVICE, &d), ERR_NONE);
        assert_true(span_eq(d.primary_key, span_str(key)));
    }
    assert_only_key(f, KEY_B);
}

/* A transaction that has sealed under the key of before, and is committed late. */
struct straggler {
    struct fixture *fixture;
    sem_t has_sealed, may_commit;
    int steps_left;
    enum err_code result;
};

static err put_late(struct store_tx *tx, void *arg)
{
    struct straggler *s = (struct straggler *)arg;
    struct device d = device_of("straggler");
    struct timespec latest;

    d.primary_key = SPAN("sealed just before");
    TRY(store_put(tx, &KIND_DEVICE, &d));
    (void)sem_post(&s->has_sealed);
    (void)clock_gettime(CLOCK_REALTIME, &latest);
    latest.tv_sec++; /* who sealing anew waits for is not held up by it */
    (void)sem_timedwait(&s->may_commit, &latest);
    return OK;
}

static void *write_late(void *arg)
{
    struct straggler *s = (struct straggler *)arg;

    s->result = store_write(s->fixture->store, put_late, s).code;
    return NULL;
}

static bool on_step_of_all(void *arg, const struct store_reseal_left *left, size_t n)
{
    struct straggler *s = (struct straggler *)arg;

    (void)left, (void)n;
    if (--s->steps_left == 0) { /* the last row was looked at */
        (void)sem_post(&s->may_commit);
    }
    return true;
}

static void test_rotation_overtakes_nobody(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct straggler s = { .fixture = f };
    const struct store_reseal how = { .on_step = on_step_of_all, .arg = &s };
    struct device d = device_of("straggler");
    pthread_t thread;
    uint64_t rows = 0;

    assert_true(err_is_ok(store_seal_note(f->store, KEY_A, 1)));
    assert_true(err_is_ok(store_reseal(f->store, &how, &rows)));
    assert_true(err_is_ok(store_seal_note(f->store, KEY_B, 2)));
    s.steps_left = -s.steps_left - 1; /* but for the one that tells of the end */
    (void)sem_init(&s.has_sealed, 0, 0);
    (void)sem_init(&s.may_commit, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, write_late, &s), 0);
    (void)sem_wait(&s.has_sealed);
    f->keys.keys[1] = KEY_B;
    f->keys.keys[2] = KEY_A;
    f->keys.keys[0] = 0;
    assert_true(err_is_ok(store_reseal(f->store, &how, &rows)));
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(s.result, ERR_NONE);
    assert_only_key(f, KEY_B);
    f->keys.keys[2] = 0;
    assert_int_equal(get(f, &KIND_DEVICE, &d), ERR_NONE);
    (void)sem_destroy(&s.has_sealed);
    (void)sem_destroy(&s.may_commit);
}

#define ON_BOTH(test)                                                                              \
    cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, &mem),                         \
        cmocka_unit_test_prestate_setup_teardown(test, setup, teardown, &sqlite)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(test_in_and_out),
        ON_BOTH(test_place),
        ON_BOTH(test_place_of_a_policy),
        ON_BOTH(test_keys_in_use),
        ON_BOTH(test_key_of_the_same_id),
        ON_BOTH(test_migration),
        cmocka_unit_test_prestate_setup_teardown(test_migration_of_free_space, setup, teardown,
                                                 &sqlite),
        ON_BOTH(test_migration_broken_off),
        ON_BOTH(test_rotation),
        ON_BOTH(test_rotation_broken_off),
        ON_BOTH(test_unsealed_in_a_whole_store),
        ON_BOTH(test_rotation_under_load),
        ON_BOTH(test_rotation_overtakes_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
