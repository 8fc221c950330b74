/* front/work.c: one queue under a mutex. Of the sleeping workers the one that fell asleep last is
 * woken: as few as are needed take turns, and what they use stays in the processor's caches. How
 * long jobs take of late gives the wait that the refused are told. */
#include "front/work.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "api/metrics.h"
#include "model/limits.h"

enum {
    JOB_GUESS_US = 5000, /* before any was measured */
    JOB_MEAN_OVER = 64,  /* jobs */
    JOBS_A_DEVICE = 2,   /* a register, a poll */
};

struct worker_thread {
    struct front_worker worker;
    struct front_work *work;
    void *key_groups, *links; /* the memory of those of worker */
    pthread_t thread;
    bool is_running;
    pthread_cond_t wake;
    bool is_asleep;
    struct worker_thread *next_asleep;
};

struct front_work {
    pthread_mutex_t lock;
    struct front_lanes lanes;
    struct pacing_line line; /* of those whose lane is empty: there is no place at all */
    struct metrics *metrics;
    struct worker_thread *asleep; /* who fell asleep last, first */
    bool is_closing;
    atomic_size_t n_queued;
    _Atomic int64_t mean_us; /* of a job; an update lost to another thread does no harm */
    int n_threads;
    struct worker_thread threads[];
};

AUTO_DEFINE(front_work, struct front_work *, front_work_close)

static int64_t clock_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void measure(struct front_work *w, int64_t took_us)
{
    int64_t mean_us = atomic_load_explicit(&w->mean_us, memory_order_relaxed);

    mean_us += (took_us - mean_us) / JOB_MEAN_OVER;
    atomic_store_explicit(&w->mean_us, mean_us, memory_order_relaxed);
}

static void sleep_until_woken(struct worker_thread *t)
{
    struct front_work *w = t->work;

    t->is_asleep = true;
    t->next_asleep = w->asleep;
    w->asleep = t;
    while (t->is_asleep) {
        (void)pthread_cond_wait(&t->wake, &w->lock);
    }
}

/* NULL: nobody sleeps. The lock is held; who is returned is to be signalled. */
static struct worker_thread *take_sleeper(struct front_work *w)
{
    struct worker_thread *t = w->asleep;

    if (t != NULL) {
        w->asleep = t->next_asleep;
        t->is_asleep = false;
    }
    return t;
}

/* The lock is held. */
static void show_lanes(struct front_work *w, enum front_lane_kind kind)
{
    if (w->metrics != NULL) {
        atomic_store_explicit(&w->metrics->lanes[kind], w->lanes.n_lanes[kind],
                              memory_order_relaxed);
        atomic_store_explicit(&w->metrics->jobs_waiting[kind], w->lanes.n_jobs[kind],
                              memory_order_relaxed);
    }
}

/* NULL: closing, and nothing left. */
static struct front_job *next_job(struct worker_thread *t)
{
    struct front_work *w = t->work;
    struct front_job *job = NULL;

    (void)pthread_mutex_lock(&w->lock);
    while (w->lanes.n == 0 && !w->is_closing) {
        sleep_until_woken(t);
    }
    job = front_lanes_take(&w->lanes);
    if (job != NULL) {
        show_lanes(w, job->lane.kind);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return job;
}

static void *work(void *arg)
{
    struct worker_thread *t = arg;
    struct front_job *job;
    int64_t began_us;

    while ((job = next_job(t)) != NULL) {
        (void)atomic_fetch_sub_explicit(&t->work->n_queued, 1, memory_order_relaxed);
        began_us = job->began_us = clock_us();
        job->run(job, &t->worker);
        measure(t->work, clock_us() - began_us);
    }
    return NULL;
}

static err start(struct worker_thread *t)
{
    TRY(crypto_new(CRYPTO_SERVING, &t->worker.crypto));
    TRY(crypto_cert_cache_new(t->worker.crypto, LIMIT_ANCHOR_CACHE, &t->worker.certs));
    t->key_groups = calloc(1, core_key_groups_size(LIMIT_KEY_GROUPS));
    t->links = calloc(1, core_links_cache_size(LIMIT_LINK_CACHE));
    if (t->key_groups == NULL || t->links == NULL) {
        return ERR(NOMEM);
    }
    t->worker.links = core_links_cache_init(t->links, LIMIT_LINK_CACHE);
    t->worker.key_groups = core_key_groups_init(t->key_groups, t->worker.crypto, LIMIT_KEY_GROUPS);
    if (pthread_create(&t->thread, NULL, work, t) != 0) {
        return err_set(ERR_IO, "A worker thread cannot be started: see ulimit -u.");
    }
    t->is_running = true;
    return OK;
}

err front_work_open(int workers, struct metrics *metrics, struct front_work **ret_work)
{
    AUTO(front_work)
    struct front_work *w = calloc(1, sizeof(*w) + (size_t)workers * sizeof(struct worker_thread));

    if (w == NULL) {
        return ERR(NOMEM);
    }
    (void)pthread_mutex_init(&w->lock, NULL);
    atomic_init(&w->mean_us, JOB_GUESS_US);
    w->n_threads = workers;
    w->metrics = metrics;
    for (int i = 0; i < workers; i++) {
        w->threads[i].work = w;
        (void)pthread_cond_init(&w->threads[i].wake, NULL);
    }
    for (int i = 0; i < workers; i++) {
        TRY(start(&w->threads[i]));
    }
    *ret_work = w;
    w = NULL;
    return OK;
}

void front_work_close(struct front_work *w)
{
    if (w == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&w->lock);
    w->is_closing = true;
    for (struct worker_thread *t; (t = take_sleeper(w)) != NULL;) {
        (void)pthread_cond_signal(&t->wake);
    }
    (void)pthread_mutex_unlock(&w->lock);
    for (int i = 0; i < w->n_threads; i++) {
        struct worker_thread *t = &w->threads[i];

        if (t->is_running) {
            (void)pthread_join(t->thread, NULL);
        }
        core_key_groups_done(t->worker.key_groups);
        free(t->key_groups);
        free(t->links);
        crypto_cert_cache_free(t->worker.certs);
        crypto_free(t->worker.crypto);
        (void)pthread_cond_destroy(&t->wake);
    }
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
}

void front_work_submit(struct front_work *w, struct front_job *job)
{
    struct worker_thread *sleeper;

    (void)atomic_fetch_add_explicit(&w->n_queued, 1, memory_order_relaxed);
    (void)pthread_mutex_lock(&w->lock);
    front_lanes_put(&w->lanes, job);
    show_lanes(w, job->lane.kind);
    sleeper = take_sleeper(w);
    (void)pthread_mutex_unlock(&w->lock);
    if (sleeper != NULL) {
        (void)pthread_cond_signal(&sleeper->wake);
    }
}

void front_work_spent(struct front_work *w, const struct front_job *job)
{
    int64_t took_us = clock_us() - job->began_us;

    if (took_us > FRONT_TURN_US) {
        (void)pthread_mutex_lock(&w->lock);
        front_lanes_spent(&w->lanes, &job->lane, took_us);
        (void)pthread_mutex_unlock(&w->lock);
    }
}

size_t front_work_waiting(const struct front_work *w)
{
    return atomic_load_explicit(&w->n_queued, memory_order_relaxed);
}

/* What one job costs a queue that all threads work at. */
static int64_t cost_us(const struct front_work *w)
{
    return atomic_load_explicit(&w->mean_us, memory_order_relaxed) / w->n_threads + 1;
}

/* The lock is held. */
static bool is_full(struct front_work *w, const struct front_lane *lane)
{
    size_t shares;
    size_t ahead = front_lanes_ahead(&w->lanes, lane, &shares);

    if (front_lanes_is_full(&w->lanes, lane, LIMIT_WORK_QUEUE)) {
        return true;
    }
    return !lane->is_finishing && (int64_t)ahead * cost_us(w) >= LIMIT_WORK_WAIT_MS * 1000LL;
}

bool front_work_is_full(struct front_work *w, const struct front_lane *lane)
{
    size_t n = front_work_waiting(w);
    bool result;

    /* A third of all is what the least row may have. */
    if (n < LIMIT_WORK_QUEUE / 4 && (int64_t)n * cost_us(w) < LIMIT_WORK_WAIT_MS * 1000LL) {
        return false;
    }
    (void)pthread_mutex_lock(&w->lock);
    result = is_full(w, lane);
    (void)pthread_mutex_unlock(&w->lock);
    return result;
}

bool front_work_is_strained(const struct front_work *w)
{
    return front_work_waiting(w) >= LIMIT_WORK_STRAINED;
}

int64_t front_work_wait_ms(struct front_work *w, const struct front_lane *lane)
{
    size_t ahead = 0, shares;

    if (front_work_waiting(w) > 0) {
        (void)pthread_mutex_lock(&w->lock);
        ahead = front_lanes_ahead(&w->lanes, lane, &shares);
        (void)pthread_mutex_unlock(&w->lock);
    }
    return (int64_t)ahead * cost_us(w) / 1000;
}

int front_work_retry_after_s(struct front_work *w, const struct front_lane *lane)
{
    int64_t each_us = cost_us(w), now_us = clock_us();
    struct pacing_line *line;
    size_t shares = 1, ahead;
    uint8_t dice;
    int s;

    crypto_random(&dice, sizeof(dice));
    (void)pthread_mutex_lock(&w->lock);
    line = front_lanes_line(&w->lanes, lane);
    ahead = line != NULL ? front_lanes_ahead(&w->lanes, lane, &shares) : w->lanes.n;
    s = pacing_return_s(line != NULL ? line : &w->line, now_us, (int64_t)ahead * each_us,
                        (int64_t)shares * each_us * JOBS_A_DEVICE, dice);
    (void)pthread_mutex_unlock(&w->lock);
    return s;
}

/* Getting in line again costs a second look at the evidence, so only if there is a line. */
enum front_turn front_work_take_turn(struct front_work *w, struct front_job *job,
                                     const struct front_lane *lane)
{
    bool is_first = front_lane_is_same(&job->lane, lane), is_refused;

    job->lane = *lane;
    if (is_first || front_work_waiting(w) < (size_t)w->n_threads) {
        return FRONT_TURN_NOW;
    }
    (void)pthread_mutex_lock(&w->lock);
    if (job->sign != 0 && lane->kind == FRONT_LANE_SCOPE) {
        front_lanes_learn(&w->lanes, job->sign, lane);
    }
    is_refused = is_full(w, lane);
    (void)pthread_mutex_unlock(&w->lock);
    return is_refused ? FRONT_TURN_REFUSED : FRONT_TURN_LATER;
}
