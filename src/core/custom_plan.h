/* core/custom_plan.h: policy "custom" applied to a reading (core/custom.h). Inside core/ only. */
#ifndef CORE_CUSTOM_PLAN_H
#define CORE_CUSTOM_PLAN_H

#include "core/plan.h"

/* A hub that a device may go to. */
struct core_custom_hub {
    struct span host_name; /* folded */
    struct span location;  /* or absent */
    int64_t weight;
    bool has_coordinates;
    struct geo_point point;
    bool is_down; /* it did not answer of late: what goes there waits */
};

/* Runs the enrollment's rule, or says which webhook is to be asked: hub, reason, twin, payload and
 * record of *plan, whose twin is the enrollment's. *ret_is_planned false: there is nothing to ask,
 * as the device stays where it is ("never"), or no hub could take it; *plan is as it was. */
err core_custom_plan(const struct env *env, const struct claim *claim,
                     const struct core_reading *reading, const struct core_tools *tools,
                     struct core_plan *plan, bool *ret_is_planned);

/* The request (core/custom.h). `for_rule`: with hubs, and with their loads if `with_loads`. */
struct core_custom_request {
    const struct core_reading *reading;
    const struct claim *claim;
    struct span enrollment; /* as core_tools.write_enrollment made it */
    const struct core_custom_hub *hubs;
    size_t n_hubs;
    bool for_rule, with_loads;
};
err core_custom_write_request(const struct env *env, const struct core_custom_request *q,
                              struct span *ret_json);

#endif
