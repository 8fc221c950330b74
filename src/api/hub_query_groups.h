/* api/hub_query_groups.h: what rows come to: COUNT(), AVG, SUM, MIN and MAX of all that are taken
 * in, or of each group that GROUP BY makes of them. Inside the api's query files only. */
#ifndef API_HUB_QUERY_GROUPS_H
#define API_HUB_QUERY_GROUPS_H

#include "api/query_text.h"

struct hub_query_groups;

/* All memory is taken from the arena here, so that rows may be walked in it. ERR_NOMEM. */
err hub_query_groups_new(struct arena *arena, const struct query *q,
                         struct hub_query_groups **ret_groups);
/* ERR_TOO_LARGE: there are more than LIMIT_QUERY_GROUPS, or what tells them apart is longer than
 * LIMIT_QUERY_GROUPS_TEXT. */
err hub_query_groups_take(struct hub_query_groups *g, struct query_row *row);
/* An array: an object each, in the order in which they were met; at most the query's `top`. Without
 * GROUP BY it is one. What no row had is left out. */
void hub_query_groups_write(const struct hub_query_groups *g, struct json_writer *w);

#endif
