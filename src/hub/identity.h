/* hub/identity.h: the rows of devices and modules, found by client ID: "{device}" is of
 * KIND_DEVICE,
 * "{device}/{module}" of KIND_MODULE; both are a struct device. All in a transaction of the
 * caller's. Device IDs hold no '/'. */
#ifndef HUB_IDENTITY_H
#define HUB_IDENTITY_H

#include "model/env.h"
#include "store/store.h"

const struct kind *hub_identity_kind(struct span client_id);
bool hub_identity_is_module(struct span client_id);
/* The part before the '/'; all of a device's. */
struct span hub_identity_device(struct span client_id);
/* The part behind it; absent for a device. */
struct span hub_identity_module(struct span client_id);
/* {device} or {device}/{module} (module absent or empty: the former), in the arena. ERR_MALFORMED:
 * one of them breaks the rules of names. */
err hub_identity_join(struct arena *arena, struct span device_id, struct span module_id,
                      struct span *ret_client_id);

err hub_identity_find(struct store_tx *tx, struct span hub, struct span client_id,
                      struct arena *arena, struct device *ret_device, bool *ret_found);
err hub_identity_put(struct store_tx *tx, const struct device *d);

#endif
