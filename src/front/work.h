/* front/work.h: worker threads and the queue before them. Jobs of one lane run in the order they
 * were handed in; lanes that wait take turns, so that whoever waits in one lane waits for no more
 * than one job of each of the others, however many those have. A job runs from top to bottom on one
 * thread, and may block. */
#ifndef FRONT_WORK_H
#define FRONT_WORK_H

#include "core/key_groups.h"
#include "core/links.h"
#include "crypto/cert_cache.h"

/* What a thread has of its own. */
struct front_worker {
    struct crypto *crypto;
    struct crypto_cert_cache *certs;
    struct core_key_groups *key_groups;
    struct core_links_cache *links;
};

enum { FRONT_LANES = 64 };

struct front_job {
    struct front_job *next; /* the queue's */
    unsigned lane;          /* whose it is; any number, those that are alike by FRONT_LANES share */
    /* Owns the job from here on. */
    void (*run)(struct front_job *job, struct front_worker *w);
};

struct front_work;
/* ERR_NOMEM, ERR_CRYPTO, ERR_IO (no thread). */
err front_work_open(int workers, struct front_work **ret_work);
/* Runs what is queued, then ends the threads. NULL-safe. */
void front_work_close(struct front_work *w);

/* Never fails: ask front_work_is_full before taking a request on. Any thread. */
void front_work_submit(struct front_work *w, struct front_job *job);
/* LIMIT_WORK_QUEUE jobs wait, or LIMIT_WORK_LANE of this lane. */
bool front_work_is_full(const struct front_work *w, unsigned lane);
/* Half of that: no new connections should be begun. */
bool front_work_is_strained(const struct front_work *w);
/* How long the queue will take at the pace of late, with a random part so that the refused do not
 * come back together: 1 to LIMIT_RETRY_AFTER_MAX_S. */
int front_work_retry_after_s(struct front_work *w);

#endif
