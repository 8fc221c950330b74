/* core/errand_lane.h: what lanes are called: "hub/{ID scope}/{host name}",
 * "webhook/{ID scope}/{host name}[:port]". The ID scope is in it, so that no instance's trouble
 * with a name is another's. */
#ifndef CORE_ERRAND_LANE_H
#define CORE_ERRAND_LANE_H

#include "util/arena.h"

/* Both folded. ERR_NOMEM. */
err core_errand_lane_of_hub(struct arena *arena, struct span id_scope, struct span host_name,
                            struct span *ret_lane);
/* url: "https://host[:port]/…". ERR_NOMEM. */
err core_errand_lane_of_url(struct arena *arena, struct span id_scope, struct span url,
                            struct span *ret_lane);
bool core_errand_lane_is_webhook(struct span lane);

#endif
