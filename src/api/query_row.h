/* api/query_row.h: the members that a query may name, and their values in a row. They are those of
 * the JSON that the route answers with, but for certificates and keys. Inside the api's query files
 * only. */
#ifndef API_QUERY_ROW_H
#define API_QUERY_ROW_H

#include "core/listing.h"
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

struct query_row;

struct query_member {
    const char *name; /* "capabilities.iotEdge" */
    unsigned of;      /* which listings have it: 1 << enum core_listing_of */
    enum query_value_type type;
    bool is_open;                  /* an object of the operator's: paths go on inside it */
    bool is_caseless;              /* ASCII case does not count */
    const char *const *words;      /* the only texts there are, ended by NULL; NULL: any */
    enum core_listing_order order; /* what ORDER BY makes of it; CORE_LISTING_ANY: it cannot */
    err (*read)(struct query_row *row, const struct query_member *m, struct query_value *ret_value);
    /* Writes an object that is not stored as JSON. */
    err (*write)(struct query_row *row, const char *name, struct json_writer *w);
};

/* A member, or what lies inside an open one. */
struct query_path {
    const struct query_member *member;
    const char *const *inside; /* names from there on */
    size_t n_inside;
    const char *last; /* the last name of all */
};

/* Finds what the names lead to. False: nothing of that listing. */
bool query_row_find_member(enum core_listing_of of, const char *const *names, size_t n,
                           struct query_path *ret_path);
/* "registrationId, deviceId, …": the first names of all paths, or only what ORDER BY takes. */
void query_row_print_members(enum core_listing_of of, bool is_ordering, struct buf *out);

/* A row in the hands of a query. Stored JSON is parsed when a path first needs it. */
enum { QUERY_DOCUMENTS = 4 };
struct query_row {
    const struct env *env;
    const struct enrollment *enrollment; /* one of the two */
    const struct registration *registration;
    json *documents[QUERY_DOCUMENTS];
    size_t n_parsed; /* bytes of JSON */
};
void query_row_done(struct query_row *row);
static inline void auto_query_row(struct query_row *row)
{
    query_row_done(row);
}

/* Spans and JSON are the row's. ERR_NOMEM, ERR_CORRUPT: stored JSON is none. */
err query_row_value(struct query_row *row, const struct query_path *path,
                    struct query_value *ret_value);
/* Writes the value under a name; nothing when it is undefined. */
err query_row_write(struct query_row *row, const struct query_path *path, const char *name,
                    struct json_writer *w);
/* What a JSON value is to a query. */
struct query_value query_row_of_json(json *v);

#endif
