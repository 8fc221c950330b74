/* front/work.c: one queue under a mutex, made of lanes, with a bit for each that has jobs. Of the
 * sleeping workers the one that fell asleep last is woken: as few as are needed take turns, and
 * what they use stays in the processor's caches. How long jobs take of late gives the wait that the
 * refused are told. */
#include "front/work.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "model/limits.h"

enum { JOB_GUESS_US = 5000 /* before any was measured */, JOB_MEAN_OVER = 64 /* jobs */ };

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

struct lane {
    struct front_job *head, *last; /* last: only when there is a head */
    atomic_size_t n;
};

struct front_work {
    pthread_mutex_t lock;
    struct lane lanes[FRONT_LANES];
    uint64_t waiting;             /* a bit for each lane that has a head */
    unsigned turn;                /* the lane that is looked at first */
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

/* The first of the next lane that has any; `waiting` is not 0, the lock is held. */
static struct front_job *take_turn(struct front_work *w)
{
    uint64_t behind = w->waiting >> w->turn << w->turn;
    unsigned i = (unsigned)__builtin_ctzll(behind != 0 ? behind : w->waiting);
    struct lane *lane = &w->lanes[i];
    struct front_job *job = lane->head;

    lane->head = job->next;
    (void)atomic_fetch_sub_explicit(&lane->n, 1, memory_order_relaxed);
    if (lane->head == NULL) {
        w->waiting &= ~(UINT64_C(1) << i);
    }
    w->turn = (i + 1) % FRONT_LANES;
    return job;
}

static void get_in_line(struct front_work *w, struct front_job *job)
{
    unsigned i = job->lane % FRONT_LANES;
    struct lane *lane = &w->lanes[i];

    (void)atomic_fetch_add_explicit(&lane->n, 1, memory_order_relaxed);
    if (lane->head == NULL) {
        lane->head = job;
        w->waiting |= UINT64_C(1) << i;
    } else {
        lane->last->next = job;
    }
    lane->last = job;
}

/* NULL: closing, and nothing left. */
static struct front_job *next_job(struct worker_thread *t)
{
    struct front_work *w = t->work;
    struct front_job *job = NULL;

    (void)pthread_mutex_lock(&w->lock);
    while (w->waiting == 0 && !w->is_closing) {
        sleep_until_woken(t);
    }
    if (w->waiting != 0) {
        job = take_turn(w);
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
        began_us = clock_us();
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

err front_work_open(int workers, struct front_work **ret_work)
{
    AUTO(front_work)
    struct front_work *w = calloc(1, sizeof(*w) + (size_t)workers * sizeof(struct worker_thread));

    if (w == NULL) {
        return ERR(NOMEM);
    }
    (void)pthread_mutex_init(&w->lock, NULL);
    atomic_init(&w->mean_us, JOB_GUESS_US);
    w->n_threads = workers;
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

    job->next = NULL;
    (void)atomic_fetch_add_explicit(&w->n_queued, 1, memory_order_relaxed);
    (void)pthread_mutex_lock(&w->lock);
    get_in_line(w, job);
    sleeper = take_sleeper(w);
    (void)pthread_mutex_unlock(&w->lock);
    if (sleeper != NULL) {
        (void)pthread_cond_signal(&sleeper->wake);
    }
}

static size_t queued(const struct front_work *w)
{
    return atomic_load_explicit(&w->n_queued, memory_order_relaxed);
}

bool front_work_is_full(const struct front_work *w, unsigned lane)
{
    const struct lane *l = &w->lanes[lane % FRONT_LANES];

    return queued(w) >= LIMIT_WORK_QUEUE ||
           atomic_load_explicit(&l->n, memory_order_relaxed) >= LIMIT_WORK_LANE;
}

bool front_work_is_strained(const struct front_work *w)
{
    return queued(w) >= LIMIT_WORK_QUEUE / 2;
}

int front_work_retry_after_s(struct front_work *w)
{
    int64_t mean_us = atomic_load_explicit(&w->mean_us, memory_order_relaxed);
    int64_t wait_s = (int64_t)queued(w) * mean_us / w->n_threads / 1000000 + 1;
    int64_t least = wait_s < LIMIT_RETRY_AFTER_MAX_S / 2 ? wait_s : LIMIT_RETRY_AFTER_MAX_S / 2;
    uint8_t dice;

    crypto_random(&dice, sizeof(dice));
    return (int)(least + least * dice / UINT8_MAX);
}
