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

#endif
