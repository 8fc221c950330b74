/* core/errand_lanes.h: what is known of lanes: whether a lane has work, and whether it may be
 * asked. No threads, no clock, no store: core/errands.c has those, and calls this under its lock.
 */
#ifndef CORE_ERRAND_LANES_H
#define CORE_ERRAND_LANES_H

#include "core/errands.h"
#include "model/limits.h"

struct core_errand_lane {
    char text[LIMIT_ERRAND_LANE_NAME];
    size_t len;
    uint32_t hash, scope; /* of the name; of the instance's ID in it */
    bool is_webhook;
    enum core_lane_state state;
    bool is_proven;   /* its latest call went well */
    int failures;     /* in a row */
    int64_t pause_ms; /* the breaker's latest */
    int64_t until_ms; /* not to be asked before */
    int64_t look_ms;  /* when there may be something due; INT64_MAX: nothing is known */
    int64_t waiting;  /* about so many errands */
    int64_t mean_ms;  /* one takes, of late */
    int in_flight;
    uint64_t turn; /* its latest */
};

struct core_errand_lanes {
    struct core_errand_lane lanes[LIMIT_ERRAND_LANES]; /* they do not move */
    size_t n;
    uint64_t turns;
    int unproven_in_flight[2];
};

/* NULL: not known. */
struct core_errand_lane *core_errand_lanes_find(struct core_errand_lanes *l, struct span name);
/* Makes it if need be; one without work goes for it, whose breaker is closed before any other.
 * NULL: no room, for all or for its instance: it waits until there is. */
struct core_errand_lane *core_errand_lanes_get(struct core_errand_lanes *l, struct span name);

/* Whose turn it is of the pool, with `idle` of its `threads` idle, the asking one among them: the
 * instance's with the fewest calls under way, and of its lanes the one that waits longest. NULL:
 * nobody's, before *ret_next_ms at least. The lane then has one more in flight, and nothing is
 * known of its work; give it back by _leave. */
struct core_errand_lane *core_errand_lanes_pick(struct core_errand_lanes *l, bool webhooks,
                                                int threads, int idle, int64_t now_ms,
                                                int64_t *ret_next_ms);
void core_errand_lanes_leave(struct core_errand_lanes *l, struct core_errand_lane *lane);

/* A call to it has ended; draw: any number, so that lanes do not try again at once. 0, or
 * CORE_ERRANDS_OPENED or _CLOSED: the breaker was. */
enum core_errands_event core_errand_lanes_heard(struct core_errand_lanes *l,
                                                struct core_errand_lane *lane, bool is_failure,
                                                int64_t retry_after_ms, int64_t now_ms,
                                                uint32_t draw);
/* How long one that joins it is likely to wait. */
int64_t core_errand_lanes_wait_ms(const struct core_errand_lane *lane, int64_t now_ms);

#endif
