/* hub/family.c: what belongs to a device. Its modules lie in the order of client IDs right behind
 * "{device}/", which is how they are found. */
#include "hub/family.h"

#include "hub/c2d.h"
#include "hub/identity.h"
#include "hub/tags.h"
#include "model/limits.h"

static const char *const edge_modules[HUB_FAMILY_EDGE_MODULES] = { "$edgeAgent", "$edgeHub" };

/* ---- modules ---- */

err hub_family_scan(struct store_tx *tx, const struct hub_family_page *page, struct arena *arena,
                    struct device **ret_rows, size_t *ret_n)
{
    const struct device prefix = { .hub = page->hub };
    struct device behind = { .hub = page->hub, .device_id = page->after };
    const struct store_scan scan = { .prefix = &prefix,
                                     .n_prefix = 1,
                                     .after = &behind,
                                     .without_secrets = page->without_secrets,
                                     .limit = page->limit };
    struct device *rows;
    size_t n, own = 0;

    if (span_is_absent(page->after)) {
        TRY(arena_printf(arena, &behind.device_id, "%.*s/", SPAN_FMT(page->device_id)));
    }
    TRY(store_scan(tx, &KIND_MODULE, &scan, arena, &rows, &n));
    while (own < n && span_eq(hub_identity_device(rows[own].device_id), page->device_id)) {
        own++;
    }
    *ret_rows = rows;
    *ret_n = own;
    return OK;
}

struct count {
    const struct device *device;
    size_t n;
};

static err count_row(const void *row, void *arg, bool *more)
{
    const struct device *module = row;
    struct count *c = arg;

    *more = span_eq(hub_identity_device(module->device_id), c->device->device_id);
    c->n += *more;
    return OK;
}

err hub_family_count_modules(const struct env *env, struct store_tx *tx, const struct device *d,
                             size_t *ret_n)
{
    const struct device prefix = { .hub = d->hub };
    struct device behind = { .hub = d->hub };
    const struct store_scan scan = {
        .prefix = &prefix, .n_prefix = 1, .after = &behind, .without_secrets = true
    };
    struct count c = { .device = d };
    size_t mark = env->arena->used;

    TRY(arena_printf(env->arena, &behind.device_id, "%.*s/", SPAN_FMT(d->device_id)));
    TRY(store_walk(tx, &KIND_MODULE, &scan, env->arena, count_row, &c));
    env->arena->used = mark;
    *ret_n = c.n;
    return OK;
}

/* ---- taking away ---- */

static err delete_if_there(struct store_tx *tx, const struct kind *kind, const void *key)
{
    err e = store_delete(tx, kind, key);

    return err_is(e, ERR_NOT_FOUND) ? OK : e;
}

static err erase_one(const struct env *env, struct store_tx *tx, const struct device *d)
{
    const struct session session = { .hub = d->hub, .client_id = d->device_id };
    const struct presence presence = { .hub = d->hub, .client_id = d->device_id };

    TRY(delete_if_there(tx, &KIND_SESSION, &session));
    TRY(delete_if_there(tx, &KIND_PRESENCE, &presence));
    TRY(hub_c2d_forget(tx, d->hub, d->device_id, env->arena));
    TRY(hub_tags_update(tx, env->arena, d->hub, d->device_id, d->tags, SPAN_NONE));
    return delete_if_there(tx, hub_identity_kind(d->device_id), d);
}

/* One at a time: a twin may be large, and a device that moves has others in memory. */
static err erase_modules(const struct env *env, struct store_tx *tx, const struct device *d)
{
    const struct hub_family_page page = {
        .hub = d->hub, .device_id = d->device_id, .limit = 1, .without_secrets = true
    };
    size_t mark = env->arena->used;
    struct device *rows;
    size_t n = 1;

    while (n > 0) {
        TRY(hub_family_scan(tx, &page, env->arena, &rows, &n));
        for (size_t i = 0; i < n; i++) {
            TRY(erase_one(env, tx, &rows[i]));
        }
        env->arena->used = mark;
    }
    return OK;
}

err hub_family_erase(const struct env *env, struct store_tx *tx, const struct device *d)
{
    if (!hub_identity_is_module(d->device_id)) {
        TRY(erase_modules(env, tx, d));
    }
    return erase_one(env, tx, d);
}

/* ---- edge devices ---- */

static err set_edge_module(const struct env *env, struct store_tx *tx, const struct device *d,
                           const char *name)
{
    struct device module = { .hub = d->hub,
                             .auth = DEVICE_AUTH_NONE,
                             .managed_by = SPAN("iotEdge") };
    struct device stored;
    bool is_there;

    TRY(hub_identity_join(env->arena, d->device_id, span_str(name), &module.device_id));
    TRY(hub_identity_find(tx, d->hub, module.device_id, env->arena, &stored, &is_there));
    if (is_there == (d->iot_edge != 0)) {
        return OK;
    }
    if (is_there) {
        return erase_one(env, tx, &stored);
    }
    TRY(hub_identity_begin(env, &module));
    return store_insert(tx, &KIND_MODULE, &module);
}

err hub_family_set_edge(const struct env *env, struct store_tx *tx, const struct device *d)
{
    size_t mark = env->arena->used;

    for (size_t i = 0; i < HUB_FAMILY_EDGE_MODULES; i++) {
        TRY(set_edge_module(env, tx, d, edge_modules[i]));
        env->arena->used = mark;
    }
    return OK;
}
