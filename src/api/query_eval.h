/* api/query_eval.h: does a row meet a condition? What cannot be said of a row, because it has no
 * such member or one of another type, is neither true nor false, and NOT leaves it so; such a row
 * is not found (doc/wire/query.md, hub-query.md). */
#ifndef API_QUERY_EVAL_H
#define API_QUERY_EVAL_H

#include "api/query_text.h"

/* where NULL: all do. Faults as query_row_value. */
err query_eval_where(struct query_row *row, const struct query_node *where, bool *ret_is_met);

/* The value of an expression; of a condition its truth, or undefined. Spans and JSON are the row's
 * or the query's. */
err query_eval_value(struct query_row *row, const struct query_node *n,
                     struct query_value *ret_value);
/* Of a column that is no aggregate of rows: its value in this one. */
err query_eval_column(struct query_row *row, const struct query_column *c,
                      struct query_value *ret_value);
/* <0, 0, >0; false: there is no order between the two. */
bool query_eval_order(const struct query_value *a, const struct query_value *b, int *ret_side);

#endif
