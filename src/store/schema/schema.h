/* store/schema/schema.h: the tables of each backend, as the steps that lead from one version to the
 * next. A step that was released never changes; a change is a new step at the end. */
#ifndef STORE_SCHEMA_SCHEMA_H
#define STORE_SCHEMA_SCHEMA_H

#include <stdint.h>

struct store_schema {
    const char *content;    /* what such a file is, for messages: "store" */
    int32_t application_id; /* in the file's header: tells ours from others' */
    const char *const
        *steps;           /* steps[i] makes version i + 1 of version i, 0 being the empty file */
    int version;          /* number of steps */
    const char *settings; /* pragmas of the connection that writes, or NULL */
};

/* The kinds of model/records.h. */
extern const struct store_schema STORE_SCHEMA_SQLITE_STORE;
/* The log of store/sink.h. */
extern const struct store_schema STORE_SCHEMA_SQLITE_SINK;

#endif
