/* hub/keeper.c: one thread with a clock and an arena. */
#include "hub/keeper.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "crypto/crypto.h"
#include "hub/bus.h"
#include "model/limits.h"
#include "util/arena.h"

struct hub_keeper {
    struct hub_keeper_config config;
    struct crypto *crypto;
    struct arena arena;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_stopping;
};

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool do_chore(struct hub_keeper *k, const struct hub_chore *chore)
{
    struct env env = { .store = k->config.store,
                       .sink = k->config.sink,
                       .limits = k->config.limits,
                       .crypto = k->crypto,
                       .arena = &k->arena,
                       .now_ms = now_ms(),
                       .random = crypto_random };
    bool again = false;
    err e;

    arena_reset(&k->arena);
    e = chore->run(&env, k->config.bus, chore->arg, &again);
    if (!err_is_ok(e) && k->config.on_fault != NULL) {
        k->config.on_fault(k->config.arg, chore->name, e);
    }
    return err_is_ok(e) && again;
}

/* All chores once. True: one of them has more to do. */
static bool do_all(struct hub_keeper *k)
{
    bool again = false;

    for (size_t i = 0; i < k->config.n_chores; i++) {
        again |= do_chore(k, &k->config.chores[i]);
    }
    return again;
}

/* False: it is time to stop. */
static bool pause_for(struct hub_keeper *k, int64_t ms)
{
    struct timespec until;
    bool is_stopping;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&k->lock);
    while (!k->is_stopping && pthread_cond_timedwait(&k->wake, &k->lock, &until) == 0) {
    }
    is_stopping = k->is_stopping;
    (void)pthread_mutex_unlock(&k->lock);
    return !is_stopping;
}

static void *keep(void *arg)
{
    struct hub_keeper *k = (struct hub_keeper *)arg;
    bool again = false;

    while (pause_for(k, again ? 0 : LIMIT_KEEPER_PAUSE_MS)) {
        again = do_all(k);
    }
    for (int i = 0; i < LIMIT_KEEPER_LAST_ROUNDS && do_all(k); i++) {
    }
    return NULL;
}

static err init_wake(struct hub_keeper *k)
{
    pthread_condattr_t attr;
    int rc;

    if (pthread_condattr_init(&attr) != 0) {
        return ERR(NOMEM);
    }
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    rc = pthread_cond_init(&k->wake, &attr);
    (void)pthread_condattr_destroy(&attr);
    return rc == 0 ? OK : ERR(NOMEM);
}

static void destroy(struct hub_keeper *k)
{
    if (k->arena.block != NULL) {
        (void)munmap(k->arena.block, k->arena.size);
    }
    crypto_free(k->crypto);
    (void)pthread_cond_destroy(&k->wake);
    (void)pthread_mutex_destroy(&k->lock);
    free(k);
}

static err start(struct hub_keeper *k)
{
    void *block = mmap(NULL, LIMIT_REQUEST_ARENA, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (block == MAP_FAILED) {
        return ERR(NOMEM);
    }
    arena_init(&k->arena, block, LIMIT_REQUEST_ARENA);
    TRY(crypto_new(CRYPTO_SERVING, &k->crypto));
    if (pthread_create(&k->thread, NULL, keep, k) != 0) {
        return err_set(ERR_IO, "The hub's keeper thread cannot be started: see ulimit -u.");
    }
    return OK;
}

err hub_keeper_start(const struct hub_keeper_config *config, struct hub_keeper **ret_keeper)
{
    struct hub_keeper *k = calloc(1, sizeof *k);
    err e;

    if (k == NULL) {
        return ERR(NOMEM);
    }
    k->config = *config;
    e = init_wake(k);
    if (!err_is_ok(e)) {
        free(k);
        return e;
    }
    (void)pthread_mutex_init(&k->lock, NULL);
    e = start(k);
    if (!err_is_ok(e)) {
        destroy(k);
        return e;
    }
    *ret_keeper = k;
    return OK;
}

void hub_keeper_stop(struct hub_keeper *k)
{
    if (k == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&k->lock);
    k->is_stopping = true;
    (void)pthread_cond_signal(&k->wake);
    (void)pthread_mutex_unlock(&k->lock);
    (void)pthread_join(k->thread, NULL);
    destroy(k);
}
