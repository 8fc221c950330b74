/* api/query_text.h: what a query says: of the service API (doc/wire/query.md has the grammar; those
 * that clients send without WHERE, reference dps-service-api.md 5.1, are among them), or of a hub
 * (doc/wire/hub-query.md). */
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
    /* in a hub's language alone */
    QUERY_ENDS_WITH,
    QUERY_CONTAINS,
    QUERY_IS_NULL,
    QUERY_PATH,
    QUERY_LITERAL,
    QUERY_ADD,
    QUERY_SUB,
    QUERY_MUL,
    QUERY_DIV,
    QUERY_MOD,
    QUERY_NEGATE,
};

/* One condition, or a part of an expression. A comparison of a member with literals has `path` and
 * `values`; of anything else `left`, and `right` or `values`. */
struct query_node {
    enum query_op op;
    const struct query_node *left, *right; /* of AND, OR and arithmetic; NOT and NEGATE: `left` */
    struct query_path path;                /* member NULL: none */
    struct query_value *values; /* what the left side is compared with: none or one; of IN, several;
                                   of LITERAL, the one */
    size_t n_values;
};

enum query_aggregate {
    QUERY_PLAIN, /* a value of each row */
    QUERY_COUNT,
    QUERY_AVG,
    QUERY_SUM,
    QUERY_MIN,
    QUERY_MAX,
};

struct query_column {
    enum query_aggregate aggregate;
    const struct query_node *expression; /* of PLAIN and the aggregates; NULL: the path */
    struct query_path path;              /* member NULL: of COUNT, or an expression */
    const char *name;                    /* in the answer */
    size_t at;                           /* in the text */
};

struct query {
    const struct query_schema *schema;
    const struct query_column *columns; /* n_columns 0: whole rows */
    size_t n_columns;
    bool is_count; /* COUNT() alone */
    const char *count_name;
    const struct query_node *where; /* NULL: all rows */
    int order;                      /* of ORDER BY, as the schema's members; 0 without */
    bool descending;
    const struct query_path *groups; /* of GROUP BY */
    size_t n_groups;
    bool is_aggregate; /* rows are not answered, but what they come to; not with is_count */
    int64_t top;       /* rows at most; negative: any number */
};

/* Reads a text into the arena; FROM says which of the sources it is about. Times that members are
 * compared with are milliseconds already; in the service API's language a literal is of the type of
 * the member it is compared with. ERR_MALFORMED: err_detail names the character, counted from 1,
 * and what was expected there. ERR_NOMEM. */
err query_text_parse(struct arena *arena, struct span text,
                     const struct query_schema *const *schemas, size_t n_schemas,
                     struct query *ret_query);

#endif
