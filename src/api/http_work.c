/* api/http_work.c: a request on a worker, from its path to the headers of its answer. What it means
 * is its handler's; a fault of the handler's becomes an answer here. */
#include "api/http_work.h"

#include <assert.h>

#include "api/error.h"
#include "api/topic.h"
#include "util/percent.h"
#include "util/timefmt.h"

static bool is_json_or_unsaid(struct span content_type)
{
    struct span kind = span_trim(span_first(content_type, span_find(content_type, ';')));

    return span_is_empty(kind) || span_eq_nocase(kind, SPAN("application/json"));
}

static err decode_params(struct http_work *w, bool *ret_is_sound)
{
    for (size_t i = 0; i < HTTP_PATH_PARAMS && !span_is_absent(w->match.params[i]); i++) {
        struct buf out = arena_buf(w->call.env->arena);
        err e = percent_decode(w->match.params[i], &out);

        if (err_is(e, ERR_MALFORMED)) {
            *ret_is_sound = false;
            return OK;
        }
        TRY(e);
        TRY(arena_buf_end(w->call.env->arena, &out, &w->call.params[i]));
    }
    *ret_is_sound = true;
    return OK;
}

static err refuse_unrouted(struct http_work *w)
{
    struct http_call *call = &w->call;
    struct buf out;
    struct span methods;

    if (w->match.near == NULL) {
        return http_call_refuse(call, VERDICT(ROUTE_NOT_FOUND));
    }
    out = arena_buf(call->env->arena);
    router_methods(call->request->path, &out);
    TRY(arena_buf_end(call->env->arena, &out, &methods));
    TRY(http_call_refuse(call, VERDICT(METHOD_NOT_ALLOWED)));
    http_call_header(call, "Allow", methods);
    return OK;
}

static err answer(struct http_work *w)
{
    struct http_call *call = &w->call;
    struct verdict v = VERDICT(REQUEST_MALFORMED);
    bool is_sound;

    if (w->match.route == NULL) {
        return refuse_unrouted(w);
    }
    TRY(decode_params(w, &is_sound));
    if (!is_sound) {
        v.detail = SPAN("The path is not percent-encoded correctly.");
        return http_call_refuse(call, v);
    }
    call->note->id = call->params[0];
    TRY(http_call_query(call, SPAN("api-version"), &call->api_version));
    if (!topic_is_api_version(call->api_version)) {
        if (call->route->needs_api_version) {
            return http_call_refuse(call, VERDICT(API_VERSION_MISSING));
        }
        call->api_version = SPAN_NONE;
    }
    if (!call->route->takes_any_body && !span_is_empty(call->request->body) &&
        !is_json_or_unsaid(http_call_header_in(call, SPAN("Content-Type")))) {
        return http_call_refuse(call, VERDICT(MEDIA_TYPE_UNSUPPORTED));
    }
    TRY(call->route->handle(call));
    return call->status != 0 || call->parked.call != NULL
               ? OK
               : err_set(ERR_UNSUPPORTED, "the handler gave no answer");
}

/* A fault: ours, or no room for more work. */
static err refuse_fault(struct http_work *w, struct task *t, size_t mark, err fault)
{
    enum reason reason = err_is(fault, ERR_BUSY)     ? REASON_THROTTLED
                         : err_is(fault, ERR_CLOSED) ? REASON_UNAVAILABLE
                                                     : REASON_INTERNAL;

    if (err_is(fault, ERR_NOMEM)) {
        t->arena.used = mark; /* what the handler made is of no use now */
        t->note.scope = t->note.id = SPAN_NONE;
    }
    if (reason == REASON_INTERNAL) {
        t->note.fault = error_fault_text(&t->arena, fault);
    }
    return http_call_refuse(&w->call, (struct verdict){ .reason = reason });
}

static void add_header(struct http_work *w, const char *name, struct span value)
{
    w->headers[w->n_headers++] = (struct http1_header){ .name = span_str(name), .value = value };
}

static err make_room(struct http_work *w)
{
    size_t n = w->call.n_more_headers;
    struct http1_header *many;

    if (n > 0) {
        many = ARENA_ARRAY(w->call.env->arena, HTTP_WORK_HEADERS + n, struct http1_header);
        if (many == NULL) {
            return ERR(NOMEM);
        }
        w->headers = many;
    }
    return OK;
}

static err ready_headers(struct http_work *w)
{
    struct http_call *call = &w->call;
    struct span host = http_call_header_in(call, SPAN("Host"));
    struct buf date = arena_buf(call->env->arena);
    struct span date_text;

    timefmt_http(call->env->now_ms, &date);
    TRY(arena_buf_end(call->env->arena, &date, &date_text));
    TRY(make_room(w));
    add_header(w, "Date", date_text);
    add_header(w, "x-ms-request-id", span_str(call->env->tracking_id));
    /* A browser would then insist on TLS for a developer's other servers on this machine too. */
    if (!span_starts_with_nocase(host, SPAN("localhost"))) {
        add_header(w, "Strict-Transport-Security", SPAN("max-age=31536000; includeSubDomains"));
    }
    for (size_t i = 0; i < call->n_headers; i++) {
        w->headers[w->n_headers++] = call->headers[i];
    }
    for (size_t i = 0; i < call->n_more_headers; i++) {
        w->headers[w->n_headers++] = call->more_headers[i];
    }
    return OK;
}

/* A task whose turn it was not is run again (env.turn). */
static void forget_answer(struct http_work *w)
{
    struct http_call *call = &w->call;

    w->headers = w->few;
    w->n_headers = 0;
    call->status = 0;
    call->n_headers = call->n_more_headers = 0;
    call->body = SPAN_NONE;
    call->close = false;
}

static void run(struct task *t)
{
    struct http_work *w = t->state;
    size_t mark = t->arena.used;
    const struct service *service = t->service;
    err e;

    forget_answer(w);
    e = w->is_resumed ? w->call.parked.answer(&w->call) : answer(w);
    if (err_is_ok(e) && !w->is_resumed && w->call.parked.call != NULL) {
        t->note.is_part = true;
        return;
    }
    if (!err_is_ok(e)) {
        e = refuse_fault(w, t, mark, e);
    }
    if (err_is_ok(e)) {
        e = ready_headers(w);
    }
    if (!err_is_ok(e)) {
        w->call.status = reason_info(REASON_INTERNAL)->http_status;
        w->call.body = SPAN_NONE;
        w->n_headers = 0;
        t->note.reason = REASON_INTERNAL;
    }
    w->close = !w->request.keep_alive || w->call.close ||
               (service->is_draining != NULL && service->is_draining());
    t->note.status = w->call.status;
}

struct http_work *http_work_new(struct task *t, const struct http_route *route,
                                const struct http1_request *request)
{
    struct http_work *w = ARENA_NEW(&t->arena, struct http_work);

    assert(w != NULL); /* an arena smaller than one request head is a bug */
    w->request = *request;
    w->headers = w->few;
    w->call = (struct http_call){
        .route = route,
        .request = &w->request,
        .service = t->service,
        .peer = t->peer,
        .env = &t->env,
        .note = &t->note,
    };
    t->note = (struct access_note){ .surface = route->surface, .operation = route->operation };
    t->state = w;
    t->run = run;
    return w;
}
