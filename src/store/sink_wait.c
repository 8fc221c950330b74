/* store/sink_wait.c: appending for who may block. Knows how to wait; the order, the queue and what
 * is durable are sink.c's and the backend's. */
#include <pthread.h>
#include <stdio.h>

#include "store/sink.h"

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    size_t under_way;
    err result; /* the first that is not OK */
    char detail[256];
};

struct waited {
    struct sink_append append; /* first */
    struct waiter *waiter;
};

/* Lets go of the waiter with the unlock: it may be gone right after. */
static void on_done(struct sink_append *a, err result)
{
    struct waiter *w = ((struct waited *)(void *)a)->waiter;

    (void)pthread_mutex_lock(&w->lock);
    if (err_is_ok(w->result) && !err_is_ok(result)) {
        w->result = result;
        (void)snprintf(w->detail, sizeof(w->detail), "%s", err_detail());
    }
    if (--w->under_way == 0) {
        (void)pthread_cond_signal(&w->ended);
    }
    (void)pthread_mutex_unlock(&w->lock);
}

static void count(struct waiter *w, size_t n)
{
    (void)pthread_mutex_lock(&w->lock);
    w->under_way += n;
    (void)pthread_mutex_unlock(&w->lock);
}

/* Whatever was taken is waited for, also when the rest was not: it points to our memory. */
static err append_all(struct sink *s, struct waiter *w, struct waited *appends, size_t n)
{
    err e = OK;
    size_t taken = 0;

    count(w, n);
    while (taken < n && err_is_ok(e)) {
        e = sink_append(s, &appends[taken].append);
        taken += err_is_ok(e);
    }
    (void)pthread_mutex_lock(&w->lock);
    w->under_way -= n - taken;
    while (w->under_way > 0) {
        (void)pthread_cond_wait(&w->ended, &w->lock);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return e;
}

err sink_append_wait(struct sink *s, struct arena *arena, struct sink_event *events, size_t n)
{
    struct waited *appends = ARENA_ARRAY(arena, n, struct waited);
    struct waiter w = { .result = OK };
    err e;

    if (appends == NULL) {
        return ERR(NOMEM);
    }
    for (size_t i = 0; i < n; i++) {
        appends[i] =
            (struct waited){ .append = { .event = events[i], .done = on_done }, .waiter = &w };
    }
    (void)pthread_mutex_init(&w.lock, NULL);
    (void)pthread_cond_init(&w.ended, NULL);
    e = append_all(s, &w, appends, n);
    (void)pthread_cond_destroy(&w.ended);
    (void)pthread_mutex_destroy(&w.lock);
    TRY(e);
    if (!err_is_ok(w.result)) {
        return err_set(ERR_IO, "%s", w.detail);
    }
    for (size_t i = 0; i < n; i++) {
        events[i].offset = appends[i].append.event.offset;
    }
    return OK;
}
