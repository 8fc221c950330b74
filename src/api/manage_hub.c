/* api/manage_hub.c: the hubs that the operator's own instance made or is linked to
 * (doc/wire/manage.md). */
#include "api/manage_http.h"
#include "core/link.h"
#include "core/policy.h"
#include "hub/hub.h"
#include "model/limits.h"

/* ---- list ---- */

struct shown_hub {
    const struct hub *hub;
    bool is_linked;
    struct span id_scope; /* of who is shown it */
    struct span connection_string;
};

static void write_hub(const struct shown_hub *s, struct json_writer *w)
{
    json_write_begin_object(w, NULL);
    json_write_text(w, "name", s->hub->name);
    json_write_text(w, "hostName", s->hub->host_name);
    json_write_time(w, "created", s->hub->created_ms);
    json_write_str(w, "state", s->hub->life == LIFE_ACTIVE ? "Active" : "Deleting");
    json_write_bool(w, "isOwn", span_eq(s->hub->id_scope, s->id_scope));
    json_write_bool(w, "isLinked", s->is_linked);
    json_write_text_if(w, "connectionString", s->connection_string);
    json_write_end_object(w);
}

static bool is_linked(const struct linked_hub *links, size_t n, struct span host)
{
    for (size_t i = 0; i < n; i++) {
        if (span_eq(links[i].host_name, host)) {
            return true;
        }
    }
    return false;
}

static bool is_among(const struct hub *hubs, size_t n, struct span host)
{
    for (size_t i = 0; i < n; i++) {
        if (span_eq(hubs[i].host_name, host)) {
            return true;
        }
    }
    return false;
}

/* Its own, then those of others that it is linked to. */
static err write_all(struct http_call *call, const struct instance *instance, struct json_writer *w)
{
    struct span id_scope = instance->id_scope;
    struct linked_hub *links = NULL;
    struct hub *own = NULL;
    size_t n_links = 0;
    size_t n_own = 0;

    TRY(core_link_list(call->env, id_scope, &links, &n_links));
    TRY(hub_list_made(call->env, id_scope, &own, &n_own));
    for (size_t i = 0; i < n_own; i++) {
        const struct shown_hub shown = { .hub = &own[i],
                                         .is_linked = is_linked(links, n_links, own[i].host_name),
                                         .id_scope = id_scope };

        write_hub(&shown, w);
    }
    for (size_t i = 0; i < n_links; i++) {
        size_t mark = call->env->arena->used;
        struct hub hub;
        bool is_found = false;

        if (!is_among(own, n_own, links[i].host_name)) {
            TRY(hub_find(call->env, links[i].host_name, &hub, &is_found));
        }
        if (is_found) {
            const struct shown_hub shown = { .hub = &hub, .is_linked = true, .id_scope = id_scope };

            write_hub(&shown, w);
        }
        call->env->arena->used = mark;
    }
    return OK;
}

err manage_hub_list(struct http_call *call)
{
    return manage_answer_list(call, write_all);
}

/* ---- put ---- */

/* The body of PUT hubs/{name}. */
struct order {
    struct span host_name;
    bool link;
    int64_t weight;
};

static err read_order(struct http_call *call, const json *document, struct order *ret_order,
                      struct verdict *ret_verdict)
{
    struct order order = { .link = true, .weight = 1 };
    err e = json_get_text(document, "hostName", &order.host_name);

    if (err_is_ok(e)) {
        e = json_get_bool(document, "link", &order.link);
    }
    if (err_is_ok(e)) {
        e = json_get_int(document, "allocationWeight", &order.weight);
    }
    TRY(manage_refuse_member(call, e, ret_verdict));
    if (verdict_is_granted(*ret_verdict) && !model_is_host_name(order.host_name)) {
        *ret_verdict = VERDICT(FIELD_INVALID);
        ret_verdict->detail = SPAN("hostName is missing or not a host name.");
    } else if (verdict_is_granted(*ret_verdict) && (order.weight < 1 || order.weight > 1000)) {
        *ret_verdict = VERDICT(FIELD_INVALID);
        ret_verdict->detail = SPAN("allocationWeight is not between 1 and 1000.");
    }
    *ret_order = order;
    return OK;
}

static void tell_hosts_changed(struct http_call *call)
{
    if (call->service->hosts_changed != NULL) {
        call->service->hosts_changed();
    }
}

static err make_hub(struct http_call *call, const struct instance *instance,
                    const struct order *order, struct hub *ret_hub, struct verdict *ret_verdict)
{
    const struct linked_hub link = { .id_scope = instance->id_scope,
                                     .weight = order->weight,
                                     .apply_allocation_policy = true };
    const struct hub_order what = { .name = call->params[0],
                                    .host_name = order->host_name,
                                    .id_scope = instance->id_scope,
                                    .link = order->link ? &link : NULL,
                                    .made = core_link_made };

    TRY(hub_create(call->env, &what, ret_hub, ret_verdict));
    if (verdict_is_granted(*ret_verdict)) {
        tell_hosts_changed(call);
    }
    return OK;
}

static err answer_made(struct http_call *call, const struct instance *instance,
                       const struct hub *hub, bool linked)
{
    struct shown_hub shown = { .hub = hub, .is_linked = linked, .id_scope = instance->id_scope };
    struct policy owner;
    bool is_found;
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    TRY(core_policy_find(call->env, POLICY_OF_HUB, hub->host_name, SPAN("iothubowner"), &owner,
                         &is_found));
    if (!is_found) {
        return err_set(ERR_CORRUPT, "the hub was made without the policy iothubowner");
    }
    TRY(core_policy_login(call->env, &owner, hub->host_name, &shown.connection_string));
    out = http_call_body_room(call);
    write_hub(&shown, &w);
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

err manage_hub_put(struct http_call *call)
{
    AUTO(json) json *document = NULL;
    struct instance instance;
    struct order order;
    struct hub hub;
    struct verdict v;

    TRY(manage_begin_change(call, &instance, &document, &v));
    if (verdict_is_granted(v)) {
        TRY(read_order(call, document, &order, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(make_hub(call, &instance, &order, &hub, &v));
    }
    return verdict_is_granted(v) ? answer_made(call, &instance, &hub, order.link)
                                 : http_call_refuse(call, v);
}

/* ---- delete ---- */

err manage_hub_delete(struct http_call *call)
{
    struct hub_removal what = { .name = call->params[0], .most = LIMIT_DELETE_REQUEST };
    struct instance instance;
    struct verdict v;
    bool is_done;

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    if (verdict_is_granted(v)) {
        what.id_scope = instance.id_scope;
        TRY(manage_is_forced(call, &what.is_forced));
        TRY(hub_remove(call->env, call->service->bus, &what, &is_done, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    if (!is_done) {
        return http_call_json(call, 202, SPAN("{\"state\":\"Deleting\"}"));
    }
    tell_hosts_changed(call);
    call->status = 204;
    return OK;
}
