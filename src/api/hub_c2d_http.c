/* api/hub_c2d_http.c: cloud-to-device messages for the back end: sending, which Azure has over AMQP
 * alone, purging, and feedback (reference iothub-service-api.md 8, doc/wire/hub-c2d.md). */
#include "api/hub_http.h"

#include "api/error.h"
#include "api/hub_c2d_text.h"
#include "hub/c2d.h"
#include "hub/feedback.h"
#include "hub/hub.h"
#include "hub/identity.h"
#include "util/guid.h"
#include "util/timefmt.h"
#include "json/writer.h"

/* ---- sending ---- */

static const char APP[] = "iothub-app-";

static struct span header(const struct http_call *call, const char *name)
{
    struct span value = span_trim(http_call_header_in(call, span_str(name)));

    return span_is_empty(value) ? SPAN_NONE : value;
}

/* NULL, or what is wrong. */
static const char *read_headers(struct http_call *call, struct c2d_message *m)
{
    struct span expiry = header(call, "iothub-expiry");

    m->target = header(call, "iothub-to");
    m->message_id = header(call, "iothub-messageid");
    m->correlation_id = header(call, "iothub-correlationid");
    m->user_id = header(call, "iothub-userid");
    m->content_type = header(call, "iothub-contenttype");
    m->content_encoding = header(call, "iothub-contentencoding");
    m->body = call->request->body;
    if (!hub_feedback_parse_ack(header(call, "iothub-ack"), &m->ack)) {
        return "iothub-ack is none of none, positive, negative and full.";
    }
    if (!span_parse_int(expiry, &m->expires_ms) && !span_is_empty(expiry) &&
        !err_is_ok(timefmt_parse_iso(expiry, &m->expires_ms))) {
        return "iothub-expiry is neither yyyy-MM-ddTHH:mm:ssZ nor milliseconds since 1970.";
    }
    m->is_expiry_given = m->expires_ms != 0;
    return NULL;
}

static err read_properties(struct http_call *call, struct hub_c2d_order *order)
{
    const struct http1_request *r = call->request;
    struct hub_property *properties =
        ARENA_ARRAY(call->env->arena, HTTP1_HEADERS_MAX, struct hub_property);
    size_t n = 0;

    if (properties == NULL) {
        return ERR(NOMEM);
    }
    for (size_t i = 0; i < r->n_headers; i++) {
        if (span_starts_with_nocase(r->headers[i].name, span_str(APP))) {
            properties[n].name = span_from(r->headers[i].name, sizeof(APP) - 1);
            properties[n++].value = span_trim(r->headers[i].value);
        }
    }
    order->properties = properties;
    order->n_properties = n;
    return OK;
}

/* So that the sender recognises it in feedback. */
static err name_message(const struct env *env, struct c2d_message *m)
{
    uint8_t random[GUID_BYTES];
    struct buf out = arena_buf(env->arena);

    if (!span_is_absent(m->message_id)) {
        return OK;
    }
    env->random(random, sizeof(random));
    guid_format(random, &out);
    return arena_buf_end(env->arena, &out, &m->message_id);
}

static err answer_sent(struct http_call *call, const struct c2d_message *m, int64_t sequence)
{
    struct span number;

    TRY(arena_printf(call->env->arena, &number, "%lld", (long long)sequence));
    http_call_header(call, "iothub-messageid", m->message_id);
    http_call_header(call, "iothub-sequencenumber", number);
    call->status = 201;
    return OK;
}

static err send(struct http_call *call, struct span hub)
{
    struct hub_c2d_order order = { .message.hub = hub };
    struct c2d_message *m = &order.message;
    const char *wrong = read_headers(call, m);
    struct verdict v;
    int64_t sequence;
    err e;

    if (wrong != NULL) {
        return http_call_refuse_with(call, REASON_FIELD_INVALID, "%s", wrong);
    }
    e = hub_c2d_text_parse_to(m->target, call->env->arena, &m->client_id);
    if (err_is(e, ERR_MALFORMED)) {
        return http_call_refuse_with(
            call, REASON_FIELD_INVALID,
            "iothub-to is not /devices/{id}[/modules/{id}]/messages/deviceBound.");
    }
    TRY(e);
    call->note->id = m->client_id;
    TRY(read_properties(call, &order));
    TRY(name_message(call->env, m));
    TRY(hub_c2d_enqueue(call->env, call->service->bus, &order, &sequence, &v));
    return verdict_is_granted(v) ? answer_sent(call, m, sequence) : http_call_refuse(call, v);
}

err hub_c2d_http_send(struct http_call *call)
{
    struct hub hub;
    struct verdict v;

    TRY(http_call_authorize_hub(call, RIGHT_SERVICE_CONNECT, &hub, &v));
    return verdict_is_granted(v) ? send(call, hub.host_name) : http_call_refuse(call, v);
}

/* ---- purging ---- */

static err answer_purged(struct http_call *call, struct span client_id, size_t n)
{
    struct buf out = arena_buf(call->env->arena);
    struct json_writer w = json_writer_over(&out);
    struct span text;

    json_write_begin_object(&w, NULL);
    json_write_int(&w, "totalMessagesPurged", (int64_t)n);
    json_write_text(&w, "deviceId", hub_identity_device(client_id));
    if (hub_identity_is_module(client_id)) {
        json_write_text(&w, "moduleId", hub_identity_module(client_id));
    } else {
        json_write_null(&w, "moduleId");
    }
    json_write_end_object(&w);
    TRY(arena_buf_end(call->env->arena, &out, &text));
    return http_call_json(call, 200, text);
}

static err purge(struct http_call *call, struct span hub)
{
    struct span client_id;
    struct verdict v;
    size_t n;
    err e = hub_identity_join(call->env->arena, call->params[0], call->params[1], &client_id);

    if (err_is(e, ERR_MALFORMED)) {
        return http_call_refuse(call, VERDICT(DEVICE_NOT_FOUND)); /* there can be none */
    }
    TRY(e);
    call->note->id = client_id;
    TRY(hub_c2d_purge(call->env, hub, client_id, &n, &v));
    return verdict_is_granted(v) ? answer_purged(call, client_id, n) : http_call_refuse(call, v);
}

err hub_c2d_http_purge(struct http_call *call)
{
    struct hub hub;
    struct verdict v;

    TRY(http_call_authorize_hub(call, RIGHT_SERVICE_CONNECT, &hub, &v));
    return verdict_is_granted(v) ? purge(call, hub.host_name) : http_call_refuse(call, v);
}

/* ---- feedback ---- */

static void write_record(const struct feedback *f, struct json_writer *w)
{
    const char *word = hub_feedback_word(f->status);

    json_write_begin_object(w, NULL);
    json_write_text_if(w, "originalMessageId", f->message_id);
    json_write_str(w, "description", word);
    json_write_text(w, "deviceGenerationId", f->generation_id);
    json_write_text(w, "deviceId", hub_identity_device(f->client_id));
    json_write_text_if(w, "moduleId", hub_identity_module(f->client_id));
    json_write_time(w, "enqueuedTimeUtc", f->enqueued_ms);
    json_write_str(w, "statusCode", word);
    json_write_end_object(w);
}

static err answer_batch(struct http_call *call, struct span hub,
                        const struct hub_feedback_batch *batch)
{
    struct arena *arena = call->env->arena;
    struct buf out = arena_buf(arena);
    struct json_writer w = json_writer_over(&out);
    struct span time;

    timefmt_iso(batch->records[0].enqueued_ms, &out);
    TRY(arena_buf_end(arena, &out, &time));
    TRY(http_call_etag(call, batch->lock_token));
    http_call_header(call, "Content-Type", SPAN("application/vnd.microsoft.iothub.feedback.json"));
    http_call_header(call, "iothub-enqueuedtime", time);
    http_call_header(call, "iothub-userid", hub);
    out = arena_buf(arena);
    json_write_begin_array(&w, NULL);
    for (size_t i = 0; i < batch->n; i++) {
        write_record(&batch->records[i], &w);
    }
    json_write_end_array(&w);
    call->status = 200;
    return arena_buf_end(arena, &out, &call->body);
}

err hub_c2d_http_feedback(struct http_call *call)
{
    struct hub_feedback_batch batch;
    struct hub hub;
    struct verdict v;

    if (span_eq(call->request->method, SPAN("HEAD"))) { /* would lock what it does not show */
        return http_call_refuse(call, VERDICT(METHOD_NOT_ALLOWED));
    }
    TRY(http_call_authorize_hub(call, RIGHT_SERVICE_CONNECT, &hub, &v));
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    TRY(hub_feedback_receive(call->env, hub.host_name, &batch));
    if (batch.n > 0) {
        return answer_batch(call, hub.host_name, &batch);
    }
    call->status = 204;
    return OK;
}

static err settle_feedback(struct http_call *call, bool is_abandon)
{
    struct hub hub;
    struct verdict v;

    TRY(http_call_authorize_hub(call, RIGHT_SERVICE_CONNECT, &hub, &v));
    if (verdict_is_granted(v)) {
        TRY(hub_feedback_settle(call->env, hub.host_name, call->params[0], is_abandon, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    call->status = 204;
    return OK;
}

err hub_c2d_http_complete_feedback(struct http_call *call)
{
    return settle_feedback(call, false);
}

err hub_c2d_http_abandon_feedback(struct http_call *call)
{
    return settle_feedback(call, true);
}
