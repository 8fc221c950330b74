/* core/errand.h: what one errand does, step by step. Each step is a claim (a transaction: nobody
 * else works on it until its lease is over), a call to a system elsewhere without any transaction,
 * and a settlement (a transaction, which finds out whether it was still wanted). All may end
 * between any two of them, and whoever comes next goes on: calls may be repeated.
 *
 *   ASSIGN  ALLOCATE --> LOOK --> PLACE --> the registration is ASSIGNED
 *             |  hub here, nothing to fetch --^          (and a REMOVE errand, if it moved)
 *           any --> given up, refused, or not wanted any more: FAILED (and a REMOVE errand, if the
 *                   device may have been made where it was not)
 *   REMOVE  TAKE_AWAY --> gone
 *
 * The new hub has the device before the old one loses it. Who runs errands is core/errands.h's. */
#ifndef CORE_ERRAND_H
#define CORE_ERRAND_H

#include "core/assign.h"
#include "core/custom.h"
#include "core/whereabouts.h"
#include "model/elsewhere.h"

enum core_errand_end {
    CORE_ERRAND_NONE = 0, /* claim: nothing is due in the lane */
    CORE_ERRAND_GOES_ON,  /* claimed: call, then settle, then perhaps call again … */
    CORE_ERRAND_MOVED,    /* it waits in errand.lane now, and is due */
    CORE_ERRAND_PAUSED,   /* it is tried again at errand.due_ms, in errand.lane */
    CORE_ERRAND_DONE,     /* there is no such errand any more: done, … */
    CORE_ERRAND_DROPPED,  /* … not wanted any more, … */
    CORE_ERRAND_FAILED,   /* … or its registration FAILED */
    CORE_ERRAND_LOST,     /* somebody else has it */
};

/* A call that was made, as its lane is to hear of it. */
struct core_errand_call {
    struct span lane;
    bool is_failure; /* the other side has trouble */
    int64_t retry_after_ms;
};

/* One errand in work; zero it, its spans are in env->arena. */
struct core_errand_work {
    enum core_errand_end end;
    int64_t next_due_ms;  /* NONE: when the lane's next errand is; INT64_MAX: it has none */
    struct errand errand; /* as it is now */
    enum reason reason;   /* FAILED: why */
    struct core_errand_call calls[2];
    int n_calls;
    /* DONE, of an ASSIGN: what to tell. assigned.lane: a REMOVE errand was left there. */
    bool has_assigned;
    struct registration registration;
    struct core_assigned assigned;
    /* Between claim, call and settlement. */
    struct core_whereabouts to, from;
    struct elsewhere_answer answer;
    struct device_state carried;
    bool has_carried, was_found;
    struct span body; /* of the webhook's answer */
    struct core_custom_answer custom;
    struct span custom_wrong;
    int64_t duration_us;
    size_t arena_mark;
};

struct core_errand_tools {
    const struct elsewhere *elsewhere;
    const struct placer *hubs;
};

/* The lane's first errand that is due. Any end but LOST. Faults: the store's. */
err core_errand_claim(const struct env *env, struct span lane, struct core_errand_work *w);
/* Blocks as long as calls may. Faults are of this side: the errand is due again when its lease is
 * over. */
err core_errand_call(const struct env *env, const struct core_errand_tools *tools,
                     struct core_errand_work *w);
/* Any end but NONE. Faults: the store's. */
err core_errand_settle(const struct env *env, const struct core_errand_tools *tools,
                       struct core_errand_work *w);

/* ---- all of them ---- */

/* Gives up assignments that have waited for LIMIT_ERRAND_MS, a few at once. *ret_n: 0 when there
 * are none left. */
err core_errand_expire(const struct env *env, size_t *ret_n);
/* Nobody works on any errand: those that say so are due. For a store that was just opened, and is
 * this process's alone. */
err core_errand_take_up(const struct env *env);
/* The lane behind `after` (absent: the first) that has errands. */
err core_errand_next_lane(const struct env *env, struct span after, struct span *ret_lane,
                          bool *ret_found);
err core_errand_count(const struct env *env, struct span lane, int64_t *ret_n);

/* For the operator: up to `limit` errands of an instance, in the order of their keys, behind
 * `after` (NULL: from the first): what they are, whom they wait for and why, not what they carry.
 */
err core_errand_list(const struct env *env, struct span id_scope, const struct errand *after,
                     size_t limit, struct errand **ret_rows, size_t *ret_n);

#endif
