/* hub/device.c: what provisioning leaves on a hub (reference iothub-service-api.md 12): a device
 * identity and the twin that it is born with, or brings from another hub (hub/move.h). The back
 * end's ways are hub/registry.c's. */
#include "hub/bus.h"
#include "hub/event.h"
#include "hub/family.h"
#include "hub/hub.h"
#include "hub/identity.h"
#include "hub/move.h"
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

/* The versions of a twin that is the initial one from now on. */
static void count_reset(struct device *d, bool had_reported)
{
    d->version++;
    d->twin_etag++;
    d->desired_version++;
    d->reported_version += had_reported;
}

static bool has_reported(const struct device *d)
{
    return !span_is_absent(d->reported);
}

/* ---- making, and finding it there ---- */

struct placing {
    const struct env *env;
    struct store_tx *tx;
    const struct placement *p;
    struct hub_origin origin;
    struct placed placed;
};

static bool keeps_twin(const struct placing *g)
{
    return g->p->keeps_twin && g->origin.is_known;
}

static err create(struct placing *g)
{
    const struct placement *p = g->p;
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

    TRY(hub_identity_begin(g->env, &d));
    (void)hub_move_bar(&g->origin, &d);
    hub_move_versions(&g->origin, &d);
    if (keeps_twin(g)) {
        hub_move_twin(&g->origin, &d);
    } else {
        TRY(read_initial_twin(g->env, p->initial_twin, &d));
        if (g->origin.is_here) {
            count_reset(&d, has_reported(&g->origin.device));
        }
    }
    TRY(hub_tags_update(g->tx, g->env->arena, d.hub, d.device_id, SPAN_NONE, d.tags));
    TRY(store_insert(g->tx, &KIND_DEVICE, &d));
    g->placed.is_new = true;
    g->placed.now = d;
    return OK;
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
    return true;
}

/* It gets the twin that it brings, or is put back to the enrollment's initial state, in which
 * nothing that was desired or reported before remains. */
static err replace_twin(struct placing *g, struct device *d)
{
    const struct device was = *d;

    hub_move_versions(&g->origin, d);
    if (keeps_twin(g)) {
        hub_move_twin(&g->origin, d);
        d->version++;
        d->twin_etag++;
        d->desired_version++;
        d->reported_version++;
    } else {
        TRY(read_initial_twin(g->env, g->p->initial_twin, d));
        d->iot_edge = g->p->iot_edge;
        d->reported = d->reported_metadata = SPAN_NONE;
        count_reset(d, has_reported(&was) || has_reported(&g->origin.device));
    }
    return hub_tags_update(g->tx, g->env->arena, d->hub, d->device_id, was.tags, d->tags);
}

/* A device that stays has its sessions told nothing of a reset: it registers, so it connects anew
 * and asks for its twin. */
static err refresh(struct placing *g, struct device *d)
{
    const int64_t was_edge = d->iot_edge;
    bool is_rekeyed = refresh_credential(g->p, d);
    bool is_barred = hub_move_bar(&g->origin, d);

    g->placed.has_other_twin = g->p->reset_twin || g->origin.is_known;
    d->etag += is_rekeyed || is_barred;
    if (g->placed.has_other_twin) {
        TRY(replace_twin(g, d));
    }
    if (is_rekeyed || is_barred || g->placed.has_other_twin) {
        d->updated_ms = g->env->now_ms;
        TRY(store_put(g->tx, &KIND_DEVICE, d));
    }
    if (d->iot_edge != was_edge && !d->iot_edge) {
        TRY(hub_family_set_edge(g->env, g->tx, d));
    }
    g->placed.ends_sessions = is_rekeyed || is_barred || g->origin.is_known;
    g->placed.now = *d;
    return OK;
}

/* ---- placing ---- */

/* Nobody is placed on a hub that is being removed. */
static err check_hub(const struct placing *g)
{
    struct hub hub = { .host_name = g->p->hub };
    bool is_there;

    TRY(store_find(g->tx, &KIND_HUB, &hub, g->env->arena, &hub, &is_there));
    return is_there && hub.life == LIFE_ACTIVE ? OK : ERR(NOT_FOUND);
}

/* Modules come before those that each edge device is given: they may be among them. */
static err place_family(struct placing *g)
{
    struct device d = { .hub = g->p->hub, .device_id = g->p->device_id };
    bool is_there;

    TRY(store_find(g->tx, &KIND_DEVICE, &d, g->env->arena, &d, &is_there));
    TRY(is_there ? refresh(g, &d) : create(g));
    g->placed.has_twin = keeps_twin(g);
    if (keeps_twin(g)) {
        TRY(hub_move_modules(g->env, g->tx, &g->origin, g->p));
    }
    return g->placed.now.iot_edge ? hub_family_set_edge(g->env, g->tx, &g->placed.now) : OK;
}

static err leave(const struct env *env, struct store_tx *tx, const struct device *d,
                 struct placed *placed)
{
    placed->has_left = true;
    placed->left = *d;
    return hub_move_leave(env, tx, d);
}

err hub_device_place(const struct env *env, struct store_tx *tx, const struct placement *p,
                     struct placed *ret_placed)
{
    struct placing g = { .env = env, .tx = tx, .p = p };

    TRY(check_hub(&g));
    TRY(hub_move_read(env, tx, p, &g.origin, &g.placed.verdict));
    if (verdict_is_granted(g.placed.verdict) && p->keeps_twin) {
        TRY(hub_move_check_modules(env, tx, &g.origin, p, &g.placed.verdict));
    }
    if (verdict_is_granted(g.placed.verdict)) {
        TRY(place_family(&g));
        TRY(g.origin.is_here ? leave(env, tx, &g.origin.device, &g.placed) : OK);
    }
    *ret_placed = g.placed;
    return OK;
}

static err take_away(const struct env *env, struct store_tx *tx, struct span hub,
                     struct span device_id, struct placed *ret_placed)
{
    struct device d = { .hub = hub, .device_id = device_id };
    bool is_there;

    TRY(store_find(tx, &KIND_DEVICE, &d, env->arena, &d, &is_there));
    return is_there ? leave(env, tx, &d, ret_placed) : OK;
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

/* None of them is waited for: doc/adr/0020. */
static void log_changes(const struct env *env, const struct placed *placed)
{
    err e = OK;

    if (placed->is_new) {
        e = hub_event_lifecycle_post(env, HUB_EVENT_CREATED, &placed->now);
    } else if (placed->has_other_twin) {
        e = hub_event_twin_replaced_post(env, &placed->now);
    }
    (void)e;
    if (placed->has_left) {
        e = hub_event_lifecycle_post(env, HUB_EVENT_DELETED, &placed->left);
    }
    (void)e;
}

static void tell(const struct env *env, struct bus *bus, const struct placed *placed)
{
    if (placed->ends_sessions) {
        bus_cut_off(bus, placed->now.hub, placed->now.device_id);
    }
    if (placed->has_left) {
        bus_forget(bus, placed->left.hub, placed->left.device_id);
    }
    log_changes(env, placed);
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
