/* model/placement.h: what provisioning and hubs have to do with each other: api/ puts the two
 * together. A registration orders a device: core/ says it, hub/ does it. */
#ifndef MODEL_PLACEMENT_H
#define MODEL_PLACEMENT_H

#include "model/env.h"
#include "model/reason.h"
#include "model/records.h"

struct store_tx;

struct placement {
    struct span hub; /* host name, folded */
    struct span device_id;
    enum device_auth auth;
    struct span primary_thumbprint, secondary_thumbprint; /* upper-case hex; absent with sas */
    struct span primary_key, secondary_key;               /* with sas */
    int64_t iot_edge;
    struct span initial_twin; /* JSON, or absent: applied when the device is new */
    bool reset_twin;          /* also when it is there already (migrateDeviceData false) */
};

/* What became of it. */
struct placed {
    bool is_new;
    bool is_rekeyed; /* it was there with another credential, whose sessions are to be cut off once
                        the transaction is durable */
};

/* Makes the device, or refreshes its credential when it is there (reference iothub-service-api.md
 * 12), in the registration's own transaction. ERR_NOT_FOUND: no such hub in this store. */
typedef err (*placement_fn)(const struct env *env, struct store_tx *tx, const struct placement *p,
                            struct placed *ret_placed);

/* What provisioning has to say to a hub that an instance makes, and how it links it (`link` NULL:
 * not at all), in the hub's own transaction, before the hub's row is there. Anything but GRANTED:
 * the hub is not made. */
typedef err (*hub_made_fn)(const struct env *env, struct store_tx *tx, const struct hub *hub,
                           const struct linked_hub *link, struct verdict *ret_verdict);

#endif
