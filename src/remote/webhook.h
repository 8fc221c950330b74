/* remote/webhook.h: a POST to where an operator says. */
#ifndef REMOTE_WEBHOOK_H
#define REMOTE_WEBHOOK_H

#include "remote/http.h"

/* struct elsewhere's, within LIMIT_WEBHOOK_MS. */
err remote_webhook_post(struct remote_http_pool *pool, const struct env *env, struct span url,
                        struct span body, struct span *ret_body,
                        struct elsewhere_answer *ret_answer);

#endif
