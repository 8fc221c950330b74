/* core/plan.h: where a device goes, and with what: the allocation policy applied to a reading. Made
 * before the registration's transaction, which checks again that the hub is linked. Inside core/
 * only. */
#ifndef CORE_PLAN_H
#define CORE_PLAN_H

#include "core/core.h"
#include "core/reading.h"

struct core_plan {
    enum reason reason;       /* GRANTED, or why there is no hub for it */
    struct span hub;          /* folded; in the arena */
    struct span initial_twin; /* JSON, or absent */
    bool overrides_twin;    /* the policy itself gave the twin: a device that moves gets it, too */
    struct span payload;    /* JSON for the device, or absent */
    struct span allocation; /* JSON object for the decision record */
    struct span
        error_message; /* not GRANTED: told to the device instead of the reason's; or absent */
    /* A webhook is to be asked (core/custom.h): reason is GRANTED and hub absent until it answers;
     * twin and payload are the answer's, too. */
    bool asks_webhook;
    struct span webhook_url, webhook_request;
};

/* Changes nothing, so that it may be made to be looked at only. */
err core_plan_make(const struct env *env, const struct claim *claim,
                   const struct core_reading *reading, const struct core_tools *tools,
                   struct core_plan *ret_plan);

#endif
