/* store/sink_sqlite.h: what the files of the embedded telemetry log share. */
#ifndef STORE_SINK_SQLITE_H
#define STORE_SINK_SQLITE_H

#include "store/sink_backend.h"
#include "store/sink_streams.h"
#include "store/sqlite_file.h"

/* Which events of the newest run of offsets are whose: until the run is full, in memory. */
enum { SINK_SQLITE_RUN_BITS = 14, SINK_SQLITE_RUN = 1 << SINK_SQLITE_RUN_BITS };
struct sink_sqlite_index {
    int64_t run;
    bool is_stale; /* a transaction was undone: to be loaded anew */
    size_t n;
    uint64_t entries[2 * SINK_SQLITE_RUN]; /* key and place, packed */
};

struct sqlite_sink {
    struct sink base;
    struct store_sqlite_file *file;
    /* Of the writer's thread. */
    struct sink_streams streams;
    struct sink_sqlite_index index;
    int64_t latest_ms, oldest_ms;
    int64_t page_size;
};

/* In a transaction of the writer's. Gives partition and sequence; the offset is set. */
err sink_sqlite_insert(struct sqlite_sink *s, struct sink_event *event);
/* Writes down what the streams have become. */
err sink_sqlite_put_streams(struct sqlite_sink *s);

/* sink_sqlite_index.c: an event is being inserted, in the order of offsets. */
err sink_sqlite_index_add(struct sqlite_sink *s, const struct sink_event *event, int64_t hub_no);
/* Loads what is known of the newest run from its events. */
err sink_sqlite_index_load(struct sqlite_sink *s);
/* All events up to the offset were dropped. */
err sink_sqlite_index_drop(struct sqlite_sink *s, int64_t offset);
/* Reading a full run: the places of a device, or those of a hub's partitions and sources. */
struct sink_places {
    uint64_t bits[SINK_SQLITE_RUN / 64];
};
err sink_sqlite_index_device(struct store_sqlite_db *db, int64_t run, int64_t device_key,
                             struct sink_places *ret_places);
err sink_sqlite_index_hub(struct store_sqlite_db *db, int64_t run, int64_t hub_no,
                          const struct sink_query *q, struct sink_places *ret_places);

/* sink_sqlite_upgrade.c: moves what a log of schema version 1 held. Before anybody reads; a crash
 * leaves what is done. */
err sink_sqlite_upgrade(struct sqlite_sink *s);

/* sink_sqlite_read.c */
err sink_sqlite_read(struct sink *base, const struct sink_query *q, struct arena *arena,
                     struct sink_reading *ret_reading);
err sink_sqlite_find_time(struct sink *base, int64_t time_ms, int64_t *ret_after);
struct span sink_sqlite_column(sqlite3_stmt *stmt, int at);

#endif
