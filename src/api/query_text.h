/* api/query_text.h: what a query of the service API says (doc/wire/query.md has the grammar). Those
 * that clients send without WHERE (reference dps-service-api.md 5.1) are among them. */
#ifndef API_QUERY_TEXT_H
#define API_QUERY_TEXT_H

#include "api/query_row.h"

enum query_op {
    QUERY_AND,
    QUERY_OR,
    QUERY_NOT,
    QUERY_EQ,
    QUERY_NE,
    QUERY_LT,
    QUERY_LE,
    QUERY_GT,
    QUERY_GE,
    QUERY_IN,
    QUERY_STARTS_WITH,
    QUERY_IS_DEFINED,
    QUERY_ARRAY_CONTAINS,
};

/* One condition. */
struct query_node {
    enum query_op op;
    const struct query_node *left, *right; /* of AND and OR; NOT has `left` */
    struct query_path path;                /* of all others */
    struct query_value *values; /* what the path is compared with: none or one; of IN, several */
    size_t n_values;
};

struct query_column {
    struct query_path path;
    const char *name; /* in the answer */
};

struct query {
    enum core_listing_of of;
    const struct query_column *columns; /* n_columns 0: whole rows */
    size_t n_columns;
    bool is_count;
    const char *count_name;
    const struct query_node *where; /* NULL: all rows */
    enum core_listing_order order;  /* of ORDER BY; ANY without */
    bool descending;
};

/* Reads a text into the arena. Times in it are milliseconds already; a literal is of the type of
 * the member it is compared with. ERR_MALFORMED: err_detail names the character, counted from 1,
 * and what was expected there. ERR_NOMEM. */
err query_text_parse(struct arena *arena, struct span text, enum core_listing_of of,
                     struct query *ret_query);

#endif
