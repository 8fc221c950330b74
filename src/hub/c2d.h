/* hub/c2d.h: cloud-to-device messages (reference iothub-service-api.md 8, iothub-device-api.md 7):
 * a queue for each device and module, in which a message waits until it was delivered or is dead.
 *
 *     waiting --deliver--> in flight --complete--> gone (Success)
 *        ^                     |  \--reject------> gone (Rejected)
 *        |--abandon, lock lost-/
 *        \--too old, or delivered too often, or purged--> gone (Expired, DeliveryCountExceeded,
 *                                                               Purged)
 *
 * Whoever goes leaves a record of feedback if the sender asked for it (hub/feedback.h). In flight
 * over HTTPS is bounded by a lock's time, over MQTT by the session. Each function is one
 * transaction, and what it did is durable when it returns. All may block. */
#ifndef HUB_C2D_H
#define HUB_C2D_H

#include "hub/bus.h"
#include "hub/hub.h"
#include "model/env.h"
#include "model/limits.h"
#include "model/reason.h"
#include "model/records.h"
#include "store/store.h"

/* Whose queue. A generation that is not the queue's has no messages in it. */
struct hub_c2d_owner {
    struct span hub, client_id, generation_id;
};

/* ---- the back end ---- */

/* What a sender sends. Of `message` hub, client_id, what is as sent, ack, body and, with
 * is_expiry_given, expires_ms are read. */
struct hub_c2d_order {
    struct c2d_message message;
    const struct hub_property
        *properties; /* application properties; the last of equal names wins */
    size_t n_properties;
};
/* Puts a message in its queue and tells the session, if there is one. A disabled device's waits.
 * DEVICE_NOT_FOUND, MODULE_NOT_FOUND, QUEUE_FULL, MESSAGE_TOO_LARGE; FIELD_INVALID, with a detail:
 * an expiry that has passed or lies too far ahead, text that cannot be passed on, a property's name
 * that is no token (RFC 9110 section 5.6.2) or a system property's. */
err hub_c2d_enqueue(const struct env *env, struct bus *bus, const struct hub_c2d_order *order,
                    int64_t *ret_sequence, struct verdict *ret_verdict);
/* A message's application properties, in the arena. */
err hub_c2d_properties(const struct c2d_message *m, struct arena *arena,
                       struct hub_property ret_properties[HUB_PROPERTIES_MAX], size_t *ret_n);
/* Takes all away, also what is in flight. DEVICE_NOT_FOUND, MODULE_NOT_FOUND. */
err hub_c2d_purge(const struct env *env, struct span hub, struct span client_id, size_t *ret_n,
                  struct verdict *ret_verdict);
/* How many there are, for an identity that is shown. */
err hub_c2d_count(struct store_tx *tx, const struct hub_c2d_owner *owner, struct arena *arena,
                  int64_t *ret_n);
/* Forgets a device's or module's queue, without feedback: with its identity. */
err hub_c2d_forget(struct store_tx *tx, struct span hub, struct span client_id,
                   struct arena *arena);
/* In a transaction: the queue of who leaves for another hub ends as if purged, with feedback. */
err hub_c2d_end(const struct env *env, struct store_tx *tx, const struct hub_c2d_owner *owner);
/* Up to `most` rows of a hub's queues and feedback, of a hub that is being removed. *ret_n < most:
 * none are left. */
err hub_c2d_forget_hub(struct store_tx *tx, struct span hub, size_t most, struct arena *arena,
                       size_t *ret_n);

/* A hub_chore's `run`: takes away messages and feedback whose time is over. */
err hub_c2d_expire(const struct env *env, struct bus *bus, void *arg, bool *again);

/* ---- a device over MQTT ---- */

/* One turn of a session: what the device acknowledged goes, and what it may be sent next is put in
 * flight. A message that was in flight with a session of before is delivered again: see its
 * delivery_count. */
struct hub_c2d_turn {
    struct hub_c2d_owner owner;
    struct span session_id;   /* of the bus; a session that no longer is gets nothing */
    const int64_t *completed; /* sequences */
    size_t n_completed;
    size_t room;   /* how many more it may be sent, <= LIMIT_C2D_IN_FLIGHT; 0: none */
    bool is_final; /* what is delivered is completed by that: QoS 0 */
};
struct hub_c2d_hand {
    struct c2d_message messages[LIMIT_C2D_IN_FLIGHT]; /* in the arena; in order of sequence */
    size_t n;
    bool has_more;         /* there were more than room for them */
    int64_t look_again_ms; /* then a lock over HTTPS ends; INT64_MAX: there is none */
};
err hub_c2d_take_turn(const struct env *env, struct bus *bus, const struct hub_c2d_turn *turn,
                      struct hub_c2d_hand *ret_hand);

/* ---- a device over HTTPS ---- */

/* Delivers the first message that is not in flight, locked for `lock_ms`: its lock_token settles
 * it. */
err hub_c2d_receive(const struct env *env, struct bus *bus, const struct hub_c2d_owner *owner,
                    int64_t lock_ms, struct c2d_message *ret_message, bool *ret_found);
enum hub_c2d_settlement { HUB_C2D_COMPLETE, HUB_C2D_REJECT, HUB_C2D_ABANDON };
/* LOCK_LOST: no message is locked by this token, or no more. */
err hub_c2d_settle(const struct env *env, struct bus *bus, const struct hub_c2d_owner *owner,
                   struct span lock_token, enum hub_c2d_settlement how,
                   struct verdict *ret_verdict);

#endif
