/* hub/feedback.h: what became of messages whose sender wants to know: one queue a hub, read in
 * batches (reference iothub-service-api.md 8.2). */
#ifndef HUB_FEEDBACK_H
#define HUB_FEEDBACK_H

#include "model/env.h"
#include "model/limits.h"
#include "model/reason.h"
#include "store/store.h"

/* A batch, locked for as long as the hub's settings say. */
struct hub_feedback_batch {
    struct feedback *records; /* oldest first */
    size_t n;                 /* 0: there is none that is not locked */
    struct span lock_token;
};
err hub_feedback_receive(const struct env *env, struct span hub,
                         struct hub_feedback_batch *ret_batch);
/* Done with the batch; or, to abandon it, back with it. LOCK_LOST: it is not locked by this token,
 * or no more. */
err hub_feedback_settle(const struct env *env, struct span hub, struct span lock_token,
                        bool is_abandon, struct verdict *ret_verdict);

/* In a transaction: adds a record. hub to expires_ms are read. */
err hub_feedback_put(struct store_tx *tx, const struct env *env, const struct feedback *record);
/* Takes away up to `most` records whose time is over. *ret_n < most: no others are. */
err hub_feedback_expire(struct store_tx *tx, const struct env *env, size_t most, size_t *ret_n);

/* "Success", "Expired" … */
const char *hub_feedback_word(enum feedback_status status);
/* "none", "positive", "negative", "full"; NULL: unsaid. Parsed without case; empty is unsaid. */
const char *hub_feedback_ack_word(enum c2d_ack ack);
bool hub_feedback_parse_ack(struct span word, enum c2d_ack *ret_ack);

#endif
