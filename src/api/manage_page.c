/* api/manage_page.c: lists of the management routes, page by page. Rows are read a few at a time
 * into one half of the request's memory and written into the other; a page that would not fit is a
 * shorter page. */
#include "api/manage_http.h"
#include "model/limits.h"
#include "util/percent.h"

struct page {
    struct http_call *call;
    const struct manage_listing *listing;
    struct span id_scope;
    int64_t top;
    uint8_t last[MANAGE_KEY]; /* key to go on behind */
    size_t last_len;
    bool has_last, has_more;
};

/* Room for what stands behind the rows. */
enum { TAIL = 4 * MANAGE_KEY };

static err read_query(struct page *p, struct verdict *ret_verdict)
{
    struct span top, after;

    *ret_verdict = VERDICT(GRANTED);
    p->top = LIMIT_PAGE_DEFAULT;
    TRY(http_call_query(p->call, SPAN("top"), &top));
    TRY(http_call_query(p->call, SPAN("after"), &after));
    if ((!span_is_absent(top) && !span_parse_int(top, &p->top)) || p->top < 1 ||
        p->top > LIMIT_PAGE) {
        *ret_verdict = VERDICT(FIELD_INVALID);
        return arena_printf(p->call->env->arena, &ret_verdict->detail,
                            "top is not between 1 and %d.", LIMIT_PAGE);
    }
    if (after.len > sizeof(p->last)) {
        *ret_verdict = VERDICT(FIELD_INVALID);
        ret_verdict->detail = SPAN("after is too long.");
        return OK;
    }
    p->has_last = !span_is_empty(after);
    p->last_len = after.len;
    if (p->has_last) {
        memcpy(p->last, after.data, after.len);
    }
    return OK;
}

/* Writes a row, or nothing when it does not fit. */
static err write_whole(struct page *p, const void *row, struct json_writer *w, bool *ret_fits)
{
    struct json_writer before = *w;
    size_t len = w->out->len;

    TRY(p->listing->write(p->call, row, w));
    *ret_fits = !w->out->failed && w->out->cap - w->out->len >= TAIL;
    if (!*ret_fits) {
        *w = before;
        w->out->len = len;
        w->out->failed = false;
    }
    return OK;
}

static err write_batch(struct page *p, size_t n, struct json_writer *w, size_t *ret_n)
{
    const struct manage_listing *l = p->listing;
    struct arena *arena = p->call->env->arena;
    struct span after = p->has_last ? span_of(p->last, p->last_len) : SPAN_NONE;
    struct buf last = buf_over(p->last, sizeof(p->last));
    size_t mark = arena->used;
    size_t n_rows = 0;
    size_t i = 0;
    void *rows = NULL;
    bool fits = true;

    TRY(l->fetch(p->call->env, p->id_scope, after, n + 1, &rows, &n_rows));
    while (i < n_rows && i < n && fits) {
        TRY(write_whole(p, (const char *)rows + i * l->row_size, w, &fits));
        i += fits;
    }
    p->has_more = i < n_rows;
    if (i > 0) {
        buf_add(&last, l->key((const char *)rows + (i - 1) * l->row_size));
        TRY(buf_ok(&last));
        p->last_len = last.len;
        p->has_last = true;
    }
    arena->used = mark; /* the rows were written */
    *ret_n = i;
    return OK;
}

static void write_next_link(const struct page *p, struct json_writer *w)
{
    uint8_t room[TAIL];
    struct buf link = buf_over(room, sizeof(room));

    buf_printf(&link, "%s?top=%lld&after=", p->listing->path, (long long)p->top);
    percent_encode(span_of(p->last, p->last_len), &link);
    json_write_text(w, "nextLink", buf_span(&link));
}

static err answer(struct page *p)
{
    struct buf out = http_call_body_room(p->call);
    struct json_writer w = json_writer_over(&out);
    int64_t done = 0;

    p->has_more = true;
    json_write_begin_object(&w, NULL);
    json_write_begin_array(&w, "value");
    while (p->has_more && done < p->top) {
        int64_t left = p->top - done;
        size_t want = left < LIMIT_QUERY_BATCH ? (size_t)left : LIMIT_QUERY_BATCH;
        size_t got = 0;

        TRY(write_batch(p, want, &w, &got));
        done += (int64_t)got;
        if (got < want) {
            break; /* the last rows, or no more room */
        }
    }
    if (p->has_more && done == 0) {
        return ERR(NOMEM);
    }
    json_write_end_array(&w);
    if (p->has_more) {
        write_next_link(p, &w);
    }
    json_write_end_object(&w);
    TRY(buf_ok(&out));
    return http_call_json(p->call, 200, buf_span(&out));
}

err manage_page_answer(struct http_call *call, const struct manage_listing *l, struct span id_scope)
{
    struct page p = { .call = call, .listing = l, .id_scope = id_scope };
    struct verdict v;

    TRY(read_query(&p, &v));
    return verdict_is_granted(v) ? answer(&p) : http_call_refuse(call, v);
}
