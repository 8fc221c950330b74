/* api/query_where.h: the condition behind WHERE. Inside the api's query files only. */
#ifndef API_QUERY_WHERE_H
#define API_QUERY_WHERE_H

#include "api/query_parser.h"

/* condition = term { ( "AND" | "OR" ) term } ; as query_text_parse. */
err query_where_parse(struct query_parser *p, const struct query_node **ret_node);

#endif
