/* api/query_row.h: the members that a query may name, and their values in a row. Which members
 * there are is a table of each source that a query can be about: service_query_row.c and
 * hub_query_row.c have them. They are those of the JSON that the source's rows are answered as.
 * Inside the api's query files only. */
#ifndef API_QUERY_ROW_H
#define API_QUERY_ROW_H

#include "model/env.h"
#include "util/arena.h"
#include "json/json.h"
#include "json/writer.h"

enum query_value_type {
    QUERY_VALUE_UNDEFINED, /* there is no such member in this row */
    QUERY_VALUE_NULL,
    QUERY_VALUE_BOOL,
    QUERY_VALUE_NUMBER,
    QUERY_VALUE_TEXT,
    QUERY_VALUE_TIME,
    QUERY_VALUE_LIST,
    QUERY_VALUE_OBJECT,
};

struct query_value {
    enum query_value_type type;
    bool truth;
    struct json_number number;
    struct span text;
    int64_t time_ms;
    json *json; /* a list, or an object that was stored as JSON */
};

/* What a JSON value is to a query, and what others are; the absent text is undefined. */
struct query_value query_row_of_json(json *v);
struct query_value query_row_of_text(struct span text);
struct query_value query_row_of_bool(bool truth);
struct query_value query_row_of_int(int64_t n);
struct query_value query_row_of_time(int64_t time_ms);

struct query_row;

struct query_member {
    const char *name; /* "capabilities.iotEdge" */
    unsigned of;      /* which sources have it: bits of the table's own */
    enum query_value_type type;
    bool is_open;             /* an object of the operator's: paths go on inside it */
    bool is_caseless;         /* ASCII case does not count */
    const char *const *words; /* the only texts there are, ended by NULL; NULL: any */
    int order;                /* what ORDER BY makes of it, as the source counts; 0: it cannot */
    err (*read)(struct query_row *row, const struct query_member *m, struct query_value *ret_value);
    /* Writes what read does not give as it is to be written; NULL: the value. */
    err (*write)(struct query_row *row, const char *name, struct json_writer *w);
};

/* What a query can be about, and how much of the language goes with it. */
struct query_schema {
    const char *from;     /* what FROM takes: "devices.modules" */
    const char *from_old; /* an older name, or NULL */
    const struct query_member *members;
    size_t n_members;
    unsigned of;      /* which of them: those that have one of these bits */
    const char *twin; /* the member that holds what a hub calls tags and properties, or NULL */
    bool is_hub;      /* the hub's language (doc/wire/hub-query.md), else that of the service API
                         (doc/wire/query.md) */
};

/* A member, or what lies inside an open one. */
struct query_path {
    const struct query_member *member;
    const char *const *inside; /* names from there on */
    size_t n_inside;
    const char *last; /* the last name of all */
};
bool query_row_is_same_path(const struct query_path *a, const struct query_path *b);

/* Finds what the names lead to; the first of the table that fits. False: nothing of that source. */
bool query_row_find_member(const struct query_schema *schema, const char *const *names, size_t n,
                           struct query_path *ret_path);
/* "registrationId, deviceId, …": the first names of all paths, or only what ORDER BY takes. */
void query_row_print_members(const struct query_schema *schema, bool is_ordering, struct buf *out);

/* A row in the hands of a query. Stored JSON is parsed when a path first needs it. */
enum { QUERY_DOCUMENTS = 6 };
struct query_row {
    const struct env *env;
    const void *record; /* what the schema's members read */
    json *documents[QUERY_DOCUMENTS];
    size_t n_parsed; /* bytes of JSON */
};
void query_row_done(struct query_row *row);
static inline void auto_query_row(struct query_row *row)
{
    query_row_done(row);
}
/* For readers of members: the parsed text of a column, kept as document `which`; NULL when it is
 * absent. ERR_CORRUPT: it is no JSON. */
err query_row_document(struct query_row *row, int which, struct span text, json **ret_document);

/* Spans and JSON are the row's. ERR_NOMEM, ERR_CORRUPT: stored JSON is none. */
err query_row_value(struct query_row *row, const struct query_path *path,
                    struct query_value *ret_value);
/* Writes the value under a name; nothing when it is undefined. */
err query_row_write(struct query_row *row, const struct query_path *path, const char *name,
                    struct json_writer *w);
void query_row_write_value(const struct query_value *v, const char *name, struct json_writer *w);

#endif
