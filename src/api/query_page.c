/* api/query_page.c: pages of queries. Rows are walked one after another in one half of the
 * request's memory and written into the other; a page that would not fit, or that looked at as many
 * rows as one request may, is a shorter page. Where the rows come from is service_query.c's and
 * hub_query.c's. */
#include "api/query_page.h"

#include "api/query_eval.h"
#include "model/limits.h"

/* ---- the request ---- */

err query_page_read(struct query_request *r, const struct query_schema *const *schemas, size_t n,
                    struct verdict *ret_verdict)
{
    struct arena *arena = r->call->env->arena;
    AUTO(json) json *document = NULL;
    struct span text = SPAN("");
    struct verdict v;
    err e;

    TRY(http_call_body_object(r->call, true, &document, &v));
    if (verdict_is_granted(v) && !err_is_ok(json_get_text(document, "query", &text))) {
        v = VERDICT(BODY_MALFORMED);
        v.detail = SPAN("query is not a string.");
    }
    if (verdict_is_granted(v)) {
        TRY(arena_copy(arena, text, &r->list.text));
        e = query_text_parse(arena, r->list.text, schemas, n, &r->query);
        if (err_is(e, ERR_MALFORMED)) {
            v = VERDICT(QUERY_UNSUPPORTED);
            e = arena_copy(arena, span_str(err_detail()), &v.detail);
        }
        TRY(e);
    }
    *ret_verdict = v;
    return OK;
}

err query_page_read_paging(struct query_request *r, struct verdict *ret_verdict)
{
    struct http_call *call = r->call;
    struct span count = span_trim(http_call_header_in(call, SPAN("x-ms-max-item-count")));
    struct span token = span_trim(http_call_header_in(call, SPAN("x-ms-continuation")));
    int64_t limit = 0;

    if (!span_is_empty(count) && !span_parse_int(count, &limit)) {
        *ret_verdict = VERDICT(REQUEST_MALFORMED);
        ret_verdict->detail = SPAN("x-ms-max-item-count is no number.");
        return OK;
    }
    limit = limit == 0 ? LIMIT_PAGE_DEFAULT : limit < LIMIT_PAGE ? limit : LIMIT_PAGE;
    r->limit = (size_t)limit;
    *ret_verdict = VERDICT(GRANTED);
    if (span_is_empty(token)) {
        return OK;
    }
    if (!r->query.is_count && !r->query.is_aggregate) {
        TRY(continuation_decode(call->env, &r->list, token, &r->after, &r->has_after));
    }
    if (!r->has_after) {
        *ret_verdict = VERDICT(CONTINUATION_INVALID);
    }
    return OK;
}

/* ---- rows ---- */

static err write_column(struct query_row *row, const struct query_column *c, struct json_writer *w)
{
    struct query_value v;

    if (c->expression == NULL) {
        return query_row_write(row, &c->path, c->name, w);
    }
    TRY(query_eval_column(row, c, &v));
    query_row_write_value(&v, c->name, w);
    return OK;
}

static err write_row(const struct query_page *p, struct query_row *row)
{
    const struct query *q = &p->request->query;

    if (q->n_columns == 0) {
        return p->write_whole(p->request, row, p->w);
    }
    json_write_begin_object(p->w, NULL);
    for (size_t i = 0; i < q->n_columns; i++) {
        TRY(write_column(row, &q->columns[i], p->w));
    }
    json_write_end_object(p->w);
    return OK;
}

/* Writes a row, or nothing when it does not fit. */
static err write_if_fits(const struct query_page *p, struct query_row *row, bool *ret_fits)
{
    struct json_writer before = *p->w;
    struct buf *out = p->w->out;
    size_t len = out->len;

    TRY(write_row(p, row));
    *ret_fits = !out->failed && out->cap - out->len >= strlen("]");
    if (!*ret_fits) {
        *p->w = before;
        out->len = len;
        out->failed = false;
    }
    return OK;
}

/* A row that meets the condition. *ret_is_taken: the page goes on behind it. */
static err take_match(struct query_page *p, struct query_row *row, bool *ret_is_taken)
{
    size_t limit = p->request->limit;
    bool fits = p->n < limit;

    if (p->w == NULL) {
        TRY(p->take_in != NULL ? p->take_in(row, p->arg) : OK);
        fits = true;
    } else if (fits) {
        TRY(write_if_fits(p, row, &fits));
        p->is_full = !fits;
    }
    p->n += fits;
    if (p->w != NULL && p->n == limit && p->most_examined > p->n_examined + LIMIT_QUERY_LOOKAHEAD) {
        p->most_examined = p->n_examined + LIMIT_QUERY_LOOKAHEAD;
    }
    *ret_is_taken = fits;
    return OK;
}

static err note_place(struct query_page *p, struct continuation_place place)
{
    struct buf key = buf_over(p->key_, sizeof(p->key_));

    buf_add(&key, place.key);
    p->last = (struct continuation_place){ .number = place.number, .key = buf_span(&key) };
    return buf_ok(&key);
}

err query_page_take(struct query_page *p, struct query_row *row, struct continuation_place place,
                    bool *more)
{
    bool is_taken = true;
    bool is_met;

    TRY(query_eval_where(row, p->request->query.where, &is_met));
    if (is_met) {
        TRY(take_match(p, row, &is_taken));
    }
    if (is_taken) {
        TRY(note_place(p, place));
    }
    p->n_examined++;
    p->n_parsed += row->n_parsed;
    p->is_more =
        !is_taken || p->n_examined >= p->most_examined || p->n_parsed >= LIMIT_QUERY_PARSED;
    *more = !p->is_more;
    return OK;
}

/* ---- answers ---- */

err query_page_answer(struct query_page *p, const struct query_page_answer *how)
{
    const struct query_request *r = p->request;
    struct http_call *call = r->call;
    struct buf out = http_call_body_room(call);
    struct json_writer w = json_writer_over(&out);
    struct span token;

    p->w = &w;
    p->most_examined = LIMIT_QUERY_EXAMINED;
    json_write_begin_array(&w, NULL);
    TRY(how->walk(p, how->arg));
    json_write_end_array(&w);
    TRY(buf_ok(&out));
    if (p->is_full && p->n == 0) {
        return ERR(NOMEM);
    }
    /* In lower case: one SDK looks them up as they were received. */
    http_call_header(call, "x-ms-item-type",
                     span_str(r->query.n_columns > 0 ? how->raw_type : how->item_type));
    if (p->is_more) {
        TRY(continuation_encode(call->env, &r->list, &p->last, &token));
        http_call_header(call, "x-ms-continuation", token);
    }
    return http_call_json(call, 200, buf_span(&out));
}

err query_page_answer_count(struct http_call *call, const char *name, int64_t n,
                            const char *raw_type)
{
    struct buf out = arena_buf(call->env->arena);
    struct json_writer w = json_writer_over(&out);
    struct span text;

    json_write_begin_array(&w, NULL);
    json_write_begin_object(&w, NULL);
    json_write_int(&w, name, n);
    json_write_end_object(&w);
    json_write_end_array(&w);
    TRY(arena_buf_end(call->env->arena, &out, &text));
    http_call_header(call, "x-ms-item-type", span_str(raw_type));
    return http_call_json(call, 200, text);
}

err query_page_refuse_wide(struct http_call *call, const char *what, const char *narrowing)
{
    return http_call_refuse_with(
        call, REASON_QUERY_TOO_WIDE,
        "%s gave up after %d rows: narrow it by a condition on %s, joined by AND.", what,
        LIMIT_QUERY_COUNTED, narrowing);
}
