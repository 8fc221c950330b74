/* store/sink_sqlite.c: the embedded telemetry log, a SQLite file of its own. A batch of appends is
 * one transaction of the writer's thread.
 *
 * Retention asks no clock: "now" is the latest enqueued_ms that was appended, and each batch drops
 * at most twice as many expired events as it adds, from the oldest on. So the log keeps up without
 * a pause, and an idle log keeps what it has. */
#include <stdatomic.h>
#include <stdlib.h>

#include "model/limits.h"
#include "store/sink_backend.h"
#include "store/sqlite_file.h"

struct sqlite_sink {
    struct sink base;
    struct store_sqlite_file *file;
    _Atomic int64_t last_offset; /* durable; written by the writer's thread */
    /* Of the writer's thread. */
    int64_t retention_ms; /* 0: for ever */
    int64_t latest_ms, oldest_ms;
};

static const char BEGIN[] = "BEGIN IMMEDIATE";
static const char COMMIT[] = "COMMIT";
static const char ROLLBACK[] = "ROLLBACK";
static const char INSERT[] = "INSERT INTO event (offset, hub, device_id, enqueued_ms, properties, "
                             "body) VALUES (?, ?, ?, ?, ?, ?)";
static const char SET_LAST[] = "UPDATE state SET last_offset = ?";
static const char DROP[] = "DELETE FROM event WHERE offset IN (SELECT offset FROM event ORDER BY "
                           "offset LIMIT ?) AND enqueued_ms < ?";
static const char OLDEST[] = "SELECT enqueued_ms FROM event ORDER BY offset LIMIT 1";
static const char READ_HUB[] =
    "SELECT offset, device_id, enqueued_ms, properties, body FROM event INDEXED BY event_by_hub "
    "WHERE hub = ? AND offset > ? ORDER BY offset LIMIT ?";
static const char READ_DEVICE[] =
    "SELECT offset, device_id, enqueued_ms, properties, body FROM event INDEXED BY event_by_hub "
    "WHERE hub = ? AND offset > ? AND device_id = ? ORDER BY offset LIMIT ?";

/* ---- appending ---- */

static err insert(struct store_sqlite_db *db, const struct sink_event *event)
{
    sqlite3_stmt *stmt;

    TRY(store_sqlite_db_statement(db, INSERT, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, event->offset);
    (void)store_sqlite_db_bind_text(stmt, 2, event->hub);
    (void)store_sqlite_db_bind_text(stmt, 3, event->device_id);
    (void)sqlite3_bind_int64(stmt, 4, event->enqueued_ms);
    (void)store_sqlite_db_bind_text(stmt, 5, event->properties);
    (void)store_sqlite_db_bind_blob(stmt, 6, event->body);
    return store_sqlite_db_finish(db, stmt);
}

static err insert_all(struct store_sqlite_db *db, struct sink_append *first, int64_t last_offset)
{
    sqlite3_stmt *stmt;

    for (struct sink_append *a = first; a != NULL; a = (struct sink_append *)store_writer_next(a)) {
        a->event.offset = ++last_offset;
        TRY(insert(db, &a->event));
    }
    TRY(store_sqlite_db_statement(db, SET_LAST, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, last_offset);
    return store_sqlite_db_finish(db, stmt);
}

/* INT64_MAX when there is none. */
static err read_oldest(struct store_sqlite_db *db, int64_t *ret_ms)
{
    sqlite3_stmt *stmt;
    err e = OK;
    int rc;

    TRY(store_sqlite_db_statement(db, OLDEST, &stmt));
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *ret_ms = sqlite3_column_int64(stmt, 0);
    } else if (rc == SQLITE_DONE) {
        *ret_ms = INT64_MAX;
    } else {
        e = store_sqlite_db_fault(db, rc);
    }
    (void)sqlite3_reset(stmt);
    return e;
}

static err drop_expired(struct sqlite_sink *s, struct store_sqlite_db *db, size_t n_added)
{
    int64_t expired_ms = s->latest_ms - s->retention_ms;
    sqlite3_stmt *stmt;

    if (s->retention_ms == 0 || s->oldest_ms >= expired_ms) {
        return OK;
    }
    TRY(store_sqlite_db_statement(db, DROP, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, (int64_t)n_added * 2);
    (void)sqlite3_bind_int64(stmt, 2, expired_ms);
    TRY(store_sqlite_db_finish(db, stmt));
    return read_oldest(db, &s->oldest_ms);
}

static err store_batch(struct sqlite_sink *s, struct sink_append *first, size_t n)
{
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);

    TRY(store_sqlite_db_run(db, BEGIN));
    TRY(insert_all(db, first, atomic_load(&s->last_offset)));
    TRY(drop_expired(s, db, n));
    return store_sqlite_db_run(db, COMMIT);
}

static void note_times(struct sqlite_sink *s, const struct sink_append *first)
{
    if (s->oldest_ms == INT64_MAX) {
        s->oldest_ms = first->event.enqueued_ms;
    }
    for (const struct sink_append *a = first; a != NULL;
         a = (const struct sink_append *)store_writer_next(a)) {
        if (a->event.enqueued_ms > s->latest_ms) {
            s->latest_ms = a->event.enqueued_ms;
        }
    }
}

static err sqlite_store(struct sink *base, struct sink_append *first, size_t n)
{
    struct sqlite_sink *s = (struct sqlite_sink *)base;
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);
    err e;

    note_times(s, first);
    e = store_batch(s, first, n);
    if (err_is_ok(e)) {
        (void)atomic_fetch_add(&s->last_offset, (int64_t)n);
    } else if (store_sqlite_db_in_transaction(db)) {
        (void)store_sqlite_db_run(db, ROLLBACK); /* a failure shows at the next BEGIN */
    }
    return e;
}

/* ---- reading ---- */

static struct span column(sqlite3_stmt *stmt, int at)
{
    const void *data = sqlite3_column_blob(stmt, at);

    if (data == NULL && sqlite3_column_type(stmt, at) != SQLITE_NULL) {
        return SPAN("");
    }
    return span_of(data, (size_t)sqlite3_column_bytes(stmt, at));
}

static err fill_page(struct store_sqlite_db *db, sqlite3_stmt *stmt, struct sink_page *page)
{
    int rc;

    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct sink_event event = { .offset = sqlite3_column_int64(stmt, 0),
                                    .hub = page->query->hub,
                                    .device_id = column(stmt, 1),
                                    .enqueued_ms = sqlite3_column_int64(stmt, 2),
                                    .properties = column(stmt, 3),
                                    .body = column(stmt, 4) };

        if (!sink_page_has_room(page, &event)) {
            return OK;
        }
        TRY(sink_page_add(page, &event));
    }
    return rc == SQLITE_DONE ? OK : store_sqlite_db_fault(db, rc);
}

static err read_page(struct store_sqlite_db *db, struct sink_page *page)
{
    const struct sink_query *q = page->query;
    bool all = span_is_absent(q->device_id);
    int at = 1;
    sqlite3_stmt *stmt;
    err e;

    TRY(store_sqlite_db_statement(db, all ? READ_HUB : READ_DEVICE, &stmt));
    (void)store_sqlite_db_bind_text(stmt, at++, q->hub);
    (void)sqlite3_bind_int64(stmt, at++, q->after);
    if (!all) {
        (void)store_sqlite_db_bind_text(stmt, at++, q->device_id);
    }
    (void)sqlite3_bind_int64(stmt, at, (int64_t)q->max_events);
    e = fill_page(db, stmt, page);
    (void)sqlite3_reset(stmt);
    return e;
}

static err sqlite_read(struct sink *base, const struct sink_query *q, struct arena *arena,
                       struct sink_event **ret_events, size_t *ret_n)
{
    struct sqlite_sink *s = (struct sqlite_sink *)base;
    struct store_sqlite_db *db = store_sqlite_file_borrow(s->file);
    struct sink_page page = { .arena = arena, .query = q };
    err e = read_page(db, &page);

    store_sqlite_file_give_back(s->file, db);
    TRY(e);
    *ret_events = page.events;
    *ret_n = page.n;
    return OK;
}

static err sqlite_last_offset(struct sink *base, int64_t *ret_offset)
{
    *ret_offset = atomic_load(&((struct sqlite_sink *)base)->last_offset);
    return OK;
}

/* ---- life ---- */

static void sqlite_close(struct sink *base)
{
    struct sqlite_sink *s = (struct sqlite_sink *)base;

    store_sqlite_file_close(s->file);
    free(s);
}

static err open_log(struct sqlite_sink *s, const char *path)
{
    struct store_sqlite_db *db;
    int64_t last_offset;

    TRY(store_sqlite_file_open(path, &STORE_SCHEMA_SQLITE_SINK, LIMIT_SINK_READERS, &s->file));
    db = store_sqlite_file_writer(s->file);
    /* Dropped events are overwritten as their pages are used again, not one by one. */
    TRY(store_sqlite_db_exec(db, "PRAGMA secure_delete=FAST"));
    TRY(store_sqlite_db_ask(db, "SELECT last_offset FROM state", &last_offset));
    atomic_store(&s->last_offset, last_offset);
    return read_oldest(db, &s->oldest_ms);
}

err sink_sqlite_open(const char *path, int64_t retention_ms, struct sink **ret_sink)
{
    static const struct sink_backend backend = { .close = sqlite_close,
                                                 .store = sqlite_store,
                                                 .read = sqlite_read,
                                                 .last_offset = sqlite_last_offset };
    struct sqlite_sink *s = (struct sqlite_sink *)calloc(1, sizeof(*s));
    err e;

    if (s == NULL) {
        return ERR(NOMEM);
    }
    s->retention_ms = retention_ms;
    s->latest_ms = INT64_MIN / 2; /* no event yet: nothing is older */
    e = open_log(s, path);
    if (err_is_ok(e)) {
        e = sink_start(&s->base, &backend);
    }
    if (!err_is_ok(e)) {
        sqlite_close(&s->base);
        return e;
    }
    *ret_sink = &s->base;
    return OK;
}
