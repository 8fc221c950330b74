/* store/schema/sqlite_sink.c: the table of the embedded telemetry log. */
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
};

/* clang-format on */

const struct store_schema STORE_SCHEMA_SQLITE_SINK = {
    .content = "telemetry log",
    .application_id = 0x62727465, /* "brte" */
    .steps = steps,
    .version = sizeof(steps) / sizeof(steps[0]),
};
