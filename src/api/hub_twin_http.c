/* api/hub_twin_http.c: twins for the back end (reference iothub-service-api.md 5). */
#include "api/error.h"
#include "api/hub_http.h"
#include "api/hub_twin_json.h"
#include "core/enrollment.h"
#include "hub/hub.h"
#include "hub/twin.h"
#include "json/writer.h"

static err answer_twin(struct http_call *call, const struct device *d)
{
    struct buf out = arena_buf(call->env->arena);
    struct json_writer w = json_writer_over(&out);
    struct hub_standing standing;
    struct span etag;

    hub_twin_json_etag(d->twin_etag, &out);
    TRY(arena_buf_end(call->env->arena, &out, &etag));
    TRY(http_call_etag(call, etag));
    TRY(hub_identity_standing_now(call->env, call->service->bus, d, &standing));
    out = http_call_body_room(call);
    hub_twin_json_write(d, &standing, &w);
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

err hub_twin_http_get(struct http_call *call)
{
    struct hub hub;
    struct device device;
    struct span client_id;
    struct verdict v;

    TRY(http_call_authorize_hub(call, RIGHT_SERVICE_CONNECT, &hub, &v));
    if (verdict_is_granted(v)) {
        TRY(hub_http_client_id(call, &client_id, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(hub_twin_get(call->env, hub.host_name, client_id, &device, &v));
    }
    return verdict_is_granted(v) ? answer_twin(call, &device) : http_call_refuse(call, v);
}

/* What is reported is the device's own to change. */
static void read_sections(const json *document, struct hub_twin_change *change,
                          struct verdict *ret_verdict)
{
    hub_twin_json_read(document, change, ret_verdict);
    change->reported = NULL;
}

static err change_twin(struct http_call *call, bool is_replace)
{
    AUTO(json) json *document = NULL;
    struct hub_twin_change change = { .is_replace = is_replace };
    struct hub hub;
    struct device device;
    struct core_match match;
    struct span client_id;
    struct verdict v;

    TRY(http_call_authorize_hub(call, RIGHT_SERVICE_CONNECT, &hub, &v));
    if (verdict_is_granted(v)) {
        TRY(hub_http_client_id(call, &client_id, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(http_call_body_object(call, false, &document, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(http_call_if_match(call, &match));
        change.if_etag = hub_twin_json_match(&match);
        read_sections(document, &change, &v);
    }
    if (verdict_is_granted(v)) {
        TRY(hub_twin_change(call->env, call->service->bus, hub.host_name, client_id, &change,
                            &device, &v));
    }
    return verdict_is_granted(v) ? answer_twin(call, &device) : http_call_refuse(call, v);
}

err hub_twin_http_patch(struct http_call *call)
{
    return change_twin(call, false);
}

err hub_twin_http_put(struct http_call *call)
{
    return change_twin(call, true);
}
