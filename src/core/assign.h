/* core/assign.h: a registration gets its hub: at once, in the transaction of the register, or by an
 * errand that is left there. What is to be given to which hub is the same for both: an `order`, a
 * struct errand that need not become a row. Inside core/ only. */
#ifndef CORE_ASSIGN_H
#define CORE_ASSIGN_H

#include "core/plan.h"

struct core_whereabouts;
struct store_tx;

/* How a register, or an errand, ends. */
struct core_assigned {
    enum reason reason;  /* GRANTED: ASSIGNED, or ASSIGNING and an errand was left */
    struct span message; /* refused: told to the device instead of the reason's; or absent */
    struct placed placed;
    /* The register of before goes on, nothing new was begun: the registration is as it was. */
    bool has_joined;
    struct span lane; /* of the errand that was left, or is due earlier; absent: none */
};

/* In the transaction of a register. */
struct core_assign_begin {
    const struct placer *hubs;
    const struct errand *order; /* ASSIGN: all that both ways need */
    const struct core_plan *plan;
    const struct registration *was; /* as it is; zero: none */
};
/* *r is the one that takes its place: its status and all that comes with it are filled in;
 * placed_*, initial_hub and authentication_key are as they were. */
err core_assign_begin(const struct env *env, struct store_tx *tx,
                      const struct core_assign_begin *how, struct registration *r,
                      struct core_assigned *ret_assigned);
/* The register ends without a hub: if one of before goes on, it does so no more. */
err core_assign_abandon(const struct env *env, struct store_tx *tx, const struct registration *was);

/* Whether a system elsewhere has a part in it; to_hub is known. *ret_to: what it is. */
err core_assign_must_wait(const struct env *env, struct store_tx *tx, const struct errand *order,
                          struct core_whereabouts *ret_to, bool *ret_must);

/* The last step: ASSIGNED, the device made on its hub of this store, or already on its hub
 * elsewhere, and gone, or about to go, from the one before. Refused: *r is as it was. */
struct core_assign_finish {
    const struct placer *hubs;
    const struct errand *order;
    const struct device_state *carried; /* as struct placement */
    const struct core_whereabouts *to;  /* as found in this transaction; NULL: not looked for yet */
};
err core_assign_finish(const struct env *env, struct store_tx *tx,
                       const struct core_assign_finish *how, struct registration *r,
                       struct core_assigned *ret_assigned);

/* FAILED, in the reason's words or others. */
void core_assign_fail(struct registration *r, enum reason reason, struct span message);

/* What the order says of the device on its hub. */
void core_assign_placement(const struct errand *order, struct placement *ret_placement);

#endif
