/* core/reconcile_judge.h: what registrations say of a device that is on a hub, in a transaction of
 * the caller's. Inside core/ only. */
#ifndef CORE_RECONCILE_JUDGE_H
#define CORE_RECONCILE_JUDGE_H

#include "core/reconcile.h"
#include "store/store.h"

struct core_judge {
    const struct env *env;
    const struct core_reconcile_query *query;
    struct store_tx *tx;
    struct span *scopes; /* of others that have, or may have, devices on the hub */
    size_t n_scopes;
    struct linked_hub *links; /* the instance's */
    size_t n_links;
    size_t lookups;     /* so far */
    struct span folded; /* the ID of the device that is judged */
};

/* Reads who else there is: into the arena, where it stays. */
err core_judge_begin(struct core_judge *j);
/* What it says is in the arena, where it stays, too. */
err core_judge_one(struct core_judge *j, struct core_identity *id);

#endif
