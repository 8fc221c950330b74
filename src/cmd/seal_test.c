/* cmd/seal_test.c: the key file, and the real sealer on stores of every backend: a sealed secret
 * opens in its row and column alone; keys come and go as the file says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <ftw.h>
#include <unistd.h>

#include "cmd/seal.h"
#include "cmd/seal_file.h"
#include "store/seal.h"

static const char HEX_A[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
static const char BASE64_A[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
static const char BASE64_B[] = "////////////////////////////////////////////";

enum { ARENA_SIZE = 1 << 20 };

struct fixture {
    char dir[64], key[96], store_path[96];
    struct config config;
    struct arena arena;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    arena_init(&f->arena, malloc(ARENA_SIZE), ARENA_SIZE);
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/berth-seal-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->key, sizeof(f->key), "%s/seal.key", f->dir);
    (void)snprintf(f->store_path, sizeof(f->store_path), "%s/berth.db", f->dir);
    f->config = (struct config){ .data = f->dir, .store = f->store_path, .seal_key = "" };
    (void)unsetenv("CREDENTIALS_DIRECTORY");
    *state = f;
    return 0;
}

static int drop(const char *path, const struct stat *s, int type, struct FTW *at)
{
    (void)s;
    (void)type;
    (void)at;
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(nftw(f->dir, drop, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(f->arena.block);
    free(f);
    return 0;
}

static void write_key(const struct fixture *f, const char *text, mode_t mode)
{
    FILE *file = fopen(f->key, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(f->key, mode), 0);
}

/* ---- the file ---- */

struct file_case {
    const char *text;
    size_t n_keys;    /* 0: refused */
    const char *said; /* then */
};

static void test_file(void **state)
{
    static const struct file_case cases[] = {
        { HEX_A, 1, NULL },
        { BASE64_A, 1, NULL },
        { "\n# words\n  AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= \r\n"
          "////////////////////////////////////////////\n\n",
          0, ":4: not a key" }, /* 33 bytes */
        { "# words\n\n AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\t\r\n"
          "//////////////////////////////////////////8\n",
          2, NULL },
        { "", 0, "no key" },
        { "# AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", 0, "no key" },
        { "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==", 0, ":1: not a key" },
        { "secret-that-is-no-key", 0, ":1: not a key" },
        { "zz0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 0, ":1: not a key" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct seal_file file;
        bool exists = false;
        err e;

        write_key(f, cases[i].text, 0600);
        assert_true(err_is_ok(seal_file_find(&f->config, &file, &exists)));
        assert_true(exists && file.origin == SEAL_FILE_OWN);
        e = seal_file_read(&file);
        if (cases[i].n_keys > 0) {
            assert_true(err_is_ok(e));
            assert_int_equal(file.n_keys, cases[i].n_keys);
            for (size_t k = 0; k < CRYPTO_SEAL_KEY_LEN; k++) {
                assert_int_equal(file.keys[0][k], k);
            }
        } else {
            assert_true(err_is(e, ERR_SEALED));
            assert_non_null(strstr(err_detail(), cases[i].said));
            assert_non_null(strstr(err_detail(), f->key));
            assert_null(strstr(err_detail(), "secret-that"));
        }
        seal_file_done(&file);
    }
}

static void test_modes(void **state)
{
    static const mode_t bad[] = { 0640, 0604, 0620, 0602, 0610, 0644, 0666 };
    static const mode_t good[] = { 0600, 0400 };
    struct fixture *f = *state;
    struct seal_file file;
    bool exists = false;

    write_key(f, BASE64_A, 0600);
    assert_true(err_is_ok(seal_file_find(&f->config, &file, &exists)));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(chmod(f->key, bad[i]), 0);
        assert_true(err_is(seal_file_read(&file), ERR_SEALED));
        assert_non_null(strstr(err_detail(), "chmod 600"));
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(chmod(f->key, good[i]), 0);
        assert_true(err_is_ok(seal_file_read(&file)));
    }
    assert_int_equal(unlink(f->key), 0);
    assert_int_equal(mkdir(f->key, 0700), 0);
    assert_true(err_is(seal_file_read(&file), ERR_SEALED));
    seal_file_done(&file);
}

static void test_which_file(void **state)
{
    struct fixture *f = *state;
    char named[128], credential[128];
    struct seal_file file;
    bool exists = true;
    FILE *out;

    assert_true(err_is_ok(seal_file_find(&f->config, &file, &exists)));
    assert_true(!exists && file.origin == SEAL_FILE_OWN);
    (void)setenv("CREDENTIALS_DIRECTORY", f->dir, 1);
    assert_true(err_is_ok(seal_file_find(&f->config, &file, &exists)));
    assert_true(!exists && file.origin == SEAL_FILE_OWN); /* systemd has others, not ours */
    (void)snprintf(credential, sizeof(credential), "%s/berth-seal-key", f->dir);
    out = fopen(credential, "w");
    assert_true(out != NULL && fputs(BASE64_A, out) >= 0 && fclose(out) == 0);
    assert_int_equal(chmod(credential, 0440), 0); /* as systemd's ACL shows */
    assert_true(err_is_ok(seal_file_find(&f->config, &file, &exists)));
    assert_true(exists && file.origin == SEAL_FILE_CREDENTIAL);
    assert_true(err_is_ok(seal_file_read(&file)));
    (void)snprintf(named, sizeof(named), "%s/named", f->dir);
    f->config.seal_key = named;
    assert_true(err_is_ok(seal_file_find(&f->config, &file, &exists)));
    assert_true(!exists && file.origin == SEAL_FILE_NAMED);
    (void)unsetenv("CREDENTIALS_DIRECTORY");
    seal_file_done(&file);
}

static void test_put_new(void **state)
{
    struct fixture *f = *state;
    uint8_t key[CRYPTO_SEAL_KEY_LEN] = { 7 };
    struct seal_file file, again;
    struct stat s;
    bool exists = false;

    write_key(f, "# of the operator\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", 0400);
    assert_true(err_is_ok(seal_file_find(&f->config, &file, &exists)));
    assert_true(err_is_ok(seal_file_read(&file)));
    for (size_t n = 2; n <= SEAL_FILE_KEYS_MAX; n++) {
        key[1] = (uint8_t)n;
        assert_true(err_is_ok(seal_file_put_new(&file, key, 0x1234, 0)));
        again = file;
        assert_true(err_is_ok(seal_file_read(&again)));
        assert_int_equal(again.n_keys, n);
        assert_memory_equal(again.keys, file.keys, n * CRYPTO_SEAL_KEY_LEN);
        assert_memory_equal(again.keys[0], key, sizeof(key));
        assert_int_equal(again.keys[n - 1][1], 1); /* the operator's is the last */
    }
    assert_true(err_is(seal_file_put_new(&file, key, 0x1234, 0), ERR_SEALED));
    assert_int_equal(stat(f->key, &s), 0);
    assert_int_equal(s.st_mode & 07777, 0400);
    seal_file_done(&file);
}

/* ---- stores ---- */

static char told[4096];

static void tell(enum config_log_level level, const char *event, const char *text)
{
    (void)level;
    (void)snprintf(told, sizeof(told), "%s %s", event, text);
}

struct deed {
    struct device *device;
    struct arena *arena; /* NULL: put */
};

static err do_it(struct store_tx *tx, void *arg)
{
    struct deed *d = arg;

    return d->arena != NULL ? store_get(tx, &KIND_DEVICE, d->device, d->arena, d->device)
                            : store_put(tx, &KIND_DEVICE, d->device);
}

static enum err_code get(struct fixture *f, struct store *s, struct device *d)
{
    struct deed deed = { d, &f->arena };

    return store_read(s, do_it, &deed).code;
}

static void put(struct store *s, struct device *d)
{
    struct deed deed = { d, NULL };

    assert_int_equal(store_write(s, do_it, &deed).code, ERR_NONE);
}

static struct store *open_store(struct fixture *f, bool is_mem)
{
    struct store *s = NULL;

    assert_true(err_is_ok(is_mem ? store_mem_open(&s) : store_sqlite_open(f->store_path, 2, &s)));
    return s;
}

static void test_places(void **state)
{
    struct fixture *f = *state;

    for (int is_mem = 0; is_mem < 2; is_mem++) {
        struct store *s = open_store(f, is_mem);
        struct device a = { .hub = SPAN("h"), .device_id = SPAN("a") }, raw = a, b = a, got;
        struct device raw_a = { .hub = SPAN("h"), .device_id = SPAN("a") };
        struct seal *seal = NULL;

        assert_true(err_is_ok(seal_open(&f->config, s, tell, &seal)));
        a.primary_key = SPAN("0123456789abcdef0123456789abcdef");
        a.secondary_key = SPAN("ABCDEF0123456789");
        put(s, &a);
        got = raw_a;
        assert_int_equal(get(f, s, &got), ERR_NONE);
        assert_true(span_eq(got.primary_key, a.primary_key));
        assert_true(span_eq(got.secondary_key, a.secondary_key));
        store_use_sealer(s, NULL); /* as it lies there */
        raw = raw_a;
        assert_int_equal(get(f, s, &raw), ERR_NONE);
        assert_int_equal(raw.primary_key.len, a.primary_key.len + CRYPTO_SEAL_ADDED);
        b = raw;
        b.device_id = SPAN("b");
        put(s, &b);
        b = raw;
        b.device_id = SPAN("c");
        b.primary_key = raw.secondary_key;
        b.secondary_key = raw.primary_key;
        put(s, &b);
        store_close(s);
        seal_free(seal);
        if (!is_mem) {
            s = open_store(f, false);
            assert_true(err_is_ok(seal_open(&f->config, s, tell, &seal)));
            got = raw_a;
            assert_int_equal(get(f, s, &got), ERR_NONE);
            for (const char *id = "bc"; *id != '\0'; id++) {
                got = (struct device){ .hub = SPAN("h"), .device_id = span_of(id, 1) };
                assert_int_equal(get(f, s, &got), ERR_CORRUPT);
            }
            store_close(s);
            seal_free(seal);
        }
    }
}

static void assert_refused(struct fixture *f, const char *said)
{
    struct store *s = open_store(f, false);
    struct seal *seal = NULL;

    assert_true(err_is(seal_open(&f->config, s, tell, &seal), ERR_SEALED));
    if (strstr(err_detail(), said) == NULL) {
        fail_msg("no '%s' in: %s", said, err_detail());
    }
    store_close(s);
}

static void open_and_close(struct fixture *f)
{
    struct store *s = open_store(f, false);
    struct seal *seal = NULL;
    err e = seal_open(&f->config, s, tell, &seal);

    if (!err_is_ok(e)) {
        fail_msg("%s", err_detail());
    }
    store_close(s);
    seal_free(seal);
}

static void test_opening(void **state)
{
    struct fixture *f = *state;
    char both[256];

    told[0] = '\0';
    open_and_close(f); /* makes its key */
    assert_non_null(strstr(told, f->key));
    open_and_close(f);
    assert_int_equal(unlink(f->key), 0);
    assert_refused(f, "put it back");
    assert_int_equal(access(f->key, F_OK), -1); /* no new one is made */
    write_key(f, BASE64_A, 0600);
    assert_refused(f, "give the right key");
    assert_int_equal(unlink(f->store_path), 0);

    open_and_close(f); /* a new store under A */
    f->config.seal_key = f->key;
    open_and_close(f);
    (void)snprintf(both, sizeof(both), "%.43s=\n%s\n", BASE64_B, HEX_A);
    both[42] = '8';
    write_key(f, both, 0600);
    open_and_close(f); /* B seals, A opens */
    write_key(f, HEX_A, 0600);
    assert_refused(f, "give the right key"); /* B may be in use */
    assert_int_equal(unlink(f->key), 0);
    assert_refused(f, "put it back");
}

static void test_named_file_is_not_made(void **state)
{
    struct fixture *f = *state;

    f->config.seal_key = f->key;
    assert_refused(f, "openssl rand -base64 32");
    assert_int_equal(access(f->key, F_OK), -1);
}

#define IN_A_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_DIRECTORY(test_file),
        IN_A_DIRECTORY(test_modes),
        IN_A_DIRECTORY(test_which_file),
        IN_A_DIRECTORY(test_put_new),
        IN_A_DIRECTORY(test_places),
        IN_A_DIRECTORY(test_opening),
        IN_A_DIRECTORY(test_named_file_is_not_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
