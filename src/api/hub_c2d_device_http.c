/* api/hub_c2d_device_http.c: a device's queue over HTTPS: it polls, then settles what it was given
 * by the lock token (reference iothub-device-api.md 11, doc/wire/hub-c2d.md). */
#include "api/hub_http.h"
#include "hub/c2d.h"
#include "hub/feedback.h"
#include "util/timefmt.h"

enum { SYSTEM_HEADERS = 16 };

/* ---- who asks ---- */

/* With a module in the path, its ID is the second parameter; a lock token follows. */
static bool names_module(const struct http_call *call)
{
    struct span pattern = span_str(call->route->path);

    return span_starts_with(pattern, SPAN("/devices/{id}/modules/"));
}

static err authorize(struct http_call *call, struct hub_c2d_owner *ret_owner,
                     struct verdict *ret_verdict)
{
    struct hub_session *session = ARENA_NEW(call->env->arena, struct hub_session);

    if (session == NULL) {
        return ERR(NOMEM);
    }
    TRY(http_call_authorize_device(call, call->params[0],
                                   names_module(call) ? call->params[1] : SPAN_NONE, session,
                                   ret_verdict));
    *ret_owner = (struct hub_c2d_owner){ .hub = session->device.hub,
                                         .client_id = session->device.device_id,
                                         .generation_id = session->device.generation_id };
    return OK;
}

/* ---- polling ---- */

struct headers {
    struct arena *arena;
    struct http1_header *list;
    size_t n;
};

static void add(struct headers *h, struct span name, struct span value)
{
    if (!span_is_absent(value)) {
        h->list[h->n++] = (struct http1_header){ .name = name, .value = value };
    }
}

static err add_time(struct headers *h, struct span name, int64_t time_ms)
{
    struct buf out = arena_buf(h->arena);
    struct span text;

    timefmt_iso(time_ms, &out);
    TRY(arena_buf_end(h->arena, &out, &text));
    add(h, name, text);
    return OK;
}

static err add_number(struct headers *h, struct span name, int64_t number)
{
    struct span text;

    TRY(arena_printf(h->arena, &text, "%lld", (long long)number));
    add(h, name, text);
    return OK;
}

static err add_system(struct headers *h, const struct c2d_message *m)
{
    struct span etag;

    TRY(arena_printf(h->arena, &etag, "\"%.*s\"", SPAN_FMT(m->lock_token)));
    add(h, SPAN("ETag"), etag);
    add(h, SPAN("Content-Type"),
        span_is_empty(m->content_type) ? SPAN("application/octet-stream") : m->content_type);
    add(h, SPAN("iothub-messageid"), m->message_id);
    add(h, SPAN("iothub-correlationid"), m->correlation_id);
    add(h, SPAN("iothub-userid"), m->user_id);
    add(h, SPAN("iothub-to"), m->target);
    add(h, SPAN("iothub-contenttype"), m->content_type);
    add(h, SPAN("iothub-contentencoding"), m->content_encoding);
    add(h, SPAN("ContentType"), m->content_type); /* so one SDK looks for them, to the letter */
    add(h, SPAN("ContentEncoding"), m->content_encoding);
    add(h, SPAN("iothub-ack"), span_str(hub_feedback_ack_word(m->ack)));
    if (m->is_expiry_given) {
        TRY(add_time(h, SPAN("iothub-expiry"), m->expires_ms));
    }
    TRY(add_time(h, SPAN("iothub-enqueuedtime"), m->enqueued_ms));
    TRY(add_number(h, SPAN("iothub-sequencenumber"), m->sequence));
    return add_number(h, SPAN("iothub-deliverycount"), m->delivery_count);
}

static err add_application(struct headers *h, const struct c2d_message *m)
{
    struct hub_property *properties =
        ARENA_ARRAY(h->arena, HUB_PROPERTIES_MAX, struct hub_property);
    size_t n;

    if (properties == NULL) {
        return ERR(NOMEM);
    }
    TRY(hub_c2d_properties(m, h->arena, properties, &n));
    for (size_t i = 0; i < n; i++) {
        struct span name;

        TRY(arena_printf(h->arena, &name, "iothub-app-%.*s", SPAN_FMT(properties[i].name)));
        add(h, name, properties[i].value);
    }
    return OK;
}

static err answer(struct http_call *call, const struct c2d_message *m)
{
    struct headers h = { .arena = call->env->arena };

    h.list = ARENA_ARRAY(h.arena, SYSTEM_HEADERS + HUB_PROPERTIES_MAX, struct http1_header);
    if (h.list == NULL) {
        return ERR(NOMEM);
    }
    TRY(add_system(&h, m));
    TRY(add_application(&h, m));
    call->more_headers = h.list;
    call->n_more_headers = h.n;
    call->body = m->body;
    call->status = 200;
    return OK;
}

/* Seconds, by the one SDK that says how long it may take. */
static bool read_lock_time(const struct http_call *call, int64_t *ret_lock_ms)
{
    struct span text = span_trim(http_call_header_in(call, SPAN("iothub-messagelocktimeout")));
    int64_t seconds = LIMIT_C2D_LOCK_MS / 1000;

    if ((!span_is_empty(text) && !span_parse_int(text, &seconds)) || seconds < 1 ||
        seconds > LIMIT_C2D_LOCK_MAX_MS / 1000) {
        return false;
    }
    *ret_lock_ms = seconds * 1000;
    return true;
}

err hub_c2d_device_http_receive(struct http_call *call)
{
    struct hub_c2d_owner owner;
    struct c2d_message message;
    struct verdict v;
    int64_t lock_ms;
    bool is_found;

    if (span_eq(call->request->method, SPAN("HEAD"))) { /* would lock what it does not show */
        return http_call_refuse(call, VERDICT(METHOD_NOT_ALLOWED));
    }
    TRY(authorize(call, &owner, &v));
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    if (!read_lock_time(call, &lock_ms)) {
        return http_call_refuse_with(call, REASON_FIELD_INVALID,
                                     "iothub-messagelocktimeout is not between 1 and %d seconds.",
                                     LIMIT_C2D_LOCK_MAX_MS / 1000);
    }
    TRY(hub_c2d_receive(call->env, call->service->bus, &owner, lock_ms, &message, &is_found));
    if (is_found) {
        return answer(call, &message);
    }
    call->note->quiet = true;
    call->status = 204;
    return OK;
}

/* ---- settling ---- */

static err settle(struct http_call *call, enum hub_c2d_settlement how)
{
    struct hub_c2d_owner owner;
    struct verdict v;

    TRY(authorize(call, &owner, &v));
    if (verdict_is_granted(v)) {
        TRY(hub_c2d_settle(call->env, call->service->bus, &owner,
                           call->params[names_module(call) ? 2 : 1], how, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    call->status = 204;
    return OK;
}

/* "&reject", "&reject=true", and as one SDK spells it "&%3Freject=true". */
static err is_rejection(struct http_call *call, bool *ret_is_rejection)
{
    struct span value;

    TRY(http_call_query(call, SPAN("reject"), &value));
    if (span_is_absent(value)) {
        TRY(http_call_query(call, SPAN("?reject"), &value));
    }
    *ret_is_rejection = !span_is_absent(value) && !span_eq_nocase(value, SPAN("false"));
    return OK;
}

err hub_c2d_device_http_settle(struct http_call *call)
{
    bool is_reject;

    TRY(is_rejection(call, &is_reject));
    return settle(call, is_reject ? HUB_C2D_REJECT : HUB_C2D_COMPLETE);
}

err hub_c2d_device_http_abandon(struct http_call *call)
{
    return settle(call, HUB_C2D_ABANDON);
}
