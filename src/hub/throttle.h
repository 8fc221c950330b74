/* hub/throttle.h: token buckets, and how many tokens a hub of one of Azure's sizes has (reference
 * iothub-service-api.md 13). Arithmetic only: who takes from which bucket is hub/limits.h's.
 *
 * A bucket holds `burst` tokens and is filled at a steady pace. It is one word, the time at which
 * it will be full again, so that any thread takes from it without a lock. Time is the caller's and
 * may step: forward, buckets fill; back by more than LIMIT_SHAPED_MS, they count as empty from
 * then on; by less, what is taken comes that much later. */
#ifndef HUB_THROTTLE_H
#define HUB_THROTTLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/span.h"

/* What is counted. Those of THROTTLE_OF_DEVICE exist for each device or module, too. */
enum throttle_operation {
    THROTTLE_NOTHING = 0,
    THROTTLE_CONNECTS,
    THROTTLE_D2C_SENDS,
    THROTTLE_C2D_SENDS,
    THROTTLE_C2D_RECEIVES, /* by HTTPS */
    THROTTLE_METHODS,      /* in steps of THROTTLE_METHOD_STEP bytes */
    THROTTLE_TWIN_READS,
    THROTTLE_TWIN_UPDATES,
    THROTTLE_QUERIES,
    THROTTLE_REGISTRY,
    THROTTLE_OPERATIONS,
};
enum { THROTTLE_OF_DEVICE = THROTTLE_TWIN_UPDATES, THROTTLE_METHOD_STEP = 4096 };

/* "d2cSends": settings and metrics. NULL for THROTTLE_NOTHING. */
const char *throttle_word(enum throttle_operation op);
bool throttle_parse(struct span word, enum throttle_operation *ret_op);

/* count tokens every per_ms, of which burst may come at once (never more than come in a day).
 * count 0: no limit. */
struct throttle_rate {
    int64_t count, per_ms, burst;
};
static inline struct throttle_rate throttle_per_second(int64_t count)
{
    return (struct throttle_rate){ .count = count, .per_ms = 1000, .burst = count };
}
enum { THROTTLE_COUNT_MAX = 1000 * 1000 * 1000, THROTTLE_BURST_MAX = 1000 * 1000 * 1000 };

/* The sizes of Azure's hubs. */
enum throttle_tier {
    THROTTLE_TIER_NONE = 0, /* no limits */
    THROTTLE_TIER_F1,
    THROTTLE_TIER_B1,
    THROTTLE_TIER_B2,
    THROTTLE_TIER_B3,
    THROTTLE_TIER_S1,
    THROTTLE_TIER_S2,
    THROTTLE_TIER_S3,
};
const char *throttle_tier_word(enum throttle_tier tier); /* "S1"; NULL for NONE */
bool throttle_parse_tier(struct span word, enum throttle_tier *ret_tier);
/* A hub's rate of an operation; of an unknown tier, none. */
struct throttle_rate throttle_preset(enum throttle_tier tier, int64_t units,
                                     enum throttle_operation op);
/* Messages a day, each begun `meter` bytes one; 0: no quota. */
struct throttle_quota {
    int64_t messages, meter;
};
struct throttle_quota throttle_preset_quota(enum throttle_tier tier, int64_t units);

/* A rate made ready. */
struct throttle_pace {
    int64_t interval_ns; /* a token's; 0: no limit */
    int64_t depth_ns;    /* that all of them take to come */
};
struct throttle_pace throttle_pace_of(const struct throttle_rate *rate);

/* All zero: full. */
struct throttle_bucket {
    _Atomic int64_t full_ns;
};

/* Takes tokens; asking for more than there ever are takes all. 0: taken. Otherwise nothing was
 * taken, and in so many ms they would be there. */
int64_t throttle_take(struct throttle_bucket *b, const struct throttle_pace *pace, int64_t tokens,
                      int64_t now_ms);
/* The same, but tokens that come within LIMIT_SHAPED_MS are taken ahead: the result, up to that, is
 * how long to wait before using them. Whoever reserves first goes first. */
int64_t throttle_reserve(struct throttle_bucket *b, const struct throttle_pace *pace,
                         int64_t tokens, int64_t now_ms);
/* Takes them whether they are there or not, up to one bucket of debt. */
void throttle_charge(struct throttle_bucket *b, const struct throttle_pace *pace, int64_t tokens,
                     int64_t now_ms);
/* Undoes a take or a reservation. */
void throttle_give_back(struct throttle_bucket *b, const struct throttle_pace *pace,
                        int64_t tokens);

#endif
