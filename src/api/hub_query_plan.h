/* api/hub_query_plan.h: what of a query of a hub an index can answer. */
#ifndef API_HUB_QUERY_PLAN_H
#define API_HUB_QUERY_PLAN_H

#include "api/query_text.h"
#include "hub/listing.h"

/* Narrows a listing (hub and is_modules are the caller's) by the conditions that must hold
 * together. *ret_is_whole: the listing, if it is countable, has no other rows than those that the
 * query wants. ERR_NOMEM. */
err hub_query_plan_listing(struct arena *arena, const struct query *q, struct hub_listing *listing,
                           bool *ret_is_whole);

#endif
