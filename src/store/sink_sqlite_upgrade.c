/* store/sink_sqlite_upgrade.c: events of schema version 1, which had no partitions, are moved to
 * the table of version 2 in the order of their offsets, which they keep. Each transaction moves
 * some and is whole by itself. */
#include <stdlib.h>

#include "store/sink_sqlite.h"
#include "util/cleanup.h"

enum { MOVED_AT_ONCE = 2048, MOVED_BYTES = 4 * 1024 * 1024, MOVE_ARENA = 8 * 1024 * 1024 };

AUTO_DEFINE(block, void *, free)

static const char BEGIN[] = "BEGIN IMMEDIATE";
static const char COMMIT[] = "COMMIT";
static const char OLD[] = "SELECT offset, hub, device_id, enqueued_ms, properties, body FROM "
                          "event_1 ORDER BY offset LIMIT ?";
static const char FORGET[] = "DELETE FROM event_1 WHERE offset <= ?";

static err collect(struct store_sqlite_db *db, struct sink_page *page)
{
    sqlite3_stmt *stmt;
    int rc = SQLITE_DONE;
    err e = OK;

    TRY(store_sqlite_db_statement(db, OLD, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, MOVED_AT_ONCE);
    while (err_is_ok(e) && !page->is_full && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct span client_id = sink_sqlite_column(stmt, 2);
        const struct sink_event event = { .offset = sqlite3_column_int64(stmt, 0),
                                          .hub = sink_sqlite_column(stmt, 1),
                                          .device_id = span_cut(&client_id, '/'),
                                          .module_id = client_id,
                                          .enqueued_ms = sqlite3_column_int64(stmt, 3),
                                          .properties = sink_sqlite_column(stmt, 4),
                                          .body = sink_sqlite_column(stmt, 5) };

        e = sink_page_take(page, &event);
    }
    (void)sqlite3_reset(stmt);
    TRY(e);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? OK : store_sqlite_db_fault(db, rc);
}

/* The connection is closed on a fault: undone. */
static err move(struct sqlite_sink *s, struct arena *arena, bool *ret_is_done)
{
    const struct sink_query bounds = { .max_events = MOVED_AT_ONCE, .max_bytes = MOVED_BYTES };
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);
    struct sink_page page = { .arena = arena, .query = &bounds };
    sqlite3_stmt *stmt;

    arena_reset(arena);
    TRY(store_sqlite_db_run(db, BEGIN));
    TRY(collect(db, &page));
    for (size_t i = 0; i < page.n; i++) {
        TRY(sink_sqlite_insert(s, &page.events[i]));
    }
    TRY(sink_sqlite_put_streams(s));
    TRY(store_sqlite_db_statement(db, FORGET, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, page.seen);
    TRY(store_sqlite_db_finish(db, stmt));
    TRY(store_sqlite_db_run(db, COMMIT));
    sink_streams_settle(&s->streams, true);
    *ret_is_done = page.n == 0;
    return OK;
}

err sink_sqlite_upgrade(struct sqlite_sink *s)
{
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);
    AUTO(block) void *block = NULL;
    struct arena arena;
    int64_t is_old;
    bool is_done = false;

    TRY(store_sqlite_db_ask(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'event_1'",
                            &is_old));
    if (is_old == 0) {
        return OK;
    }
    block = malloc(MOVE_ARENA);
    if (block == NULL) {
        return ERR(NOMEM);
    }
    arena_init(&arena, block, MOVE_ARENA);
    while (!is_done) {
        TRY(move(s, &arena, &is_done));
    }
    return store_sqlite_db_exec(db, "DROP TABLE event_1");
}
