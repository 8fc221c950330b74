/* api/query_where.h: the condition behind WHERE, and what its grammar shares with that of a hub's
 * expressions. Inside the api's query files only. */
#ifndef API_QUERY_WHERE_H
#define API_QUERY_WHERE_H

#include "api/query_parser.h"

/* condition = term { ( "AND" | "OR" ) term } ; as query_text_parse. */
err query_where_parse(struct query_parser *p, const struct query_node **ret_node);

err query_where_node(struct query_parser *p, enum query_op op, struct query_node **ret_node);
err query_where_values(struct query_parser *p, struct query_node *node, size_t n);
/* What is a hub's: the condition turned round. */
err query_where_negate(struct query_parser *p, const struct query_node *what,
                       const struct query_node **ret_node);
/* value = text | number | "true" | "false" | "null" | (of a hub) "undefined" */
bool query_where_is_value(const struct query_parser *p);
err query_where_value(struct query_parser *p, struct query_value *ret_value);
/* A text that a time of the node's path is compared with becomes one. */
void query_where_find_time(const struct query_node *node, struct query_value *v);
/* list = ( "[" | "(" ) value { "," value } ( "]" | ")" ), into the node's values */
err query_where_list(struct query_parser *p, struct query_node *node);
/* "=", "!=", … and the functions: the next word, which is not stepped over. */
bool query_where_comparison(const struct query_parser *p, enum query_op *ret_op);
err query_where_function(const struct query_parser *p, enum query_op *ret_op);

#endif
