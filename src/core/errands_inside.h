/* core/errands_inside.h: what core/errands.c (threads) and core/errands_known.c (what others ask)
 * share. For these two alone. */
#ifndef CORE_ERRANDS_INSIDE_H
#define CORE_ERRANDS_INSIDE_H

#include <pthread.h>
#include <time.h>

#include "core/errand.h"
#include "core/errand_lanes.h"
#include "util/arena.h"

enum {
    ERRANDS_HUBS = 0,
    ERRANDS_WEBHOOKS = 1,
    ERRANDS_POOLS = 2,
    ERRANDS_THREADS = LIMIT_ERRAND_THREADS_HUB + LIMIT_ERRAND_THREADS_WEBHOOK + 1,
};

struct errands_runner {
    struct core_errands *errands;
    int pool;
    pthread_t thread;
    struct crypto *crypto;
    struct arena arena;
    struct env env; /* of the errand in work */
};

struct errands_pool {
    pthread_cond_t wake;
    int max, threads, idle;
    bool has_failed; /* a thread could not begin: those that there are have to do */
};

struct core_errands {
    struct core_errands_config config;
    struct core_errand_tools tools;
    pthread_mutex_t lock;
    pthread_cond_t wake_scout;
    bool is_stopping;
    struct errands_pool pools[ERRANDS_POOLS];
    struct errands_runner runners[ERRANDS_THREADS];
    int n_runners;
    struct core_errand_lanes lanes;
    uint64_t done, failed, retried, calls;
};

/* There may be something due in the lane. The lock is held. */
void core_errands_stir(struct core_errands *e, struct span name, int64_t at_ms);

static inline int64_t errands_clock_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

#endif
