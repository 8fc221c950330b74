/* api/dps_http.c: provisioning over HTTPS (reference dps-device-api.md 4.1). Path and headers to a
 * request of dps.h and its reply back. */
#include "api/dps.h"
#include "api/error.h"
#include "api/http.h"
#include "util/percent.h"

enum { PARAM_SCOPE, PARAM_REGISTRATION_ID, PARAM_OPERATION_ID };

/* Location names the registration, not the operation, as the real service does. */
static err add_location(struct http_call *call)
{
    struct span host = http_call_header_in(call, SPAN("Host"));
    struct buf out = arena_buf(call->env->arena);
    struct span location;

    if (host.len == 0) {
        return OK; /* HTTP/1.0 */
    }
    buf_add_str(&out, "https://");
    buf_add(&out, host);
    buf_add_u8(&out, '/');
    percent_encode(call->params[PARAM_SCOPE], &out);
    buf_add_str(&out, "/registrations/");
    percent_encode(call->params[PARAM_REGISTRATION_ID], &out);
    buf_add_str(&out, "/register");
    TRY(arena_buf_end(call->env->arena, &out, &location));
    http_call_header(call, "Location", location);
    return OK;
}

static err add_retry_after(struct http_call *call, int seconds)
{
    struct span text;

    if (seconds > 0) {
        TRY(arena_printf(call->env->arena, &text, "%d", seconds));
        http_call_header(call, "Retry-After", text);
    }
    return OK;
}

static err handle(struct http_call *call, enum operation operation)
{
    struct dps_request request = {
        .operation = operation,
        .id_scope = call->params[PARAM_SCOPE],
        .registration_id = call->params[PARAM_REGISTRATION_ID],
        .token = http_call_header_in(call, SPAN("Authorization")),
        .body = call->request->body,
    };
    struct dps_reply reply;

    if (operation == OPERATION_STATUS) {
        request.operation_id = call->params[PARAM_OPERATION_ID];
    }
    call->note->scope = request.id_scope;
    call->note->id = request.registration_id;
    TRY(dps_answer(call->env, call->service, call->peer, &request, &reply));
    if (span_is_absent(reply.body)) {
        return http_call_refuse(call, reply.verdict);
    }
    TRY(add_retry_after(call, reply.retry_after_s));
    if (operation == OPERATION_REGISTER && reply.status == 202) {
        TRY(add_location(call));
    }
    call->note->reason = reply.verdict.reason;
    return http_call_json(call, reply.status, reply.body);
}

static err handle_register(struct http_call *call)
{
    return handle(call, OPERATION_REGISTER);
}

static err handle_operation_status(struct http_call *call)
{
    return handle(call, OPERATION_STATUS);
}

static err handle_lookup(struct http_call *call)
{
    return handle(call, OPERATION_LOOKUP);
}

#define DPS(method_, path_, handle_, operation_, turn_)                                            \
    {                                                                                              \
        .method = method_, .path = path_, .handle = handle_, .surface = "dps-http",                \
        .operation = operation_, .needs_api_version = true, .turn = turn_,                         \
        .refuse = error_write_provisioning                                                         \
    }

const struct http_route HTTP_DPS_ROUTES[] = {
    DPS("PUT", "/{scope}/registrations/{id}/register", handle_register, "register",
        SURFACE_TURN_BEGIN),
    DPS("GET", "/{scope}/registrations/{id}/operations/{operation}", handle_operation_status,
        "get-operation-status", SURFACE_TURN_FINISH),
    DPS("POST", "/{scope}/registrations/{id}", handle_lookup, "get-registration",
        SURFACE_TURN_BEGIN),
    { 0 },
};
