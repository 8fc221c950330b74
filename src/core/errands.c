/* core/errands.c: threads, and what they do one after another: take a turn, claim, call, settle.
 * One more, the scout, looks every few seconds for lanes that others filled and for assignments
 * that have waited too long. All that is shared is under one lock, which nobody holds while the
 * store or the network works. Threads are begun when there is work for them. */
#include "core/errands_inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "crypto/crypto.h"

enum { TEXT_MAX = 1024 };

/* ---- lines for the operator ---- */

static void tell(struct core_errands *e, enum core_errands_event event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void tell(struct core_errands *e, enum core_errands_event event, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;

    if (e->config.on_event == NULL) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    e->config.on_event(e->config.arg, event, text);
}

static void tell_fault(struct core_errands *e, err fault)
{
    tell(e, CORE_ERRANDS_FAULT, "An errand was put off: %s.",
         *err_detail() != '\0' ? err_detail() : err_name(fault));
}

static void tell_end(struct core_errands *e, const struct core_errand_work *w)
{
    const struct errand *d = &w->errand;
    bool is_remove = d->type == ERRAND_REMOVE;

    if (w->end == CORE_ERRAND_FAILED) {
        tell(e, CORE_ERRANDS_FAILED, "Registration %.*s of %.*s has failed: %.*s",
             SPAN_FMT(d->registration_id), SPAN_FMT(d->id_scope),
             SPAN_FMT(w->registration.error_message));
    } else if (w->end == CORE_ERRAND_DONE && is_remove) {
        tell(e, CORE_ERRANDS_ENDED, "Device %.*s is gone from %.*s.", SPAN_FMT(d->device_id),
             SPAN_FMT(d->hub));
    } else if (w->end == CORE_ERRAND_DONE) {
        tell(e, CORE_ERRANDS_ENDED, "Registration %.*s of %.*s is assigned to %.*s.",
             SPAN_FMT(d->registration_id), SPAN_FMT(d->id_scope),
             SPAN_FMT(w->registration.assigned_hub));
    } else if (w->end == CORE_ERRAND_DROPPED) {
        tell(e, CORE_ERRANDS_ENDED,
             "What was begun for registration %.*s of %.*s is not wanted any "
             "more.",
             SPAN_FMT(d->registration_id), SPAN_FMT(d->id_scope));
    }
}

/* ---- lanes ---- */

void core_errands_stir(struct core_errands *e, struct span name, int64_t at_ms)
{
    struct core_errand_lane *lane = core_errand_lanes_get(&e->lanes, name);

    if (lane != NULL && at_ms < lane->look_ms) {
        lane->look_ms = at_ms;
        (void)pthread_cond_signal(&e->pools[lane->is_webhook].wake);
    }
}

static void stir_locked(struct core_errands *e, struct span name, int64_t at_ms)
{
    (void)pthread_mutex_lock(&e->lock);
    core_errands_stir(e, name, at_ms);
    (void)pthread_mutex_unlock(&e->lock);
}

/* What a call says of the system that was asked. */
static void hear(struct errands_runner *r, const struct core_errand_call *call)
{
    struct core_errands *e = r->errands;
    struct core_errand_lane *lane;
    enum core_errands_event event = 0;
    uint32_t draw;

    crypto_random(&draw, sizeof draw);
    (void)pthread_mutex_lock(&e->lock);
    e->calls++;
    lane = e->is_stopping ? NULL : core_errand_lanes_get(&e->lanes, call->lane);
    if (lane != NULL) {
        event = core_errand_lanes_heard(&e->lanes, lane, call->is_failure, call->retry_after_ms,
                                        errands_clock_ms(), draw);
        (void)pthread_cond_signal(&e->pools[lane->is_webhook].wake);
    }
    (void)pthread_mutex_unlock(&e->lock);
    if (event == CORE_ERRANDS_OPENED) {
        tell(e, event,
             "%.*s does not answer, or has faults of its own: it is left alone for a while.",
             SPAN_FMT(call->lane));
    } else if (event == CORE_ERRANDS_CLOSED) {
        tell(e, event, "%.*s answers again.", SPAN_FMT(call->lane));
    }
}

/* ---- one errand ---- */

static void renew_env(struct errands_runner *r)
{
    const struct core_errands_config *c = &r->errands->config;

    r->env = (struct env){ .store = c->store,
                           .sink = c->sink,
                           .limits = c->limits,
                           .crypto = r->crypto,
                           .errands = r->errands,
                           .arena = &r->arena,
                           .now_ms = errands_clock_ms(),
                           .random = crypto_random };
}

static void take_tracking_id(struct errands_runner *r, struct span id)
{
    if (id.len == GUID_TEXT_LEN) {
        memcpy(r->env.tracking_id, id.data, GUID_TEXT_LEN);
    }
}

/* From claim to its end, or to where it waits. */
static err work_on(struct errands_runner *r, struct core_errand_work *w)
{
    const struct core_errand_tools *tools = &r->errands->tools;

    do {
        TRY(core_errand_call(&r->env, tools, w));
        for (int i = 0; i < w->n_calls; i++) {
            hear(r, &w->calls[i]);
        }
        r->env.now_ms = errands_clock_ms();
        TRY(core_errand_settle(&r->env, tools, w));
    } while (w->end == CORE_ERRAND_GOES_ON);
    return OK;
}

static void follow_up(struct errands_runner *r, const struct core_errand_work *w)
{
    struct core_errands *e = r->errands;

    if (w->has_assigned) {
        if (e->config.hubs->tell != NULL) {
            e->config.hubs->tell(&r->env, e->config.bus, &w->assigned.placed);
        }
        core_errands_wake(e, w->assigned.lane);
    }
    if (w->end == CORE_ERRAND_MOVED || w->end == CORE_ERRAND_PAUSED) {
        stir_locked(e, w->errand.lane, w->errand.due_ms);
    }
    tell_end(e, w);
}

static void count_end(struct core_errands *e, struct core_errand_lane *lane,
                      const struct core_errand_work *w, int64_t took_ms)
{
    bool is_over =
        w->end == CORE_ERRAND_DONE || w->end == CORE_ERRAND_DROPPED || w->end == CORE_ERRAND_FAILED;

    e->done += w->end == CORE_ERRAND_DONE;
    e->failed += w->end == CORE_ERRAND_FAILED;
    e->retried += w->end == CORE_ERRAND_PAUSED;
    lane->waiting -= is_over && lane->waiting > 0;
    if (w->end == CORE_ERRAND_DONE) {
        lane->mean_ms = lane->mean_ms == 0 ? took_ms + 1 : (7 * lane->mean_ms + took_ms) / 8;
    }
}

/* With a turn at the lane. */
static void run_turn(struct errands_runner *r, struct core_errand_lane *lane)
{
    struct core_errands *e = r->errands;
    struct span name = span_of(lane->text, lane->len); /* it stays while it has one in flight */
    struct core_errand_work *w;
    int64_t since_ms;
    err fault;

    arena_reset(&r->arena);
    renew_env(r);
    since_ms = r->env.now_ms;
    w = ARENA_NEW(&r->arena, struct core_errand_work);
    fault = w == NULL ? ERR(NOMEM) : core_errand_claim(&r->env, name, w);
    if (err_is_ok(fault) && w->end != CORE_ERRAND_NONE) {
        stir_locked(e, name, since_ms); /* others may take what is behind it */
        take_tracking_id(r, w->errand.tracking_id);
        fault = w->end == CORE_ERRAND_GOES_ON ? work_on(r, w) : OK;
        if (err_is_ok(fault)) {
            follow_up(r, w);
        }
    }
    if (!err_is_ok(fault)) {
        tell_fault(e, fault);
    }
    (void)pthread_mutex_lock(&e->lock);
    if (!err_is_ok(fault)) {
        core_errands_stir(e, name, errands_clock_ms() + LIMIT_ERRAND_RETRY_MS);
    } else if (w->end == CORE_ERRAND_NONE) {
        lane->waiting = w->next_due_ms == INT64_MAX ? 0 : lane->waiting;
        core_errands_stir(e, name, w->next_due_ms);
    } else {
        count_end(e, lane, w, errands_clock_ms() - since_ms);
    }
    core_errand_lanes_leave(&e->lanes, lane);
    (void)pthread_mutex_unlock(&e->lock);
}

/* ---- threads ---- */

/* Until the time, or a signal; INT64_MAX: a signal. The lock is held. */
static void sleep_until(struct core_errands *e, pthread_cond_t *wake, int64_t at_ms)
{
    int64_t ms = at_ms == INT64_MAX ? INT64_MAX : at_ms - errands_clock_ms();
    struct timespec until;

    if (ms == INT64_MAX || ms > 3600 * 1000) {
        ms = 3600 * 1000;
    }
    if (ms <= 0) {
        return;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(wake, &e->lock, &until);
}

static err add_runner(struct core_errands *e, int pool, void *(*run)(void *));
static void *run_pool(void *arg);

/* Another thread, if all are busy and there may be more to do. The lock is held. */
static void grow(struct core_errands *e, int pool)
{
    struct errands_pool *p = &e->pools[pool];

    if (p->idle == 0 && p->threads < p->max && !p->has_failed && !e->is_stopping &&
        err_is_ok(add_runner(e, pool, run_pool))) {
        p->threads++;
        p->idle++;
    }
}

static void *run_pool(void *arg)
{
    struct errands_runner *r = arg;
    struct core_errands *e = r->errands;
    struct errands_pool *p = &e->pools[r->pool];
    err fault = crypto_new(CRYPTO_SERVING, &r->crypto);

    (void)pthread_mutex_lock(&e->lock);
    p->has_failed = p->has_failed || !err_is_ok(fault);
    p->idle -= !err_is_ok(fault);
    while (!e->is_stopping && err_is_ok(fault)) {
        int64_t next_ms = INT64_MAX;
        /* Threads that may yet be begun are as good as idle. */
        struct core_errand_lane *lane =
            core_errand_lanes_pick(&e->lanes, r->pool == ERRANDS_WEBHOOKS, p->max,
                                   p->idle + p->max - p->threads, errands_clock_ms(), &next_ms);

        if (lane == NULL) {
            sleep_until(e, &p->wake, next_ms);
            continue;
        }
        p->idle--;
        grow(e, r->pool);
        (void)pthread_mutex_unlock(&e->lock);
        run_turn(r, lane);
        (void)pthread_mutex_lock(&e->lock);
        p->idle++;
    }
    (void)pthread_mutex_unlock(&e->lock);
    return NULL;
}

/* Lanes that other processes filled, or this one before it was started. */
static err scout_lanes(struct errands_runner *r)
{
    char room[LIMIT_ERRAND_LANE_NAME];
    struct span lane = SPAN_NONE;
    bool is_found = true;

    while (is_found) {
        int64_t n = 0;

        arena_reset(&r->arena);
        TRY(core_errand_next_lane(&r->env, lane, &lane, &is_found));
        if (!is_found || lane.len > sizeof room) {
            break;
        }
        memcpy(room, lane.data, lane.len);
        lane = span_of(room, lane.len);
        TRY(core_errand_count(&r->env, lane, &n));
        (void)pthread_mutex_lock(&r->errands->lock);
        core_errands_stir(r->errands, lane, r->env.now_ms);
        if (core_errand_lanes_find(&r->errands->lanes, lane) != NULL) {
            core_errand_lanes_find(&r->errands->lanes, lane)->waiting = n;
        }
        is_found = !r->errands->is_stopping;
        (void)pthread_mutex_unlock(&r->errands->lock);
    }
    return OK;
}

static err scout_old_ones(struct errands_runner *r)
{
    size_t n;

    do {
        arena_reset(&r->arena);
        TRY(core_errand_expire(&r->env, &n));
        (void)pthread_mutex_lock(&r->errands->lock);
        r->errands->failed += n;
        n = r->errands->is_stopping ? 0 : n;
        (void)pthread_mutex_unlock(&r->errands->lock);
    } while (n > 0);
    return OK;
}

static err scout(struct errands_runner *r, bool is_first)
{
    arena_reset(&r->arena);
    renew_env(r);
    if (is_first && r->errands->config.is_alone) {
        TRY(core_errand_take_up(&r->env));
    }
    TRY(scout_old_ones(r));
    return scout_lanes(r);
}

static void *run_scout(void *arg)
{
    struct errands_runner *r = arg;
    struct core_errands *e = r->errands;
    bool is_first = true;

    (void)pthread_mutex_lock(&e->lock);
    while (!e->is_stopping) {
        err fault;

        (void)pthread_mutex_unlock(&e->lock);
        fault = scout(r, is_first);
        if (!err_is_ok(fault)) {
            tell_fault(e, fault);
        }
        is_first = is_first && !err_is_ok(fault);
        (void)pthread_mutex_lock(&e->lock);
        if (!e->is_stopping) {
            sleep_until(e, &e->wake_scout, errands_clock_ms() + LIMIT_ERRAND_LOOK_MS);
        }
    }
    (void)pthread_mutex_unlock(&e->lock);
    return NULL;
}

static void runner_done(struct errands_runner *r)
{
    if (r->arena.block != NULL) {
        (void)munmap(r->arena.block, r->arena.size);
    }
    crypto_free(r->crypto);
    *r = (struct errands_runner){ 0 };
}

static err runner_begin(struct errands_runner *r, void *(*run)(void *))
{
    void *block = mmap(NULL, LIMIT_REQUEST_ARENA, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (block == MAP_FAILED) {
        return ERR(NOMEM);
    }
    arena_init(&r->arena, block, LIMIT_REQUEST_ARENA);
    if (pthread_create(&r->thread, NULL, run, r) != 0) {
        return err_set(ERR_IO, "A thread for errands cannot be started: see ulimit -u.");
    }
    return OK;
}

static err add_runner(struct core_errands *e, int pool, void *(*run)(void *))
{
    struct errands_runner *r = &e->runners[e->n_runners];
    err fault;

    *r = (struct errands_runner){ .errands = e, .pool = pool };
    fault = runner_begin(r, run);
    if (!err_is_ok(fault)) {
        runner_done(r);
        return fault;
    }
    e->n_runners++;
    return OK;
}

/* ---- start and stop ---- */

static err init_wake(pthread_cond_t *wake)
{
    pthread_condattr_t attr;
    int rc;

    if (pthread_condattr_init(&attr) != 0) {
        return ERR(NOMEM);
    }
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    rc = pthread_cond_init(wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    return rc == 0 ? OK : ERR(NOMEM);
}

static err start_runners(struct core_errands *e)
{
    struct crypto *probe = NULL; /* whether threads can have theirs */

    TRY(crypto_new(CRYPTO_SERVING, &probe));
    crypto_free(probe);
    for (int pool = 0; pool < ERRANDS_POOLS; pool++) {
        TRY(add_runner(e, pool, run_pool));
        e->pools[pool].threads++;
        e->pools[pool].idle++;
    }
    return add_runner(e, ERRANDS_HUBS, run_scout);
}

err core_errands_start(const struct core_errands_config *config, struct core_errands **ret_errands)
{
    struct core_errands *e = calloc(1, sizeof *e);
    err fault;

    if (e == NULL) {
        return ERR(NOMEM);
    }
    e->config = *config;
    e->tools = (struct core_errand_tools){ .elsewhere = config->elsewhere, .hubs = config->hubs };
    e->pools[ERRANDS_HUBS].max = LIMIT_ERRAND_THREADS_HUB;
    e->pools[ERRANDS_WEBHOOKS].max = LIMIT_ERRAND_THREADS_WEBHOOK;
    (void)pthread_mutex_init(&e->lock, NULL);
    if (!err_is_ok(init_wake(&e->wake_scout)) ||
        !err_is_ok(init_wake(&e->pools[ERRANDS_HUBS].wake)) ||
        !err_is_ok(init_wake(&e->pools[ERRANDS_WEBHOOKS].wake))) {
        free(e);
        return ERR(NOMEM);
    }
    (void)pthread_mutex_lock(&e->lock);
    fault = start_runners(e);
    (void)pthread_mutex_unlock(&e->lock);
    if (!err_is_ok(fault)) {
        core_errands_stop(e);
        core_errands_free(e);
        return fault;
    }
    *ret_errands = e;
    return OK;
}

void core_errands_stop(struct core_errands *e)
{
    int n;

    if (e == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&e->lock);
    e->is_stopping = true;
    n = e->n_runners;
    (void)pthread_cond_broadcast(&e->wake_scout);
    (void)pthread_cond_broadcast(&e->pools[ERRANDS_HUBS].wake);
    (void)pthread_cond_broadcast(&e->pools[ERRANDS_WEBHOOKS].wake);
    (void)pthread_mutex_unlock(&e->lock);
    if (e->config.elsewhere->cancel != NULL) {
        e->config.elsewhere->cancel(e->config.elsewhere->arg);
    }
    for (int i = 0; i < n; i++) {
        (void)pthread_join(e->runners[i].thread, NULL);
        runner_done(&e->runners[i]);
    }
    e->n_runners = 0;
}

void core_errands_free(struct core_errands *e)
{
    if (e == NULL) {
        return;
    }
    for (int i = 0; i < ERRANDS_POOLS; i++) {
        (void)pthread_cond_destroy(&e->pools[i].wake);
    }
    (void)pthread_cond_destroy(&e->wake_scout);
    (void)pthread_mutex_destroy(&e->lock);
    free(e);
}
