/* api/hub_method_http.c: direct methods for the back end, and the commands of digital twins, which
 * are the same under other names (reference iothub-service-api.md 7). A handler reads the request
 * and leaves a call behind; what became of that is answered by a second one (api/http.c). */
#include "api/error.h"
#include "api/hub_http.h"
#include "hub/hub.h"
#include "hub/identity.h"
#include "hub/method.h"
#include "model/limits.h"
#include "json/writer.h"

/* ---- the request ---- */

/* NULL, or what is wrong. The times are in seconds. */
static const char *check_times(int64_t connect_s, int64_t response_s)
{
    if (response_s < LIMIT_METHOD_RESPONSE_MIN_S || response_s > LIMIT_METHOD_RESPONSE_S) {
        return "responseTimeoutInSeconds is not between 5 and 300.";
    }
    if (connect_s < 0 || connect_s > LIMIT_METHOD_CONNECT_S) {
        return "connectTimeoutInSeconds is not between 0 and 300.";
    }
    return connect_s > response_s
               ? "connectTimeoutInSeconds is greater than responseTimeoutInSeconds."
               : NULL;
}

static void set_times(struct hub_method *m, int64_t connect_s, int64_t response_s,
                      struct verdict *ret_verdict)
{
    const char *wrong = check_times(connect_s, response_s);

    m->connect_ms = connect_s * 1000;
    m->response_ms = response_s * 1000;
    if (wrong != NULL) {
        *ret_verdict = verdict_invalid(wrong);
    }
}

static void set_name(struct hub_method *m, struct span name, struct verdict *ret_verdict)
{
    m->name = name;
    if (!hub_method_is_name(name)) {
        *ret_verdict =
            verdict_invalid("The method's name is not 1 to 100 printable ASCII characters "
                            "without space and $ ( ) < > @ , ; : \\ \" / [ ] ? = { } + #.");
    }
}

/* The JSON text of the payload, in the arena. */
static err set_payload(struct http_call *call, struct hub_method *m, const json *payload,
                       struct verdict *ret_verdict)
{
    struct buf out = arena_buf(call->env->arena);

    if (payload == NULL) {
        buf_add_str(&out, "null");
    } else {
        TRY(json_print(payload, &out));
    }
    TRY(arena_buf_end(call->env->arena, &out, &m->payload));
    if (m->payload.len > LIMIT_METHOD_PAYLOAD) {
        *ret_verdict = VERDICT(MESSAGE_TOO_LARGE);
        ret_verdict->detail = SPAN("A method's payload has at most 128 KiB.");
    }
    return OK;
}

static err read_method(struct http_call *call, struct hub_method *m, struct verdict *ret_verdict)
{
    AUTO(json) json *document = NULL;
    int64_t connect_s = 0, response_s = LIMIT_METHOD_RESPONSE_DEFAULT_S;
    struct span name = SPAN_NONE;
    struct verdict v;

    TRY(http_call_body_object(call, false, &document, &v));
    if (!verdict_is_granted(v)) {
        *ret_verdict = v;
        return OK;
    }
    if (!err_is_ok(json_get_text(document, "methodName", &name)) ||
        !err_is_ok(json_get_int(document, "connectTimeoutInSeconds", &connect_s)) ||
        !err_is_ok(json_get_int(document, "responseTimeoutInSeconds", &response_s))) {
        *ret_verdict = VERDICT(FIELD_INVALID);
        return arena_copy(call->env->arena, span_str(err_detail()), &ret_verdict->detail);
    }
    TRY(arena_copy(call->env->arena, name, &name));
    set_name(m, name, &v);
    set_times(m, connect_s, response_s, &v);
    TRY(set_payload(call, m, json_member(document, "payload"), &v));
    *ret_verdict = v;
    return OK;
}

/* A query parameter in seconds; missing: it keeps its value. */
static err read_seconds(struct http_call *call, struct span name, int64_t *ret_seconds,
                        struct verdict *ret_verdict)
{
    struct span text;

    TRY(http_call_query(call, name, &text));
    if (!span_is_empty(text) && !span_parse_int(text, ret_seconds)) {
        *ret_verdict = verdict_invalid("A timeout is not a whole number of seconds.");
    }
    return OK;
}

/* {id}[/components/{component}]/commands/{name}: the whole body is the payload. */
static err read_command(struct http_call *call, struct hub_method *m, struct verdict *ret_verdict)
{
    AUTO(json) json *payload = NULL;
    struct span body = span_trim(call->request->body);
    bool has_component = !span_is_absent(call->params[2]);
    int64_t connect_s = 0, response_s = LIMIT_METHOD_RESPONSE_DEFAULT_S;
    struct span name = call->params[1];
    struct verdict v = VERDICT(GRANTED);
    err e = span_is_empty(body) ? OK : json_parse(body, LIMIT_JSON_DEPTH, &payload);

    if (err_is(e, ERR_NOMEM)) {
        return e;
    }
    if (!err_is_ok(e)) {
        v.reason = REASON_BODY_MALFORMED;
        TRY(arena_copy(call->env->arena, span_str(err_detail()), &v.detail));
    }
    if (has_component) {
        TRY(arena_printf(call->env->arena, &name, "%.*s*%.*s", SPAN_FMT(call->params[1]),
                         SPAN_FMT(call->params[2])));
    }
    if (verdict_is_granted(v)) {
        TRY(read_seconds(call, SPAN("connectTimeoutInSeconds"), &connect_s, &v));
        TRY(read_seconds(call, SPAN("responseTimeoutInSeconds"), &response_s, &v));
    }
    if (verdict_is_granted(v)) {
        set_name(m, name, &v);
        set_times(m, connect_s, response_s, &v);
        TRY(set_payload(call, m, payload, &v));
    }
    *ret_verdict = v;
    return OK;
}

/* ---- the answer ---- */

static err refuse_timeout(struct http_call *call)
{
    int64_t s = call->parked.call->response_ms / 1000;
    struct arena *arena = call->env->arena;
    struct span info;
    struct buf out;

    TRY(http_call_refuse(call, VERDICT(DEVICE_TIMEOUT)));
    TRY(arena_printf(arena, &info, "{\"timeout\":\"00:%02d:%02d\"}", (int)(s / 60), (int)(s % 60)));
    out = arena_buf(arena);
    error_write_hub_nested(call->env, VERDICT(DEVICE_TIMEOUT), info, &out);
    return arena_buf_end(arena, &out, &call->body);
}

/* What the log says of the call, and whether there is an answer to pass on. */
static err begin_answer(struct http_call *call, bool *ret_is_answered, struct span *ret_payload)
{
    const struct hub_call *c = call->parked.call;
    const struct hub_method_end *end = &c->end;
    AUTO(json) json *checked = NULL;
    err e;

    *ret_is_answered = false;
    TRY(arena_copy(call->env->arena, c->bus_call.hub, &call->note->scope));
    TRY(arena_copy(call->env->arena, c->bus_call.client_id, &call->note->id));
    call->note->waited_us = end->waited_ms * 1000;
    if (end->reason == REASON_DEVICE_TIMEOUT) {
        return refuse_timeout(call);
    }
    if (end->reason != REASON_GRANTED) {
        return http_call_refuse(call, (struct verdict){ .reason = end->reason });
    }
    call->note->has_device_status = true;
    call->note->device_status = end->status;
    *ret_payload = span_trim(end->payload);
    if (span_is_empty(*ret_payload)) {
        *ret_payload = SPAN("null");
    }
    if (ret_payload->len > LIMIT_METHOD_PAYLOAD) {
        return http_call_refuse_with(call, REASON_DEVICE_ANSWER_INVALID,
                                     "It has more than 128 KiB.");
    }
    e = json_parse(*ret_payload, LIMIT_JSON_DEPTH, &checked);
    if (err_is(e, ERR_NOMEM)) {
        return e;
    }
    if (!err_is_ok(e)) {
        return http_call_refuse_with(call, REASON_DEVICE_ANSWER_INVALID, "%s", err_detail());
    }
    *ret_is_answered = true;
    return OK;
}

static err answer_method(struct http_call *call)
{
    struct buf out;
    struct json_writer w = json_writer_over(&out);
    struct span payload, text;
    bool is_answered;

    TRY(begin_answer(call, &is_answered, &payload));
    if (!is_answered) {
        return OK;
    }
    out = arena_buf(call->env->arena);
    json_write_begin_object(&w, NULL);
    json_write_int(&w, "status", call->note->device_status);
    json_write_raw_if(&w, "payload", payload); /* to the letter */
    json_write_end_object(&w);
    TRY(arena_buf_end(call->env->arena, &out, &text));
    return http_call_json(call, 200, text);
}

static err answer_command(struct http_call *call)
{
    struct span payload, status;
    bool is_answered;

    TRY(begin_answer(call, &is_answered, &payload));
    if (!is_answered) {
        return OK;
    }
    TRY(arena_printf(call->env->arena, &status, "%lld", (long long)call->note->device_status));
    http_call_header(call, "x-ms-command-statuscode", status);
    return http_call_json(call, 200, payload); /* the connection holds it until it is written */
}

/* ---- both ---- */

static err invoke(struct http_call *call,
                  err (*read)(struct http_call *call, struct hub_method *m,
                              struct verdict *ret_verdict),
                  struct span module, err (*answer)(struct http_call *call))
{
    const struct service *service = call->service;
    struct hub_method m = { 0 };
    struct hub hub;
    struct verdict v;

    TRY(http_call_authorize_hub(call, RIGHT_SERVICE_CONNECT, &hub, &v));
    if (verdict_is_granted(v)) {
        TRY(read(call, &m, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(hub_http_join(call, call->params[0], module, &m.client_id, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    call->note->id = m.client_id;
    if (service->is_draining != NULL && service->is_draining()) {
        return ERR(CLOSED); /* devices are being sent away */
    }
    m.hub = hub.host_name;
    TRY(hub_method_prepare(call->env, service->bus, &m, &call->parked.call, &v));
    call->parked.answer = answer;
    return verdict_is_granted(v) ? OK : http_call_refuse(call, v);
}

err hub_method_http_invoke(struct http_call *call)
{
    return invoke(call, read_method, call->params[1], answer_method);
}

err hub_method_http_command(struct http_call *call)
{
    return invoke(call, read_command, SPAN_NONE, answer_command);
}
