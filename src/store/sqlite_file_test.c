/* store/sqlite_file_test.c: what is opened and what is refused, and what outlives the process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/files_test.h"
#include "store/sink.h"
#include "store/sqlite_file.h"
#include "store/store.h"

struct fixture {
    struct files files;
};

static int setup(void **state)
{
    struct fixture *f = (struct fixture *)calloc(1, sizeof(*f));

    files_open(&f->files);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = (struct fixture *)*state;

    files_close(&f->files);
    free(f);
    return 0;
}

static void change_file(const struct fixture *f, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(f->files.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void write_file(const struct fixture *f, const char *text)
{
    FILE *file = fopen(f->files.path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

struct image {
    uint8_t bytes[1 << 20];
    size_t len;
};

static void read_file(const struct fixture *f, struct image *ret_image)
{
    FILE *file = fopen(f->files.path, "r");

    assert_non_null(file);
    ret_image->len = fread(ret_image->bytes, 1, sizeof(ret_image->bytes), file);
    assert_int_equal(fclose(file), 0);
}

static void assert_refused(const struct fixture *f, enum err_code code, const char *words)
{
    static struct image before, after;
    struct store *s = NULL;

    read_file(f, &before);
    assert_int_equal(store_sqlite_open(f->files.path, 1, &s).code, code);
    assert_null(s);
    assert_non_null(strstr(err_detail(), f->files.path));
    if (strstr(err_detail(), words) == NULL) {
        fail_msg("no '%s' in: %s", words, err_detail());
    }
    read_file(f, &after);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.bytes, after.bytes, before.len);
}

static void make_store(const struct fixture *f)
{
    struct store *s;

    assert_true(err_is_ok(store_sqlite_open(f->files.path, 1, &s)));
    store_close(s);
}

static void test_newer_schema_is_refused(void **state)
{
    make_store((struct fixture *)*state);
    change_file((struct fixture *)*state, "PRAGMA user_version=4711");
    assert_refused((struct fixture *)*state, ERR_NEWER_SCHEMA, "4711");
}

static void test_foreign_files_are_refused(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct sink *sink;

    write_file(f, "Not a database, but a text of some length that is not a header either: "
                  "a hundred bytes are needed to look at.");
    assert_refused(f, ERR_CORRUPT, "not a database");
    assert_int_equal(unlink(f->files.path), 0);

    change_file(f, "CREATE TABLE theirs (x)");
    assert_refused(f, ERR_CORRUPT, "another program's");
    assert_int_equal(unlink(f->files.path), 0);

    change_file(f, "PRAGMA application_id=42");
    assert_refused(f, ERR_CORRUPT, "another program's");
    assert_int_equal(unlink(f->files.path), 0);

    assert_true(err_is_ok(sink_sqlite_open(f->files.path, &(struct sink_config){ 0 }, &sink)));
    sink_close(sink);
    assert_refused(f, ERR_CORRUPT, "not a store of berthd");
}

static void test_second_open_is_refused(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct store *s, *second = NULL;

    assert_true(err_is_ok(store_sqlite_open(f->files.path, 1, &s)));
    assert_int_equal(store_sqlite_open(f->files.path, 1, &second).code, ERR_BUSY);
    assert_null(second);
    assert_non_null(strstr(err_detail(), "in use by another berthd"));
    store_close(s);
    make_store(f);
}

static void test_missing_directory(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct store *s;
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/none/s.db", f->files.dir);
    assert_int_equal(store_sqlite_open(path, 1, &s).code, ERR_IO);
    assert_non_null(strstr(err_detail(), path));
}

static void assert_private(const char *path, const char *suffix)
{
    char name[128];
    struct stat info;

    (void)snprintf(name, sizeof(name), "%s%s", path, suffix);
    assert_int_equal(stat(name, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static err put_hub(struct store_tx *tx, void *arg)
{
    return store_put(tx, &KIND_HUB, arg);
}

static void test_files_are_private(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct hub hub = { .host_name = SPAN("h") };
    mode_t old = umask(0);
    struct store *s;

    assert_true(err_is_ok(store_sqlite_open(f->files.path, 1, &s)));
    assert_true(err_is_ok(store_write(s, put_hub, &hub)));
    assert_private(f->files.path, "");
    assert_private(f->files.path, "-wal");
    assert_private(f->files.path, "-shm");
    assert_private(f->files.path, ".lock");
    store_close(s);
    (void)umask(old);
}

static err get_hub(struct store_tx *tx, void *arg)
{
    static uint8_t block[1024];
    struct arena arena;

    arena_init(&arena, block, sizeof(block));
    return store_get(tx, &KIND_HUB, arg, &arena, arg);
}

/* The child ends without a word as soon as its write is acknowledged. */
static void test_writes_outlive_a_crash(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct hub hub = { .host_name = SPAN("h"), .created_ms = 17 };
    struct store *s;
    int status;
    pid_t child = fork();

    if (child == 0) {
        bool ok = err_is_ok(store_sqlite_open(f->files.path, 2, &s)) &&
                  err_is_ok(store_write(s, put_hub, &hub));
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    hub.created_ms = 0;
    assert_true(err_is_ok(store_sqlite_open(f->files.path, 2, &s)));
    assert_true(err_is_ok(store_read(s, get_hub, &hub)));
    assert_int_equal(hub.created_ms, 17);
    store_close(s);

    hub.created_ms = 0;
    assert_true(err_is_ok(store_sqlite_open(f->files.path, 2, &s)));
    assert_true(err_is_ok(store_read(s, get_hub, &hub)));
    assert_int_equal(hub.created_ms, 17);
    store_close(s);
}

static void test_migration(void **state)
{
    static const char *const steps[] = { "CREATE TABLE a (x); INSERT INTO a VALUES (5);",
                                         "CREATE TABLE b (x); INSERT INTO b SELECT x + 1 FROM a;" };
    static const char *const broken_steps[] = { "CREATE TABLE a (x); INSERT INTO a VALUES (7);",
                                                "CREATE TABLE b (x); SELECT nonsense;" };
    const struct store_schema broken = { "test", 7, broken_steps, 2, NULL };
    const struct store_schema first = { "test", 7, steps, 1, NULL };
    const struct store_schema second = { "test", 7, steps, 2, NULL };
    struct fixture *f = (struct fixture *)*state;
    struct store_sqlite_file *file = NULL;
    int64_t value;

    /* What fails half-way leaves an empty file, which is then begun anew. */
    assert_false(err_is_ok(store_sqlite_file_open(f->files.path, &broken, 1, &file)));
    assert_null(file);
    assert_true(err_is_ok(store_sqlite_file_open(f->files.path, &first, 1, &file)));
    store_sqlite_file_close(file);
    assert_true(err_is_ok(store_sqlite_file_open(f->files.path, &second, 1, &file)));
    assert_true(
        err_is_ok(store_sqlite_db_ask(store_sqlite_file_writer(file), "SELECT x FROM b", &value)));
    assert_int_equal(value, 6);
    assert_true(err_is_ok(
        store_sqlite_db_ask(store_sqlite_file_writer(file), "PRAGMA user_version", &value)));
    assert_int_equal(value, 2);
    store_sqlite_file_close(file);
    file = NULL;
    assert_int_equal(store_sqlite_file_open(f->files.path, &first, 1, &file).code,
                     ERR_NEWER_SCHEMA);
    /* A failing step of a later version leaves the old version whole. */
    assert_int_equal(unlink(f->files.path), 0);
    assert_true(err_is_ok(store_sqlite_file_open(f->files.path, &first, 1, &file)));
    store_sqlite_file_close(file);
    assert_false(err_is_ok(store_sqlite_file_open(f->files.path, &broken, 1, &file)));
    assert_true(err_is_ok(store_sqlite_file_open(f->files.path, &second, 1, &file)));
    assert_true(
        err_is_ok(store_sqlite_db_ask(store_sqlite_file_writer(file), "SELECT x FROM b", &value)));
    assert_int_equal(value, 6);
    store_sqlite_file_close(file);
}

static err get_first_version_rows(struct store_tx *tx, void *arg)
{
    static uint8_t block[8192];
    struct arena arena;
    struct instance instance = { .id_scope = SPAN("0ne1") };
    struct enrollment e = { .id_scope = SPAN("0ne1"),
                            .kind = ENROLLMENT_INDIVIDUAL,
                            .key = SPAN("d") };
    struct registration r = { .id_scope = SPAN("0ne1"), .key = SPAN("d") };
    struct hub hub = { .host_name = SPAN("h") };

    (void)arg;
    arena_init(&arena, block, sizeof(block));
    TRY(store_get(tx, &KIND_INSTANCE, &instance, &arena, &instance));
    assert_int_equal(instance.key_groups_version, 0);
    TRY(store_get(tx, &KIND_ENROLLMENT, &e, &arena, &e));
    assert_int_equal(e.updated_ms, 4);
    assert_true(span_is_absent(e.endorsement_key) && span_is_absent(e.storage_root_key));
    TRY(store_get(tx, &KIND_REGISTRATION, &r, &arena, &r));
    assert_true(span_eq(r.evidence_sha256, SPAN("\x01\x02")));
    assert_true(span_is_absent(r.authentication_key));
    TRY(store_get(tx, &KIND_HUB, &hub, &arena, &hub));
    assert_true(span_is_absent(hub.id_scope));
    return OK;
}

/* What a berthd of the first schema wrote is read by this one. */
static void test_a_store_of_the_first_version_is_migrated(void **state)
{
    static const char *const rows =
        "INSERT INTO instance VALUES ('0ne1', 'n', 's', 1, 2);"
        "INSERT INTO hub VALUES ('h', 'hub', 5);"
        "INSERT INTO enrollment (id_scope, kind, key, id, attestation, x509_source, "
        "provisioning_status, update_hub_assignment, migrate_device_data, iot_edge, "
        "allocation_policy, created_ms, updated_ms) "
        "VALUES ('0ne1', 1, 'd', 'D', 2, 1, 0, 1, 1, 0, 0, 3, 4);"
        "INSERT INTO registration (id_scope, key, id, status, substatus, error_code, "
        "enrollment_kind, attestation, leaf_sha256, created_ms, updated_ms) "
        "VALUES ('0ne1', 'd', 'D', 2, 1, 0, 1, 2, x'0102', 5, 6);";
    struct store_schema first = STORE_SCHEMA_SQLITE_STORE;
    struct fixture *f = (struct fixture *)*state;
    struct store_sqlite_file *file;
    struct store *s;

    first.version = 1;
    assert_true(err_is_ok(store_sqlite_file_open(f->files.path, &first, 1, &file)));
    assert_true(err_is_ok(store_sqlite_db_exec(store_sqlite_file_writer(file), rows)));
    store_sqlite_file_close(file);
    assert_true(err_is_ok(store_sqlite_open(f->files.path, 1, &s)));
    assert_true(err_is_ok(store_read(s, get_first_version_rows, NULL)));
    store_close(s);
}

/* A killed process does not lose what the system has cached, so no scenario notices a commit that
 * is not synced: the setting itself is held here, for the store and the telemetry log alike. */
static void test_the_writer_syncs_each_commit(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct store_sqlite_file *file;
    int64_t value;

    assert_true(
        err_is_ok(store_sqlite_file_open(f->files.path, &STORE_SCHEMA_SQLITE_STORE, 1, &file)));
    assert_true(err_is_ok(
        store_sqlite_db_ask(store_sqlite_file_writer(file), "PRAGMA synchronous", &value)));
    assert_int_equal(value, 2); /* FULL */
    store_sqlite_file_close(file);
}

static void test_readers_cannot_write(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct store_sqlite_file *file;
    struct store_sqlite_db *db;

    assert_true(
        err_is_ok(store_sqlite_file_open(f->files.path, &STORE_SCHEMA_SQLITE_STORE, 1, &file)));
    db = store_sqlite_file_borrow(file);
    assert_int_equal(store_sqlite_db_exec(db, "DELETE FROM hub").code, ERR_DENIED);
    store_sqlite_file_give_back(file, db);
    store_sqlite_file_close(file);
}

/* The cache begins anew when it is full; a statement asked for is always there. */
static void test_statement_cache(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct store_sqlite_file *file;
    struct store_sqlite_db *db;

    assert_true(
        err_is_ok(store_sqlite_file_open(f->files.path, &STORE_SCHEMA_SQLITE_STORE, 1, &file)));
    db = store_sqlite_file_writer(file);
    for (unsigned i = 0; i < 1000; i++) {
        sqlite3_stmt *stmt;

        assert_null(store_sqlite_db_cached(db, &file, i));
        assert_true(err_is_ok(store_sqlite_db_prepare(db, &file, i, SPAN("SELECT 1"), &stmt)));
        assert_ptr_equal(store_sqlite_db_cached(db, &file, i), stmt);
        assert_null(store_sqlite_db_cached(db, f, i));
    }
    store_sqlite_file_close(file);
}

#define IN_A_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* A berthd that was killed leaves its number, and no lock. */
static void test_holder(void **state)
{
    struct fixture *f = (struct fixture *)*state;
    struct store *s = NULL;
    int64_t pid = -1;

    assert_true(err_is_ok(store_sqlite_holder(f->files.path, &pid)));
    assert_int_equal(pid, 0);
    assert_true(err_is_ok(store_sqlite_open(f->files.path, 1, &s)));
    assert_true(err_is_ok(store_sqlite_holder(f->files.path, &pid)));
    assert_int_equal(pid, getpid());
    store_close(s);
    assert_true(err_is_ok(store_sqlite_holder(f->files.path, &pid)));
    assert_int_equal(pid, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_DIRECTORY(test_newer_schema_is_refused),
        IN_A_DIRECTORY(test_foreign_files_are_refused),
        IN_A_DIRECTORY(test_second_open_is_refused),
        IN_A_DIRECTORY(test_missing_directory),
        IN_A_DIRECTORY(test_files_are_private),
        IN_A_DIRECTORY(test_writes_outlive_a_crash),
        IN_A_DIRECTORY(test_migration),
        IN_A_DIRECTORY(test_a_store_of_the_first_version_is_migrated),
        IN_A_DIRECTORY(test_the_writer_syncs_each_commit),
        IN_A_DIRECTORY(test_readers_cannot_write),
        IN_A_DIRECTORY(test_statement_cache),
        IN_A_DIRECTORY(test_holder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
