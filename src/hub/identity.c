/* hub/identity.c: which table a client ID's row is in. */
#include "hub/identity.h"

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
