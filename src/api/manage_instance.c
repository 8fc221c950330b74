/* api/manage_instance.c: instances in the shape of Azure's ARM objects (reference
 * dps-service-api.md 8.2; doc/wire/manage.md): the operator's own, and all of them for who runs the
 * server. */
#include "api/manage_http.h"
#include "core/instance.h"
#include "core/link.h"
#include "core/retire.h"
#include "hub/hub.h"
#include "model/limits.h"

enum { HUBS_A_REQUEST = 32 }; /* that one deletion takes away */

/* ---- JSON ---- */

/* Allocation policies as ARM spells them: capitalised. */
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

static err write_links(struct http_call *call, const struct instance *instance,
                       struct json_writer *w)
{
    struct linked_hub *links = NULL;
    size_t n = 0;

    TRY(core_link_list(call->env, instance->id_scope, &links, &n));
    json_write_begin_array(w, "iotHubs");
    for (size_t i = 0; i < n; i++) {
        TRY(manage_link_write(call, &links[i], w));
    }
    json_write_end_array(w);
    return OK;
}

static err write_policies(struct http_call *call, const struct instance *instance,
                          struct json_writer *w)
{
    struct policy *policies = NULL;
    size_t n = 0;

    TRY(core_policy_list(call->env, POLICY_OF_INSTANCE, instance->id_scope, &policies, &n));
    json_write_begin_array(w, "authorizationPolicies");
    for (size_t i = 0; i < n; i++) {
        uint8_t room[256];
        struct buf rights = buf_over(room, sizeof(room));

        model_format_rights(policies[i].rights, &rights);
        json_write_begin_object(w, NULL);
        json_write_text(w, "keyName", policies[i].name);
        json_write_text(w, "rights", buf_span(&rights));
        json_write_end_object(w);
    }
    json_write_end_array(w);
    return OK;
}

static err write_properties(struct http_call *call, const struct instance *instance,
                            struct json_writer *w)
{
    json_write_begin_object(w, "properties");
    json_write_str(w, "state", instance->life == LIFE_ACTIVE ? "Active" : "Deleting");
    json_write_text(w, "idScope", instance->id_scope);
    json_write_text(w, "serviceOperationsHostName", instance->host_name);
    json_write_text(w, "deviceProvisioningHostName", instance->host_name);
    json_write_str(w, "allocationPolicy", arm_allocation_word(instance->allocation_policy));
    json_write_time(w, "created", instance->created_ms);
    TRY(write_links(call, instance, w));
    TRY(write_policies(call, instance, w));
    json_write_end_object(w);
    return OK;
}

/* login: the owner's connection string, or absent. */
static err write_instance(struct http_call *call, const struct instance *instance,
                          struct span login, struct json_writer *w)
{
    struct arena *arena = call->env->arena;
    size_t mark = arena->used;
    struct span id;

    TRY(arena_printf(arena, &id, "/berth/v1/instances/%.*s", SPAN_FMT(instance->name)));
    json_write_begin_object(w, NULL);
    json_write_text(w, "name", instance->name);
    json_write_text(w, "id", id);
    json_write_str(w, "type", "Microsoft.Devices/ProvisioningServices");
    TRY(write_properties(call, instance, w));
    json_write_text_if(w, "connectionString", login);
    json_write_end_object(w);
    arena->used = mark; /* links and policies were written */
    return OK;
}

static err answer(struct http_call *call, int status, const struct instance *instance,
                  struct span login)
{
    struct buf out = http_call_body_room(call);
    struct json_writer w = json_writer_over(&out);

    TRY(write_instance(call, instance, login, &w));
    TRY(buf_ok(&out));
    return http_call_json(call, status, buf_span(&out));
}

/* Members of "properties" that may be given: to make an instance both, to change one the latter. */
struct order {
    struct span host_name;
    struct span allocation; /* word */
    enum allocation_policy policy;
};

static err read_order(struct http_call *call, const json *document, bool is_new, struct order *o,
                      struct verdict *ret_verdict)
{
    json *properties = json_member(document, "properties");
    struct verdict v = VERDICT(GRANTED);

    *o = (struct order){ .policy = ALLOCATION_HASHED };
    *ret_verdict = VERDICT(FIELD_INVALID);
    if (!json_is_object(properties)) {
        ret_verdict->detail = SPAN("properties is missing, or no object.");
        return OK;
    }
    for (struct json_iter it = json_first(properties); it.name != NULL; json_next(&it)) {
        if (strcmp(it.name, "allocationPolicy") != 0 &&
            !(is_new && strcmp(it.name, "serviceOperationsHostName") == 0)) {
            return arena_printf(call->env->arena, &ret_verdict->detail,
                                "properties.%.64s cannot be set%s.", it.name,
                                is_new ? "" : " here: only allocationPolicy can");
        }
    }
    TRY(manage_refuse_member(
        call, json_get_text(properties, "serviceOperationsHostName", &o->host_name), &v));
    TRY(manage_refuse_member(call, json_get_text(properties, "allocationPolicy", &o->allocation),
                             &v));
    if (verdict_is_granted(v) && (!is_new || !span_is_absent(o->allocation)) &&
        !model_parse_allocation(o->allocation, &o->policy)) {
        ret_verdict->detail = SPAN("allocationPolicy: Hashed, GeoLatency or Static.");
        return OK;
    }
    *ret_verdict = v;
    return OK;
}

/* ---- the operator's own ---- */

err manage_instance_get_own(struct http_call *call)
{
    struct instance instance;
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    return verdict_is_granted(v) ? answer(call, 200, &instance, SPAN_NONE)
                                 : http_call_refuse(call, v);
}

err manage_instance_patch_own(struct http_call *call)
{
    AUTO(json) json *document = NULL;
    struct instance instance;
    struct order order;
    struct verdict v;

    TRY(manage_begin_change(call, &instance, &document, &v));
    if (verdict_is_granted(v)) {
        TRY(read_order(call, document, false, &order, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(core_instance_set_allocation(call->env, instance.id_scope, order.policy, &instance,
                                         &v));
    }
    return verdict_is_granted(v) ? answer(call, 200, &instance, SPAN_NONE)
                                 : http_call_refuse(call, v);
}

/* ---- all of the server ---- */

static err fetch(const struct env *env, struct span id_scope, struct span after, size_t n,
                 void **ret_rows, size_t *ret_n)
{
    struct instance *rows = NULL;

    (void)id_scope;
    TRY(core_instance_list(env, after, n, &rows, ret_n));
    *ret_rows = rows;
    return OK;
}

static err write_row(struct http_call *call, const void *row, struct json_writer *w)
{
    return write_instance(call, row, SPAN_NONE, w);
}

static struct span key_of(const void *row)
{
    return ((const struct instance *)row)->id_scope;
}

err manage_instance_list(struct http_call *call)
{
    static const struct manage_listing l = { .path = "/berth/v1/instances",
                                             .row_size = sizeof(struct instance),
                                             .fetch = fetch,
                                             .write = write_row,
                                             .key = key_of };
    struct verdict v;

    TRY(http_call_authorize_server(call, &v));
    return verdict_is_granted(v) ? manage_page_answer(call, &l, SPAN_NONE)
                                 : http_call_refuse(call, v);
}

err manage_instance_get(struct http_call *call)
{
    struct instance instance;
    struct verdict v;
    bool is_found;

    TRY(http_call_authorize_server(call, &v));
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    TRY(core_instance_find_by_name(call->env, call->params[0], &instance, &is_found));
    return is_found ? answer(call, 200, &instance, SPAN_NONE)
                    : http_call_refuse(call, VERDICT(RESOURCE_NOT_FOUND));
}

static void tell_hosts_changed(struct http_call *call)
{
    if (call->service->hosts_changed != NULL) {
        call->service->hosts_changed();
    }
}

err manage_instance_put(struct http_call *call)
{
    AUTO(json) json *document = NULL;
    struct instance wanted = { .name = call->params[0] };
    struct instance instance;
    struct policy owner;
    struct order order;
    struct span login;
    struct verdict v;

    TRY(http_call_authorize_server(call, &v));
    if (verdict_is_granted(v)) {
        TRY(http_call_body_object(call, false, &document, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(read_order(call, document, true, &order, &v));
    }
    if (verdict_is_granted(v)) {
        wanted.host_name = order.host_name;
        wanted.allocation_policy = order.policy;
        TRY(core_instance_create_with(call->env, &wanted, &instance, &owner, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    tell_hosts_changed(call);
    TRY(core_policy_login(call->env, &owner, instance.host_name, &login));
    return answer(call, 201, &instance, login);
}

/* ---- deletion ---- */

/* A part of the hubs that it made. */
static err remove_hubs(struct http_call *call, const struct instance *instance, bool *ret_is_done)
{
    struct arena *arena = call->env->arena;
    struct hub *hubs = NULL;
    size_t n = 0;
    size_t i = 0;
    bool is_done = true;

    TRY(hub_list_made(call->env, instance->id_scope, &hubs, &n));
    while (is_done && i < n && i < HUBS_A_REQUEST) {
        struct hub_removal what = { .id_scope = instance->id_scope,
                                    .name = hubs[i].name,
                                    .is_forced = true,
                                    .most = LIMIT_DELETE_REQUEST };
        size_t mark = arena->used;
        struct verdict v;

        TRY(hub_remove(call->env, call->service->bus, &what, &is_done, &v));
        is_done = is_done || !verdict_is_granted(v); /* gone meanwhile */
        arena->used = mark;
        i += is_done;
    }
    *ret_is_done = i == n;
    return OK;
}

err manage_instance_delete(struct http_call *call)
{
    struct instance instance;
    struct verdict v;
    bool is_forced, is_done;

    TRY(http_call_authorize_server(call, &v));
    if (verdict_is_granted(v)) {
        TRY(manage_is_forced(call, &is_forced));
        TRY(core_retire_begin(call->env, call->params[0], is_forced, &instance, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    TRY(remove_hubs(call, &instance, &is_done));
    if (is_done) {
        TRY(core_retire_sweep(call->env, instance.id_scope, LIMIT_DELETE_REQUEST, &is_done));
    }
    if (!is_done) {
        return answer(call, 202, &instance, SPAN_NONE);
    }
    tell_hosts_changed(call);
    call->status = 204;
    return OK;
}
