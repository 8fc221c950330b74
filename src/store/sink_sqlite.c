/* store/sink_sqlite.c: the embedded telemetry log, a SQLite file of its own: appending and
 * dropping. A batch of appends is one transaction of the writer's thread.
 *
 * Retention asks no clock: "now" is the latest enqueued_ms that was appended, and each batch drops
 * about twice as much as it adds, from the oldest on (sink_backend.h). So the log keeps up without
 * a pause, and an idle log keeps what it has. Its size is that of the pages in use. */
#include "store/sink_sqlite.h"

#include <stdio.h>
#include <stdlib.h>

#include "model/limits.h"

static const char BEGIN[] = "BEGIN IMMEDIATE";
static const char COMMIT[] = "COMMIT";
static const char ROLLBACK[] = "ROLLBACK";
static const char INSERT[] =
    "INSERT INTO event (offset, hub, partition, sequence, source, device_id, module_id, "
    "enqueued_ms, properties, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
static const char SET_LAST[] = "UPDATE state SET last_offset = ?";
static const char PUT_HUB[] = "INSERT INTO hub (no, host_name) VALUES (?, ?)";
static const char PUT_STREAM[] =
    "REPLACE INTO stream (hub, partition, next_sequence, dropped_offset) VALUES (?, ?, ?, ?)";
static const char LOAD_HUBS[] = "SELECT no, host_name FROM hub ORDER BY no";
static const char LOAD_STREAMS[] =
    "SELECT hub, partition, next_sequence, dropped_offset FROM stream";
static const char OLD[] = "SELECT offset, hub, partition, enqueued_ms, "
                          "coalesce(length(properties), 0) + coalesce(length(body), 0) "
                          "FROM event WHERE offset <= ? ORDER BY offset";
static const char DROP[] = "DELETE FROM event WHERE offset <= ?";
static const char OLDEST[] = "SELECT enqueued_ms FROM event ORDER BY offset LIMIT 1";
static const char PAGES[] = "PRAGMA page_count";
static const char FREE_PAGES[] = "PRAGMA freelist_count";

/* ---- appending ---- */

err sink_sqlite_insert(struct sqlite_sink *s, struct sink_event *event)
{
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);
    struct sink_hub *hub;
    sqlite3_stmt *stmt;

    TRY(sink_streams_hub(&s->streams, event->hub, &hub));
    event->partition = sink_partition_of(&s->base, event->device_id);
    event->sequence = sink_streams_number(&s->streams, hub, event->partition);
    TRY(store_sqlite_db_statement(db, INSERT, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, event->offset);
    (void)sqlite3_bind_int64(stmt, 2, hub->no);
    (void)sqlite3_bind_int(stmt, 3, event->partition);
    (void)sqlite3_bind_int64(stmt, 4, event->sequence);
    (void)sqlite3_bind_int(stmt, 5, (int)event->source);
    (void)store_sqlite_db_bind_text(stmt, 6, event->device_id);
    (void)store_sqlite_db_bind_text(stmt, 7, event->module_id);
    (void)sqlite3_bind_int64(stmt, 8, event->enqueued_ms);
    (void)store_sqlite_db_bind_text(stmt, 9, event->properties);
    (void)store_sqlite_db_bind_blob(stmt, 10, event->body);
    TRY(store_sqlite_db_finish(db, stmt));
    return sink_sqlite_index_add(s, event, hub->no);
}

static err insert_all(struct sqlite_sink *s, struct sink_append *first, int64_t last_offset)
{
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);
    sqlite3_stmt *stmt;

    for (struct sink_append *a = first; a != NULL; a = (struct sink_append *)store_writer_next(a)) {
        a->event.offset = ++last_offset;
        TRY(sink_sqlite_insert(s, &a->event));
    }
    TRY(store_sqlite_db_statement(db, SET_LAST, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, last_offset);
    return store_sqlite_db_finish(db, stmt);
}

static err put_hub(struct store_sqlite_db *db, const struct sink_hub *hub)
{
    sqlite3_stmt *stmt;

    TRY(store_sqlite_db_statement(db, PUT_HUB, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, hub->no);
    (void)store_sqlite_db_bind_text(stmt, 2, hub->name);
    return store_sqlite_db_finish(db, stmt);
}

static err put_stream(struct store_sqlite_db *db, const struct sink_hub *hub, int partition)
{
    const struct sink_stream *stream = &hub->streams[partition];
    sqlite3_stmt *stmt;

    TRY(store_sqlite_db_statement(db, PUT_STREAM, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, hub->no);
    (void)sqlite3_bind_int(stmt, 2, partition);
    (void)sqlite3_bind_int64(stmt, 3, stream->next_sequence);
    (void)sqlite3_bind_int64(stmt, 4, stream->dropped);
    return store_sqlite_db_finish(db, stmt);
}

err sink_sqlite_put_streams(struct sqlite_sink *s)
{
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);

    for (const struct sink_hub *hub = s->streams.changed; hub != NULL; hub = hub->next_changed) {
        if (!hub->is_stored) {
            TRY(put_hub(db, hub));
        }
        for (int i = 0; i < s->streams.partitions; i++) {
            if (hub->streams[i].is_changed) {
                TRY(put_stream(db, hub, i));
            }
        }
    }
    return OK;
}

/* ---- dropping ---- */

static err ask_int(struct store_sqlite_db *db, const char *sql, int64_t if_none, int64_t *ret_value)
{
    sqlite3_stmt *stmt;
    err e = OK;
    int rc;

    TRY(store_sqlite_db_statement(db, sql, &stmt));
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *ret_value = sqlite3_column_int64(stmt, 0);
    } else if (rc == SQLITE_DONE) {
        *ret_value = if_none;
    } else {
        e = store_sqlite_db_fault(db, rc);
    }
    (void)sqlite3_reset(stmt);
    return e;
}

/* INT64_MAX when there is none. */
static err read_oldest(struct sqlite_sink *s)
{
    return ask_int(store_sqlite_file_writer(s->file), OLDEST, INT64_MAX, &s->oldest_ms);
}

static err read_size(struct sqlite_sink *s, int64_t *ret_bytes)
{
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);
    int64_t pages, free_pages;

    TRY(ask_int(db, PAGES, 0, &pages));
    TRY(ask_int(db, FREE_PAGES, 0, &free_pages));
    *ret_bytes = (pages - free_pages) * s->page_size;
    return OK;
}

/* Walks over those that go. *ret_last: the last of them; 0: none. */
static err walk_old(struct sqlite_sink *s, struct sink_drop *d, int64_t end, int64_t *ret_last)
{
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);
    sqlite3_stmt *stmt;
    int rc;

    *ret_last = 0;
    TRY(store_sqlite_db_statement(db, OLD, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, end);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW &&
           sink_drop_takes(d, sqlite3_column_int64(stmt, 3),
                           sqlite3_column_int64(stmt, 4) + SINK_EVENT_OVERHEAD)) {
        struct sink_hub *hub = sink_streams_at(&s->streams, sqlite3_column_int64(stmt, 1));
        int partition = sqlite3_column_int(stmt, 2);

        *ret_last = sqlite3_column_int64(stmt, 0);
        if (hub != NULL && partition >= 0 && partition < s->streams.partitions) {
            sink_streams_drop(&s->streams, hub, partition, *ret_last);
        }
    }
    (void)sqlite3_reset(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? OK : store_sqlite_db_fault(db, rc);
}

/* Never one that came with this batch: their offsets are above `end`. */
static err drop_old(struct sqlite_sink *s, struct sink_drop *d, int64_t end)
{
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);
    int64_t last;
    sqlite3_stmt *stmt;

    if (s->oldest_ms >= d->expired_ms && d->excess <= 0) {
        return OK;
    }
    TRY(walk_old(s, d, end, &last));
    if (last == 0) {
        return OK;
    }
    TRY(store_sqlite_db_statement(db, DROP, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, last);
    TRY(store_sqlite_db_finish(db, stmt));
    TRY(sink_sqlite_index_drop(s, last));
    return read_oldest(s);
}

/* ---- batches ---- */

static err store_batch(struct sqlite_sink *s, struct sink_append *first, struct sink_drop *d)
{
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);
    int64_t last_offset = atomic_load(&s->base.last_offset);
    int64_t bytes;

    if (s->index.is_stale) {
        TRY(sink_sqlite_index_load(s));
    }
    TRY(store_sqlite_db_run(db, BEGIN));
    TRY(insert_all(s, first, last_offset));
    TRY(read_size(s, &bytes));
    d->excess = s->base.config.size > 0 ? bytes - s->base.config.size : 0;
    TRY(drop_old(s, d, last_offset));
    TRY(sink_sqlite_put_streams(s));
    TRY(store_sqlite_db_run(db, COMMIT));
    atomic_store(&s->base.bytes, bytes);
    return OK;
}

static void measure(struct sqlite_sink *s, const struct sink_append *first, struct sink_drop *d)
{
    if (s->oldest_ms == INT64_MAX) {
        s->oldest_ms = first->event.enqueued_ms;
    }
    for (const struct sink_append *a = first; a != NULL;
         a = (const struct sink_append *)store_writer_next(a)) {
        d->bytes_added += sink_event_bytes(&a->event);
        if (a->event.enqueued_ms > s->latest_ms) {
            s->latest_ms = a->event.enqueued_ms;
        }
    }
    d->expired_ms =
        s->base.config.retention_ms > 0 ? s->latest_ms - s->base.config.retention_ms : INT64_MIN;
}

static err sqlite_store(struct sink *base, struct sink_append *first, size_t n)
{
    struct sqlite_sink *s = (struct sqlite_sink *)base;
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);
    struct sink_drop d = { .n_added = n };
    err e;

    measure(s, first, &d);
    e = store_batch(s, first, &d);
    sink_streams_settle(&s->streams, err_is_ok(e));
    if (err_is_ok(e)) {
        (void)atomic_fetch_add(&base->last_offset, (int64_t)n);
        (void)atomic_fetch_add(&base->dropped, (int64_t)d.n);
        return OK;
    }
    s->index.is_stale = true;
    if (store_sqlite_db_in_transaction(db)) {
        (void)store_sqlite_db_run(db, ROLLBACK); /* a failure shows at the next BEGIN */
    }
    return e;
}

/* ---- life ---- */

static void sqlite_close(struct sink *base)
{
    struct sqlite_sink *s = (struct sqlite_sink *)base;

    store_sqlite_file_close(s->file);
    sink_streams_done(&s->streams);
    free(s);
}

/* A log has as many as it was made with. */
static err settle_partitions(struct sqlite_sink *s)
{
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);
    int wanted = s->base.config.partitions;
    int64_t partitions;
    char sql[64];

    TRY(store_sqlite_db_ask(db, "SELECT partitions FROM state", &partitions));
    if (partitions == 0) {
        partitions = wanted > 0 ? wanted : SINK_PARTITIONS_DEFAULT;
        (void)snprintf(sql, sizeof(sql), "UPDATE state SET partitions = %d", (int)partitions);
        TRY(store_sqlite_db_exec(db, sql));
    }
    if (partitions < 1 || partitions > SINK_PARTITIONS_MAX) {
        return err_set(ERR_CORRUPT, "the telemetry log says it has %lld partitions",
                       (long long)partitions);
    }
    s->base.config.partitions = (int)partitions;
    return OK;
}

static err load_hub(struct sqlite_sink *s, sqlite3_stmt *stmt)
{
    struct sink_hub *hub;

    TRY(sink_streams_hub(&s->streams, sink_sqlite_column(stmt, 1), &hub));
    hub->is_stored = true;
    return hub->no == sqlite3_column_int64(stmt, 0)
               ? OK
               : err_set(ERR_CORRUPT, "the telemetry log's hubs are not numbered 1, 2, 3, …");
}

static err load_stream(struct sqlite_sink *s, sqlite3_stmt *stmt)
{
    struct sink_hub *hub = sink_streams_at(&s->streams, sqlite3_column_int64(stmt, 0));
    int partition = sqlite3_column_int(stmt, 1);

    if (hub == NULL || partition < 0 || partition >= s->streams.partitions) {
        return err_set(ERR_CORRUPT, "the telemetry log has a partition of no hub");
    }
    hub->streams[partition] = (struct sink_stream){
        .next_sequence = sqlite3_column_int64(stmt, 2),
        .dropped = sqlite3_column_int64(stmt, 3),
    };
    return OK;
}

static err load_each(struct sqlite_sink *s, const char *sql,
                     err (*load)(struct sqlite_sink *s, sqlite3_stmt *stmt))
{
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);
    sqlite3_stmt *stmt;
    err e = OK;
    int rc = SQLITE_DONE;

    TRY(store_sqlite_db_statement(db, sql, &stmt));
    while (err_is_ok(e) && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        e = load(s, stmt);
    }
    if (err_is_ok(e) && rc != SQLITE_DONE) {
        e = store_sqlite_db_fault(db, rc);
    }
    (void)sqlite3_reset(stmt);
    return e;
}

static err open_log(struct sqlite_sink *s, const char *path)
{
    struct store_sqlite_db *db;
    int64_t last_offset, bytes;

    TRY(store_sqlite_file_open(path, &STORE_SCHEMA_SQLITE_SINK, LIMIT_SINK_READERS, &s->file));
    db = store_sqlite_file_writer(s->file);
    /* Dropped events are overwritten as their pages are used again, not one by one. */
    TRY(store_sqlite_db_exec(db, "PRAGMA secure_delete=FAST"));
    TRY(store_sqlite_db_ask(db, "PRAGMA page_size", &s->page_size));
    TRY(store_sqlite_db_ask(db, "SELECT last_offset FROM state", &last_offset));
    atomic_store(&s->base.last_offset, last_offset);
    TRY(settle_partitions(s));
    sink_streams_init(&s->streams, s->base.config.partitions);
    TRY(load_each(s, LOAD_HUBS, load_hub));
    TRY(load_each(s, LOAD_STREAMS, load_stream));
    TRY(sink_sqlite_index_load(s));
    TRY(sink_sqlite_upgrade(s));
    TRY(read_size(s, &bytes));
    atomic_store(&s->base.bytes, bytes);
    return read_oldest(s);
}

err sink_sqlite_open(const char *path, const struct sink_config *config, struct sink **ret_sink)
{
    static const struct sink_backend backend = { .close = sqlite_close,
                                                 .store = sqlite_store,
                                                 .read = sink_sqlite_read,
                                                 .find_time = sink_sqlite_find_time };
    struct sqlite_sink *s = (struct sqlite_sink *)calloc(1, sizeof(*s));
    err e;

    if (s == NULL) {
        return ERR(NOMEM);
    }
    s->base.config = *config;
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
