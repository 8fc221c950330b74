/* api/http_limits.c: requests to a hub as the operations that its settings limit
 * (doc/wire/hub-limits.md). One rule for all routes, by their paths, so that a new one counts
 * without being told to: what is no message, twin, method or query is of the registry. */
#include "api/http_limits.h"

#include "hub/limits.h"

static bool has(const char *path, const char *part)
{
    return strstr(path, part) != NULL;
}

/* `by_device`: a device's route, not the back end's. */
static enum throttle_operation operation_of(const struct http_route *route, bool by_device)
{
    const char *path = route->path;
    bool is_read = strcmp(route->method, "GET") == 0;

    if (has(path, "/messages/devicebound")) {
        return by_device ? THROTTLE_C2D_RECEIVES : THROTTLE_C2D_SENDS;
    }
    if (has(path, "/messages/")) { /* readers of events and feedback are few, and paced by us */
        return by_device ? THROTTLE_D2C_SENDS : THROTTLE_NOTHING;
    }
    if (has(path, "/methods")) {
        return THROTTLE_METHODS;
    }
    if (has(path, "/query")) {
        return THROTTLE_QUERIES;
    }
    if (strncmp(path, "/twins/", sizeof("/twins/") - 1) == 0) {
        return is_read ? THROTTLE_TWIN_READS : THROTTLE_TWIN_UPDATES;
    }
    return THROTTLE_REGISTRY;
}

/* "{id}" or "{id}/{module}" of the back end's path; absent: it names nobody. */
static err client_of(struct http_call *call, struct span *ret_client_id)
{
    *ret_client_id = call->params[0];
    if (span_is_absent(call->params[0]) || !has(call->route->path, "/modules/{")) {
        return OK;
    }
    return arena_printf(call->env->arena, ret_client_id, "%.*s/%.*s", SPAN_FMT(call->params[0]),
                        SPAN_FMT(call->params[1]));
}

err http_limits_count(struct http_call *call, struct span host, struct span client_id,
                      struct verdict *ret_verdict)
{
    bool by_device = !span_is_absent(client_id);
    struct hub_use use = { .operation = operation_of(call->route, by_device),
                           .client_id = client_id,
                           .bytes = call->request->body.len };

    if (!by_device) {
        TRY(client_of(call, &use.client_id));
    }
    if (use.operation == THROTTLE_REGISTRY) {
        use.word = strcmp(call->route->method, "GET") == 0 ? "RegistryRead" : "RegistryWrite";
    }
    return hub_limits_allow(call->env, host, &use, &call->retry_after_s, ret_verdict);
}
