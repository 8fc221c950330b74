/* core/errands.h: who runs the errands of a process (core/errand.h): threads of their own, in two
 * pools, one for hubs and one for webhooks, so that neither holds up the other.
 *
 * Errands wait in lanes, one a system elsewhere and instance. A lane has so many calls under way at
 * most; lanes take turns; a lane that was not heard of yet, or that failed, is asked by one thread
 * at a time, and all such lanes together by half the threads. After LIMIT_BREAKER_FAILURES failures
 * in a row a lane's breaker opens: nobody asks it for a while, then one call tries, then, if that
 * fails, nobody for twice the while.
 *
 *   CLOSED --failures--> OPEN --its pause is over--> TRYING --a call went well--> CLOSED
 *                          ^----------a call failed----'
 *
 * Work is fetched from the store, lane by lane: what is kept here is what is known of at most
 * LIMIT_ERRAND_LANES lanes, and nothing that may not be lost. Any number of processes may share a
 * store. All functions but start and stop: any thread, NULL-safe (nobody runs errands: nothing is
 * down, nothing waits), and do not block. */
#ifndef CORE_ERRANDS_H
#define CORE_ERRANDS_H

#include "model/elsewhere.h"
#include "model/env.h"
#include "model/records.h"

struct core_errands;

/* Lines for the operator. */
enum core_errands_event {
    CORE_ERRANDS_ENDED = 1, /* an errand is done */
    CORE_ERRANDS_FAILED,    /* an assignment was given up, and its registration FAILED */
    CORE_ERRANDS_OPENED,    /* a breaker */
    CORE_ERRANDS_CLOSED,
    CORE_ERRANDS_FAULT, /* of this side: the store, memory; the errand is tried again */
};

struct core_errands_config {
    struct store *store;
    struct sink *sink;         /* handed on in env; or NULL */
    struct hub_limits *limits; /* the same */
    struct bus *bus;           /* for hubs->tell, once an assignment is durable */
    const struct elsewhere *elsewhere;
    const struct placer *hubs;
    /* The store is this process's alone: whatever is marked as being worked on is so no more. */
    bool is_alone;
    /* On a pool's thread; text is one sentence, NUL-terminated. NULL: nobody wants to know. */
    void (*on_event)(void *arg, enum core_errands_event event, const char *text);
    void *arg;
};

/* ERR_NOMEM, ERR_CRYPTO, ERR_IO (no thread). */
err core_errands_start(const struct core_errands_config *config, struct core_errands **ret_errands);
/* Ends calls under way (elsewhere->cancel) and the threads, with nothing lost: errands stay in the
 * store. In two steps, as others may still ask while nobody is served any more. NULL-safe. */
void core_errands_stop(struct core_errands *e);
void core_errands_free(struct core_errands *e);

/* An errand of the lane was made or is due earlier, and durable: looks soon. */
void core_errands_wake(struct core_errands *e, struct span lane);

/* Is the linked hub's breaker open? Names folded. */
bool core_errands_is_down(struct core_errands *e, struct span id_scope, struct span host_name);

/* How long an errand that joins the lane now is likely to wait until it is done: what is known of
 * those before it by how long they take, or a breaker's pause. 0: not long, or nothing known. */
int64_t core_errands_wait_ms(struct core_errands *e, struct span lane);
/* How many are likely to be before it; as of a few seconds ago. */
int64_t core_errands_backlog(struct core_errands *e, struct span lane);

/* ---- metrics ---- */

struct core_errands_stats {
    uint64_t done, failed, retried, calls; /* since start; done: FAILED ones not among them */
    int64_t waiting;                       /* in lanes that are known */
    int lanes, lanes_open;
    int threads, busy;
};
void core_errands_stats(struct core_errands *e, struct core_errands_stats *ret_stats);

enum core_lane_state { CORE_LANE_CLOSED = 0, CORE_LANE_OPEN, CORE_LANE_TRYING };

struct core_errands_lane {
    struct span lane;
    enum core_lane_state state;
    int64_t waiting;
    int in_flight;
};
/* Of at most `most` lanes: those that are not closed first. fn must not call back. */
void core_errands_each_lane(struct core_errands *e, size_t most,
                            void (*fn)(void *arg, const struct core_errands_lane *lane), void *arg);

#endif
