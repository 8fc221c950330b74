/* api/http_call.c: what handlers of every surface need to read a request and to answer it. */
#include "api/http.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "api/error.h"
#include "core/enrollment.h"
#include "model/limits.h"

void http_call_header(struct http_call *call, const char *name, struct span value)
{
    assert(call->n_headers < HTTP_REPLY_HEADERS);
    call->headers[call->n_headers++] =
        (struct http1_header){ .name = span_str(name), .value = value };
}

err http_call_etag(struct http_call *call, struct span etag)
{
    struct span quoted;

    TRY(arena_printf(call->env->arena, &quoted, "\"%.*s\"", SPAN_FMT(etag)));
    http_call_header(call, "ETag", quoted);
    return OK;
}

err http_call_json(struct http_call *call, int status, struct span json_text)
{
    http_call_header(call, "Content-Type", SPAN("application/json; charset=utf-8"));
    call->status = status;
    call->body = json_text;
    return OK;
}

err http_call_refuse(struct http_call *call, struct verdict v)
{
    const struct reason_info *info = reason_info(v.reason);
    struct arena *arena = call->env->arena;
    struct span code, text;
    struct buf body;

    call->n_headers = call->n_more_headers = 0;
    call->is_stream = false;
    call->note->reason = v.reason;
    TRY(arena_printf(arena, &code, "%d", info->error_code));
    http_call_header(call, "x-ms-error-code", code);
    if (call->route->refuse == error_write_hub || call->route->refuse == error_write_hub_method) {
        http_call_header(call, "iothub-errorcode", span_str(error_hub_name(v.reason)));
    }
    if (v.reason == REASON_HUB_THROTTLED) { /* as the real hub; it does not say when to come back */
        call->close = true;
        TRY(arena_printf(arena, &code, "%d", call->retry_after_s));
        http_call_header(call, "Retry-After", code);
    }
    body = arena_buf(arena);
    call->route->refuse(call->env, v, &body);
    TRY(arena_buf_end(arena, &body, &text));
    return http_call_json(call, info->http_status, text);
}

err http_call_refuse_with(struct http_call *call, enum reason reason, const char *format, ...)
{
    struct verdict v = { .reason = reason };
    char text[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    TRY(arena_copy(call->env->arena, span_str(text), &v.detail));
    return http_call_refuse(call, v);
}

struct span http_call_header_in(const struct http_call *call, struct span name)
{
    return http1_request_header(call->request, name);
}

err http_call_query(struct http_call *call, struct span name, struct span *ret_value)
{
    struct buf out = arena_buf(call->env->arena);

    if (!http1_request_query(call->request, name, &out)) {
        *ret_value = SPAN_NONE;
        return OK;
    }
    return arena_buf_end(call->env->arena, &out, ret_value);
}

/* BODY_MALFORMED without more: it is JSON, but not `is_wanted`. */
static err read_body(struct http_call *call, bool (*is_wanted)(const json *v), json **ret_document,
                     struct verdict *ret_verdict)
{
    struct verdict v = VERDICT(BODY_MALFORMED);
    AUTO(json) json *document = NULL;
    err e = json_parse(span_trim(call->request->body), LIMIT_JSON_DEPTH, &document);

    if (err_is(e, ERR_NOMEM)) {
        return e;
    }
    if (!err_is_ok(e)) {
        TRY(arena_copy(call->env->arena, span_str(err_detail()), &v.detail));
        *ret_verdict = v;
        return OK;
    }
    if (!is_wanted(document)) {
        *ret_verdict = v;
        return OK;
    }
    *ret_document = document;
    document = NULL;
    *ret_verdict = VERDICT(GRANTED);
    return OK;
}

err http_call_body_object(struct http_call *call, bool may_be_empty, json **ret_document,
                          struct verdict *ret_verdict)
{
    if (may_be_empty && span_trim(call->request->body).len == 0) {
        *ret_document = NULL;
        *ret_verdict = VERDICT(GRANTED);
        return OK;
    }
    return read_body(call, json_is_object, ret_document, ret_verdict);
}

err http_call_body_array(struct http_call *call, json **ret_document, struct verdict *ret_verdict)
{
    return read_body(call, json_is_array, ret_document, ret_verdict);
}

struct buf http_call_body_room(struct http_call *call)
{
    struct arena *a = call->env->arena;
    size_t room = (a->size - a->used) / 2;
    struct buf out = buf_over(a->block + a->used, room);

    a->used += room;
    return out;
}

struct core_match http_match_of(struct span text)
{
    struct core_match match = { 0 };

    text = span_trim(text);
    match.is_given = !span_is_empty(text);
    if (span_starts_with(text, SPAN("W/"))) {
        text = span_from(text, 2);
    }
    while (text.len >= 2 && span_starts_with(text, SPAN("\"")) &&
           span_ends_with(text, SPAN("\""))) {
        text = span_of(text.data + 1, text.len - 2);
    }
    match.is_any = span_eq(text, SPAN("*")); /* one SDK quotes the star too */
    match.etag = text;
    return match;
}

err http_call_if_match(struct http_call *call, struct core_match *ret_match)
{
    struct core_match match = http_match_of(http_call_header_in(call, SPAN("If-Match")));

    TRY(arena_copy(call->env->arena, match.etag, &match.etag));
    *ret_match = match;
    return OK;
}
