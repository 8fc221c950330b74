/* store/sink_sqlite_read.c: reading the embedded telemetry log. A read is one read transaction, so
 * that its page and what it says of dropped events agree, and looks at a bounded part of the log:
 * run by run, by what the index says of a full one, and at the events of the newest. Where a time
 * begins is found by halving, as offsets rise with the time or nearly so. */
#include "model/limits.h"
#include "store/sink_sqlite.h"

enum {
    RUNS_MAX = 256, /* that one read looks into */
    DISORDER_MS = 60 * 1000,
};

#define COLUMNS                                                                                    \
    "offset, partition, sequence, source, device_id, module_id, enqueued_ms, properties, body "

static const char BEGIN[] = "BEGIN";
static const char COMMIT[] = "COMMIT";
static const char LAST[] = "SELECT last_offset FROM state";
static const char FIND_HUB[] = "SELECT no FROM hub WHERE host_name = ?";
static const char DROPPED[] = "SELECT coalesce(max(dropped_offset), 0) FROM stream WHERE hub = ? "
                              "AND partition BETWEEN ? AND ?";
static const char READ_ONE[] = "SELECT " COLUMNS "FROM event WHERE offset = ?1 AND hub = ?2 "
                               "AND (?3 IS NULL OR device_id = ?3)";
static const char READ_NEWEST[] =
    "SELECT " COLUMNS "FROM event WHERE offset > ?1 AND hub = ?2 "
    "AND (?3 IS NULL OR device_id = ?3) AND partition BETWEEN ?4 AND ?5 AND (?6 >> source) & 1 "
    "ORDER BY offset";
static const char AT[] = "SELECT enqueued_ms, offset FROM event WHERE offset > ? ORDER BY offset "
                         "LIMIT 1";

struct reading {
    struct sqlite_sink *sink;
    struct store_sqlite_db *db;
    const struct sink_query *query;
    struct sink_page page;
    int64_t hub, last; /* the log's, in this transaction */
    int least, most;   /* partitions */
    int64_t end;       /* looked at up to here */
    int64_t dropped;
};

struct span sink_sqlite_column(sqlite3_stmt *stmt, int at)
{
    const void *data = sqlite3_column_blob(stmt, at);

    if (data == NULL && sqlite3_column_type(stmt, at) != SQLITE_NULL) {
        return SPAN("");
    }
    return span_of(data, (size_t)sqlite3_column_bytes(stmt, at));
}

/* The first column of the first row, and resets. */
static err ask(struct store_sqlite_db *db, sqlite3_stmt *stmt, int64_t *ret_value, bool *ret_found)
{
    int rc = sqlite3_step(stmt);

    *ret_found = rc == SQLITE_ROW;
    if (*ret_found) {
        *ret_value = sqlite3_column_int64(stmt, 0);
    }
    (void)sqlite3_reset(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? OK : store_sqlite_db_fault(db, rc);
}

/* ---- pages ---- */

static unsigned sources_of(const struct sink_query *q)
{
    return q->sources != 0 ? q->sources : SINK_ALL_SOURCES;
}

/* A device's key may be another's, too, and says nothing of sources. */
static bool is_wanted(const struct reading *r, const struct sink_event *event)
{
    return event->partition >= r->least && event->partition <= r->most &&
           (sources_of(r->query) >> event->source & 1U) != 0;
}

static err fill_page(struct reading *r, sqlite3_stmt *stmt)
{
    int rc = SQLITE_DONE;
    err e = OK;

    while (err_is_ok(e) && !r->page.is_full && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const struct sink_event event = { .offset = sqlite3_column_int64(stmt, 0),
                                          .hub = r->query->hub,
                                          .partition = sqlite3_column_int(stmt, 1),
                                          .sequence = sqlite3_column_int64(stmt, 2),
                                          .source = (enum sink_source)sqlite3_column_int(stmt, 3),
                                          .device_id = sink_sqlite_column(stmt, 4),
                                          .module_id = sink_sqlite_column(stmt, 5),
                                          .enqueued_ms = sqlite3_column_int64(stmt, 6),
                                          .properties = sink_sqlite_column(stmt, 7),
                                          .body = sink_sqlite_column(stmt, 8) };

        e = is_wanted(r, &event) ? sink_page_take(&r->page, &event) : OK;
    }
    (void)sqlite3_reset(stmt);
    TRY(e);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? OK : store_sqlite_db_fault(r->db, rc);
}

/* The run that is not full, from `after` on. */
static err read_newest(struct reading *r, int64_t after)
{
    sqlite3_stmt *stmt;

    TRY(store_sqlite_db_statement(r->db, READ_NEWEST, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, after);
    (void)sqlite3_bind_int64(stmt, 2, r->hub);
    (void)store_sqlite_db_bind_text(stmt, 3, r->query->device_id);
    (void)sqlite3_bind_int(stmt, 4, r->least);
    (void)sqlite3_bind_int(stmt, 5, r->most);
    (void)sqlite3_bind_int64(stmt, 6, sources_of(r->query));
    return fill_page(r, stmt);
}

static err read_one(struct reading *r, int64_t offset)
{
    sqlite3_stmt *stmt;

    TRY(store_sqlite_db_statement(r->db, READ_ONE, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, offset);
    (void)sqlite3_bind_int64(stmt, 2, r->hub);
    (void)store_sqlite_db_bind_text(stmt, 3, r->query->device_id);
    return fill_page(r, stmt);
}

static err read_places(struct reading *r, int64_t run, int64_t after,
                       const struct sink_places *places)
{
    int64_t first = run << SINK_SQLITE_RUN_BITS;

    for (int64_t i = 0; i < SINK_SQLITE_RUN && !r->page.is_full; i++) {
        uint64_t bits = places->bits[i / 64];

        if (bits == 0) {
            i |= 63; /* none of these 64 */
        } else if ((bits >> i % 64 & 1) != 0 && first + i > after) {
            TRY(read_one(r, first + i));
        }
    }
    return OK;
}

static err read_run(struct reading *r, int64_t run, int64_t after)
{
    const struct sink_query *q = r->query;
    struct sink_places places;

    if (run == r->last >> SINK_SQLITE_RUN_BITS) {
        int64_t before = (run << SINK_SQLITE_RUN_BITS) - 1;

        return read_newest(r, after > before ? after : before);
    }
    if (span_is_absent(q->device_id)) {
        TRY(sink_sqlite_index_hub(r->db, run, r->hub, q, &places));
    } else {
        TRY(sink_sqlite_index_device(r->db, run, sink_hash_device(r->hub, q->device_id), &places));
    }
    return read_places(r, run, after, &places);
}

static err read_runs(struct reading *r)
{
    int64_t after = r->query->after > r->dropped ? r->query->after : r->dropped;
    int64_t run = (after + 1) >> SINK_SQLITE_RUN_BITS;
    int64_t last = r->last >> SINK_SQLITE_RUN_BITS;

    if (last - run >= RUNS_MAX) {
        last = run + RUNS_MAX - 1;
        r->end = ((last + 1) << SINK_SQLITE_RUN_BITS) - 1;
    }
    for (; run <= last && !r->page.is_full; run++) {
        TRY(read_run(r, run, after));
    }
    return OK;
}

static void choose_partitions(struct reading *r)
{
    const struct sink_query *q = r->query;

    r->least = q->has_partition ? q->partition : 0;
    r->most = q->has_partition ? q->partition : SINK_PARTITIONS_MAX - 1;
}

/* Of a device its partition's. */
static err find_dropped(struct reading *r)
{
    bool is_device = !span_is_absent(r->query->device_id);
    int its = is_device ? sink_partition_of(&r->sink->base, r->query->device_id) : 0;
    sqlite3_stmt *stmt;
    bool is_found;

    TRY(store_sqlite_db_statement(r->db, DROPPED, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, r->hub);
    (void)sqlite3_bind_int(stmt, 2, is_device ? its : r->least);
    (void)sqlite3_bind_int(stmt, 3, is_device ? its : r->most);
    return ask(r->db, stmt, &r->dropped, &is_found);
}

static err read_inside(struct reading *r)
{
    sqlite3_stmt *stmt;
    bool is_found;

    choose_partitions(r);
    TRY(store_sqlite_db_statement(r->db, LAST, &stmt));
    TRY(ask(r->db, stmt, &r->last, &is_found));
    r->end = r->last;
    TRY(store_sqlite_db_statement(r->db, FIND_HUB, &stmt));
    (void)store_sqlite_db_bind_text(stmt, 1, r->query->hub);
    TRY(ask(r->db, stmt, &r->hub, &is_found));
    if (!is_found) {
        return OK;
    }
    TRY(find_dropped(r));
    return read_runs(r);
}

err sink_sqlite_read(struct sink *base, const struct sink_query *q, struct arena *arena,
                     struct sink_reading *ret_reading)
{
    struct sqlite_sink *s = (struct sqlite_sink *)base;
    struct reading r = { .sink = s,
                         .db = store_sqlite_file_borrow(s->file),
                         .query = q,
                         .page = { .arena = arena, .query = q } };
    err e = store_sqlite_db_run(r.db, BEGIN);

    if (err_is_ok(e)) {
        err end;

        e = read_inside(&r);
        end = store_sqlite_db_run(r.db, COMMIT);
        e = err_is_ok(e) ? end : e;
    }
    store_sqlite_file_give_back(s->file, r.db);
    TRY(e);
    *ret_reading = (struct sink_reading){
        .events = r.page.events,
        .n = r.page.n,
        .next = r.page.is_full     ? r.page.seen
                : r.end > q->after ? r.end
                                   : q->after,
        .has_more = r.page.is_full || r.end < r.last,
        .dropped = r.dropped,
    };
    return OK;
}

/* ---- times ---- */

/* The first event behind `after`. */
static err look_at(struct store_sqlite_db *db, int64_t after, int64_t *ret_ms, int64_t *ret_offset,
                   bool *ret_found)
{
    sqlite3_stmt *stmt;
    int rc;

    TRY(store_sqlite_db_statement(db, AT, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, after);
    rc = sqlite3_step(stmt);
    *ret_found = rc == SQLITE_ROW;
    if (*ret_found) {
        *ret_ms = sqlite3_column_int64(stmt, 0);
        *ret_offset = sqlite3_column_int64(stmt, 1);
    }
    (void)sqlite3_reset(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? OK : store_sqlite_db_fault(db, rc);
}

/* All up to `low` are older; the one behind `high`, if any, is not. */
static err halve(struct store_sqlite_db *db, int64_t time_ms, int64_t low, int64_t high,
                 int64_t *ret_after)
{
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int64_t ms, offset;
        bool is_found;

        TRY(look_at(db, middle, &ms, &offset, &is_found));
        if (is_found && ms < time_ms) {
            low = offset;
        } else {
            high = middle;
        }
    }
    *ret_after = low;
    return OK;
}

err sink_sqlite_find_time(struct sink *base, int64_t time_ms, int64_t *ret_after)
{
    struct sqlite_sink *s = (struct sqlite_sink *)base;
    struct store_sqlite_db *db = store_sqlite_file_borrow(s->file);
    err e = halve(db, time_ms - DISORDER_MS, 0, atomic_load(&base->last_offset), ret_after);

    store_sqlite_file_give_back(s->file, db);
    return e;
}
