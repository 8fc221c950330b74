/* api/manage_elsewhere.h: asking a hub elsewhere while an operator waits. Blocks a worker for up to
 * LIMIT_ELSEWHERE_MS, so only LIMIT_RECONCILE_CALLS of them do so at once. */
#ifndef API_MANAGE_ELSEWHERE_H
#define API_MANAGE_ELSEWHERE_H

#include "api/manage_http.h"
#include "model/elsewhere.h"

/* As struct elsewhere's. ERR_BUSY: too many do so already, or nobody elsewhere is talked to. */
err manage_elsewhere_list(struct http_call *call, const struct linked_hub *link, struct span token,
                          struct span **ret_ids, size_t *ret_n, struct span *ret_token,
                          struct elsewhere_answer *ret_answer);
err manage_elsewhere_has(struct http_call *call, const struct linked_hub *link,
                         struct span device_id, bool *ret_has, struct elsewhere_answer *ret_answer);

/* DONE: GRANTED. THROTTLED: over there it is. HUB_ELSEWHERE_FAILED: it did not answer, or refused.
 * Both with the hub's own words. */
struct verdict manage_elsewhere_verdict(const struct elsewhere_answer *answer);
/* Refuses so, and says when to come back, if the hub did. */
err manage_elsewhere_refuse(struct http_call *call, const struct elsewhere_answer *answer);

#endif
