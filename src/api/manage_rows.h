/* api/manage_rows.h: a page of a list whose rows are walked (?top=N&continuation=…, nextLink).
 * manage_rows_begin, manage_rows_open, manage_rows_take for each row, manage_rows_answer. */
#ifndef API_MANAGE_ROWS_H
#define API_MANAGE_ROWS_H

#include "api/continuation.h"
#include "api/manage_http.h"
#include "model/limits.h"

struct manage_rows {
    struct http_call *call;
    struct continuation_list list;
    int64_t top;
    size_t most_examined; /* LIMIT_QUERY_EXAMINED, or the caller's after begin */
    struct continuation_place after;
    bool has_after;
    struct buf out;
    struct json_writer w;
    size_t n, n_examined; /* rows written, rows taken */
    bool is_more;
    uint8_t last[LIMIT_PLACE]; /* place to go on behind */
    size_t last_len;
};

/* Reads the query. `list`: which list it is, all that a token must have been given for; in the
 * arena. FIELD_INVALID, CONTINUATION_INVALID. */
err manage_rows_begin(struct manage_rows *r, struct http_call *call, struct span list,
                      struct verdict *ret_verdict);
/* The place to go on behind; absent: from the start. */
struct span manage_rows_after(const struct manage_rows *r);
/* Takes half of the room that is left for the answer. */
void manage_rows_open(struct manage_rows *r);
/* The next row: written with `write`, or passed over (NULL). *more: the page wants another. */
typedef void (*manage_rows_write_fn)(const void *row, struct json_writer *w);
err manage_rows_take(struct manage_rows *r, struct span place, manage_rows_write_fn write,
                     const void *row, bool *more);
/* Where the page ends, whatever rows were taken. ERR_NOMEM: it is longer than LIMIT_PLACE. */
err manage_rows_note(struct manage_rows *r, struct span place);
/* path: of nextLink, with '?', and what the query says besides, with '&' behind it. is_more: there
 * is more even if the page did not end by itself. */
err manage_rows_answer(struct manage_rows *r, struct span path, bool is_more);

#endif
