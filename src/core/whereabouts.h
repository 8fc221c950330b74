/* core/whereabouts.h: what a hub is to an instance, in a transaction. Inside core/ only. */
#ifndef CORE_WHEREABOUTS_H
#define CORE_WHEREABOUTS_H

#include "model/env.h"
#include "model/records.h"
#include "util/err.h"

struct store_tx;

enum core_whereabouts_place {
    CORE_WHEREABOUTS_NONE = 0, /* none of its business, or no hub at all */
    CORE_WHEREABOUTS_HERE,     /* in this store */
    CORE_WHEREABOUTS_ELSEWHERE /* linked, and driven over its REST API */
};

struct core_whereabouts {
    enum core_whereabouts_place place;
    bool is_linked;
    struct linked_hub link; /* when it is */
};

/* Devices are assigned only to hubs that are linked; one that the instance made is its own without
 * that. hub: folded; absent gives NONE. */
err core_whereabouts_find(const struct env *env, struct store_tx *tx, struct span id_scope,
                          struct span hub, struct core_whereabouts *ret_whereabouts);

/* A device that registrations have on a hub. */
struct core_whereabouts_device {
    struct span id_scope, registration_key; /* whose registration does not count; its key absent:
                                               all count */
    struct span hub, device_id;
};
/* Has another registration the device there, too, be it of another instance that is linked to the
 * hub? Then it must not be taken away. */
err core_whereabouts_is_shared(const struct env *env, struct store_tx *tx,
                               const struct core_whereabouts_device *device, bool *ret_is);

#endif
