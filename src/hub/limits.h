/* hub/limits.h: the hubs that this process serves, as it keeps them ready: settings that were read,
 * how many tokens are left in the buckets of each hub and of its devices, how much of today's quota
 * is used, how often somebody was held up. One for the process; any thread. Buckets are this
 * process's alone; a quota's count is kept in the store now and then, so that it outlives a
 * restart. */
#ifndef HUB_LIMITS_H
#define HUB_LIMITS_H

#include "hub/settings.h"
#include "model/limits.h"
#include "util/err.h"

struct bus;
struct hub_limits;

/* ERR_NOMEM. */
err hub_limits_new(struct hub_limits **ret_limits);
/* Nobody holds a hub any more. NULL-safe. */
void hub_limits_free(struct hub_limits *l);

/* For hub/settings.c: what is known of the hub. False: nothing. */
bool hub_limits_find(struct hub_limits *l, struct span host, struct hub_settings *ret_settings);
/* Takes up what a row says that was just read, unless it is known. Reads what is used of the quota
 * of a hub it had not heard of. ERR_CORRUPT, and the store's. */
err hub_limits_know(const struct env *env, const struct hub *hub,
                    struct hub_settings *ret_settings);

/* One operation. */
struct hub_use {
    enum throttle_operation operation;
    struct span client_id; /* whose limits count as well; absent: nobody's */
    size_t bytes;          /* of the message, or of the body */
    const char *word; /* that the refused are told, "RegistryRead"; NULL: the operation's own */
};

/* On a worker: GRANTED, and it is taken; HUB_THROTTLED, and *ret_wait_s says when to try again;
 * MESSAGE_QUOTA_EXCEEDED. What lets everything pass: no limits in env, a hub without any, and
 * THROTTLE_NOTHING. */
err hub_limits_allow(const struct env *env, struct span host, const struct hub_use *use,
                     int *ret_wait_s, struct verdict *ret_verdict);

/* ---- a session, on its loop: never blocks ---- */

/* A hub that a session keeps at hand. NULL: limits are not kept, or the hub is not known. */
struct hub_limits_hub;
struct hub_limits_hub *hub_limits_hold(struct hub_limits *l, struct span host);
void hub_limits_release(struct hub_limits_hub *h); /* NULL-safe */

/* Where a session stands in line with the message that it sends next. Zeroed: it has none. */
struct hub_turn {
    int64_t until_ms; /* when to ask again; 0: it does not wait */
    int64_t since_ms;
    int64_t taken_ms; /* when its tokens come, which are its own already; 0: they are not */
    unsigned epoch;   /* of the limits that it waits under */
};
enum hub_turn_state {
    HUB_TURN_NOW,
    HUB_TURN_LATER, /* ask again, for the same message, at until_ms */
    HUB_TURN_NEVER, /* it has waited for LIMIT_SHAPED_MS: end the session */
};
/* NEVER: *ret_reason says what for. h may be NULL. */
enum hub_turn_state hub_limits_turn(struct hub_limits_hub *h, const struct hub_use *use,
                                    int64_t now_ms, struct hub_turn *turn, enum reason *ret_reason);
/* For what cannot wait, a will: counts, and always passes. */
void hub_limits_charge(struct hub_limits_hub *h, const struct hub_use *use, int64_t now_ms);
/* Is it too early to ask again? No, too, when the clock went back. */
static inline bool hub_turn_waits(const struct hub_turn *turn, int64_t now_ms)
{
    return now_ms < turn->until_ms && turn->until_ms - now_ms <= LIMIT_SHAPED_LOOK_MS;
}

/* ---- the rest ---- */

/* How much of today's quota is used; 0 for a hub that is not known. */
int64_t hub_limits_used_today(struct hub_limits *l, struct span host, int64_t now_ms);

/* Counters since the start, one call for each that is not 0. */
struct hub_limits_count {
    struct span host;
    const char *operation; /* "d2cSends"; "dailyMessages" for the quota */
    uint64_t refused, delayed;
};
typedef void (*hub_limits_fn)(void *arg, const struct hub_limits_count *c);
void hub_limits_each(struct hub_limits *l, hub_limits_fn fn, void *arg);

/* A chore (hub/keeper.h): writes down what is used of quotas. */
err hub_limits_flush(const struct env *env, struct bus *bus, void *arg, bool *again);

#endif
