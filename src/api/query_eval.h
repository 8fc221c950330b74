/* api/query_eval.h: does a row meet a condition? What cannot be said of a row, because it has no
 * such member or one of another type, is neither true nor false, and NOT leaves it so; such a row
 * is not found (doc/wire/query.md). */
#ifndef API_QUERY_EVAL_H
#define API_QUERY_EVAL_H

#include "api/query_text.h"

/* where NULL: all do. Faults as query_row_value. */
err query_eval_where(struct query_row *row, const struct query_node *where, bool *ret_is_met);

#endif
