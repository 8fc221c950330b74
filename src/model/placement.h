/* model/placement.h: what provisioning and hubs have to do with each other: api/ puts the two
 * together. A registration orders a device: core/ says it, hub/ does it. */
#ifndef MODEL_PLACEMENT_H
#define MODEL_PLACEMENT_H

#include "model/env.h"
#include "model/reason.h"
#include "model/records.h"

struct store_tx;

/* What a device takes along from a hub to the next (reference iothub-service-api.md 12). */
struct device_state {
    struct span tags, desired, reported; /* JSON objects; absent: {} */
    int64_t iot_edge;
};

struct placement {
    struct span hub; /* host name, folded */
    struct span device_id;
    enum device_auth auth;
    struct span primary_thumbprint, secondary_thumbprint; /* upper-case hex; absent with sas */
    struct span primary_key, secondary_key;               /* with sas */
    int64_t iot_edge;
    struct span initial_twin; /* JSON, or absent: applied when the device is new */
    bool reset_twin;          /* also when it is there already (migrateDeviceData false) */
    /* Where it comes from: the device there goes in the same transaction. Absent: nowhere, or a
     * hub that is not in this store. */
    struct span from_hub, from_device_id;
    bool keeps_twin; /* its twin and modules there come along, instead of the initial twin */
    const struct device_state *carried; /* what it brings from a hub elsewhere; NULL: nothing */
};

/* What became of it. */
struct placed {
    bool is_new;
    bool is_rekeyed; /* it was there with another credential, whose sessions are to be cut off once
                        the transaction is durable */
    bool has_left;   /* … and so are those of `left`, a device that went, as it was */
    struct device left;
};

/* Makes the device, or refreshes its credential when it is there (reference iothub-service-api.md
 * 12), in the registration's own transaction. ERR_NOT_FOUND: no such hub in this store. */
typedef err (*placement_fn)(const struct env *env, struct store_tx *tx, const struct placement *p,
                            struct placed *ret_placed);

/* What provisioning does on the hubs of this store, each in a transaction of its own choosing. */
struct placer {
    placement_fn place;
    /* What the device would take along. Does not write. */
    err (*read)(const struct env *env, struct store_tx *tx, struct span hub, struct span device_id,
                struct device_state *ret_state, bool *ret_found);
    /* ret_placed->has_left: it was there, and has gone. */
    err (*take_away)(const struct env *env, struct store_tx *tx, struct span hub,
                     struct span device_id, struct placed *ret_placed);
};

/* What provisioning has to say to a hub that an instance makes, and how it links it (`link` NULL:
 * not at all), in the hub's own transaction, before the hub's row is there. Anything but GRANTED:
 * the hub is not made. */
typedef err (*hub_made_fn)(const struct env *env, struct store_tx *tx, const struct hub *hub,
                           const struct linked_hub *link, struct verdict *ret_verdict);

#endif
