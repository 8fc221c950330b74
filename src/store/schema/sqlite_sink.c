/* store/schema/sqlite_sink.c: the tables of the embedded telemetry log. */
#include "store/schema/schema.h"

/* clang-format off: SQL has its own lines */

static const char *const steps[] = {
    /* 1: The index ends in device_id, so that a reader of one device passes over the others without
     * touching their events, and still grows at its end only. `last_offset` outlives the events
     * that retention drops. */
    "CREATE TABLE event ("
    "  offset INTEGER PRIMARY KEY,"
    "  hub TEXT NOT NULL,"
    "  device_id TEXT NOT NULL,"
    "  enqueued_ms INTEGER NOT NULL,"
    "  properties TEXT,"
    "  body BLOB"
    ") STRICT;"
    "CREATE INDEX event_by_hub ON event (hub, offset, device_id);"
    "CREATE TABLE state (last_offset INTEGER NOT NULL) STRICT;"
    "INSERT INTO state (last_offset) VALUES (0);",
    /* 2: Partitions and sources. Hubs have numbers, which keeps rows small. The table has no index:
     * of each run of 16384 offsets `posting` says which are of a device, and which of a partition
     * and source of a hub (store/sink_sqlite_index.c), once the run is full. What was in the log is
     * moved over by store/sink_sqlite_upgrade.c. */
    "DROP INDEX event_by_hub;"
    "ALTER TABLE event RENAME TO event_1;"
    "CREATE TABLE hub (no INTEGER PRIMARY KEY, host_name TEXT NOT NULL UNIQUE) STRICT;"
    "CREATE TABLE stream ("
    "  hub INTEGER NOT NULL,"
    "  partition INTEGER NOT NULL,"
    "  next_sequence INTEGER NOT NULL,"
    "  dropped_offset INTEGER NOT NULL,"
    "  PRIMARY KEY (hub, partition)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE event ("
    "  offset INTEGER PRIMARY KEY,"
    "  hub INTEGER NOT NULL,"
    "  partition INTEGER NOT NULL,"
    "  sequence INTEGER NOT NULL,"
    "  source INTEGER NOT NULL,"
    "  device_id TEXT NOT NULL,"
    "  module_id TEXT,"
    "  enqueued_ms INTEGER NOT NULL,"
    "  properties TEXT,"
    "  body BLOB"
    ") STRICT;"
    "CREATE TABLE posting ("
    "  run INTEGER NOT NULL,"
    "  key INTEGER NOT NULL,"
    "  places BLOB NOT NULL,"
    "  PRIMARY KEY (run, key)"
    ") STRICT, WITHOUT ROWID;"
    "ALTER TABLE state ADD COLUMN partitions INTEGER NOT NULL DEFAULT 0;",
};

/* clang-format on */

const struct store_schema STORE_SCHEMA_SQLITE_SINK = {
    .content = "telemetry log",
    .application_id = 0x62727465, /* "brte" */
    .steps = steps,
    .version = sizeof(steps) / sizeof(steps[0]),
};
