/* core/placements.h: which devices an instance's registrations have on a hub, and which of them no
 * register will move elsewhere; and draining a linked hub, which is what one asks that for. */
#ifndef CORE_PLACEMENTS_H
#define CORE_PLACEMENTS_H

#include "model/placement.h"
#include "model/reason.h"

/* Why a device stays on the hub however often it registers, were the hub draining. */
enum core_stay {
    CORE_STAY_NOT = 0,
    CORE_STAY_KEPT,                /* its enrollment says updateHubAssignment false */
    CORE_STAY_NO_OTHER_HUB,        /* its enrollment allows no linked hub that is not draining */
    CORE_STAY_ENROLLMENT_DISABLED, /* … */
    CORE_STAY_ENROLLMENT_MISSING,  /* unless another one admits it */
};
/* "hub-kept", "no-other-hub" …; NULL for CORE_STAY_NOT. */
const char *core_stay_word(enum core_stay stay);

struct core_placements {
    struct span id_scope, hub; /* folded */
    bool judges_stay;
    const struct placer *hubs; /* not NULL: looks whether the hub, of this store, has each device */
};
struct core_placement {
    const struct registration *registration;
    enum core_stay stay; /* if judged */
    bool is_missing;     /* if looked for: it has not */
};
/* Hands the registrations whose device is on the hub to fn in the order of their device IDs, from
 * behind the place `after` (absent: from the start), on one snapshot. The row lasts until fn
 * returns, which clears *more to end the walk. */
typedef err (*core_placements_fn)(const struct core_placement *row, void *arg, bool *more);
err core_placements_walk(const struct env *env, const struct core_placements *what,
                         struct span after, core_placements_fn fn, void *arg);
/* A row's place in that order: at most LIMIT_CLIENT_ID bytes. */
void core_placements_write_place(const struct registration *r, struct buf *out);
/* From an index alone. */
err core_placements_count(const struct env *env, struct span id_scope, struct span hub,
                          int64_t *ret_n);

/* Says that a linked hub is being drained (doc/adr/0027), or that it is not. RESOURCE_NOT_FOUND. */
err core_placements_drain(const struct env *env, struct span id_scope, struct span host_name,
                          bool is_draining, struct linked_hub *ret_link,
                          struct verdict *ret_verdict);

#endif
