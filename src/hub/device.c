/* hub/device.c: what provisioning leaves on a hub (reference iothub-service-api.md 12): a device
 * identity and the twin that it is born with. The back end's ways are hub/registry.c's. */
#include "hub/bus.h"
#include "hub/event.h"
#include "hub/family.h"
#include "hub/hub.h"
#include "hub/identity.h"
#include "hub/tags.h"
#include "hub/twin.h"
#include "model/limits.h"
#include "store/store.h"
#include "json/json.h"

/* tags and properties.desired of an initialTwin, stamped; what is not there becomes absent. */
static err read_initial_twin(const struct env *env, struct span text, struct device *d)
{
    AUTO(json) json *twin = NULL;

    if (!span_is_absent(text)) {
        TRY(json_parse(text, LIMIT_JSON_DEPTH, &twin));
    }
    return hub_twin_begin(env, json_member(twin, "tags"),
                          json_member(json_member(twin, "properties"), "desired"), d);
}

/* The twin that comes along, with its versions: what the device has seen of it stays behind what it
 * will see. */
static err bring_twin(const struct env *env, struct store_tx *tx, const struct placement *p,
                      struct device *d, bool *ret_has_twin)
{
    struct device from = { .hub = p->from_hub, .device_id = p->from_device_id };
    bool is_found = false;

    if (p->keeps_twin && !span_is_absent(p->from_hub)) {
        TRY(store_find(tx, &KIND_DEVICE, &from, env->arena, &from, &is_found));
    }
    *ret_has_twin = is_found;
    if (!is_found) {
        return read_initial_twin(env, p->initial_twin, d);
    }
    d->tags = from.tags;
    d->desired = from.desired;
    d->desired_metadata = from.desired_metadata;
    d->reported = from.reported;
    d->reported_metadata = from.reported_metadata;
    d->version = from.version;
    d->desired_version = from.desired_version;
    d->reported_version = from.reported_version;
    d->twin_etag = from.twin_etag;
    d->iot_edge = from.iot_edge;
    d->model_id = from.model_id;
    return OK;
}

static err create(const struct env *env, struct store_tx *tx, const struct placement *p,
                  struct placed *placed)
{
    struct hub hub = { .host_name = p->hub };
    struct device d = {
        .hub = p->hub,
        .device_id = p->device_id,
        .status = DEVICE_ENABLED,
        .auth = p->auth,
        .primary_thumbprint = p->primary_thumbprint,
        .secondary_thumbprint = p->secondary_thumbprint,
        .primary_key = p->primary_key,
        .secondary_key = p->secondary_key,
        .iot_edge = p->iot_edge,
    };
    bool has_hub;

    TRY(store_find(tx, &KIND_HUB, &hub, env->arena, &hub, &has_hub));
    if (!has_hub) {
        return ERR(NOT_FOUND);
    }
    TRY(hub_identity_begin(env, &d));
    TRY(bring_twin(env, tx, p, &d, &placed->has_twin));
    TRY(hub_tags_update(tx, env->arena, d.hub, d.device_id, SPAN_NONE, d.tags));
    TRY(store_insert(tx, &KIND_DEVICE, &d));
    placed->is_new = true;
    placed->now = d;
    return d.iot_edge ? hub_family_set_edge(env, tx, &d) : OK;
}

/* True when something changed. */
static bool refresh_credential(const struct placement *p, struct device *d)
{
    if (d->auth == p->auth && span_eq(d->primary_thumbprint, p->primary_thumbprint) &&
        span_eq(d->secondary_thumbprint, p->secondary_thumbprint) &&
        span_eq(d->primary_key, p->primary_key) && span_eq(d->secondary_key, p->secondary_key)) {
        return false;
    }
    d->auth = p->auth;
    d->primary_thumbprint = p->primary_thumbprint;
    d->secondary_thumbprint = p->secondary_thumbprint;
    d->primary_key = p->primary_key;
    d->secondary_key = p->secondary_key;
    d->etag++;
    return true;
}

/* Back to the enrollment's initial state: nothing that was desired or reported before remains. A
 * session is not told: the device that registers connects anew, and asks for its twin. */
static err reset_twin(const struct env *env, struct store_tx *tx, const struct placement *p,
                      struct device *d)
{
    struct span old_tags = d->tags;

    TRY(read_initial_twin(env, p->initial_twin, d));
    TRY(hub_tags_update(tx, env->arena, d->hub, d->device_id, old_tags, d->tags));
    d->iot_edge = p->iot_edge;
    d->version++;
    d->twin_etag++;
    d->desired_version++;
    if (!span_is_absent(d->reported)) {
        d->reported = d->reported_metadata = SPAN_NONE;
        d->reported_version++;
    }
    return OK;
}

/* It is there already. */
static err refresh(const struct env *env, struct store_tx *tx, const struct placement *p,
                   struct device *d, struct placed *placed)
{
    int64_t was_edge = d->iot_edge;

    placed->ends_sessions = refresh_credential(p, d);
    if (p->reset_twin) {
        TRY(reset_twin(env, tx, p, d));
    }
    placed->now = *d;
    if (!placed->ends_sessions && !p->reset_twin) {
        return OK;
    }
    placed->now.updated_ms = d->updated_ms = env->now_ms;
    TRY(store_put(tx, &KIND_DEVICE, d));
    return d->iot_edge != was_edge ? hub_family_set_edge(env, tx, d) : OK;
}

static err take_away(const struct env *env, struct store_tx *tx, struct span hub,
                     struct span device_id, struct placed *ret_placed)
{
    struct device d = { .hub = hub, .device_id = device_id };

    TRY(store_find(tx, &KIND_DEVICE, &d, env->arena, &d, &ret_placed->has_left));
    if (!ret_placed->has_left) {
        return OK;
    }
    ret_placed->left = d;
    return hub_family_erase(env, tx, &d);
}

err hub_device_place(const struct env *env, struct store_tx *tx, const struct placement *p,
                     struct placed *ret_placed)
{
    struct device d = { .hub = p->hub, .device_id = p->device_id };
    bool is_found;

    TRY(store_find(tx, &KIND_DEVICE, &d, env->arena, &d, &is_found));
    *ret_placed = (struct placed){ 0 };
    TRY(is_found ? refresh(env, tx, p, &d, ret_placed) : create(env, tx, p, ret_placed));
    return span_is_absent(p->from_hub)
               ? OK
               : take_away(env, tx, p->from_hub, p->from_device_id, ret_placed);
}

static err read_state(const struct env *env, struct store_tx *tx, struct span hub,
                      struct span device_id, struct device_state *ret_state, bool *ret_found)
{
    struct device d = { .hub = hub, .device_id = device_id };

    TRY(store_find(tx, &KIND_DEVICE, &d, env->arena, &d, ret_found));
    if (*ret_found) {
        *ret_state = (struct device_state){ .tags = d.tags,
                                            .desired = d.desired,
                                            .reported = d.reported,
                                            .iot_edge = d.iot_edge,
                                            .status = d.status,
                                            .status_reason = d.status_reason };
    }
    return OK;
}

/* ---- afterwards ---- */

/* Not waited for: doc/adr/0020. */
static void log_life(const struct env *env, enum hub_event_op op, const struct device *d)
{
    err e = hub_event_lifecycle_post(env, op, d);

    (void)e;
}

static void tell(const struct env *env, struct bus *bus, const struct placed *placed)
{
    if (placed->ends_sessions) {
        bus_cut_off(bus, placed->now.hub, placed->now.device_id);
    }
    if (placed->has_left) {
        bus_cut_off(bus, placed->left.hub, placed->left.device_id);
    }
    if (placed->is_new) {
        log_life(env, HUB_EVENT_CREATED, &placed->now);
    }
    if (placed->has_left) {
        log_life(env, HUB_EVENT_DELETED, &placed->left);
    }
}

const struct placer HUB_PLACER = {
    .place = hub_device_place,
    .read = read_state,
    .take_away = take_away,
    .tell = tell,
};

/* ---- reading ---- */

struct device_work {
    const struct env *env;
    struct device device;
    struct verdict verdict;
};

static err read_one(struct store_tx *tx, void *arg)
{
    struct device_work *w = arg;
    struct device *d = &w->device;
    bool is_found;

    w->verdict = VERDICT(GRANTED);
    TRY(hub_identity_find(tx, d->hub, d->device_id, w->env->arena, d, &is_found));
    return is_found ? OK
                    : hub_identity_missing(tx, d->hub, d->device_id, w->env->arena, &w->verdict);
}

err hub_device_get(const struct env *env, struct span hub, struct span client_id,
                   struct device *ret_device, struct verdict *ret_verdict)
{
    struct device_work w = { .env = env, .device = { .hub = hub, .device_id = client_id } };

    TRY(store_read(env->store, read_one, &w));
    if (verdict_is_granted(w.verdict)) {
        *ret_device = w.device;
    }
    *ret_verdict = w.verdict;
    return OK;
}
