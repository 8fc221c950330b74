/* api/http.c: one HTTP connection. Requests are taken one at a time: while one is with a worker the
 * next waits in the input. The worker routes it, calls the handler and readies the headers; the
 * loop only prints. A reply that is a stream keeps the connection: each page of it is one more
 * task, asked for when the last one was sent and something woke us. */
#include "api/http.h"

#include <assert.h>
#include <stddef.h>

#include "api/error.h"
#include "api/router.h"
#include "api/topic.h"
#include "model/limits.h"
#include "util/percent.h"
#include "util/timefmt.h"

enum { REPLY_HEADERS = HTTP_REPLY_HEADERS + 4, THROTTLED_STREAM_MS = 1000 };

static const struct http1_limits limits = {
    .head_max = LIMIT_HTTP_HEAD,
    .body_max = LIMIT_HTTP_BODY,
    .request_within_ms = LIMIT_HTTP_REQUEST_MS,
    .idle_max_ms = LIMIT_HTTP_IDLE_MS,
};

/* What a path of no table is answered with. */
static const struct http_route no_route = { .surface = "http",
                                            .operation = "unknown",
                                            .refuse = error_write_provisioning };

struct http_surface {
    struct surface base;
    struct http1_conn conn;
    size_t answered; /* bytes at the front of the input whose request is with a worker, or done */
    bool is_working;
    /* A stream, once it began. */
    bool is_streaming;
    bool may_have_more; /* ask for a page as soon as the last was sent */
    bool heartbeat_due;
    int64_t wake_ms; /* when to write something regardless */
    struct http_stream stream;
    struct bus_member member;
};

/* A request with a worker; in the task's arena. */
struct work {
    struct http1_request request;
    struct router_match match;
    struct http_call call;
    struct http1_header headers[REPLY_HEADERS];
    size_t n_headers;
    bool to_head, close;
};

/* A page of a stream with a worker: on a copy, for the connection may go meanwhile. */
struct page {
    struct http_stream stream;
    bool heartbeat;
    struct span bytes;
    err result;
};

/* ---- on a worker ---- */

static bool is_json_or_unsaid(struct span content_type)
{
    struct span kind = span_trim(span_first(content_type, span_find(content_type, ';')));

    return span_is_empty(kind) || span_eq_nocase(kind, SPAN("application/json"));
}

static err decode_params(struct work *w, bool *ret_is_sound)
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

static err refuse_unrouted(struct work *w)
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

static err answer(struct work *w)
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
    return call->status != 0 ? OK : err_set(ERR_UNSUPPORTED, "the handler gave no answer");
}

/* A fault: ours, or no room for more work. */
static err refuse_fault(struct work *w, struct task *t, size_t mark, err fault)
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

static void add_header(struct work *w, const char *name, struct span value)
{
    w->headers[w->n_headers++] = (struct http1_header){ .name = span_str(name), .value = value };
}

static err ready_headers(struct work *w)
{
    struct http_call *call = &w->call;
    struct span host = http_call_header_in(call, SPAN("Host"));
    struct buf date = arena_buf(call->env->arena);
    struct span date_text;

    timefmt_http(call->env->now_ms, &date);
    TRY(arena_buf_end(call->env->arena, &date, &date_text));
    add_header(w, "Date", date_text);
    add_header(w, "x-ms-request-id", span_str(call->env->tracking_id));
    /* A browser would then insist on TLS for a developer's other servers on this machine too. */
    if (!span_starts_with_nocase(host, SPAN("localhost"))) {
        add_header(w, "Strict-Transport-Security", SPAN("max-age=31536000; includeSubDomains"));
    }
    for (size_t i = 0; i < call->n_headers; i++) {
        w->headers[w->n_headers++] = call->headers[i];
    }
    return OK;
}

static void run_call(struct task *t)
{
    struct work *w = t->state;
    size_t mark = t->arena.used;
    const struct service *service = t->service;
    err e = answer(w);

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
    w->close = !w->request.keep_alive || (service->is_draining != NULL && service->is_draining());
    t->note.status = w->call.status;
}

static void run_page(struct task *t)
{
    struct page *p = t->state;
    struct arena *a = &t->arena;
    size_t room = (a->size - a->used) / 2;
    struct buf body = buf_over(a->block + a->used, room);

    a->used += room; /* the other half is for what it reads */
    p->result = p->stream.next(&p->stream, &t->env, t->service, p->heartbeat, &body);
    p->bytes = buf_span(&body);
    if (!err_is_ok(p->result)) {
        t->note.reason = REASON_INTERNAL;
        t->note.fault = error_fault_text(a, p->result);
    }
}

/* ---- on the loop ---- */

static void surface_init(struct surface *base, int64_t now_ms)
{
    struct http_surface *s = (struct http_surface *)base;

    http1_conn_init(&s->conn, &limits, now_ms);
}

static void note_refusal(struct surface_io *io, const struct http_route *route, enum reason reason,
                         int status)
{
    struct access_note note = {
        .surface = route->surface, .operation = route->operation, .reason = reason, .status = status
    };

    io->note(io, &note);
}

static enum surface_step reject(struct surface_io *io, int status)
{
    struct http1_reply reply = { .status = status, .close = true };

    http1_conn_reply(&reply, io->out);
    note_refusal(io, &no_route,
                 status == reason_info(REASON_BODY_TOO_LARGE)->http_status
                     ? REASON_BODY_TOO_LARGE
                     : REASON_REQUEST_MALFORMED,
                 status);
    io->consumed = io->in_len;
    return SURFACE_CLOSE;
}

static void add_retry_after(struct surface_io *io, struct http1_header *ret_header, char *text,
                            size_t room)
{
    struct buf out = buf_over(text, room);

    buf_add_int(&out, io->retry_after_s);
    *ret_header = (struct http1_header){ .name = SPAN("Retry-After"), .value = buf_span(&out) };
}

/* No task to be had: refused on the spot. */
static enum surface_step throttle(struct surface_io *io, const struct http_route *route,
                                  const struct http1_request *request)
{
    struct env env = { .now_ms = io->now_ms };
    struct http1_header headers[2] = {
        { SPAN("Content-Type"), SPAN("application/json; charset=utf-8") },
    };
    struct http1_reply reply = { .status = reason_info(REASON_THROTTLED)->http_status,
                                 .headers = headers,
                                 .n_headers = 2,
                                 .close = !request->keep_alive };
    char text[1024], seconds[24];
    struct buf body = buf_over(text, sizeof(text));

    route->refuse(&env, VERDICT(THROTTLED), &body);
    reply.body = buf_span(&body);
    add_retry_after(io, &headers[1], seconds, sizeof(seconds));
    http1_conn_reply(&reply, io->out);
    note_refusal(io, route, REASON_THROTTLED, reply.status);
    return reply.close ? SURFACE_CLOSE : SURFACE_AGAIN;
}

static enum surface_step begin_request(struct http_surface *s, struct surface_io *io,
                                       const struct http1_request *request, size_t len)
{
    struct router_match match;
    const struct http_route *route;
    struct task *t = io->new_task(io);
    struct work *w;

    router_find(request->method, request->path, &match);
    route = match.route ? match.route : match.near ? match.near : &no_route;
    if (t == NULL) {
        io->consumed += len;
        return throttle(io, route, request);
    }
    w = ARENA_NEW(&t->arena, struct work);
    assert(w != NULL); /* an arena smaller than one request head is a bug */
    w->request = *request;
    w->match = match;
    w->to_head = span_eq(request->method, SPAN("HEAD"));
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
    t->run = run_call;
    io->task = t;
    s->answered = len;
    s->is_working = true;
    return SURFACE_WORK;
}

static enum surface_step step_request(struct http_surface *s, struct surface_io *io)
{
    struct http1_request request;
    uint8_t *in = s->answered > 0 ? io->in + s->answered : io->in;
    size_t len = 0;
    int status = 0;

    io->consumed = s->answered;
    s->answered = 0;
    switch (http1_conn_next(&s->conn, in, io->in_len - io->consumed, io->now_ms, &request, &len,
                            &status)) {
    case HTTP1_MORE:
        if (http1_conn_wants_continue(&s->conn)) {
            buf_add_str(io->out, "HTTP/1.1 100 Continue\r\n\r\n");
        }
        return SURFACE_IDLE;
    case HTTP1_VIOLATION:
        return reject(io, status);
    case HTTP1_REQUEST:
        break;
    }
    return begin_request(s, io, &request, len);
}

static enum surface_step step_stream(struct http_surface *s, struct surface_io *io)
{
    struct task *t;
    struct page *p;

    io->consumed = io->in_len; /* nothing that comes now can be answered */
    if (!s->may_have_more && !s->heartbeat_due) {
        return SURFACE_IDLE;
    }
    if (io->out->len > 0) {
        return SURFACE_IDLE; /* a slow reader: it is asked again when this was sent */
    }
    t = io->new_task(io);
    if (t == NULL) {
        s->wake_ms = io->now_ms + THROTTLED_STREAM_MS;
        return SURFACE_IDLE;
    }
    p = ARENA_NEW(&t->arena, struct page);
    assert(p != NULL);
    *p = (struct page){ .stream = s->stream, .heartbeat = s->heartbeat_due };
    s->may_have_more = s->heartbeat_due = false;
    t->note = (struct access_note){ .surface = "hub-http", .operation = "events", .quiet = true };
    t->state = p;
    t->run = run_page;
    io->task = t;
    s->is_working = true;
    return SURFACE_WORK;
}

static enum surface_step surface_step(struct surface *base, struct surface_io *io)
{
    struct http_surface *s = (struct http_surface *)base;

    return s->is_streaming ? step_stream(s, io) : step_request(s, io);
}

static void tell(struct bus_member *m, unsigned signals)
{
    struct http_surface *s =
        (struct http_surface *)(void *)((char *)m - offsetof(struct http_surface, member));

    if (signals & s->stream.wake_on) {
        s->base.tell(&s->base, signals);
    }
}

static void begin_stream(struct http_surface *s, struct work *w, struct surface_io *io)
{
    buf_add_str(io->out, "HTTP/1.1 200 OK\r\n");
    for (size_t i = 0; i < w->n_headers; i++) {
        buf_add(io->out, w->headers[i].name);
        buf_add_str(io->out, ": ");
        buf_add(io->out, w->headers[i].value);
        buf_add_str(io->out, "\r\n");
    }
    buf_add_str(io->out, "Transfer-Encoding: chunked\r\n\r\n");
    s->stream = w->call.stream;
    s->is_streaming = true;
    s->may_have_more = true; /* what came between the handler's look and joining the bus */
    s->wake_ms = io->now_ms + LIMIT_STREAM_HEARTBEAT_MS;
    s->member = (struct bus_member){ .hub = span_str(s->stream.hub), .tell = tell };
    bus_join(s->base.service->bus, &s->member);
}

static bool has_retry_after(const struct work *w)
{
    for (size_t i = 0; i < w->n_headers; i++) {
        if (span_eq_nocase(w->headers[i].name, SPAN("Retry-After"))) {
            return true;
        }
    }
    return false;
}

static enum surface_step finish_request(struct http_surface *s, struct work *w,
                                        struct surface_io *io)
{
    struct http1_reply reply = { .status = w->call.status,
                                 .headers = w->headers,
                                 .body = w->call.body,
                                 .close = w->close,
                                 .to_head = w->to_head };
    char seconds[24];

    if (w->call.is_stream && !w->to_head) {
        begin_stream(s, w, io);
        return SURFACE_AGAIN;
    }
    if (reply.status == reason_info(REASON_THROTTLED)->http_status && !has_retry_after(w)) {
        add_retry_after(io, &w->headers[w->n_headers++], seconds, sizeof(seconds));
    }
    reply.n_headers = w->n_headers;
    http1_conn_reply(&reply, io->out);
    http1_conn_init(&s->conn, &limits, io->now_ms); /* idle from here, not from the request on */
    return reply.close ? SURFACE_CLOSE : SURFACE_AGAIN;
}

static enum surface_step finish_page(struct http_surface *s, struct page *p, struct surface_io *io)
{
    if (!err_is_ok(p->result)) {
        return SURFACE_CLOSE; /* without the last chunk: the client knows it was cut */
    }
    s->stream.position = p->stream.position;
    s->may_have_more = s->may_have_more || p->stream.more;
    if (p->bytes.len > 0) {
        buf_printf(io->out, "%zx\r\n", p->bytes.len);
        buf_add(io->out, p->bytes);
        buf_add_str(io->out, "\r\n");
        s->wake_ms = io->now_ms + LIMIT_STREAM_HEARTBEAT_MS;
    }
    return SURFACE_AGAIN;
}

static enum surface_step surface_finish(struct surface *base, struct task *t, struct surface_io *io)
{
    struct http_surface *s = (struct http_surface *)base;

    s->is_working = false;
    return s->is_streaming ? finish_page(s, t->state, io) : finish_request(s, t->state, io);
}

static enum surface_step surface_on_signal(struct surface *base, unsigned signals,
                                           struct surface_io *io)
{
    struct http_surface *s = (struct http_surface *)base;

    (void)io;
    if (!s->is_streaming || !(signals & s->stream.wake_on)) {
        return SURFACE_IDLE;
    }
    s->may_have_more = true;
    return SURFACE_AGAIN;
}

static int64_t surface_deadline(const struct surface *base)
{
    const struct http_surface *s = (const struct http_surface *)base;

    if (s->is_working) {
        return INT64_MAX;
    }
    if (!s->is_streaming) {
        return http1_conn_deadline(&s->conn);
    }
    return s->wake_ms < s->stream.until_ms ? s->wake_ms : s->stream.until_ms;
}

static enum surface_step surface_on_deadline(struct surface *base, struct surface_io *io)
{
    struct http_surface *s = (struct http_surface *)base;

    if (io->now_ms < surface_deadline(base)) {
        return SURFACE_IDLE;
    }
    if (s->is_streaming && io->now_ms >= s->stream.until_ms) {
        buf_add_str(io->out, "0\r\n\r\n");
        return SURFACE_CLOSE;
    }
    if (s->is_streaming) {
        s->heartbeat_due = true;
        s->wake_ms = io->now_ms + LIMIT_STREAM_HEARTBEAT_MS;
        return SURFACE_AGAIN;
    }
    if (s->conn.has_begun) {
        return reject(io, 408);
    }
    return SURFACE_CLOSE;
}

static enum surface_step surface_closed(struct surface *base, struct surface_io *io)
{
    struct http_surface *s = (struct http_surface *)base;

    (void)io;
    if (s->is_streaming) {
        bus_leave(s->base.service->bus, &s->member);
    }
    return SURFACE_IDLE;
}

const struct surface_ops API_HTTP_SURFACE = {
    .name = "http",
    .alpn = "http/1.1",
    .size = sizeof(struct http_surface),
    .init = surface_init,
    .step = surface_step,
    .finish = surface_finish,
    .on_signal = surface_on_signal,
    .deadline = surface_deadline,
    .on_deadline = surface_on_deadline,
    .closed = surface_closed,
};
