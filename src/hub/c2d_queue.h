/* hub/c2d_queue.h: the rows of one queue of cloud-to-device messages, in a transaction of the
 * caller's. Inside hub/ only. */
#ifndef HUB_C2D_QUEUE_H
#define HUB_C2D_QUEUE_H

#include "hub/c2d.h"
#include "hub/settings.h"

struct c2d_queue_tx {
    struct store_tx *tx;
    const struct env *env;
    const struct hub_settings *settings; /* of the hub: read before the transaction */
    struct c2d_queue row;                /* a transaction's own copy */
};

/* The owner's queue: tx, env and settings are set. False: it has none, or what is there is a former
 * owner's. */
err c2d_queue_open(struct c2d_queue_tx *q, const struct hub_c2d_owner *owner, bool *ret_found);
/* The first message behind a sequence. */
err c2d_queue_next(const struct c2d_queue_tx *q, int64_t after, struct c2d_message *ret_message,
                   bool *ret_found);
err c2d_queue_find(const struct c2d_queue_tx *q, int64_t sequence, struct c2d_message *ret_message,
                   bool *ret_found);
/* Takes a message away; what became of it is told to who asked for it. */
err c2d_queue_end(const struct c2d_queue_tx *q, const struct c2d_message *m,
                  enum feedback_status status);
/* Ends it if it is too old, or was delivered as often as may be. */
err c2d_queue_end_if_dead(const struct c2d_queue_tx *q, const struct c2d_message *m,
                          bool *ret_is_dead);

/* Does a lock hold that ends at until_ms? Not when it is further away than any lock lasts (twice
 * that, as workers' clocks differ a little): then the clock went back. */
static inline bool c2d_queue_lock_holds(int64_t until_ms, int64_t now_ms)
{
    return until_ms > now_ms && until_ms - now_ms <= 2 * LIMIT_C2D_LOCK_MAX_MS;
}

/* Is it in flight over HTTPS? */
static inline bool c2d_queue_is_locked(const struct c2d_message *m, int64_t now_ms)
{
    return !span_is_absent(m->lock_token) && c2d_queue_lock_holds(m->locked_until_ms, now_ms);
}

#endif
