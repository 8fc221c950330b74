/* api/hub_telemetry_http.c: a device's or a module's messages over HTTPS (reference
 * iothub-device-api.md 11). Answered once all of a request is durable; a batch is kept as a whole
 * or, but for a fault of the log, not at all. */
#include "api/hub_http.h"
#include "api/hub_http_message.h"
#include "api/metrics.h"
#include "model/limits.h"

struct telemetry {
    struct http_call *call;
    struct hub_message message; /* the one being read; who sends it is the same for all */
    struct sink_event *events;
    size_t n;
};

static void begin(struct telemetry *t, struct http_call *call, const struct hub_session *session)
{
    *t = (struct telemetry){ .call = call };
    t->message.hub = session->device.hub;
    t->message.client_id = session->device.device_id;
    t->message.generation_id = session->device.generation_id;
    t->message.model_id = session->device.model_id;
    t->message.credential = session->credential;
    t->message.now_ms = call->env->now_ms;
}

static err make_event(struct telemetry *t, struct verdict *ret_verdict)
{
    err e = hub_message_event(&t->message, t->call->env->arena, &t->events[t->n]);

    if (err_is(e, ERR_TOO_LARGE)) {
        *ret_verdict = VERDICT(MESSAGE_TOO_LARGE);
        return OK;
    }
    TRY(e);
    t->n++;
    *ret_verdict = VERDICT(GRANTED);
    return OK;
}

static err make_room(struct telemetry *t, size_t n)
{
    t->events = ARENA_ARRAY(t->call->env->arena, n, struct sink_event);
    return t->events == NULL ? ERR(NOMEM) : OK;
}

static err read_batch(struct telemetry *t, struct verdict *ret_verdict)
{
    struct arena *arena = t->call->env->arena;
    AUTO(json) json *batch = NULL;

    TRY(hub_http_message_parse_batch(t->call->request->body, arena, &batch, ret_verdict));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    TRY(make_room(t, json_array_len(batch)));
    for (size_t i = 0; i < json_array_len(batch) && verdict_is_granted(*ret_verdict); i++) {
        TRY(hub_http_message_read_element(batch, i, arena, &t->message, ret_verdict));
        if (verdict_is_granted(*ret_verdict)) {
            TRY(make_event(t, ret_verdict)); /* copies what it points to in the document */
        }
    }
    return OK;
}

static err read_messages(struct telemetry *t, struct verdict *ret_verdict)
{
    const struct http1_request *request = t->call->request;

    if (request->body.len > LIMIT_TELEMETRY_MESSAGE) {
        *ret_verdict = VERDICT(MESSAGE_TOO_LARGE);
        return OK;
    }
    if (hub_http_message_is_batch(http_call_header_in(t->call, SPAN("Content-Type")))) {
        return read_batch(t, ret_verdict);
    }
    TRY(make_room(t, 1));
    hub_http_message_read(request, &t->message);
    return make_event(t, ret_verdict);
}

static void count(const struct telemetry *t)
{
    struct metrics *m = t->call->service->metrics;

    for (size_t i = 0; m != NULL && i < t->n; i++) {
        atomic_fetch_add_explicit(&m->telemetry_events, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&m->telemetry_bytes, t->events[i].body.len, memory_order_relaxed);
    }
}

/* The path of a device has no second parameter. */
err hub_telemetry_http_send(struct http_call *call)
{
    struct arena *arena = call->env->arena;
    struct hub_session *session = ARENA_NEW(arena, struct hub_session);
    struct telemetry *t = ARENA_NEW(arena, struct telemetry);
    struct verdict v;

    if (session == NULL || t == NULL) {
        return ERR(NOMEM);
    }
    TRY(http_call_authorize_device(call, call->params[0], call->params[1], session, &v));
    if (verdict_is_granted(v)) {
        begin(t, call, session);
        TRY(read_messages(t, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    TRY(sink_append_wait(call->service->sink, arena, t->events, t->n));
    count(t);
    call->note->quiet = true;
    call->status = 204;
    return OK;
}
