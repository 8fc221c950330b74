/* core/plan.c: from a reading to a plan. Which hub the policy picks is core/allocate.c's. */
#include "core/plan.h"

err core_plan_make(const struct env *env, const struct claim *claim,
                   const struct core_reading *reading, const struct core_tools *tools,
                   struct core_plan *ret_plan)
{
    const struct registration *r = &reading->registration;
    struct core_plan plan = { .initial_twin = reading->found.enrollment.initial_twin };

    (void)env;
    (void)claim;
    (void)tools;
    plan.reason = core_reading_allocate(
        reading, reading->has_registration ? r->placed_hub : SPAN_NONE, &plan.hub);
    *ret_plan = plan;
    return OK;
}
