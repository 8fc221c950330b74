/* api/manage_drain.c: draining a linked hub: the flag, the devices that are still there with why
 * they stay, and cutting off their sessions so that they come back sooner (doc/wire/manage.md). */
#include "api/manage_http.h"
#include "api/manage_rows.h"
#include "core/link.h"
#include "core/placements.h"
#include "hub/hub.h"

/* ---- the flag ---- */

static err set_draining(struct http_call *call, bool is_draining)
{
    struct instance instance;
    struct linked_hub link;
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(core_placements_drain(call->env, instance.id_scope, call->params[0], is_draining, &link,
                                  &v));
    }
    return manage_link_answer(call, &link, v);
}

err manage_drain_begin(struct http_call *call)
{
    return set_draining(call, true);
}

err manage_drain_end(struct http_call *call)
{
    return set_draining(call, false);
}

/* ---- devices ---- */

struct device_list {
    struct manage_rows rows;
    struct core_placements what;
    bool stuck_alone;
    bool disconnects;
};

static void write_enrollment(const struct registration *r, struct json_writer *w)
{
    json_write_begin_object(w, "enrollment");
    json_write_str(w, "kind", model_enrollment_kind_word(r->enrollment_kind));
    json_write_text(w, "id", r->enrollment);
    json_write_end_object(w);
}

static void write_device(const void *row, struct json_writer *w)
{
    const struct core_placement *p = row;
    const struct registration *r = p->registration;

    json_write_begin_object(w, NULL);
    json_write_text(w, "deviceId", r->placed_device_id);
    json_write_text(w, "registrationId", r->id);
    json_write_str(w, "status", model_registration_status_word(r->status));
    write_enrollment(r, w);
    json_write_time(w, "updated", r->updated_ms);
    json_write_text_if(w, "stays", span_str(core_stay_word(p->stay)));
    json_write_end_object(w);
}

static err take_device(const struct core_placement *p, void *arg, bool *more)
{
    struct device_list *l = arg;
    uint8_t bytes[LIMIT_CLIENT_ID];
    struct buf place = buf_over(bytes, sizeof(bytes));
    struct span device_id = p->registration->placed_device_id;
    struct bus *bus = l->rows.call->service->bus;
    size_t n = l->rows.n;
    bool is_wanted = (!l->stuck_alone || p->stay != CORE_STAY_NOT) &&
                     (l->what.hubs == NULL || p->is_missing) &&
                     (!l->disconnects ||
                      (p->stay == CORE_STAY_NOT && bus_is_connected(bus, l->what.hub, device_id)));

    core_placements_write_place(p->registration, &place);
    TRY(buf_ok(&place));
    TRY(manage_rows_take(&l->rows, buf_span(&place), is_wanted ? write_device : NULL, p, more));
    if (l->disconnects && l->rows.n > n) {
        bus_cut_off(bus, l->what.hub, device_id);
    }
    return OK;
}

static err answer(struct device_list *l, const char *verb, const char *filter)
{
    struct http_call *call = l->rows.call;
    struct span path;

    TRY(arena_printf(call->env->arena, &path, "/berth/v1/linkedHubs/%.*s/%s?%s",
                     SPAN_FMT(l->what.hub), verb, filter));
    manage_rows_open(&l->rows);
    TRY(core_placements_walk(call->env, &l->what, manage_rows_after(&l->rows), take_device, l));
    return manage_rows_answer(&l->rows, path, false);
}

static err is_asked(struct http_call *call, const char *name, bool *ret_is)
{
    struct span value;

    TRY(http_call_query(call, span_str(name), &value));
    *ret_is = span_eq_nocase(value, SPAN("true"));
    return OK;
}

/* What the hub lacks is known of a hub of this store alone, and shown only to who is linked to it
 * or made it; of one that is gone it lacks all. */
static err may_look(struct http_call *call, const struct instance *instance, struct span host,
                    struct verdict *ret_verdict)
{
    struct linked_hub link;
    struct hub hub;
    bool is_found;
    struct verdict v;

    TRY(core_link_get(call->env, instance->id_scope, host, &link, &v));
    if (verdict_is_granted(v) && link.is_remote) {
        *ret_verdict = verdict_invalid("missing: the hub is not of this server.");
        return OK;
    }
    TRY(hub_find(call->env, host, &hub, &is_found));
    if (!verdict_is_granted(v) && is_found && !span_eq(hub.id_scope, instance->id_scope)) {
        *ret_verdict = verdict_invalid("missing: the hub is another's, and not linked.");
    }
    return OK;
}

/* The query's filters. */
static err read_filters(struct http_call *call, const struct instance *instance,
                        struct device_list *l, const char **ret_filter, struct verdict *ret_verdict)
{
    bool missing;

    TRY(is_asked(call, "stuck", &l->stuck_alone));
    TRY(is_asked(call, "missing", &missing));
    *ret_verdict = VERDICT(GRANTED);
    *ret_filter = l->stuck_alone && missing ? "stuck=true&missing=true&"
                  : l->stuck_alone          ? "stuck=true&"
                  : missing                 ? "missing=true&"
                                            : "";
    l->what.judges_stay = true;
    l->what.hubs = missing ? &HUB_PLACER : NULL;
    return missing ? may_look(call, instance, l->what.hub, ret_verdict) : OK;
}

static err begin(struct http_call *call, struct device_list *l, const struct instance *instance,
                 const char *filter, struct verdict *ret_verdict)
{
    struct span list;

    l->what.id_scope = instance->id_scope;
    TRY(arena_printf(call->env->arena, &list, "devices %.*s %.*s %s", SPAN_FMT(instance->id_scope),
                     SPAN_FMT(l->what.hub), filter));
    return manage_rows_begin(&l->rows, call, list, ret_verdict);
}

err manage_drain_list(struct http_call *call)
{
    struct instance instance;
    struct device_list l = { .stuck_alone = false };
    const char *filter = "";
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(model_fold(call->env->arena, call->params[0], &l.what.hub));
        TRY(read_filters(call, &instance, &l, &filter, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(begin(call, &l, &instance, filter, &v));
    }
    return verdict_is_granted(v) ? answer(&l, "devices", filter) : http_call_refuse(call, v);
}

/* ---- sessions ---- */

err manage_drain_disconnect(struct http_call *call)
{
    struct instance instance;
    struct linked_hub link;
    struct device_list l = { .disconnects = true, .what.judges_stay = true };
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(core_link_get(call->env, instance.id_scope, call->params[0], &link, &v));
    }
    if (verdict_is_granted(v) && link.is_remote) {
        v = verdict_invalid("The hub is not of this server: its sessions are not either.");
    } else if (verdict_is_granted(v) && !link.is_draining) {
        v = verdict_invalid("The hub is not draining.");
    }
    if (verdict_is_granted(v)) {
        l.what.hub = link.host_name;
        TRY(begin(call, &l, &instance, "disconnect", &v));
    }
    return verdict_is_granted(v) ? answer(&l, "disconnect", "") : http_call_refuse(call, v);
}
