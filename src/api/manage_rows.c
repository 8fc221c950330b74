/* api/manage_rows.c: lists of the management routes whose rows are walked: written while they are
 * looked at, in one half of the request's memory, until the page is full or has looked at as many
 * as one request may. Where it ends is a continuation token in nextLink. */
#include "api/manage_rows.h"
#include "util/percent.h"

/* Room for what stands behind the rows: a path, and a token whose every byte is escaped. */
enum { TAIL = 12 * 1024 };

err manage_rows_begin(struct manage_rows *r, struct http_call *call, struct span list,
                      struct verdict *ret_verdict)
{
    struct span top, token;

    *r = (struct manage_rows){ .call = call,
                               .list = { .source = list },
                               .top = LIMIT_PAGE_DEFAULT,
                               .most_examined = LIMIT_QUERY_EXAMINED };
    *ret_verdict = VERDICT(GRANTED);
    TRY(http_call_query(call, SPAN("top"), &top));
    TRY(http_call_query(call, SPAN("continuation"), &token));
    if ((!span_is_absent(top) && !span_parse_int(top, &r->top)) || r->top < 1 ||
        r->top > LIMIT_PAGE) {
        *ret_verdict = VERDICT(FIELD_INVALID);
        return arena_printf(call->env->arena, &ret_verdict->detail, "top is not between 1 and %d.",
                            LIMIT_PAGE);
    }
    if (!span_is_empty(token)) {
        TRY(continuation_decode(call->env, &r->list, token, &r->after, &r->has_after));
        if (!r->has_after) {
            *ret_verdict = VERDICT(CONTINUATION_INVALID);
        }
    }
    return OK;
}

struct span manage_rows_after(const struct manage_rows *r)
{
    return r->has_after ? r->after.key : SPAN_NONE;
}

void manage_rows_open(struct manage_rows *r)
{
    r->out = http_call_body_room(r->call);
    r->w = json_writer_over(&r->out);
    json_write_begin_object(&r->w, NULL);
    json_write_begin_array(&r->w, "value");
}

/* Writes a row, or nothing when it does not fit. */
static bool write_whole(struct manage_rows *r, manage_rows_write_fn write, const void *row)
{
    struct json_writer before = r->w;
    size_t len = r->out.len;

    write(row, &r->w);
    if (!r->out.failed && r->out.cap - r->out.len >= TAIL) {
        r->n++;
        return true;
    }
    r->w = before;
    r->out.len = len;
    r->out.failed = false;
    return false;
}

err manage_rows_note(struct manage_rows *r, struct span place)
{
    struct buf key = buf_over(r->last, sizeof(r->last));

    buf_add(&key, place);
    r->last_len = key.len;
    return buf_ok(&key);
}

err manage_rows_take(struct manage_rows *r, struct span place, manage_rows_write_fn write,
                     const void *row, bool *more)
{
    bool is_taken = write == NULL || (r->n < (size_t)r->top && write_whole(r, write, row));

    if (is_taken) {
        TRY(manage_rows_note(r, place));
    } else if (r->n == 0) {
        return ERR(NOMEM);
    }
    r->is_more = !is_taken || ++r->n_examined >= r->most_examined;
    *more = !r->is_more;
    return OK;
}

err manage_rows_answer(struct manage_rows *r, struct span path, bool is_more)
{
    const struct continuation_place last = { .key = span_of(r->last, r->last_len) };
    struct arena *arena = r->call->env->arena;
    struct span token, link;
    struct buf escaped;

    json_write_end_array(&r->w);
    if (r->is_more || is_more) {
        TRY(continuation_encode(r->call->env, &r->list, &last, &token));
        escaped = arena_buf(arena);
        buf_printf(&escaped, "%.*stop=%lld&continuation=", SPAN_FMT(path), (long long)r->top);
        percent_encode(token, &escaped);
        TRY(arena_buf_end(arena, &escaped, &link));
        json_write_text(&r->w, "nextLink", link);
    }
    json_write_end_object(&r->w);
    TRY(buf_ok(&r->out));
    return http_call_json(r->call, 200, buf_span(&r->out));
}
