/* model/placement.h: what provisioning and hubs have to do with each other: api/ puts the two
 * together. A registration orders a device: core/ says it, hub/ does it. */
#ifndef MODEL_PLACEMENT_H
#define MODEL_PLACEMENT_H

#include "model/env.h"
#include "model/reason.h"
#include "model/records.h"

struct bus;
struct store_tx;

/* What a device takes along from a hub to the next (reference iothub-service-api.md 12). */
struct device_state {
    struct span tags, desired, reported; /* JSON objects; absent: {}. As a hub shows them: what it
                                            says of them ("$metadata") is passed over. */
    int64_t iot_edge;
    enum device_status status; /* who was barred there is not let in here */
    struct span status_reason; /* or absent */
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
    /* What it was on the hub elsewhere that it comes from, whether or not it keeps its twin; NULL:
     * it comes from none, or was not there. */
    const struct device_state *carried;
};

/* What became of it. Zero: nothing. Spans are in the arena. */
struct placed {
    struct verdict verdict; /* refused: the hub cannot have it so, detail says why, and nothing was
                               done. FIELD_INVALID, TOO_MANY_MODULES */
    bool is_new;            /* `now` was made */
    bool ends_sessions;     /* `now` was there, with another credential or another twin */
    bool has_twin;          /* it kept its twin */
    bool has_other_twin; /* `now` was there, and its twin was reset, or gave way to the one kept */
    bool has_left;       /* `left` went */
    struct device now;   /* as it is; device_id absent: nothing was placed */
    struct device left;  /* as it was */
};

/* Makes the device, or refreshes its credential when it is there (reference iothub-service-api.md
 * 12, doc/adr/0024), in the registration's own transaction. ERR_NOT_FOUND: no such hub in this
 * store; nothing was done. */
typedef err (*placement_fn)(const struct env *env, struct store_tx *tx, const struct placement *p,
                            struct placed *ret_placed);

/* What provisioning does on the hubs of this store, each in a transaction of its own choosing. */
struct placer {
    placement_fn place;
    /* What the device would take along. Does not write. */
    err (*read)(const struct env *env, struct store_tx *tx, struct span hub, struct span device_id,
                struct device_state *ret_state, bool *ret_found);
    /* ret_placed->has_left, .left: it was there, and has gone; the rest stays as it is. */
    err (*take_away)(const struct env *env, struct store_tx *tx, struct span hub,
                     struct span device_id, struct placed *ret_placed);
    /* What follows once the transaction is durable: ends sessions and calls of who left or has
     * another credential, of a device its modules', too, and tells the hubs' logs. Its loss is no
     * fault of the registration. */
    void (*tell)(const struct env *env, struct bus *bus, const struct placed *placed);
};

/* What provisioning has to say to a hub that an instance makes, and how it links it (`link` NULL:
 * not at all), in the hub's own transaction, before the hub's row is there. Anything but GRANTED:
 * the hub is not made. */
typedef err (*hub_made_fn)(const struct env *env, struct store_tx *tx, const struct hub *hub,
                           const struct linked_hub *link, struct verdict *ret_verdict);

#endif
