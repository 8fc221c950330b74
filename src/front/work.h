/* front/work.h: worker threads and the queue before them (front/lanes.h: whose turn it is). A job
 * runs from top to bottom on one thread, and may block. */
#ifndef FRONT_WORK_H
#define FRONT_WORK_H

#include "core/key_groups.h"
#include "core/links.h"
#include "crypto/cert_cache.h"
#include "front/lanes.h"

struct metrics;

/* What a thread has of its own. */
struct front_worker {
    struct crypto *crypto;
    struct crypto_cert_cache *certs;
    struct core_key_groups *key_groups;
    struct core_links_cache *links;
};

struct front_work;
/* Counts in *metrics, unless that is NULL. ERR_NOMEM, ERR_CRYPTO, ERR_IO (no thread). */
err front_work_open(int workers, struct metrics *metrics, struct front_work **ret_work);
/* Runs what is queued, then ends the threads. NULL-safe. */
void front_work_close(struct front_work *w);

/* All of the following: any thread. */

/* Never fails: ask front_work_is_full before taking a request on. */
void front_work_submit(struct front_work *w, struct front_job *job);
/* There is no place for it (front_lanes_is_full), or it would wait for more than
 * LIMIT_WORK_WAIT_MS. */
bool front_work_is_full(struct front_work *w, const struct front_lane *lane);
/* LIMIT_WORK_STRAINED jobs wait: no new connections should be begun. */
bool front_work_is_strained(const struct front_work *w);
/* How long a job of this lane has before it, at the pace of late. */
int64_t front_work_wait_ms(struct front_work *w, const struct front_lane *lane);
/* That wait, of all lanes. */
size_t front_work_waiting(const struct front_work *w);
/* When to come back, for who is refused a place in this lane: 1 to LIMIT_RETRY_AFTER_MAX_S. Each
 * who is told gets a time of its own (api/pacing.h). */
int front_work_retry_after_s(struct front_work *w, const struct front_lane *lane);

/* A job that runs is about to be handed on, or submitted again: its lane has had that time. */
void front_work_spent(struct front_work *w, const struct front_job *job);

enum front_turn {
    FRONT_TURN_NOW,
    FRONT_TURN_LATER,   /* submit it again: others of its lane are before it */
    FRONT_TURN_REFUSED, /* its lane is full */
};
/* A job that runs has learned whose it is: `lane` becomes its lane. */
enum front_turn front_work_take_turn(struct front_work *w, struct front_job *job,
                                     const struct front_lane *lane);

#endif
