/* hub/identity.c: which table a client ID's row is in, and what other tables tell of it. */
#include "hub/identity.h"

#include "hub/c2d.h"

bool hub_identity_is_module(struct span client_id)
{
    return span_find(client_id, '/') < client_id.len;
}

const struct kind *hub_identity_kind(struct span client_id)
{
    return hub_identity_is_module(client_id) ? &KIND_MODULE : &KIND_DEVICE;
}

struct span hub_identity_device(struct span client_id)
{
    return span_first(client_id, span_find(client_id, '/'));
}

struct span hub_identity_module(struct span client_id)
{
    size_t at = span_find(client_id, '/');

    return at < client_id.len ? span_of(client_id.data + at + 1, client_id.len - at - 1)
                              : SPAN_NONE;
}

err hub_identity_join(struct arena *arena, struct span device_id, struct span module_id,
                      struct span *ret_client_id)
{
    if (!model_is_device_id(device_id)) {
        return ERR(MALFORMED);
    }
    if (span_is_empty(module_id)) {
        return arena_copy(arena, device_id, ret_client_id);
    }
    if (!model_is_device_id(module_id)) {
        return ERR(MALFORMED);
    }
    return arena_printf(arena, ret_client_id, "%.*s/%.*s", SPAN_FMT(device_id),
                        SPAN_FMT(module_id));
}

err hub_identity_find(struct store_tx *tx, struct span hub, struct span client_id,
                      struct arena *arena, struct device *ret_device, bool *ret_found)
{
    struct device key = { .hub = hub, .device_id = client_id };

    return store_find(tx, hub_identity_kind(client_id), &key, arena, ret_device, ret_found);
}

err hub_identity_put(struct store_tx *tx, const struct device *d)
{
    return store_put(tx, hub_identity_kind(d->device_id), d);
}

/* .NET ticks: 100 ns since the year 1, which is 18 digits for long (reference
 * iothub-service-api.md 3.1). The clock counts milliseconds, so what is below is drawn. */
err hub_identity_begin(const struct env *env, struct device *d)
{
    const int64_t unix_epoch_ticks = 621355968000000000, ticks_a_ms = 10000;
    uint32_t drawn[2];

    env->random(drawn, sizeof drawn);
    d->etag = 1 + (drawn[0] & 0x3fffffff);
    d->version = 2; /* reference iothub-service-api.md 5 */
    d->desired_version = d->reported_version = 1;
    d->twin_etag = 1;
    d->created_ms = d->updated_ms = env->now_ms;
    return arena_printf(
        env->arena, &d->generation_id, "%lld",
        (long long)(unix_epoch_ticks + env->now_ms * ticks_a_ms + drawn[1] % ticks_a_ms));
}

err hub_identity_scope(const struct device *d, struct arena *arena, struct span *ret_scope)
{
    return arena_printf(arena, ret_scope, "ms-azure-iot-edge://%.*s-%.*s", SPAN_FMT(d->device_id),
                        SPAN_FMT(d->generation_id));
}

err hub_identity_missing(struct store_tx *tx, struct span hub, struct span client_id,
                         struct arena *arena, struct verdict *ret_verdict)
{
    struct device d = { .hub = hub, .device_id = hub_identity_device(client_id) };
    size_t mark = arena->used;
    bool is_there = false;

    if (hub_identity_is_module(client_id)) {
        TRY(store_find(tx, &KIND_DEVICE, &d, arena, &d, &is_there));
    }
    arena->used = mark;
    *ret_verdict = is_there ? VERDICT(MODULE_NOT_FOUND) : VERDICT(DEVICE_NOT_FOUND);
    return OK;
}

err hub_identity_standing(struct store_tx *tx, struct bus *bus, const struct device *d,
                          struct arena *arena, struct hub_standing *ret_standing)
{
    const struct hub_c2d_owner queue = { d->hub, d->device_id, d->generation_id };
    struct presence presence = { .hub = d->hub, .client_id = d->device_id };
    struct hub_standing standing = { .is_connected = bus_is_connected(bus, d->hub, d->device_id) };
    bool is_there;

    TRY(store_find(tx, &KIND_PRESENCE, &presence, arena, &presence, &is_there));
    if (is_there && span_eq(presence.generation_id, d->generation_id)) {
        standing.state_updated_ms = presence.state_updated_ms;
        standing.last_activity_ms = presence.last_activity_ms;
    }
    TRY(hub_c2d_count(tx, &queue, arena, &standing.c2d_messages));
    *ret_standing = standing;
    return OK;
}

struct standing_work {
    const struct env *env;
    struct bus *bus;
    const struct device *device;
    struct hub_standing standing;
};

static err read_standing(struct store_tx *tx, void *arg)
{
    struct standing_work *w = arg;

    return hub_identity_standing(tx, w->bus, w->device, w->env->arena, &w->standing);
}

err hub_identity_standing_now(const struct env *env, struct bus *bus, const struct device *d,
                              struct hub_standing *ret_standing)
{
    struct standing_work w = { .env = env, .bus = bus, .device = d };

    TRY(store_read(env->store, read_standing, &w));
    *ret_standing = w.standing;
    return OK;
}
