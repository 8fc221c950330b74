/* api/http_limits.h: which of a hub's limits a request counts against. Inside api/ only. */
#ifndef API_HTTP_LIMITS_H
#define API_HTTP_LIMITS_H

#include "api/http.h"

/* What is authorized already counts now, or is refused: HUB_THROTTLED, MESSAGE_QUOTA_EXCEEDED. Sets
 * call->retry_after_s. client_id absent: the one that the back end's path names, if any. */
err http_limits_count(struct http_call *call, struct span host, struct span client_id,
                      struct verdict *ret_verdict);

#endif
