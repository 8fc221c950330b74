/* api/query_expr.h: the expressions of a hub's query language: what may be selected, and what
 * conditions compare. Inside the api's query files only. */
#ifndef API_QUERY_EXPR_H
#define API_QUERY_EXPR_H

#include "api/query_parser.h"

/* comparison = sum [ op sum | [ "NOT" ] "IN" list | "NIN" list ] */
err query_expr_comparison(struct query_parser *p, const struct query_node **ret_node);
/* column = "COUNT" "(" ")" | ( "AVG" | "SUM" | "MIN" | "MAX" ) "(" sum ")" | sum, named by its last
 * name, its function or its number */
err query_expr_column(struct query_parser *p, size_t number, struct query_column *ret_column);

#endif
