/* api/hub_http.c: the routes of a hub's HTTP API (reference iothub-service-api.md 3 to 8). What
 * they do is in the files that hub_http.h names. */
#include "api/hub_http.h"

#include "api/error.h"
#include "hub/identity.h"

err hub_http_join(struct http_call *call, struct span device_id, struct span module_id,
                  struct span *ret_client_id, struct verdict *ret_verdict)
{
    err e = hub_identity_join(call->env->arena, device_id, module_id, ret_client_id);

    *ret_verdict = VERDICT(GRANTED);
    if (err_is(e, ERR_MALFORMED)) {
        *ret_verdict =
            verdict_invalid("An ID is 1 to 128 letters, digits and marks without spaces and '/'.");
        return OK;
    }
    return e;
}

err hub_http_client_id(struct http_call *call, struct span *ret_client_id,
                       struct verdict *ret_verdict)
{
    return hub_http_join(call, call->params[0], call->params[1], ret_client_id, ret_verdict);
}

#define ROUTE(method_, path_, handle_, ...)                                                        \
    {                                                                                              \
        .method = method_, .path = path_, .handle = handle_, .surface = "hub-http",                \
        .operation = method_ " " path_, __VA_ARGS__                                                \
    }
#define HUB(method_, path_, handle_, needs_api_version_)                                           \
    ROUTE(method_, path_, handle_, .needs_api_version = needs_api_version_,                        \
          .refuse = error_write_hub)
/* With a body of any type. */
#define DEVICE(method_, path_, handle_)                                                            \
    ROUTE(method_, path_, handle_, .needs_api_version = true, .takes_any_body = true,              \
          .refuse = error_write_hub)
/* Asking for a message locks it. */
#define TAKE(path_, handle_)                                                                       \
    ROUTE("GET", path_, handle_, .needs_api_version = true, .is_unsafe = true,                     \
          .refuse = error_write_hub)
#define METHOD(path_, handle_)                                                                     \
    ROUTE("POST", path_, handle_, .needs_api_version = true, .refuse = error_write_hub_method)

const struct http_route HTTP_HUB_ROUTES[] = {
    HUB("GET", "/devices", hub_identity_http_list, true),
    HUB("POST", "/devices", hub_bulk_http_post, true),
    HUB("POST", "/devices/query", hub_query, true),
    HUB("GET", "/devices/{id}", hub_identity_http_get, true),
    HUB("PUT", "/devices/{id}", hub_identity_http_put, true),
    HUB("DELETE", "/devices/{id}", hub_identity_http_delete, true),
    HUB("GET", "/devices/{id}/modules", hub_identity_http_list_modules, true),
    HUB("GET", "/devices/{id}/modules/{module}", hub_identity_http_get, true),
    HUB("PUT", "/devices/{id}/modules/{module}", hub_identity_http_put, true),
    HUB("DELETE", "/devices/{id}/modules/{module}", hub_identity_http_delete, true),
    HUB("GET", "/statistics/devices", hub_identity_http_count_devices, true),
    HUB("GET", "/statistics/service", hub_identity_http_count_connected, true),
    HUB("GET", "/twins/{id}", hub_twin_http_get, true),
    HUB("PATCH", "/twins/{id}", hub_twin_http_patch, true),
    HUB("PUT", "/twins/{id}", hub_twin_http_put, true),
    HUB("GET", "/twins/{id}/modules/{module}", hub_twin_http_get, true),
    HUB("PATCH", "/twins/{id}/modules/{module}", hub_twin_http_patch, true),
    HUB("PUT", "/twins/{id}/modules/{module}", hub_twin_http_put, true),
    METHOD("/twins/{id}/methods", hub_method_http_invoke),
    METHOD("/twins/{id}/modules/{module}/methods", hub_method_http_invoke),
    METHOD("/digitaltwins/{id}/commands/{name}", hub_method_http_command),
    METHOD("/digitaltwins/{id}/components/{component}/commands/{name}", hub_method_http_command),
    HUB("GET", "/messages/events", hub_events_open, false),
    DEVICE("POST", "/devices/{id}/messages/events", hub_telemetry_http_send),
    DEVICE("POST", "/devices/{id}/modules/{module}/messages/events", hub_telemetry_http_send),
    TAKE("/devices/{id}/messages/devicebound", hub_c2d_device_http_receive),
    DEVICE("DELETE", "/devices/{id}/messages/devicebound/{token}", hub_c2d_device_http_settle),
    DEVICE("POST", "/devices/{id}/messages/devicebound/{token}/abandon",
           hub_c2d_device_http_abandon),
    TAKE("/devices/{id}/modules/{module}/messages/devicebound", hub_c2d_device_http_receive),
    DEVICE("DELETE", "/devices/{id}/modules/{module}/messages/devicebound/{token}",
           hub_c2d_device_http_settle),
    DEVICE("POST", "/devices/{id}/modules/{module}/messages/devicebound/{token}/abandon",
           hub_c2d_device_http_abandon),
    DEVICE("POST", "/messages/devicebound", hub_c2d_http_send),
    HUB("DELETE", "/devices/{id}/commands", hub_c2d_http_purge, true),
    HUB("DELETE", "/devices/{id}/modules/{module}/commands", hub_c2d_http_purge, true),
    TAKE("/messages/servicebound/feedback", hub_c2d_http_feedback),
    HUB("DELETE", "/messages/servicebound/feedback/{token}", hub_c2d_http_complete_feedback, true),
    HUB("POST", "/messages/servicebound/feedback/{token}/abandon", hub_c2d_http_abandon_feedback,
        true),
    { 0 },
};
