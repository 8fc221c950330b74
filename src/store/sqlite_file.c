/* store/sqlite_file.c: the life of a database file. What the tables hold is the schema's. */
#include "store/sqlite_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "model/limits.h"

struct store_sqlite_file {
    int lock; /* descriptor of the lock file; -1: none */
    struct store_sqlite_db *writer;

    pthread_mutex_t mutex; /* guards is_lent */
    pthread_cond_t returned;
    struct store_sqlite_db *readers[LIMIT_STORE_READERS];
    bool is_lent[LIMIT_STORE_READERS];
    int n_readers;
};

/* ---- lock ---- */

static err fault_of_errno(const char *path, const char *deed, int error)
{
    bool denied = error == EACCES || error == EPERM || error == EROFS;

    return err_set(denied ? ERR_DENIED : ERR_IO, "%s: cannot %s: %s", path, deed, strerror(error));
}

static err name_lock(const char *path, char *ret_name, size_t size)
{
    return snprintf(ret_name, size, "%s.lock", path) < (int)size
               ? OK
               : err_set(ERR_IO, "%s: the path is too long", path);
}

/* For who wants to tell us something (store_sqlite_holder). */
static void note_holder(int lock)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

    if (ftruncate(lock, 0) != 0 || write(lock, text, (size_t)n) != n) {
        (void)ftruncate(lock, 0); /* then it cannot be told */
    }
}

/* A file beside the database: locks on the database itself are SQLite's. */
static err take_lock(const char *path, int *ret_lock)
{
    char name[4096];
    int lock;

    TRY(name_lock(path, name, sizeof(name)));
    lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0) {
        return fault_of_errno(name, "open", errno);
    }
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        int error = errno;

        (void)close(lock);
        return error == EWOULDBLOCK
                   ? err_set(ERR_BUSY, "%s is in use by another berthd (it holds %s)", path, name)
                   : fault_of_errno(name, "lock", error);
    }
    note_holder(lock);
    *ret_lock = lock;
    return OK;
}

static int64_t read_holder(int lock)
{
    char text[24];
    ssize_t n = read(lock, text, sizeof(text));
    int64_t pid = 0;

    return n > 1 && span_parse_int(span_of(text, (size_t)n - 1), &pid) ? pid : 0;
}

err store_sqlite_file_holder(const char *path, int64_t *ret_pid)
{
    char name[4096];
    int lock;

    TRY(name_lock(path, name, sizeof(name)));
    lock = open(name, O_RDONLY | O_CLOEXEC);
    if (lock < 0 && errno != ENOENT) {
        return fault_of_errno(name, "open", errno);
    }
    *ret_pid = 0;
    if (lock >= 0) {
        if (flock(lock, LOCK_SH | LOCK_NB) != 0) {
            *ret_pid = read_holder(lock);
        }
        (void)close(lock);
    }
    return OK;
}

/* SQLite would make it with the umask's mode; its -wal and -shm take the mode of the database. */
static err make_file(const char *path)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (file < 0) {
        return fault_of_errno(path, "open", errno);
    }
    (void)close(file);
    return OK;
}

/* ---- schema ---- */

/* Tells an empty file (version 0), one of ours, and anything else, without a change to any. */
static err recognise(struct store_sqlite_db *db, const char *path,
                     const struct store_schema *schema, int *ret_version)
{
    int64_t application_id = 0;
    int64_t version = 0;
    int64_t tables = 0;
    err e = store_sqlite_db_ask(db, "PRAGMA application_id", &application_id);

    if (err_is(e, ERR_CORRUPT)) {
        return err_set(ERR_CORRUPT, "%s is not a database: not a %s of berthd", path,
                       schema->content);
    }
    TRY(e);
    TRY(store_sqlite_db_ask(db, "SELECT count(*) FROM sqlite_schema", &tables));
    TRY(store_sqlite_db_ask(db, "PRAGMA user_version", &version));
    if (application_id == 0 && tables == 0 && version == 0) {
        *ret_version = 0;
        return OK;
    }
    if (application_id != schema->application_id || version < 1) {
        return err_set(ERR_CORRUPT, "%s is another program's database: not a %s of berthd", path,
                       schema->content);
    }
    if (version > schema->version) {
        return err_set(ERR_NEWER_SCHEMA,
                       "%s was written by a newer berthd: its schema is version %lld, this one "
                       "knows up to %d; nothing was changed",
                       path, (long long)version, schema->version);
    }
    *ret_version = (int)version;
    return OK;
}

static err take_steps(struct store_sqlite_db *db, const struct store_schema *schema, int version)
{
    char marks[128];

    for (int i = version; i < schema->version; i++) {
        TRY(store_sqlite_db_exec(db, schema->steps[i]));
    }
    (void)snprintf(marks, sizeof(marks), "PRAGMA application_id=%ld;PRAGMA user_version=%d;",
                   (long)schema->application_id, schema->version);
    TRY(store_sqlite_db_exec(db, marks));
    return store_sqlite_db_exec(db, "COMMIT");
}

/* All steps in one transaction: a crash leaves the old version. */
static err migrate(struct store_sqlite_db *db, const char *path, const struct store_schema *schema,
                   int version)
{
    int64_t is_wal = 0;

    TRY(store_sqlite_db_exec(db, "PRAGMA journal_mode=WAL"));
    TRY(store_sqlite_db_ask(db, "SELECT journal_mode='wal' FROM pragma_journal_mode", &is_wal));
    if (!is_wal) {
        return err_set(ERR_IO, "%s: its file system cannot share memory, which WAL needs", path);
    }
    if (version == schema->version) {
        return OK;
    }
    TRY(store_sqlite_db_exec(db, "BEGIN IMMEDIATE"));
    return take_steps(db, schema, version); /* on a fault the connection is closed: undone */
}

/* ---- opening ---- */

/* The writer is alone in changing the file, so its page cache stays good: it may be large. Readers
 * drop theirs at each commit of the writer; for them the file is mapped. Folding the log into the
 * file writes each changed page once, so a long log (64 MB) is cheaper than the default of 4. */
static const char writer_settings[] = "PRAGMA foreign_keys=OFF;"
                                      "PRAGMA trusted_schema=OFF;"
                                      "PRAGMA temp_store=MEMORY;"
                                      "PRAGMA synchronous=FULL;"
                                      "PRAGMA cache_size=-65536;"
                                      "PRAGMA wal_autocheckpoint=16000;"
                                      "PRAGMA journal_size_limit=134217728;";
static const char reader_settings[] = "PRAGMA trusted_schema=OFF;"
                                      "PRAGMA temp_store=MEMORY;"
                                      "PRAGMA mmap_size=1073741824;";

static err open_all(struct store_sqlite_file *f, const char *path,
                    const struct store_schema *schema, int read_handles)
{
    int version;

    TRY(take_lock(path, &f->lock));
    TRY(make_file(path));
    TRY(store_sqlite_db_open(path, STORE_SQLITE_WRITE, &f->writer));
    TRY(recognise(f->writer, path, schema, &version));
    TRY(store_sqlite_db_exec(f->writer, writer_settings));
    if (schema->settings != NULL) {
        TRY(store_sqlite_db_exec(f->writer, schema->settings));
    }
    TRY(migrate(f->writer, path, schema, version));
    while (f->n_readers < read_handles) {
        struct store_sqlite_db **reader = &f->readers[f->n_readers];

        TRY(store_sqlite_db_open(path, STORE_SQLITE_READ, reader));
        f->n_readers++;
        TRY(store_sqlite_db_exec(*reader, reader_settings));
    }
    return OK;
}

err store_sqlite_file_open(const char *path, const struct store_schema *schema, int read_handles,
                           struct store_sqlite_file **ret_file)
{
    AUTO(store_sqlite_file) struct store_sqlite_file *f = NULL;

    f = (struct store_sqlite_file *)calloc(1, sizeof(*f));
    if (f == NULL) {
        return ERR(NOMEM);
    }
    f->lock = -1;
    (void)pthread_mutex_init(&f->mutex, NULL);
    (void)pthread_cond_init(&f->returned, NULL);
    TRY(open_all(f, path, schema, read_handles));
    *ret_file = f;
    f = NULL;
    return OK;
}

/* The writer goes last, so that it folds the write-ahead log into the file. */
void store_sqlite_file_close(struct store_sqlite_file *f)
{
    if (f == NULL) {
        return;
    }
    for (int i = 0; i < f->n_readers; i++) {
        store_sqlite_db_close(f->readers[i]);
    }
    store_sqlite_db_close(f->writer);
    if (f->lock >= 0) {
        (void)close(f->lock);
    }
    (void)pthread_cond_destroy(&f->returned);
    (void)pthread_mutex_destroy(&f->mutex);
    free(f);
}

struct store_sqlite_db *store_sqlite_file_writer(struct store_sqlite_file *f)
{
    return f->writer;
}

/* ---- readers ---- */

/* Threads are numbered as they come; each prefers the connection of its number, whose prepared
 * statements and pages it used last. */
static unsigned number_of_thread(void)
{
    static atomic_uint n_threads;
    static _Thread_local unsigned number; /* 0: none yet */

    if (number == 0) {
        number = atomic_fetch_add(&n_threads, 1) + 1;
    }
    return number;
}

static int find_free(const struct store_sqlite_file *f, int first)
{
    for (int i = 0; i < f->n_readers; i++) {
        int at = (first + i) % f->n_readers;

        if (!f->is_lent[at]) {
            return at;
        }
    }
    return -1;
}

struct store_sqlite_db *store_sqlite_file_borrow(struct store_sqlite_file *f)
{
    int first = (int)(number_of_thread() % (unsigned)f->n_readers);
    int at;

    (void)pthread_mutex_lock(&f->mutex);
    while ((at = find_free(f, first)) < 0) {
        (void)pthread_cond_wait(&f->returned, &f->mutex);
    }
    f->is_lent[at] = true;
    (void)pthread_mutex_unlock(&f->mutex);
    return f->readers[at];
}

void store_sqlite_file_give_back(struct store_sqlite_file *f, struct store_sqlite_db *db)
{
    int at = 0;

    while (f->readers[at] != db) {
        at++;
    }
    (void)pthread_mutex_lock(&f->mutex);
    f->is_lent[at] = false;
    (void)pthread_cond_signal(&f->returned);
    (void)pthread_mutex_unlock(&f->mutex);
}
