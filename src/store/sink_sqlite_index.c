/* store/sink_sqlite_index.c: which events of the embedded log are whose. An index of SQLite's, with
 * an entry for each event, would cost as much as the event; this one costs a few bytes.
 *
 * Offsets are cut into runs of 16384; an event's place is its offset inside its run. When the first
 * event of the next run comes, in the same transaction, a row of `posting` is written for each key
 * of the run: the places of its events, rising, as the distance from the place before (that of the
 * first from -1), seven bits a byte, the lowest first, the eighth bit for "more follows". A run
 * that is not full has no rows: a reader looks at its events. Keys:
 *
 *     device              hash of hub and device, 31 bits; two may share one
 *     hub's part          1 << 48 | hub << 7 | partition << 2 | source */
#include <stdlib.h>

#include "store/sink_sqlite.h"

enum { SOURCE_BITS = 2, PARTITION_BITS = 5, POSTING_MAX = 2 * SINK_SQLITE_RUN };

_Static_assert(SINK_SOURCES <= 1 << SOURCE_BITS, "a source has no room in a key");
_Static_assert(SINK_PARTITIONS_MAX <= 1 << PARTITION_BITS, "a partition has no room in a key");

static const int64_t PART = (int64_t)1 << 48;

static const char PUT[] = "INSERT INTO posting (run, key, places) VALUES (?, ?, ?)";
static const char DROP[] = "DELETE FROM posting WHERE run < ?";
static const char FIND[] = "SELECT key, places FROM posting WHERE run = ? AND key BETWEEN ? AND ?";
static const char NEWEST[] = "SELECT coalesce(max(offset), 0) FROM event";
static const char EVENTS[] =
    "SELECT offset, hub, partition, source, device_id FROM event WHERE offset >= ? ORDER BY offset";

static int64_t part_key(int64_t hub_no, int partition, unsigned source)
{
    return PART | hub_no << (PARTITION_BITS + SOURCE_BITS) | (int64_t)partition << SOURCE_BITS |
           (int64_t)source;
}

/* ---- writing ---- */

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static size_t encode_distance(uint64_t distance, uint8_t *out)
{
    size_t n = 0;

    for (; distance > 0x7f; distance >>= 7) {
        out[n++] = (uint8_t)(distance | 0x80);
    }
    out[n++] = (uint8_t)distance;
    return n;
}

static err put(struct store_sqlite_db *db, int64_t run, int64_t key, struct span places)
{
    sqlite3_stmt *stmt;

    TRY(store_sqlite_db_statement(db, PUT, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, run);
    (void)sqlite3_bind_int64(stmt, 2, key);
    (void)store_sqlite_db_bind_blob(stmt, 3, places);
    return store_sqlite_db_finish(db, stmt);
}

/* Writes the run down and forgets it. */
static err flush(struct sqlite_sink *s)
{
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);
    struct sink_sqlite_index *x = &s->index;
    uint8_t places[POSTING_MAX];
    size_t i = 0;

    qsort(x->entries, x->n, sizeof(x->entries[0]), compare);
    while (i < x->n) {
        int64_t key = (int64_t)(x->entries[i] >> SINK_SQLITE_RUN_BITS);
        int64_t before = -1;
        size_t len = 0;

        for (; i < x->n && (int64_t)(x->entries[i] >> SINK_SQLITE_RUN_BITS) == key; i++) {
            int64_t place = (int64_t)(x->entries[i] & (SINK_SQLITE_RUN - 1));

            len += encode_distance((uint64_t)(place - before), places + len);
            before = place;
        }
        TRY(put(db, x->run, key, span_of(places, len)));
    }
    x->n = 0;
    return OK;
}

static void note(struct sink_sqlite_index *x, int64_t key, int64_t offset)
{
    x->entries[x->n++] =
        (uint64_t)key << SINK_SQLITE_RUN_BITS | (uint64_t)(offset & (SINK_SQLITE_RUN - 1));
}

static void note_event(struct sink_sqlite_index *x, const struct sink_event *event, int64_t hub_no)
{
    note(x, sink_hash_device(hub_no, event->device_id), event->offset);
    note(x, part_key(hub_no, event->partition, event->source), event->offset);
}

err sink_sqlite_index_add(struct sqlite_sink *s, const struct sink_event *event, int64_t hub_no)
{
    struct sink_sqlite_index *x = &s->index;
    int64_t run = event->offset >> SINK_SQLITE_RUN_BITS;

    if (run != x->run) {
        TRY(flush(s));
        x->run = run;
    }
    note_event(x, event, hub_no);
    return OK;
}

err sink_sqlite_index_load(struct sqlite_sink *s)
{
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);
    struct sink_sqlite_index *x = &s->index;
    int64_t newest;
    sqlite3_stmt *stmt;
    int rc;

    TRY(store_sqlite_db_ask(db, NEWEST, &newest));
    x->run = newest >> SINK_SQLITE_RUN_BITS;
    x->n = 0;
    TRY(store_sqlite_db_statement(db, EVENTS, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, x->run << SINK_SQLITE_RUN_BITS);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const struct sink_event event = { .offset = sqlite3_column_int64(stmt, 0),
                                          .partition = sqlite3_column_int(stmt, 2),
                                          .source = (enum sink_source)sqlite3_column_int(stmt, 3),
                                          .device_id = sink_sqlite_column(stmt, 4) };

        note_event(x, &event, sqlite3_column_int64(stmt, 1));
    }
    (void)sqlite3_reset(stmt);
    x->is_stale = rc != SQLITE_DONE;
    return rc == SQLITE_DONE ? OK : store_sqlite_db_fault(db, rc);
}

err sink_sqlite_index_drop(struct sqlite_sink *s, int64_t offset)
{
    struct store_sqlite_db *db = store_sqlite_file_writer(s->file);
    sqlite3_stmt *stmt;

    TRY(store_sqlite_db_statement(db, DROP, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, (offset + 1) >> SINK_SQLITE_RUN_BITS);
    return store_sqlite_db_finish(db, stmt);
}

/* ---- reading ---- */

/* What breaks the grammar was not written by us. */
static err decode(struct span bytes, struct sink_places *places)
{
    uint64_t distance = 0;
    int64_t place = -1;
    unsigned shift = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        distance |= (uint64_t)(bytes.data[i] & 0x7f) << shift;
        shift += 7;
        if ((bytes.data[i] & 0x80) != 0 && shift < 21) {
            continue;
        }
        place += (int64_t)distance;
        if (distance == 0 || place >= SINK_SQLITE_RUN) {
            return err_set(ERR_CORRUPT, "the telemetry log's index names an event outside its run");
        }
        places->bits[place / 64] |= (uint64_t)1 << place % 64;
        distance = shift = 0;
    }
    return OK;
}

static bool is_meant(int64_t key, const struct sink_query *q)
{
    int partition = (int)(key >> SOURCE_BITS & (SINK_PARTITIONS_MAX - 1));
    unsigned source = (unsigned)(key & ((1 << SOURCE_BITS) - 1));

    return q == NULL || ((!q->has_partition || q->partition == partition) &&
                         (q->sources == 0 || (q->sources >> source & 1U) != 0));
}

/* q NULL: all of those keys. */
static err find(struct store_sqlite_db *db, int64_t run, const int64_t keys[2],
                const struct sink_query *q, struct sink_places *places)
{
    sqlite3_stmt *stmt;
    err e = OK;
    int rc = SQLITE_DONE;

    memset(places, 0, sizeof(*places));
    TRY(store_sqlite_db_statement(db, FIND, &stmt));
    (void)sqlite3_bind_int64(stmt, 1, run);
    (void)sqlite3_bind_int64(stmt, 2, keys[0]);
    (void)sqlite3_bind_int64(stmt, 3, keys[1]);
    while (err_is_ok(e) && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (is_meant(sqlite3_column_int64(stmt, 0), q)) {
            e = decode(sink_sqlite_column(stmt, 1), places);
        }
    }
    (void)sqlite3_reset(stmt);
    TRY(e);
    return rc == SQLITE_DONE ? OK : store_sqlite_db_fault(db, rc);
}

err sink_sqlite_index_device(struct store_sqlite_db *db, int64_t run, int64_t device_key,
                             struct sink_places *ret_places)
{
    return find(db, run, (int64_t[2]){ device_key, device_key }, NULL, ret_places);
}

err sink_sqlite_index_hub(struct store_sqlite_db *db, int64_t run, int64_t hub_no,
                          const struct sink_query *q, struct sink_places *ret_places)
{
    return find(db, run, (int64_t[2]){ part_key(hub_no, 0, 0), part_key(hub_no + 1, 0, 0) - 1 }, q,
                ret_places);
}
