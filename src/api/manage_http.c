/* api/manage_http.c: the table of the management routes, and those about the instance and its hubs
 * (doc/wire/manage.md). */
#include "api/manage_http.h"

#include "api/error.h"
#include "core/instance.h"
#include "hub/hub.h"
#include "util/base64.h"
#include "json/writer.h"

/* Allocation policies as Azure's ARM spells them: capitalised. */
static const char *arm_allocation_word(enum allocation_policy policy)
{
    switch (policy) {
    case ALLOCATION_GEO_LATENCY:
        return "GeoLatency";
    case ALLOCATION_STATIC:
        return "Static";
    case ALLOCATION_CUSTOM:
        return "Custom";
    default:
        return "Hashed";
    }
}

static err on_get_instance(struct http_call *call)
{
    struct instance instance;
    struct linked_hub *links = NULL;
    struct verdict v;
    size_t n = 0;
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    TRY(core_instance_links(call->env, instance.id_scope, &links, &n));
    out = http_call_body_room(call);
    json_write_begin_object(&w, NULL);
    json_write_text(&w, "name", instance.name);
    json_write_begin_object(&w, "properties");
    json_write_text(&w, "idScope", instance.id_scope);
    json_write_text(&w, "serviceOperationsHostName", instance.host_name);
    json_write_str(&w, "allocationPolicy", arm_allocation_word(instance.allocation_policy));
    json_write_begin_array(&w, "iotHubs");
    for (size_t i = 0; i < n; i++) {
        json_write_begin_object(&w, NULL);
        json_write_text(&w, "name", links[i].host_name);
        json_write_int(&w, "allocationWeight", links[i].weight);
        json_write_bool(&w, "applyAllocationPolicy", links[i].apply_allocation_policy != 0);
        json_write_end_object(&w);
    }
    json_write_end_array(&w);
    json_write_end_object(&w);
    json_write_end_object(&w);
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

/* ---- hubs ---- */

static bool is_linked(const struct linked_hub *links, size_t n, struct span host)
{
    for (size_t i = 0; i < n; i++) {
        if (span_eq(links[i].host_name, host)) {
            return true;
        }
    }
    return false;
}

static void write_hub(const struct hub *hub, bool linked, struct span connection_string,
                      struct json_writer *w)
{
    json_write_begin_object(w, NULL);
    json_write_text(w, "name", hub->name);
    json_write_text(w, "hostName", hub->host_name);
    json_write_time(w, "created", hub->created_ms);
    json_write_bool(w, "isLinked", linked);
    json_write_text_if(w, "connectionString", connection_string);
    json_write_end_object(w);
}

static err on_list_hubs(struct http_call *call)
{
    struct instance instance;
    struct linked_hub *links = NULL;
    struct hub *hubs = NULL;
    size_t n_links = 0;
    size_t n = 0;
    struct verdict v;
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    TRY(core_instance_links(call->env, instance.id_scope, &links, &n_links));
    TRY(hub_list(call->env, &hubs, &n));
    out = http_call_body_room(call);
    json_write_begin_object(&w, NULL);
    json_write_begin_array(&w, "value");
    for (size_t i = 0; i < n; i++) {
        write_hub(&hubs[i], is_linked(links, n_links, hubs[i].host_name), SPAN_NONE, &w);
    }
    json_write_end_array(&w);
    json_write_end_object(&w);
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

/* The body of PUT hubs/{name}. */
struct hub_order {
    struct span host_name;
    bool link;
    int64_t weight;
};

static err read_hub_order(struct http_call *call, const json *document, struct hub_order *ret_order,
                          struct verdict *ret_verdict)
{
    struct hub_order order = { .link = true, .weight = 1 };
    struct verdict v = VERDICT(GRANTED);
    struct span host = SPAN_NONE;
    err e = json_get_text(document, "hostName", &host);

    if (err_is_ok(e)) {
        e = json_get_bool(document, "link", &order.link);
    }
    if (err_is_ok(e)) {
        e = json_get_int(document, "allocationWeight", &order.weight);
    }
    if (!err_is_ok(e)) {
        v = VERDICT(FIELD_INVALID);
        TRY(arena_printf(call->env->arena, &v.detail, "%s.", err_detail()));
    } else if (!model_is_host_name(host)) {
        v = VERDICT(FIELD_INVALID);
        v.detail = SPAN("hostName is missing or not a host name.");
    } else if (order.weight < 1 || order.weight > 1000) {
        v = VERDICT(FIELD_INVALID);
        v.detail = SPAN("allocationWeight is not between 1 and 1000.");
    }
    TRY(arena_copy(call->env->arena, host, &order.host_name));
    *ret_order = order;
    *ret_verdict = v;
    return OK;
}

static err format_connection_string(struct http_call *call, const struct hub *hub,
                                    struct span *ret_text)
{
    static const char owner[] = "iothubowner";
    struct policy policy;
    bool is_found;
    struct buf out;

    TRY(core_policy_find(call->env, POLICY_OF_HUB, hub->host_name, span_str(owner), &policy,
                         &is_found));
    if (!is_found) {
        return err_set(ERR_CORRUPT, "the hub was made without the policy %s", owner);
    }
    out = arena_buf(call->env->arena);
    buf_printf(&out,
               "HostName=%.*s;SharedAccessKeyName=%s;SharedAccessKey=", SPAN_FMT(hub->host_name),
               owner);
    base64_encode(policy.primary_key, &out);
    return arena_buf_end(call->env->arena, &out, ret_text);
}

/* A hub that was made but could not be linked is linked by hand: the two are not one
 * transaction. */
static err make_hub(struct http_call *call, const struct instance *instance,
                    const struct hub_order *order, struct hub *ret_hub, struct verdict *ret_verdict)
{
    struct linked_hub link = { .id_scope = instance->id_scope,
                               .weight = order->weight,
                               .apply_allocation_policy = true };

    TRY(hub_create(call->env, call->params[0], order->host_name, ret_hub, ret_verdict));
    if (verdict_is_granted(*ret_verdict) && call->service->hubs_changed != NULL) {
        call->service->hubs_changed();
    }
    if (!verdict_is_granted(*ret_verdict) || !order->link) {
        return OK;
    }
    link.host_name = ret_hub->host_name;
    return core_instance_link(call->env, &link, ret_verdict);
}

static err on_put_hub(struct http_call *call)
{
    AUTO(json) json *document = NULL;
    struct instance instance;
    struct hub_order order;
    struct hub hub;
    struct verdict v;
    struct span text;
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(http_call_body_object(call, false, &document, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(read_hub_order(call, document, &order, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(make_hub(call, &instance, &order, &hub, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    TRY(format_connection_string(call, &hub, &text));
    out = http_call_body_room(call);
    write_hub(&hub, order.link, text, &w);
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

#define MANAGE(method_, path_, handle_)                                                            \
    {                                                                                              \
        .method = method_, .path = "/berth/v1/" path_, .handle = handle_, .surface = "manage",     \
        .operation = method_ " " path_, .refuse = error_write_management                           \
    }

const struct http_route HTTP_MANAGE_ROUTES[] = {
    MANAGE("GET", "instance", on_get_instance),
    MANAGE("GET", "certificates", manage_certificate_list),
    MANAGE("GET", "certificates/{name}", manage_certificate_get),
    MANAGE("PUT", "certificates/{name}", manage_certificate_put),
    MANAGE("DELETE", "certificates/{name}", manage_certificate_delete),
    MANAGE("POST", "certificates/{name}/generateVerificationCode",
           manage_certificate_generate_code),
    MANAGE("POST", "certificates/{name}/verify", manage_certificate_verify),
    MANAGE("GET", "hubs", on_list_hubs),
    MANAGE("PUT", "hubs/{name}", on_put_hub),
    MANAGE("GET", "decisions", manage_decision_list),
    MANAGE("GET", "decisions/{trackingId}", manage_decision_get),
    MANAGE("POST", "explain", manage_decision_explain),
    { 0 },
};
