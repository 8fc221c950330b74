/* api/http.c: one HTTP connection. Requests are taken one at a time: while one is with a worker the
 * next waits in the input. The worker's half is http_work.c; the loop only prints. A reply that is
 * a stream keeps the connection: each page of it is one more task, asked for when the last one was
 * sent and something woke us. A request that is parked waits for a device on the loop, and becomes
 * a second task when that is over. */
#include "api/http_work.h"

#include <assert.h>
#include <stddef.h>

#include "api/error.h"
#include "hub/method.h"
#include "model/limits.h"

enum { THROTTLED_STREAM_MS = 1000 };

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
    unsigned wake_on;   /* the stream's; read on any thread while it is on the bus */
    bool may_have_more; /* ask for a page as soon as the last was sent */
    bool heartbeat_due;
    int64_t wake_ms; /* when to write something regardless */
    struct http_stream stream;
    struct bus_member member;
    /* A request that waits for a device; parked.call NULL: none does. */
    struct http_parked parked;
    const struct http_route *parked_route;
    bool is_local, keep_alive; /* of it */
    int64_t retry_ms;          /* it is over, but there was no task to answer it by */
};

/* A page of a stream with a worker: on a copy, for the connection may go meanwhile. */
struct page {
    struct http_stream stream;
    bool heartbeat;
    struct span bytes;
    err result;
};

/* ---- on a worker ---- */

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
    struct task *t;
    struct http_work *w;

    router_find(request->method, request->path, &match);
    route = match.route ? match.route : match.near ? match.near : &no_route;
    io->turn = route->turn;
    t = io->new_task(io);
    if (t == NULL) {
        io->consumed += len;
        return throttle(io, route, request);
    }
    w = http_work_new(t, route, request);
    w->match = match;
    w->to_head = span_eq(request->method, SPAN("HEAD"));
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

/* ---- a request that waits for a device ---- */

static void tell_parked(struct hub_call *call)
{
    struct http_surface *s = call->owner;

    s->base.tell(&s->base, BUS_CALL);
}

static void park(struct http_surface *s, const struct http_work *w, struct surface_io *io)
{
    struct span host = http1_request_header(&w->request, SPAN("Host"));

    s->parked = w->call.parked;
    s->parked_route = w->call.route;
    s->is_local = span_starts_with_nocase(host, SPAN("localhost"));
    s->keep_alive = w->request.keep_alive;
    s->retry_ms = INT64_MAX;
    hub_call_begin(s->parked.call, s->base.service->bus, s, tell_parked, io->now_ms);
}

static void unpark(struct http_surface *s)
{
    hub_call_free(s->parked.call);
    s->parked.call = NULL;
}

/* What comes meanwhile stays in the input. */
static enum surface_step step_parked(struct http_surface *s, struct surface_io *io)
{
    const struct service *service = s->base.service;
    bool stops = service->is_draining != NULL && service->is_draining();
    struct http1_request request = { .keep_alive = s->keep_alive };
    struct task *t;
    struct http_work *w;

    io->consumed = s->answered;
    s->answered = 0;
    if (!hub_call_look(s->parked.call, stops, io->now_ms)) {
        return SURFACE_IDLE;
    }
    t = io->new_task(io);
    if (t == NULL) {
        s->retry_ms = io->now_ms + THROTTLED_STREAM_MS;
        return SURFACE_IDLE;
    }
    if (s->is_local) {
        request.headers[request.n_headers++] =
            (struct http1_header){ SPAN("Host"), SPAN("localhost") };
    }
    w = http_work_new(t, s->parked_route, &request);
    w->is_resumed = true;
    w->call.parked = s->parked;
    io->task = t;
    s->is_working = true;
    return SURFACE_WORK;
}

static enum surface_step surface_step(struct surface *base, struct surface_io *io)
{
    struct http_surface *s = (struct http_surface *)base;

    if (s->parked.call != NULL) {
        return step_parked(s, io);
    }
    return s->is_streaming ? step_stream(s, io) : step_request(s, io);
}

static void tell(struct bus_member *m, unsigned signals)
{
    struct http_surface *s =
        (struct http_surface *)(void *)((char *)m - offsetof(struct http_surface, member));

    if (signals & s->wake_on) {
        s->base.tell(&s->base, signals);
    }
}

static void begin_stream(struct http_surface *s, struct http_work *w, struct surface_io *io)
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
    s->wake_on = s->stream.wake_on;
    s->may_have_more = true; /* what came between the handler's look and joining the bus */
    s->wake_ms = io->now_ms + LIMIT_STREAM_HEARTBEAT_MS;
    s->member = (struct bus_member){ .hub = span_str(s->stream.hub), .tell = tell };
    bus_join(s->base.service->bus, &s->member);
}

static bool has_retry_after(const struct http_work *w)
{
    for (size_t i = 0; i < w->n_headers; i++) {
        if (span_eq_nocase(w->headers[i].name, SPAN("Retry-After"))) {
            return true;
        }
    }
    return false;
}

static enum surface_step finish_request(struct http_surface *s, struct http_work *w,
                                        struct surface_io *io)
{
    struct http1_reply reply = { .status = w->call.status,
                                 .headers = w->headers,
                                 .body = w->call.body,
                                 .close = w->close,
                                 .to_head = w->to_head };
    char seconds[24];

    if (!w->is_resumed && w->call.parked.call != NULL) {
        park(s, w, io);
        return SURFACE_AGAIN;
    }
    if (w->call.is_stream && !w->to_head) {
        begin_stream(s, w, io);
        return SURFACE_AGAIN;
    }
    if (reply.status == reason_info(REASON_THROTTLED)->http_status && !has_retry_after(w)) {
        add_retry_after(io, &w->headers[w->n_headers++], seconds, sizeof(seconds));
    }
    reply.n_headers = w->n_headers;
    http1_conn_reply(&reply, io->out);
    unpark(s);                                      /* the body may be the device's own words */
    http1_conn_init(&s->conn, &limits, io->now_ms); /* idle from here, not from the request on */
    return reply.close ? SURFACE_CLOSE : SURFACE_AGAIN;
}

static enum surface_step finish_page(struct http_surface *s, struct page *p, struct surface_io *io)
{
    if (!err_is_ok(p->result)) {
        return SURFACE_CLOSE; /* without the last chunk: the client knows it was cut */
    }
    s->stream = p->stream;
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
    if (s->parked.call != NULL) {
        return SURFACE_AGAIN;
    }
    if (!s->is_streaming || !(signals & s->wake_on)) {
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
    if (s->parked.call != NULL) {
        return s->retry_ms != INT64_MAX ? s->retry_ms : hub_call_deadline(s->parked.call);
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
    if (s->parked.call != NULL) {
        return SURFACE_AGAIN;
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
    unpark(s); /* nobody is left to be answered */
    return SURFACE_IDLE;
}

static bool surface_is_busy(const struct surface *base)
{
    return ((const struct http_surface *)base)->parked.call != NULL;
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
    .is_busy = surface_is_busy,
};
