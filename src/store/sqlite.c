/* store/sqlite.c: the embedded store. Reads run on the caller's thread over a connection of the
 * pool; writes are jobs of the writer's thread, which does a batch in one transaction, each job
 * that writes in a savepoint of its own, and wakes the callers after the commit. SQL comes from
 * sqlite_sql.c, rows go in and out by sqlite_row.c, the file is sqlite_file.c's. */
#include <assert.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/limits.h"
#include "store/backend.h"
#include "store/sqlite_file.h"
#include "store/sqlite_row.h"
#include "store/writer.h"

struct sqlite_store {
    struct store base;
    struct store_sqlite_file *file;
    struct store_writer *writer;
};

struct sqlite_tx {
    struct store_tx base;
    struct store_sqlite_db *db;
    bool has_savepoint;
};

static const char BEGIN[] = "BEGIN";
static const char BEGIN_IMMEDIATE[] = "BEGIN IMMEDIATE";
static const char COMMIT[] = "COMMIT";
static const char ROLLBACK[] = "ROLLBACK";
static const char SAVEPOINT[] = "SAVEPOINT job";
static const char RELEASE[] = "RELEASE job";
static const char ROLLBACK_TO[] = "ROLLBACK TO job";

/* ---- inside a transaction ---- */

static struct sqlite_tx *tx_of(struct store_tx *tx)
{
    return (struct sqlite_tx *)tx;
}

static err find_row(struct store_sqlite_db *db, sqlite3_stmt *stmt, const struct kind *kind,
                    struct arena *arena, void *row, bool *ret_found)
{
    int rc = sqlite3_step(stmt);

    if (rc == SQLITE_ROW) {
        *ret_found = true;
        return store_sqlite_row_read(stmt, kind, false, arena, row);
    }
    *ret_found = false;
    return rc == SQLITE_DONE ? OK : store_sqlite_db_fault(db, rc);
}

static err sqlite_find(struct store_tx *tx, const struct kind *kind, const void *key,
                       struct arena *arena, void *ret_record, bool *ret_found)
{
    static const struct store_sql sql = { .verb = STORE_SQL_FIND };
    struct store_sqlite_db *db = tx_of(tx)->db;
    uint8_t row[KIND_FIELDS_MAX * sizeof(struct span)] = { 0 };
    size_t mark = arena->used;
    sqlite3_stmt *stmt;
    bool found = false;
    err e;

    assert(kind->size <= sizeof(row));
    TRY(store_sqlite_row_statement(db, kind, &sql, &stmt));
    TRY(store_sqlite_row_bind(db, stmt, kind, NULL, kind->n_key, key));
    e = find_row(db, stmt, kind, arena, row, &found);
    (void)sqlite3_reset(stmt);
    if (!err_is_ok(e)) {
        arena->used = mark;
        return e;
    }
    if (found) {
        memcpy(ret_record, row, kind->size);
    }
    *ret_found = found;
    return OK;
}

/* A job that only reads, or fails before it wrote, needs none. */
static err open_savepoint(struct sqlite_tx *tx)
{
    if (!tx->has_savepoint) {
        TRY(store_sqlite_db_run(tx->db, SAVEPOINT));
        tx->has_savepoint = true;
    }
    return OK;
}

static err change(struct store_tx *tx, const struct kind *kind, enum store_sql_verb verb,
                  const void *record, int n_fields)
{
    struct store_sqlite_db *db = tx_of(tx)->db;
    sqlite3_stmt *stmt;

    TRY(open_savepoint(tx_of(tx)));
    TRY(store_sqlite_row_statement(db, kind, &(struct store_sql){ .verb = verb }, &stmt));
    TRY(store_sqlite_row_bind(db, stmt, kind, NULL, n_fields, record));
    return store_sqlite_db_finish(db, stmt);
}

static err sqlite_insert(struct store_tx *tx, const struct kind *kind, const void *record)
{
    return change(tx, kind, STORE_SQL_INSERT, record, kind->n_fields);
}

static err sqlite_put(struct store_tx *tx, const struct kind *kind, const void *record)
{
    return change(tx, kind, STORE_SQL_PUT, record, kind->n_fields);
}

static err sqlite_remove(struct store_tx *tx, const struct kind *kind, const void *key)
{
    TRY(change(tx, kind, STORE_SQL_DELETE, key, kind->n_key));
    return store_sqlite_db_changes(tx_of(tx)->db) > 0 ? OK : ERR(NOT_FOUND);
}

/* ---- scans ---- */

struct walk {
    struct store_sqlite_db *db;
    const struct kind *kind;
    const struct store_scan *scan;
    struct store_order order;
    struct store_rows rows;
    store_row_fn fn; /* what takes the rows; NULL: they are collected in `rows` */
    void *arg;
    bool is_over;
};

static err collect_row(struct walk *w, sqlite3_stmt *stmt)
{
    void *row;

    TRY(store_rows_add(&w->rows, &row));
    TRY(store_sqlite_row_read(stmt, w->kind, w->scan->without_secrets, w->rows.arena, row));
    w->is_over = w->rows.n == w->scan->limit;
    return OK;
}

static err hand_row(struct walk *w, sqlite3_stmt *stmt)
{
    struct arena *arena = w->rows.arena;
    size_t mark = arena->used;
    void *row = arena_alloc(arena, w->kind->size);
    bool more = true;
    err e = row == NULL
                ? ERR(NOMEM)
                : store_sqlite_row_read(stmt, w->kind, w->scan->without_secrets, arena, row);

    if (err_is_ok(e)) {
        e = w->fn(row, w->arg, &more);
    }
    arena->used = mark;
    w->is_over = !more;
    return e;
}

static err step_rows(struct walk *w, sqlite3_stmt *stmt)
{
    while (!w->is_over) {
        int rc = sqlite3_step(stmt);

        if (rc != SQLITE_ROW) {
            return rc == SQLITE_DONE ? OK : store_sqlite_db_fault(w->db, rc);
        }
        TRY(w->fn != NULL ? hand_row(w, stmt) : collect_row(w, stmt));
    }
    return OK;
}

/* The rows whose first n_equal members are those of `from` and whose next is in the range. */
static err walk_part(struct walk *w, const void *from, int n_equal, enum store_sql_range range)
{
    struct store_sql sql = { .verb = STORE_SQL_SCAN,
                             .index = w->scan->index,
                             .n_equal = n_equal,
                             .range = range,
                             .descending = w->scan->descending };
    bool has_value =
        range != STORE_SQL_ALL && range != STORE_SQL_PRESENT && range != STORE_SQL_ABSENT;
    int n_bound = n_equal + has_value;
    int64_t limit = w->fn != NULL ? -1 : (int64_t)(w->scan->limit - w->rows.n);
    sqlite3_stmt *stmt;
    err e;

    if (w->is_over) {
        return OK;
    }
    TRY(store_sqlite_row_statement(w->db, w->kind, &sql, &stmt));
    TRY(store_sqlite_row_bind(w->db, stmt, w->kind, &w->order, n_bound, from));
    (void)sqlite3_bind_int64(stmt, n_bound + 1, limit);
    e = step_rows(w, stmt);
    (void)sqlite3_reset(stmt);
    return e;
}

/* Behind (a, b, c) lie, in this order: (a, b, >c), (a, >b, …), (>a, …, …); each is one seek. Absent
 * comes before every value: ascending, what is behind it is all that is present; descending, it is
 * behind all values. The place itself ends in a member of the primary key, which is never absent.
 */
static err walk_behind(struct walk *w, const void *after)
{
    int last = w->order.n - 1;

    if (w->scan->is_inclusive && w->scan->n_prefix > last) {
        return walk_part(w, after, w->order.n, STORE_SQL_ALL); /* the prefix is the place */
    }
    for (int at = last; at >= w->scan->n_prefix; at--) {
        const struct field *f = &w->kind->fields[w->order.fields[at]];
        bool is_absent = store_row_is_absent(after, f);

        if (w->scan->is_inclusive && at == last) {
            TRY(walk_part(w, after, at,
                          w->scan->descending ? STORE_SQL_AT_MOST : STORE_SQL_AT_LEAST));
            continue;
        }
        if (!w->scan->descending) {
            TRY(walk_part(w, after, at, is_absent ? STORE_SQL_PRESENT : STORE_SQL_ABOVE));
            continue;
        }
        if (is_absent) {
            continue;
        }
        TRY(walk_part(w, after, at, STORE_SQL_BELOW));
        if (store_row_is_span(f) && w->order.fields[at] >= w->kind->n_key) {
            TRY(walk_part(w, after, at, STORE_SQL_ABSENT));
        }
    }
    return OK;
}

static err walk(struct walk *w)
{
    const struct store_scan *scan = w->scan;
    int side;

    if (scan->after == NULL) {
        return walk_part(w, scan->prefix, scan->n_prefix, STORE_SQL_ALL);
    }
    side = scan->n_prefix == 0
               ? 0
               : store_order_compare(w->kind, &w->order, scan->n_prefix, scan->after, scan->prefix);
    if (side == 0) {
        return walk_behind(w, scan->after);
    }
    /* `after` is outside of the prefix: before all of it, or behind. */
    return (side < 0) != scan->descending
               ? walk_part(w, scan->prefix, scan->n_prefix, STORE_SQL_ALL)
               : OK;
}

static err sqlite_scan(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
                       struct arena *arena, void *ret_rows, size_t *ret_n)
{
    struct walk w = {
        .db = tx_of(tx)->db,
        .kind = kind,
        .scan = scan,
        .order = store_order_of(kind, scan->index),
        .rows = { .arena = arena, .size = kind->size, .limit = scan->limit },
    };
    size_t mark = arena->used;
    err e = walk(&w);

    if (!err_is_ok(e)) {
        arena->used = mark;
        return e;
    }
    store_rows_end(&w.rows, ret_rows, ret_n);
    return OK;
}

static err sqlite_walk(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
                       struct arena *arena, store_row_fn fn, void *arg)
{
    struct walk w = {
        .db = tx_of(tx)->db,
        .kind = kind,
        .scan = scan,
        .order = store_order_of(kind, scan->index),
        .rows = { .arena = arena },
        .fn = fn,
        .arg = arg,
    };

    return walk(&w);
}

static err sqlite_count(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
                        int64_t *ret_n)
{
    struct store_sql sql = { .verb = STORE_SQL_COUNT,
                             .index = scan->index,
                             .n_equal = scan->n_prefix };
    struct store_order order = store_order_of(kind, scan->index);
    struct store_sqlite_db *db = tx_of(tx)->db;
    sqlite3_stmt *stmt;
    err e = OK;
    int rc;

    TRY(store_sqlite_row_statement(db, kind, &sql, &stmt));
    TRY(store_sqlite_row_bind(db, stmt, kind, &order, scan->n_prefix, scan->prefix));
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *ret_n = sqlite3_column_int64(stmt, 0);
    } else {
        e = store_sqlite_db_fault(db, rc);
    }
    (void)sqlite3_reset(stmt);
    return e;
}

/* ---- reading ---- */

static err sqlite_read(struct store *s, store_fn fn, void *arg)
{
    struct sqlite_store *store = (struct sqlite_store *)s;
    struct sqlite_tx tx = { .base = { .backend = s->backend, .sealer = s->sealer } };
    err e;

    tx.db = store_sqlite_file_borrow(store->file);
    e = store_sqlite_db_run(tx.db, BEGIN);
    if (err_is_ok(e)) {
        e = fn(&tx.base, arg);
        (void)store_sqlite_db_run(tx.db, COMMIT); /* nothing to lose */
    }
    store_sqlite_file_give_back(store->file, tx.db);
    return e;
}

/* ---- writing ---- */

enum job_kind { JOB_WRITE, JOB_SCRUB, JOB_SCRUB_WHOLE };

struct job {
    void *next; /* the writer's */
    enum job_kind kind;
    store_fn fn; /* of a JOB_WRITE */
    void *arg;
    err result;
    sem_t done;
    char detail[512]; /* of a fault: err_detail is each thread's own */
};

static void keep_fault(struct job *job, err e)
{
    job->result = e;
    if (!err_is_ok(e)) {
        (void)strncpy(job->detail, err_detail(), sizeof(job->detail) - 1);
        job->detail[sizeof(job->detail) - 1] = '\0';
    }
}

/* A fault is the job's own; its traces are removed. False: the whole transaction is lost. */
static bool run_job(struct sqlite_store *s, struct store_sqlite_db *db, struct job *job)
{
    struct sqlite_tx tx = {
        .base = { .backend = s->base.backend, .sealer = s->base.sealer, .may_write = true },
        .db = db,
    };
    err e = job->fn(&tx.base, job->arg);

    keep_fault(job, e);
    if (!store_sqlite_db_in_transaction(db)) {
        return false;
    }
    if (!tx.has_savepoint) {
        return true;
    }
    if (!err_is_ok(e) && !err_is_ok(store_sqlite_db_run(db, ROLLBACK_TO))) {
        return false;
    }
    return err_is_ok(store_sqlite_db_run(db, RELEASE));
}

static err run_all(struct sqlite_store *s, struct store_sqlite_db *db, struct job *first)
{
    TRY(store_sqlite_db_run(db, BEGIN_IMMEDIATE));
    for (struct job *job = first; job != NULL; job = (struct job *)store_writer_next(job)) {
        if (job->kind == JOB_WRITE && !run_job(s, db, job)) {
            return ERR(IO);
        }
    }
    return store_sqlite_db_run(db, COMMIT);
}

/* The log is folded into the file and emptied. `whole`: the file is written anew before that. Waits
 * for readers, but not long: writers wait for us. */
static err scrub(struct store_sqlite_db *db, bool whole)
{
    char wait[64];
    int64_t is_busy = 0;
    err e = OK;

    if (whole) {
        TRY(store_sqlite_db_exec(db, "PRAGMA temp_store=FILE;VACUUM;PRAGMA temp_store=MEMORY;"));
    }
    TRY(store_sqlite_db_exec(db, "PRAGMA busy_timeout=100"));
    e = store_sqlite_db_ask(db, "PRAGMA wal_checkpoint(TRUNCATE)", &is_busy);
    (void)snprintf(wait, sizeof(wait), "PRAGMA busy_timeout=%d", LIMIT_STORE_LOCK_MS);
    TRY(store_sqlite_db_exec(db, wait));
    TRY(e);
    return is_busy != 0 ? err_set(ERR_BUSY, "the write-ahead log is being read") : OK;
}

static void run_batch(void *context, void *first, size_t n)
{
    struct sqlite_store *s = (struct sqlite_store *)context;
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);
    struct job *job = (struct job *)first;
    struct job *next;
    err e = run_all(s, db, job);

    (void)n;
    if (!err_is_ok(e) && store_sqlite_db_in_transaction(db)) {
        (void)store_sqlite_db_run(db, ROLLBACK); /* a failure shows at the next BEGIN */
    }
    for (; job != NULL; job = next) {
        next = (struct job *)store_writer_next(job);
        if (!err_is_ok(e)) {
            keep_fault(job, ERR(IO)); /* whatever it had seen of its neighbours is gone, too */
        } else if (job->kind != JOB_WRITE) {
            keep_fault(job, scrub(db, job->kind == JOB_SCRUB_WHOLE));
        }
        (void)sem_post(&job->done);
    }
}

static err run_and_wait(struct sqlite_store *s, struct job *job)
{
    err e;

    (void)sem_init(&job->done, 0, 0);
    e = store_writer_push(s->writer, job);
    if (err_is_ok(e)) {
        while (sem_wait(&job->done) != 0) {
            /* a signal's handler ran */
        }
        e = err_is_ok(job->result) ? OK : err_set(job->result.code, "%s", job->detail);
    }
    (void)sem_destroy(&job->done);
    return e;
}

static err sqlite_write(struct store *s, store_fn fn, void *arg)
{
    struct job job;

    job.kind = JOB_WRITE;
    job.fn = fn;
    job.arg = arg;
    return run_and_wait((struct sqlite_store *)s, &job);
}

static err sqlite_scrub(struct store *s, bool whole)
{
    struct job job;

    job.kind = whole ? JOB_SCRUB_WHOLE : JOB_SCRUB;
    return run_and_wait((struct sqlite_store *)s, &job);
}

/* ---- life ---- */

static void sqlite_close(struct store *s)
{
    struct sqlite_store *store = (struct sqlite_store *)s;

    store_writer_close(store->writer);
    store_sqlite_file_close(store->file);
    free(store);
}

static size_t sqlite_backlog(struct store *s)
{
    return store_writer_backlog(((struct sqlite_store *)s)->writer);
}

static void sqlite_stats(struct store *s, struct store_stats *ret_stats)
{
    store_writer_totals(((struct sqlite_store *)s)->writer, &ret_stats->writes,
                        &ret_stats->batches);
}

static const struct store_backend backend = {
    .close = sqlite_close,
    .read = sqlite_read,
    .write = sqlite_write,
    .backlog = sqlite_backlog,
    .stats = sqlite_stats,
    .scrub = sqlite_scrub,
    .find = sqlite_find,
    .insert = sqlite_insert,
    .put = sqlite_put,
    .remove = sqlite_remove,
    .scan = sqlite_scan,
    .walk = sqlite_walk,
    .count = sqlite_count,
};

err store_sqlite_holder(const char *path, int64_t *ret_pid)
{
    return store_sqlite_file_holder(path, ret_pid);
}

err store_sqlite_open(const char *path, int read_handles, struct store **ret_store)
{
    AUTO(store_sqlite_file) struct store_sqlite_file *file = NULL;
    struct store_writer_config config = { .queue_limit = LIMIT_WRITE_QUEUE,
                                          .batch_limit = LIMIT_WRITE_BATCH,
                                          .run = run_batch };
    struct sqlite_store *s;
    err e;

    assert(read_handles >= 1 && read_handles <= LIMIT_STORE_READERS);
    TRY(store_sqlite_file_open(path, &STORE_SCHEMA_SQLITE_STORE, read_handles, &file));
    s = (struct sqlite_store *)calloc(1, sizeof(*s));
    if (s == NULL) {
        return ERR(NOMEM);
    }
    s->base.backend = &backend;
    s->file = file;
    config.context = s;
    e = store_writer_open(&config, &s->writer);
    if (!err_is_ok(e)) {
        free(s);
        return e;
    }
    file = NULL;
    *ret_store = &s->base;
    return OK;
}
