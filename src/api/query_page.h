/* api/query_page.h: one request of a query, whatever it is about: reading it, and filling its page
 * with the rows that somebody walks, until it is full or has looked at as many as one request may.
 * Inside the api's query files only. */
#ifndef API_QUERY_PAGE_H
#define API_QUERY_PAGE_H

#include "api/continuation.h"
#include "api/http.h"
#include "api/query_text.h"
#include "model/limits.h"

struct query_request {
    struct http_call *call;
    struct query query;
    struct continuation_list list; /* `text` is read; `source` and by_number are the caller's */
    size_t limit;                  /* rows of a page */
    struct continuation_place after;
    bool has_after;
};

/* {"query": text} of the body; no body, {} and {"query":""} give "". Then what it says.
 * BODY_MALFORMED, QUERY_UNSUPPORTED. */
err query_page_read(struct query_request *r, const struct query_schema *const *schemas, size_t n,
                    struct verdict *ret_verdict);
/* x-ms-max-item-count and x-ms-continuation, once the list is known. REQUEST_MALFORMED,
 * CONTINUATION_INVALID: also what goes on with a query that is answered at once. */
err query_page_read_paging(struct query_request *r, struct verdict *ret_verdict);

struct query_page {
    const struct query_request *request;
    /* Writes a row for `SELECT *`. */
    err (*write_whole)(const struct query_request *r, struct query_row *row, struct json_writer *w);
    /* Takes a row that meets the condition in; NULL: rows are written with `w`, or only counted. */
    err (*take_in)(struct query_row *row, void *arg);
    void *arg;
    struct json_writer *w;
    size_t most_examined;
    size_t n, n_examined, n_parsed;
    bool is_more, is_full; /* rows were left; the next one does not fit */
    uint8_t key_[LIMIT_CLIENT_ID];
    struct continuation_place last; /* of the rows that were looked at; its key is `key_` */
};
/* The next row. *more: the page wants another. Faults of reading and writing it. */
err query_page_take(struct query_page *p, struct query_row *row, struct continuation_place place,
                    bool *more);

/* Answers with the page that `walk` fills, or with how many rows there are. A walk hands rows to
 * query_page_take, from behind request->after, and gives back its faults. */
typedef err (*query_page_walk)(struct query_page *p, void *arg);
struct query_page_answer {
    const char *item_type, *raw_type; /* of whole rows, of anything else */
    query_page_walk walk;
    void *arg;
};
err query_page_answer(struct query_page *p, const struct query_page_answer *how);
/* One object, [{name:n}]. */
err query_page_answer_count(struct http_call *call, const char *name, int64_t n,
                            const char *raw_type);
/* QUERY_TOO_WIDE: what is answered at once looked at LIMIT_QUERY_COUNTED rows. */
err query_page_refuse_wide(struct http_call *call, const char *what, const char *narrowing);

#endif
