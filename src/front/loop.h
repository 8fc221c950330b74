/* front/loop.h: one event loop, on a thread of its own: accepts, holds its connections, takes posts
 * from other threads. Nothing of OpenSSL is shared with other loops. */
#ifndef FRONT_LOOP_H
#define FRONT_LOOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "front/front.h"
#include "front/memory.h"
#include "front/work.h"

struct front_conn;
struct front_loop;

/* Something for a loop to do, from any thread. Memory is the poster's until run is called, on the
 * loop. Posts of one thread run in their order. */
struct front_post {
    struct front_post *next;
    void (*run)(struct front_post *p);
};

struct front_listener {
    struct front_loop *loop;
    const struct front_endpoint *endpoint;
    int fd;
    uv_poll_t poll;
};

struct front_loop {
    const struct front_config *config;
    struct front_work *work;
    int index;
    pthread_t thread;
    bool has_uv;     /* uv was initialised */
    bool is_started; /* the thread was */
    uv_loop_t uv;
    uv_async_t async;
    uv_idle_t idle;   /* active while connections are ready */
    uv_timer_t timer; /* active while accepting is paused, and while draining */
    _Atomic(struct front_post *) posts;
    struct crypto *crypto;
    struct front_tls *tls;
    struct front_listener *listeners;
    size_t n_listeners;
    bool is_paused, is_draining;
    struct front_conn *conns;
    size_t n_conns, n_handshakes;
    size_t conns_max;                      /* set before the loop starts */
    int64_t say_full_ms, say_throttled_ms; /* not before then again */
    struct front_conn *ready, **ready_tail;
    struct front_memory memory;
};

/* `fds`: a listening socket for each endpoint, owned by the loop from here on, also on failure. */
err front_loop_init(struct front_loop *l, const struct front_config *config,
                    struct front_work *work, const struct front_tls_source *source, const int *fds);
err front_loop_start(struct front_loop *l);
/* The thread must have ended, or never have been started. */
void front_loop_done(struct front_loop *l);

/* Any thread. */
void front_loop_post(struct front_loop *l, struct front_post *p);

/* The rest: on the loop's thread only. */

void front_loop_use_tls(struct front_loop *l, struct front_tls *tls);
/* Stops listening and closes what is idle, after limits.drain_ms everything; the thread ends with
 * its last connection. */
void front_loop_drain(struct front_loop *l);

/* Visits the connection (front_conn_visit) before waiting for events again. */
void front_loop_ready(struct front_loop *l, struct front_conn *c);
void front_loop_add(struct front_loop *l, struct front_conn *c);
void front_loop_remove(struct front_loop *l, struct front_conn *c);
/* A handshake no longer counts. */
void front_loop_handshake_ended(struct front_loop *l);
/* Monotonic. */
int64_t front_loop_clock_ms(const struct front_loop *l);

#endif
