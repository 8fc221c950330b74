/* api/service_query_plan.h: what of a query of the service API an order of the store can answer. */
#ifndef API_SERVICE_QUERY_PLAN_H
#define API_SERVICE_QUERY_PLAN_H

#include "api/query_text.h"
#include "core/listing.h"

/* Sets order and narrowing of a listing (id_scope, of and group are the caller's) by the conditions
 * that must hold together. *ret_is_whole: the listing, if it is countable, has no other rows than
 * those that the query wants. ERR_NOMEM. */
err service_query_plan_listing(struct arena *arena, const struct query *q,
                               struct core_listing *listing, bool *ret_is_whole);

#endif
