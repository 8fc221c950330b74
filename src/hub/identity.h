/* hub/identity.h: the rows of devices and modules, found by client ID: "{device}" is of
 * KIND_DEVICE, "{device}/{module}" of KIND_MODULE; both are a struct device. All in a transaction
 * of the caller's. Device IDs hold no '/'. */
#ifndef HUB_IDENTITY_H
#define HUB_IDENTITY_H

#include "hub/bus.h"
#include "model/env.h"
#include "model/reason.h"
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
/* Which of the two is not there: MODULE_NOT_FOUND when the client ID is a module's and its device
 * is. */
err hub_identity_missing(struct store_tx *tx, struct span hub, struct span client_id,
                         struct arena *arena, struct verdict *ret_verdict);

/* What each newborn has: a generation ID and an ETag that no former one of its ID had, the versions
 * of an empty twin. */
err hub_identity_begin(const struct env *env, struct device *d);
/* The scope of an edge device, which its children name: "ms-azure-iot-edge://{id}-{generation}". */
err hub_identity_scope(const struct device *d, struct arena *arena, struct span *ret_scope);

/* What is known of an identity besides its row. */
struct hub_standing {
    bool is_connected;
    int64_t state_updated_ms, last_activity_ms; /* 0: never */
    int64_t c2d_messages;                       /* in its queue */
};
err hub_identity_standing(struct store_tx *tx, struct bus *bus, const struct device *d,
                          struct arena *arena, struct hub_standing *ret_standing);
/* The same in a transaction of its own. */
err hub_identity_standing_now(const struct env *env, struct bus *bus, const struct device *d,
                              struct hub_standing *ret_standing);

#endif
