/* remote/hub_error.h: what a hub says when it does not do something (reference
 * iothub-service-api.md 11). */
#ifndef REMOTE_HUB_ERROR_H
#define REMOTE_HUB_ERROR_H

#include "remote/http.h"

struct hub_error {
    int64_t code;        /* 401002; of an answer that names none: its status times a thousand */
    struct span message; /* the hub's own JSON as it came, at most LIMIT_ERROR_MESSAGE bytes;
                            absent: the answer is not a hub's */
};

/* Of an answer that is not 2xx; a hub names its error in a header, in an envelope, or in one as
 * text inside another. ERR_NOMEM. */
err remote_hub_error_read(struct arena *arena, const struct remote_http_reply *reply,
                          struct hub_error *ret_error);

/* An error's number by its name; 0: unknown. */
int64_t remote_hub_error_code(struct span name);

#endif
