/* hub/device.c: device identities and the twin they are born with. Knows what provisioning leaves
 * on a hub (reference iothub-service-api.md 12) and how an identity is changed; who may do it is
 * api/'s. */
#include "hub/bus.h"
#include "hub/hub.h"
#include "hub/identity.h"
#include "hub/tags.h"
#include "hub/twin.h"
#include "model/limits.h"
#include "store/store.h"
#include "json/json.h"

struct device_work {
    const struct env *env;
    struct device device;
    bool is_found;
    const struct hub_device_status *change;
    struct verdict verdict;
    struct store_scan scan;
    struct device *rows;
    size_t n;
};

/* ---- provisioning ---- */

/* .NET ticks: 100 ns since the year 1, which is 18 digits for long (reference 3.1). */
static err make_generation_id(const struct env *env, struct span *ret_id)
{
    const int64_t unix_epoch_ticks = 621355968000000000;

    return arena_printf(env->arena, ret_id, "%lld",
                        (long long)(unix_epoch_ticks + env->now_ms * 10000));
}

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

static err create(const struct env *env, struct store_tx *tx, const struct placement *p)
{
    struct hub hub = { .host_name = p->hub };
    struct device d = {
        .hub = p->hub,
        .device_id = p->device_id,
        /* Another one than a former device of this ID had. */
        .etag = 1 + (env->now_ms & 0x3fffffff),
        .status = DEVICE_ENABLED,
        .auth = p->auth,
        .primary_thumbprint = p->primary_thumbprint,
        .secondary_thumbprint = p->secondary_thumbprint,
        .primary_key = p->primary_key,
        .secondary_key = p->secondary_key,
        .iot_edge = p->iot_edge,
        .version = 2, /* reference iothub-service-api.md 5 */
        .desired_version = 1,
        .reported_version = 1,
        .twin_etag = 1,
        .created_ms = env->now_ms,
        .updated_ms = env->now_ms,
    };
    bool has_hub;

    TRY(store_find(tx, &KIND_HUB, &hub, env->arena, &hub, &has_hub));
    if (!has_hub) {
        return ERR(NOT_FOUND);
    }
    TRY(make_generation_id(env, &d.generation_id));
    TRY(read_initial_twin(env, p->initial_twin, &d));
    TRY(hub_tags_update(tx, env->arena, d.hub, d.device_id, SPAN_NONE, d.tags));
    return store_insert(tx, &KIND_DEVICE, &d);
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

err hub_device_place(const struct env *env, struct store_tx *tx, const struct placement *p,
                     struct placed *ret_placed)
{
    struct device d = { .hub = p->hub, .device_id = p->device_id };
    bool is_found;

    TRY(store_find(tx, &KIND_DEVICE, &d, env->arena, &d, &is_found));
    *ret_placed = (struct placed){ .is_new = !is_found };
    if (!is_found) {
        return create(env, tx, p);
    }
    ret_placed->is_rekeyed = refresh_credential(p, &d);
    if (p->reset_twin) {
        TRY(reset_twin(env, tx, p, &d));
    } else if (!ret_placed->is_rekeyed) {
        return OK;
    }
    d.updated_ms = env->now_ms;
    return store_put(tx, &KIND_DEVICE, &d);
}

/* ---- for the operator ---- */

static err read_one(struct store_tx *tx, void *arg)
{
    struct device_work *w = arg;

    TRY(hub_identity_find(tx, w->device.hub, w->device.device_id, w->env->arena, &w->device,
                          &w->is_found));
    w->verdict = VERDICT(GRANTED);
    return w->is_found ? OK
                       : hub_identity_missing(tx, w->device.hub, w->device.device_id, w->env->arena,
                                              &w->verdict);
}

err hub_device_get(const struct env *env, struct span hub, struct span device_id,
                   struct device *ret_device, struct verdict *ret_verdict)
{
    struct device_work w = { .env = env, .device = { .hub = hub, .device_id = device_id } };

    TRY(store_read(env->store, read_one, &w));
    if (w.is_found) {
        *ret_device = w.device;
    }
    *ret_verdict = w.verdict;
    return OK;
}

static err read_page(struct store_tx *tx, void *arg)
{
    struct device_work *w = arg;

    return store_scan(tx, &KIND_DEVICE, &w->scan, w->env->arena, &w->rows, &w->n);
}

err hub_device_list(const struct env *env, struct span hub, struct span after, size_t limit,
                    struct device **ret_rows, size_t *ret_n)
{
    struct device prefix = { .hub = hub };
    struct device behind = { .hub = hub, .device_id = after };
    struct device_work w = {
        .env = env,
        .scan = { .prefix = &prefix,
                  .n_prefix = 1,
                  .after = span_is_absent(after) ? NULL : &behind,
                  .limit = limit },
    };

    TRY(store_read(env->store, read_page, &w));
    *ret_rows = w.rows;
    *ret_n = w.n;
    return OK;
}

static bool is_current(struct span if_match, int64_t etag)
{
    int64_t given;

    return span_is_absent(if_match) || span_eq(if_match, SPAN("*")) ||
           (span_parse_int(if_match, &given) && given == etag);
}

static err set_status(struct store_tx *tx, void *arg)
{
    struct device_work *w = arg;
    struct device *d = &w->device;

    TRY(read_one(tx, w));
    if (!w->is_found) {
        return OK;
    }
    if (!is_current(w->change->if_match, d->etag)) {
        w->verdict = VERDICT(ETAG_MISMATCH);
        return OK;
    }
    w->verdict = VERDICT(GRANTED);
    if (d->status != w->change->status) {
        d->status = w->change->status;
        d->status_updated_ms = w->env->now_ms;
    }
    d->status_reason = w->change->reason;
    d->etag++;
    d->updated_ms = w->env->now_ms;
    return store_put(tx, &KIND_DEVICE, d);
}

err hub_device_set_status(const struct env *env, struct bus *bus, struct span hub,
                          struct span device_id, const struct hub_device_status *change,
                          struct device *ret_device, struct verdict *ret_verdict)
{
    struct device_work w = { .env = env,
                             .device = { .hub = hub, .device_id = device_id },
                             .change = change };

    if (change->reason.len > LIMIT_STATUS_REASON) {
        *ret_verdict = (struct verdict){ .reason = REASON_FIELD_INVALID,
                                         .detail = SPAN("statusReason is too long.") };
        return OK;
    }
    TRY(store_write(env->store, set_status, &w));
    if (verdict_is_granted(w.verdict)) {
        /* Also when it was disabled before: a session may have been let in meanwhile. */
        if (w.device.status == DEVICE_DISABLED) {
            bus_cut_off(bus, hub, device_id);
        }
        *ret_device = w.device;
    }
    *ret_verdict = w.verdict;
    return OK;
}
