/* front/conn.c: one connection's socket and times. Every event ends in settle(), which sends what
 * there is, moves the state on and arms poll and timer for what comes next.
 *
 * The poll mask is changed as rarely as can be: an interest is added when it is needed and dropped
 * only when it has fired in vain. The timer likewise: it is moved forward, never back; when it
 * fires too early it is armed again. */
#include "front/conn.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/metrics.h"
#include "front/drive.h"

enum {
    READS_A_TURN = 8,
    SENDS_A_TURN = 16,
    READ_MIN = 512, /* room below which a read is not worth its while */
    DISCARD_MAX = 64 * 1024,
    BEHIND_MS = 100, /* a timer that fires so late */
};

#define OUTER(type, member, pointer) ((type *)(void *)((uint8_t *)(pointer)-offsetof(type, member)))

static struct metrics *metrics_of(const struct front_conn *c)
{
    return c->loop->config->service->metrics;
}

static void count(_Atomic uint64_t *counter)
{
    (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void uncount(_Atomic uint64_t *counter)
{
    (void)atomic_fetch_sub_explicit(counter, 1, memory_order_relaxed);
}

/* ---- buffers ---- */

bool front_conn_grow_input(struct front_conn *c)
{
    struct front_memory *m = &c->loop->memory;
    size_t want = c->in.cap == 0 ? FRONT_MEMORY_BLOCK : c->in.cap * 2;
    size_t cap;
    uint8_t *data;

    want = want < LIMIT_INPUT ? want : LIMIT_INPUT;
    if (want <= c->in.cap || (want > FRONT_MEMORY_BLOCK && m->large > LIMIT_INPUT_MEMORY)) {
        return false;
    }
    data = front_memory_take(m, want, &cap);
    if (data == NULL) {
        return false;
    }
    if (c->in.len > 0) {
        memcpy(data, c->in.data, c->in.len);
    }
    front_memory_give(m, c->in.data, c->in.cap);
    c->in.data = data;
    c->in.cap = cap;
    return true;
}

void front_conn_drop_input(struct front_conn *c, size_t n)
{
    assert(n <= c->in.len);
    c->in.len -= n;
    if (c->in.len == 0) {
        front_memory_give(&c->loop->memory, c->in.data, c->in.cap);
        c->in = (struct front_input){ .held = c->in.held };
    } else if (n > 0) {
        memmove(c->in.data, c->in.data + n, c->in.len);
    }
}

static bool grow_output(struct buf *b, size_t need)
{
    struct front_conn *c = OUTER(struct front_conn, out, b);
    size_t want = need > FRONT_MEMORY_BLOCK && need < b->cap * 2 ? b->cap * 2 : need;
    size_t cap;
    uint8_t *data;

    if (need > LIMIT_OUTPUT) {
        return false;
    }
    data = front_memory_take(&c->loop->memory, want, &cap);
    if (data == NULL) {
        return false;
    }
    if (b->len > 0) {
        memcpy(data, b->data, b->len);
    }
    front_memory_give(&c->loop->memory, b->data, b->cap);
    b->data = data;
    b->cap = cap;
    return true;
}

static void give_output(struct front_conn *c)
{
    front_memory_give(&c->loop->memory, c->out.data, c->out.cap);
    c->out = (struct buf){ .grow = grow_output };
}

/* ---- the end ---- */

static void release_slot(struct front_conn *c)
{
    if (c->has_slot) {
        c->has_slot = false;
        uncount(&metrics_of(c)->handshakes_in_flight);
        front_loop_handshake_ended(c->loop);
    }
}

void front_conn_free_if_over(struct front_conn *c)
{
    if (c->state != CONN_GONE || c->n_handles > 0 || c->is_ready || !front_drive_is_over(c)) {
        return;
    }
    front_drive_free(c);
    for (size_t i = 0; i < c->peer.n_chain; i++) {
        crypto_x509_free(c->chain[i]);
    }
    free(c->chain);
    front_memory_give(&c->loop->memory, c->in.data, c->in.cap);
    give_output(c);
    front_loop_remove(c->loop, c);
    free(c);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct front_conn *c = handle->data;

    c->n_handles--;
    front_conn_free_if_over(c);
}

void front_conn_cut(struct front_conn *c)
{
    if (c->state == CONN_GONE) {
        return;
    }
    if (c->state == CONN_HANDSHAKE) {
        count(&metrics_of(c)->handshakes_failed);
    }
    release_slot(c);
    c->state = CONN_GONE;
    uncount(&metrics_of(c)->connections_open);
    uv_close((uv_handle_t *)&c->poll, on_handle_closed);
    uv_close((uv_handle_t *)&c->timer, on_handle_closed);
    front_tls_session_free(c->tls);
    c->tls = NULL;
    (void)close(c->fd);
    front_drive_farewell(c);
}

static void cut_overdue(struct front_conn *c)
{
    count(&metrics_of(c)->timeouts);
    front_conn_cut(c);
}

/* Our side is done; what the peer still sends is thrown away until it closes too. */
static void linger(struct front_conn *c)
{
    front_drive_farewell(c);
    (void)shutdown(c->fd, SHUT_WR);
    c->state = CONN_LINGER;
    c->linger_ms = front_loop_clock_ms(c->loop) + c->loop->config->limits.linger_ms;
}

static void discard(struct front_conn *c)
{
    uint8_t waste[4096];
    ssize_t n = 1;

    for (size_t total = 0; n > 0 && total < DISCARD_MAX; total += (size_t)n) {
        n = recv(c->fd, waste, sizeof(waste), 0);
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n <= 0) {
            front_conn_cut(c);
            return;
        }
    }
}

/* ---- bytes ---- */

/* Appends to the input what one read gives. False: nothing more for now. */
static bool read_once(struct front_conn *c)
{
    size_t n = 0;

    if (c->in.cap - c->in.len < READ_MIN && !front_conn_grow_input(c) && c->in.len == c->in.cap) {
        /* The surface cannot get on with as much as it may have: it waits for something else, or
         * never will. */
        if (c->appends == NULL && c->out.len == 0) {
            front_conn_cut(c);
        }
        return false;
    }
    switch (front_tls_read(c->tls, c->in.data + c->in.len, c->in.cap - c->in.len, &n)) {
    case FRONT_TLS_OK:
        c->in.len += n;
        c->is_read_blocked = false;
        return true;
    case FRONT_TLS_CLOSED:
        c->wants_close = true; /* what is in out may still be wanted */
        break;
    case FRONT_TLS_FAILED:
        front_conn_cut(c);
        break;
    case FRONT_TLS_WANT_WRITE:
        c->is_write_blocked = true;
        break;
    case FRONT_TLS_WANT_READ:
        c->is_read_blocked = true; /* though half a record may be pending */
        break;
    }
    if (c->in.len == 0) {
        front_conn_drop_input(c, 0);
    }
    return false;
}

/* Has TLS taken from the socket what nobody has read? Poll will not tell of that. */
static bool has_unread(const struct front_conn *c)
{
    return c->state == CONN_OPEN && !c->is_read_blocked && front_tls_has_pending(c->tls);
}

/* Not while a visit is due: what was read before goes first, and a goodbye behind it, once read,
 * would be its end. */
static void read_some(struct front_conn *c)
{
    for (int i = 0; c->state == CONN_OPEN && !c->is_ready && front_drive_wants_input(c); i++) {
        if (i == READS_A_TURN) {
            front_loop_ready(c->loop, c); /* others first */
            return;
        }
        if (!read_once(c)) {
            return;
        }
        front_drive_step(c);
        if (!has_unread(c)) {
            return; /* the socket will tell */
        }
    }
}

/* Sends what out holds, as far as the socket takes it. */
static void send_out(struct front_conn *c)
{
    size_t sent = 0;
    enum front_tls_result result = FRONT_TLS_OK;

    while (sent < c->out.len && result == FRONT_TLS_OK) {
        size_t n = 0;

        result = front_tls_write(c->tls, c->out.data + sent, c->out.len - sent, &n);
        sent += n;
    }
    if (result == FRONT_TLS_CLOSED || result == FRONT_TLS_FAILED) {
        front_conn_cut(c);
        return;
    }
    c->is_write_blocked = result != FRONT_TLS_OK;
    if (sent > 0 || c->stall_ms == INT64_MAX) {
        c->stall_ms = front_loop_clock_ms(c->loop) + c->loop->config->limits.write_stall_ms;
    }
    buf_consume(&c->out, sent);
    if (c->out.len == 0) {
        c->stall_ms = INT64_MAX;
        give_output(c);
    }
}

/* Sends, and lets the surface go on each time out has drained. */
static void pump(struct front_conn *c)
{
    for (int i = 0; c->out.len > 0 && !c->is_write_blocked; i++) {
        if (i == SENDS_A_TURN) {
            front_loop_ready(c->loop, c); /* others first */
            return;
        }
        send_out(c);
        if (c->state != CONN_OPEN || c->out.len > 0) {
            return;
        }
        front_drive_step(c);
    }
}

/* ---- what to wait for ---- */

static int events_wanted(const struct front_conn *c)
{
    int writable = c->is_write_blocked ? UV_WRITABLE : 0;

    switch (c->state) {
    case CONN_HANDSHAKE:
        return writable != 0 ? writable : UV_READABLE | UV_DISCONNECT;
    case CONN_OPEN:
        return writable | (front_drive_wants_input(c) ? UV_READABLE | UV_DISCONNECT : 0);
    case CONN_CLOSING:
        return writable;
    case CONN_LINGER:
        return UV_READABLE;
    case CONN_GONE:
        break;
    }
    return 0;
}

static void on_events(uv_poll_t *poll, int status, int events);

static void arm_poll(struct front_conn *c, int fired_in_vain)
{
    int wanted = events_wanted(c);

    if ((wanted & ~c->armed) != 0 || fired_in_vain != 0) {
        c->armed = wanted;
        (void)uv_poll_start(&c->poll, wanted, on_events); /* 0 stops it */
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When something is next overdue, on the loop's clock. */
static int64_t next_due_ms(const struct front_conn *c)
{
    int64_t surface_ms;

    switch (c->state) {
    case CONN_HANDSHAKE:
        return c->has_slot ? earlier(c->slot_ms, c->handshake_ms) : c->handshake_ms;
    case CONN_OPEN:
        surface_ms = front_drive_deadline_ms(c);
        if (surface_ms != INT64_MAX) {
            surface_ms += front_loop_clock_ms(c->loop) - front_drive_wall_ms();
        }
        return earlier(c->stall_ms, surface_ms);
    case CONN_CLOSING:
        return c->stall_ms;
    case CONN_LINGER:
        return c->linger_ms;
    case CONN_GONE:
        break;
    }
    return INT64_MAX;
}

static void on_timer(uv_timer_t *timer);

static void arm_timer(struct front_conn *c)
{
    int64_t due_ms = next_due_ms(c);
    int64_t wait_ms = due_ms - front_loop_clock_ms(c->loop);

    if (due_ms < c->due_ms) {
        c->due_ms = due_ms;
        (void)uv_timer_start(&c->timer, on_timer, wait_ms > 1 ? (uint64_t)wait_ms : 1, 0);
    }
}

/* The end of every event. in_vain: what poll told of to no avail, or need not tell of again. */
static void settle(struct front_conn *c, int in_vain)
{
    if (c->state == CONN_OPEN) {
        pump(c);
        if (c->out.failed) { /* beyond LIMIT_OUTPUT */
            front_conn_cut(c);
        }
    }
    if (c->state == CONN_OPEN && c->loop->is_draining && front_drive_is_idle(c)) {
        c->wants_close = true;
    }
    if (c->state == CONN_OPEN && c->wants_close && c->work == NULL) {
        c->state = CONN_CLOSING;
    }
    if (c->state == CONN_CLOSING && c->out.len > 0 && !c->is_write_blocked) {
        send_out(c);
    }
    if (c->state == CONN_CLOSING && c->out.len == 0) {
        front_tls_close_notify(c->tls);
        linger(c);
    }
    if (has_unread(c) && front_drive_wants_input(c)) {
        front_loop_ready(c->loop, c);
    }
    if (c->state != CONN_GONE) {
        arm_poll(c, in_vain & ~events_wanted(c));
        arm_timer(c);
    }
}

/* ---- events ---- */

/* False: no memory. */
static bool take_chain(struct front_conn *c)
{
    err e =
        front_tls_peer_chain(c->tls, &c->chain, &c->peer.n_chain, &c->peer.has_unreadable_chain);

    c->peer.chain = c->chain;
    return err_is_ok(e);
}

static void open_up(struct front_conn *c)
{
    if (!take_chain(c) || !front_drive_open(c)) {
        front_conn_cut(c);
        return;
    }
    count(&metrics_of(c)->handshakes_ok);
    c->state = CONN_OPEN;
    release_slot(c);
    front_drive_step(c);
    if (has_unread(c)) {
        read_some(c);
    }
}

static void on_handshake_failed(struct front_conn *c)
{
    const struct front_config *config = c->loop->config;

    if (config->on_event != NULL) {
        char text[192];

        (void)snprintf(text, sizeof(text), "%s: %s", c->peer.address,
                       *front_tls_why() != '\0' ? front_tls_why() : "connection lost");
        config->on_event(config->arg, FRONT_DEBUG, "handshake-failed", text);
    }
    count(&metrics_of(c)->handshakes_failed);
    release_slot(c);
    linger(c); /* or a reset overtakes the alert that says what is wrong */
}

static void shake_hands(struct front_conn *c)
{
    enum front_tls_result result = front_tls_handshake(c->tls);

    c->is_write_blocked = result == FRONT_TLS_WANT_WRITE;
    if (result == FRONT_TLS_OK) {
        open_up(c);
    } else if (result == FRONT_TLS_CLOSED || result == FRONT_TLS_FAILED) {
        on_handshake_failed(c);
    }
}

static void on_events(uv_poll_t *poll, int status, int events)
{
    struct front_conn *c = poll->data;
    bool is_first = !c->has_spoken;
    /* Bytes that were read as they should did not come in vain, though none are wanted while the
     * request is out. A socket that is writable stays so. */
    int in_vain = (events & ~events_wanted(c)) | (events & UV_WRITABLE);

    c->has_spoken = true;
    if (status < 0 || (is_first && (events & UV_DISCONNECT) != 0)) {
        front_conn_cut(c); /* gave up while it waited for us */
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        c->is_write_blocked = false;
    }
    if ((events & UV_READABLE) != 0) {
        c->is_read_blocked = false;
    }
    if (c->state == CONN_HANDSHAKE) {
        shake_hands(c);
    } else if (c->state == CONN_OPEN && (events & (UV_READABLE | UV_DISCONNECT)) != 0) {
        read_some(c);
    } else if (c->state == CONN_LINGER) {
        discard(c);
    }
    settle(c, in_vain);
}

static bool has_bytes_waiting(const struct front_conn *c)
{
    uint8_t byte;

    return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* A loop that is behind does not take it out on who waits for it: who has spoken keeps its slot,
 * and a handshake gets more time, once, or a byte now and then would hold it for ever. */
static void put_off(struct front_conn *c, int64_t now_ms)
{
    const struct front_limits *limits = &c->loop->config->limits;
    bool is_unread = has_bytes_waiting(c), is_behind = now_ms - c->due_ms > BEHIND_MS;

    if (now_ms >= c->slot_ms && is_unread) {
        c->slot_ms = now_ms + limits->handshake_slot_ms;
    }
    if (now_ms >= c->handshake_ms && (is_unread || is_behind) && !c->is_put_off) {
        c->is_put_off = true;
        c->handshake_ms = now_ms + limits->handshake_ms;
    }
}

/* What came while others were served counts as in time. */
static void on_surface_overdue(struct front_conn *c)
{
    read_some(c);
    if (c->state == CONN_OPEN && front_drive_wall_ms() >= front_drive_deadline_ms(c)) {
        front_drive_on_deadline(c);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct front_conn *c = timer->data;
    int64_t now_ms = front_loop_clock_ms(c->loop);

    if (c->state == CONN_HANDSHAKE) {
        put_off(c, now_ms);
    }
    c->due_ms = INT64_MAX;
    if (c->has_slot && now_ms >= c->slot_ms) {
        release_slot(c); /* not done yet, but it no longer keeps others waiting */
    }
    if ((c->state == CONN_HANDSHAKE && now_ms >= c->handshake_ms) || now_ms >= c->stall_ms) {
        cut_overdue(c);
    } else if (c->state == CONN_LINGER && now_ms >= c->linger_ms) {
        front_conn_cut(c);
    } else if (c->state == CONN_OPEN && front_drive_wall_ms() >= front_drive_deadline_ms(c)) {
        on_surface_overdue(c);
    } else if (c->state == CONN_OPEN) {
        front_drive_step(c); /* the clock may have gone back since the timer was armed */
    }
    settle(c, 0);
}

void front_conn_visit(struct front_conn *c)
{
    if (c->state == CONN_HANDSHAKE && c->loop->is_draining) {
        front_conn_cut(c);
    }
    if (c->state == CONN_GONE) {
        front_conn_free_if_over(c);
        return;
    }
    if (c->state == CONN_OPEN) {
        front_drive_step(c);
        if (has_unread(c)) {
            read_some(c);
        }
    }
    settle(c, 0);
}

/* ---- the beginning ---- */

static void name_peer(struct peer *peer, const struct sockaddr_storage *from)
{
    const struct sockaddr_in *v4 = (const void *)from;
    const struct sockaddr_in6 *v6 = (const void *)from;
    char text[INET6_ADDRSTRLEN] = "";

    if (from->ss_family == AF_INET) {
        (void)inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
        (void)snprintf(peer->address, sizeof(peer->address), "%s:%u", text, ntohs(v4->sin_port));
        peer->is_loopback = (ntohl(v4->sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
    } else {
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
        (void)snprintf(peer->address, sizeof(peer->address), "[%s]:%u", text, ntohs(v6->sin6_port));
        peer->is_loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    }
}

static void start(struct front_conn *c)
{
    const struct front_limits *limits = &c->loop->config->limits;
    int64_t now_ms = front_loop_clock_ms(c->loop);

    c->handshake_ms = now_ms + limits->handshake_ms;
    c->slot_ms = now_ms + limits->handshake_slot_ms;
    c->stall_ms = c->linger_ms = c->due_ms = INT64_MAX;
    c->out = (struct buf){ .grow = grow_output };
    c->poll.data = c->timer.data = c;
    c->n_handles = 2;
    (void)uv_timer_init(&c->loop->uv, &c->timer);
    front_loop_add(c->loop, c);
    c->has_slot = true;
    c->loop->n_handshakes++;
    count(&metrics_of(c)->connections_accepted);
    count(&metrics_of(c)->connections_open);
    count(&metrics_of(c)->handshakes_in_flight);
    arm_poll(c, 0);
    arm_timer(c);
}

void front_conn_accept(struct front_listener *listener, int fd, const struct sockaddr_storage *from)
{
    struct front_loop *l = listener->loop;
    struct front_conn *c = calloc(1, sizeof(*c));
    err e = ERR(NOMEM);

    if (c != NULL) {
        c->loop = l;
        c->endpoint = listener->endpoint;
        c->fd = fd;
        name_peer(&c->peer, from);
        c->peer.transport = listener->endpoint->transport;
        e = front_tls_session_new(l->tls, fd, listener->endpoint->surface->alpn, &c->tls);
    }
    if (!err_is_ok(e) || uv_poll_init(&l->uv, &c->poll, fd) != 0) {
        if (c != NULL) {
            front_tls_session_free(c->tls);
        }
        free(c);
        (void)close(fd);
        return;
    }
    start(c);
}
