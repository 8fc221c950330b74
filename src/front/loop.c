/* front/loop.c: a loop's life: posts in, connections accepted, visited and closed.
 *
 * Admission: a handshake is the dear part of a connection, so that at most a bounded number is
 * begun; the rest waits in the kernel's accept queue, where it costs nothing. The same when the
 * workers are far behind. */
#include "front/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front/conn.h"

enum { ACCEPT_BATCH = 16, PAUSE_MS = 20, SAY_AGAIN_MS = 60 * 1000 };

/* ---- posts ---- */

void front_loop_post(struct front_loop *l, struct front_post *p)
{
    struct front_post *head = atomic_load_explicit(&l->posts, memory_order_relaxed);

    do {
        p->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&l->posts, &head, p, memory_order_release,
                                                    memory_order_relaxed));
    if (head == NULL) { /* otherwise whoever put the first one has rung already */
        (void)uv_async_send(&l->async);
    }
}

static struct front_post *reversed(struct front_post *p)
{
    struct front_post *result = NULL;

    while (p != NULL) {
        struct front_post *next = p->next;

        p->next = result;
        result = p;
        p = next;
    }
    return result;
}

static void run_ready(struct front_loop *l)
{
    struct front_conn *c = l->ready;

    l->ready = NULL;
    l->ready_tail = &l->ready;
    while (c != NULL) {
        struct front_conn *next = c->ready_next;

        c->is_ready = false;
        front_conn_visit(c);
        c = next;
    }
    if (l->ready == NULL) {
        (void)uv_idle_stop(&l->idle);
    }
}

static void on_idle(uv_idle_t *idle)
{
    run_ready(idle->data);
}

void front_loop_ready(struct front_loop *l, struct front_conn *c)
{
    if (c->is_ready) {
        return;
    }
    c->is_ready = true;
    c->ready_next = NULL;
    *l->ready_tail = c;
    l->ready_tail = &c->ready_next;
    (void)uv_idle_start(&l->idle, on_idle);
}

/* All posts first, then one visit a connection: many answers leave in one write. */
static void on_async(uv_async_t *async)
{
    struct front_loop *l = async->data;
    struct front_post *p =
        reversed(atomic_exchange_explicit(&l->posts, NULL, memory_order_acquire));

    while (p != NULL) {
        struct front_post *next = p->next;

        p->run(p);
        p = next;
    }
    run_ready(l);
}

/* ---- accepting ---- */

static bool may_accept(const struct front_loop *l)
{
    return !l->is_draining && l->n_handshakes < l->config->limits.handshakes_per_loop &&
           l->n_conns < l->conns_max && !front_work_is_strained(l->work);
}

static void on_listener(uv_poll_t *poll, int status, int events);

static void resume(struct front_loop *l)
{
    l->is_paused = false;
    (void)uv_timer_stop(&l->timer);
    for (size_t i = 0; i < l->n_listeners; i++) {
        (void)uv_poll_start(&l->listeners[i].poll, UV_READABLE, on_listener);
    }
}

static void on_resume(uv_timer_t *timer)
{
    struct front_loop *l = timer->data;

    if (may_accept(l)) {
        resume(l);
    }
}

static void pause_accepting(struct front_loop *l)
{
    if (l->is_paused || l->is_draining) {
        return;
    }
    l->is_paused = true;
    for (size_t i = 0; i < l->n_listeners; i++) {
        (void)uv_poll_stop(&l->listeners[i].poll);
    }
    (void)uv_timer_start(&l->timer, on_resume, PAUSE_MS, PAUSE_MS);
}

/* An operator wants to know, but not fifty times a second. */
static void say_full(struct front_loop *l, const char *why)
{
    const struct front_config *config = l->config;
    char text[160];

    if (front_loop_clock_ms(l) < l->say_full_ms || config->on_event == NULL) {
        return;
    }
    l->say_full_ms = front_loop_clock_ms(l) + SAY_AGAIN_MS;
    (void)snprintf(text, sizeof(text), "%s: with %zu connections on this loop, new ones wait.", why,
                   l->n_conns);
    config->on_event(config->arg, FRONT_WARNING, "accept-paused", text);
}

void front_loop_handshake_ended(struct front_loop *l)
{
    assert(l->n_handshakes > 0);
    l->n_handshakes--;
    /* Not one by one: each change of mind costs system calls. */
    if (l->is_paused && l->n_handshakes <= l->config->limits.handshakes_per_loop / 2 &&
        may_accept(l)) {
        resume(l);
    }
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
    struct front_listener *listener = poll->data;
    struct front_loop *l = listener->loop;

    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPT_BATCH && may_accept(l); i++) {
        struct sockaddr_storage from;
        socklen_t len = sizeof(from);
        int fd =
            accept4(listener->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            front_conn_accept(listener, fd, &from);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            say_full(l, strerror(errno));
            pause_accepting(l); /* out of files or memory: both come back */
            return;
        }
    }
    if (l->n_conns >= l->conns_max) {
        say_full(l, "The limit is reached");
    }
    if (!may_accept(l)) {
        pause_accepting(l);
    }
}

/* ---- connections ---- */

void front_loop_add(struct front_loop *l, struct front_conn *c)
{
    c->prev = NULL;
    c->next = l->conns;
    if (l->conns != NULL) {
        l->conns->prev = c;
    }
    l->conns = c;
    l->n_conns++;
}

static void end_if_empty(struct front_loop *l)
{
    if (l->is_draining && l->n_conns == 0 && !uv_is_closing((uv_handle_t *)&l->async)) {
        uv_close((uv_handle_t *)&l->async, NULL);
        uv_close((uv_handle_t *)&l->idle, NULL);
        uv_close((uv_handle_t *)&l->timer, NULL);
    }
}

void front_loop_remove(struct front_loop *l, struct front_conn *c)
{
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        l->conns = c->next;
    }
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    l->n_conns--;
    end_if_empty(l);
}

int64_t front_loop_clock_ms(const struct front_loop *l)
{
    return (int64_t)uv_now(&l->uv);
}

/* Time is up: what waits for a task goes when that returns. */
static void on_drain_over(uv_timer_t *timer)
{
    struct front_loop *l = timer->data;

    for (struct front_conn *c = l->conns; c != NULL; c = c->next) {
        front_conn_cut(c);
    }
}

void front_loop_drain(struct front_loop *l)
{
    if (l->is_draining) {
        return;
    }
    l->is_draining = true;
    for (size_t i = 0; i < l->n_listeners; i++) {
        uv_close((uv_handle_t *)&l->listeners[i].poll, NULL);
        (void)close(l->listeners[i].fd);
        l->listeners[i].fd = -1;
    }
    for (struct front_conn *c = l->conns; c != NULL; c = c->next) {
        front_loop_ready(l, c);
    }
    (void)uv_timer_start(&l->timer, on_drain_over, (uint64_t)l->config->limits.drain_ms, 0);
    end_if_empty(l);
}

void front_loop_use_tls(struct front_loop *l, struct front_tls *tls)
{
    front_tls_free(l->tls);
    l->tls = tls;
}

/* ---- life ---- */

static void *run(void *arg)
{
    struct front_loop *l = arg;

    (void)uv_run(&l->uv, UV_RUN_DEFAULT);
    return NULL;
}

static int init_handles(struct front_loop *l)
{
    int why = uv_async_init(&l->uv, &l->async, on_async);

    (void)uv_idle_init(&l->uv, &l->idle);
    (void)uv_timer_init(&l->uv, &l->timer);
    l->async.data = l->idle.data = l->timer.data = l;
    for (size_t i = 0; why == 0 && i < l->n_listeners; i++) {
        struct front_listener *listener = &l->listeners[i];

        listener->poll.data = listener;
        why = uv_poll_init(&l->uv, &listener->poll, listener->fd);
        if (why == 0) {
            why = uv_poll_start(&listener->poll, UV_READABLE, on_listener);
        }
    }
    return why;
}

static err init_uv(struct front_loop *l)
{
    int why = uv_loop_init(&l->uv);

    l->has_uv = why == 0;
    if (why == 0) {
        why = init_handles(l);
    }
    return why == 0 ? OK : err_set(ERR_IO, "An event loop cannot be made: %s.", uv_strerror(why));
}

err front_loop_init(struct front_loop *l, const struct front_config *config,
                    struct front_work *work, const struct front_tls_source *source, const int *fds)
{
    *l = (struct front_loop){ .config = config, .work = work, .index = l->index };
    l->ready_tail = &l->ready;
    front_memory_init(&l->memory);
    l->n_listeners = config->n_endpoints;
    l->listeners = calloc(l->n_listeners, sizeof(*l->listeners));
    if (l->listeners == NULL) {
        return ERR(NOMEM);
    }
    for (size_t i = 0; i < l->n_listeners; i++) {
        l->listeners[i].loop = l;
        l->listeners[i].endpoint = &config->endpoints[i];
        l->listeners[i].fd = fds[i];
    }
    TRY(crypto_new(CRYPTO_SERVING, &l->crypto));
    TRY(front_tls_new(l->crypto, source, &l->tls));
    return init_uv(l);
}

err front_loop_start(struct front_loop *l)
{
    if (pthread_create(&l->thread, NULL, run, l) != 0) {
        return err_set(ERR_IO, "A thread cannot be started: see ulimit -u.");
    }
    l->is_started = true;
    return OK;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

void front_loop_done(struct front_loop *l)
{
    if (l->has_uv) {
        assert(l->n_conns == 0);
        uv_walk(&l->uv, close_handle, NULL);
        (void)uv_run(&l->uv, UV_RUN_DEFAULT);
        (void)uv_loop_close(&l->uv);
    }
    for (size_t i = 0; i < l->n_listeners; i++) {
        if (l->listeners[i].fd >= 0) {
            (void)close(l->listeners[i].fd);
        }
    }
    free(l->listeners);
    front_tls_free(l->tls);
    crypto_free(l->crypto);
    front_memory_done(&l->memory);
}
