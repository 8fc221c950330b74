/* cmd/berth/fleet_slot.c: the life of one device of a fleet: socket, OpenSSL without blocking, and
 * the device library's MQTT. Epoll is edge-triggered: everything that can be done is done before
 * coming back. */
#include "cmd/berth/fleet_slot.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define CLOSING_NS    (1 * FLEET_NS_PER_S) /* for a server that leaves closing to the client */
#define LAST_WORDS_NS (2 * FLEET_NS_PER_S)

static void talk(struct fleet_engine *e, struct fleet_slot *s);

int64_t berth_fleet_slot_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * FLEET_NS_PER_S + now.tv_nsec;
}

/* --- One connection. ----------------------------------------------------------------------- */

void berth_fleet_slot_drop(struct fleet_slot *s)
{
    SSL_free(s->ssl);
    s->ssl = NULL;
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    s->fd = -1;
}

static void release(struct fleet_engine *e, struct fleet_slot *s)
{
    berth_fleet_slot_drop(s);
    s->phase = FREE;
    s->next_free = e->free_slots;
    e->free_slots = s;
    e->ended++;
}

static void fail(struct fleet_engine *e, struct fleet_slot *s, enum fleet_failure cause,
                 const char *detail)
{
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    if (!s->is_counted) {
        berth_fleet_stats_fail(e->stats, cause, detail);
    }
    (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    release(e, s);
}

static void count(struct fleet_engine *e, struct fleet_slot *s)
{
    berth_fleet_stats_add(&e->stats->whole, berth_fleet_slot_now_ns() - s->due_ns);
    e->stats->done++;
    s->is_counted = true;
}

/* Socket, SSL, and the first step of connecting. */
static bool open_connection(struct fleet_engine *e, struct fleet_slot *s)
{
    const struct fleet_plan *plan = e->plan;
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                 .data.ptr = s };
    const char *host = s->at_hub ? s->result.assigned_hub : plan->endpoint.host;
    int on = 1;

    s->fd = socket(e->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0) {
        return false;
    }
    (void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(s->fd, (struct sockaddr *)&e->address, e->address_len) != 0 &&
        errno != EINPROGRESS) {
        return false;
    }
    s->ssl = SSL_new(plan->tls);
    if (s->ssl == NULL || SSL_set_fd(s->ssl, s->fd) != 1 ||
        SSL_use_certificate(s->ssl, s->who->certificate) != 1 ||
        SSL_use_PrivateKey(s->ssl, s->who->key) != 1 ||
        SSL_set_tlsext_host_name(s->ssl, (char *)host) != 1 || SSL_set1_host(s->ssl, host) != 1) {
        errno = ENOMEM;
        return false;
    }
    SSL_set_connect_state(s->ssl);
    s->phase = CONNECTING;
    return epoll_ctl(e->epoll, EPOLL_CTL_ADD, s->fd, &event) == 0;
}

void berth_fleet_slot_begin(struct fleet_engine *e)
{
    const struct fleet_plan *plan = e->plan;
    struct fleet_slot *s = e->free_slots;
    int64_t now = berth_fleet_slot_now_ns();
    uint64_t number = e->begun++;

    e->free_slots = s->next_free;
    s->who = &plan->identities[number % plan->n_identities];
    s->at_hub = s->is_counted = s->is_held = s->has_returned = false;
    s->sent = s->acknowledged = 0;
    s->began_ns = now;
    s->due_ns = plan->rate > 0 ? berth_fleet_slot_due_ns(e, number) : now;
    s->give_up_ns = now + plan->timeout_ns;
    s->wake_ns = FLEET_NEVER;
    if (!open_connection(e, s)) {
        fail(e, s, FLEET_CONNECT, strerror(errno));
    }
}

/* Why an SSL call gave n <= 0. */
enum pending { PENDING, ENDED, BROKEN };

static enum pending pending(struct fleet_slot *s, int n)
{
    switch (SSL_get_error(s->ssl, n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return PENDING;
    case SSL_ERROR_ZERO_RETURN:
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        return ENDED;
    default: /* the queue is shared by all slots: nothing of this one may stay in it */
        if (ERR_GET_REASON(ERR_peek_error()) != SSL_R_UNEXPECTED_EOF_WHILE_READING) {
            return BROKEN;
        }
        ERR_clear_error();
        return ENDED;
    }
}

static void fail_tls(struct fleet_engine *e, struct fleet_slot *s, enum pending why)
{
    const char *reason = ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    if (why == ENDED) {
        fail(e, s, FLEET_CLOSED,
             s->phase == HANDSHAKING ? "during the handshake" : "while talking");
    } else {
        fail(e, s, FLEET_TLS, reason ? reason : "unknown");
    }
}

static void begin_closing(struct fleet_engine *e, struct fleet_slot *s)
{
    (void)SSL_shutdown(s->ssl);
    (void)shutdown(s->fd, SHUT_WR);
    ERR_clear_error();
    s->phase = CLOSING;
    s->give_up_ns = berth_fleet_slot_now_ns() + CLOSING_NS;
    (void)e;
}

/* --- What it says. ------------------------------------------------------------------------- */

static struct span output(const struct fleet_slot *s)
{
    return s->at_hub ? berth_hub_client_output(&s->hub)
                     : berth_provisioning_output(&s->provisioning);
}

static void sent(struct fleet_slot *s, size_t n)
{
    if (s->at_hub) {
        berth_hub_client_sent(&s->hub, n);
    } else {
        berth_provisioning_sent(&s->provisioning, n);
    }
}

/* True: all of it is with the kernel, or what is left waits for room there. */
static bool flush(struct fleet_engine *e, struct fleet_slot *s)
{
    for (struct span out = output(s); out.len > 0; out = output(s)) {
        int n = SSL_write(s->ssl, out.data, (int)out.len);

        if (n <= 0) {
            enum pending why = pending(s, n);

            if (why != PENDING) {
                fail_tls(e, s, why);
            }
            return why == PENDING;
        }
        sent(s, (size_t)n);
    }
    return true;
}

static bool say_hello(struct fleet_engine *e, struct fleet_slot *s)
{
    struct berth_buffers buffers = { s->in, FLEET_IN_BYTES, s->out, e->out_bytes };
    struct berth_provisioning_config service = { .id_scope = e->plan->id_scope,
                                                 .registration_id = s->who->name };
    struct berth_hub_client_config hub = { .host_name = s->result.assigned_hub,
                                           .device_id = s->result.device_id,
                                           .keep_alive_s = (uint16_t)(e->plan->keep_alive_ns /
                                                                      FLEET_NS_PER_S) };

    return err_is_ok(s->at_hub ? berth_hub_client_init(&s->hub, &hub, &buffers)
                               : berth_provisioning_init(&s->provisioning, &service, &buffers));
}

/* DISCONNECT in place of whatever else is waiting to be sent. */
static void say_goodbye(struct fleet_engine *e, struct fleet_slot *s)
{
    sent(s, output(s).len);
    if (s->at_hub) {
        berth_hub_client_disconnect(&s->hub);
    } else {
        berth_provisioning_disconnect(&s->provisioning);
    }
    if (flush(e, s)) {
        begin_closing(e, s);
    }
}

/* Its number stands at the front of each message. False: there is no room for it now. */
static bool send_message(struct fleet_engine *e, struct fleet_slot *s)
{
    size_t size = e->plan->message_size;
    struct buf number = buf_over(e->message, size);

    if ((size_t)(s->sent - s->acknowledged) >= e->plan->window) {
        return false;
    }
    buf_printf(&number, "%d ", s->sent + 1);
    if (!err_is_ok(berth_hub_client_send(&s->hub, span_of(e->message, size), NULL, 0))) {
        return false;
    }
    s->sent_ns[s->sent++ % FLEET_WINDOW_MAX] = berth_fleet_slot_now_ns();
    return true;
}

static void send_messages(struct fleet_engine *e, struct fleet_slot *s)
{
    while (s->sent < e->plan->messages && send_message(e, s)) {
    }
}

static void count_acknowledged(struct fleet_engine *e, struct fleet_slot *s)
{
    int acknowledged = s->sent - (int)berth_hub_client_pending(&s->hub);

    for (; s->acknowledged < acknowledged; s->acknowledged++) {
        berth_fleet_stats_add(&e->stats->message,
                              berth_fleet_slot_now_ns() -
                                  s->sent_ns[s->acknowledged % FLEET_WINDOW_MAX]);
        e->stats->messages++;
        s->give_up_ns = berth_fleet_slot_now_ns() + e->plan->timeout_ns;
    }
}

/* --- Staying. ------------------------------------------------------------------------------ */

/* Devices do not speak in step: each begins somewhere in its first interval. */
static void begin_staying(struct fleet_engine *e, struct fleet_slot *s)
{
    int64_t step_ns = e->plan->interval_ns > 0 ? e->plan->interval_ns : e->plan->keep_alive_ns;

    s->is_held = true;
    s->wake_ns = berth_fleet_slot_now_ns() + step_ns / 1024 * ((int64_t)e->held % 1024);
    e->held++;
}

static void stay(struct fleet_engine *e, struct fleet_slot *s)
{
    if (s->has_returned) {
        berth_fleet_stats_add(&e->stats->return_, berth_fleet_slot_now_ns() - s->due_ns);
        say_goodbye(e, s);
        return;
    }
    if (!s->is_held) {
        begin_staying(e, s);
    }
    if (s->sent == s->acknowledged) {
        s->give_up_ns = FLEET_NEVER;
    }
}

static void speak(struct fleet_engine *e, struct fleet_slot *s)
{
    const struct fleet_plan *plan = e->plan;

    if (plan->interval_ns == 0) {
        berth_hub_client_ping(&s->hub);
        s->wake_ns += plan->keep_alive_ns;
    } else {
        /* The last ones are to be acknowledged before all are cut off. */
        if (e->now_ns < e->cut_ns - LAST_WORDS_NS && send_message(e, s) &&
            s->give_up_ns == FLEET_NEVER) {
            s->give_up_ns = e->now_ns + plan->timeout_ns;
        }
        s->wake_ns += plan->interval_ns;
    }
    talk(e, s);
}

void berth_fleet_slot_cut(struct fleet_engine *e, struct fleet_slot *s)
{
    if (!s->is_held || s->phase != TALKING) {
        return;
    }
    berth_fleet_slot_drop(s);
    s->has_returned = true;
    s->sent = s->acknowledged = 0;
    s->wake_ns = FLEET_NEVER;
    s->due_ns = e->now_ns;
    s->give_up_ns = e->now_ns + e->plan->timeout_ns;
    if (!open_connection(e, s)) {
        fail(e, s, FLEET_CONNECT, strerror(errno));
    }
}

static void on_hub_input(struct fleet_engine *e, struct fleet_slot *s)
{
    if (berth_hub_client_state(&s->hub) != BERTH_HUB_CLIENT_CONNECTED) {
        return;
    }
    count_acknowledged(e, s);
    if (e->plan->mode == FLEET_HOLD) {
        stay(e, s);
        return;
    }
    send_messages(e, s);
    if (s->acknowledged == e->plan->messages) {
        say_goodbye(e, s);
    }
}

static void go_to_hub(struct fleet_engine *e, struct fleet_slot *s)
{
    s->result = *berth_provisioning_result(&s->provisioning);
    berth_provisioning_disconnect(&s->provisioning);
    if (!flush(e, s)) {
        return;
    }
    (void)SSL_shutdown(s->ssl);
    berth_fleet_slot_drop(s);
    s->at_hub = true;
    s->is_counted = false; /* a failure at the hub counts too */
    s->give_up_ns = berth_fleet_slot_now_ns() + e->plan->timeout_ns;
    if (!open_connection(e, s)) {
        fail(e, s, FLEET_CONNECT, strerror(errno));
    }
}

static void on_service_input(struct fleet_engine *e, struct fleet_slot *s)
{
    struct berth_provisioning *p = &s->provisioning;
    const struct berth_provisioning_result *r = berth_provisioning_result(p);
    enum berth_provisioning_state state = berth_provisioning_state(p);

    if (e->plan->mode == FLEET_MQTT && state != BERTH_PROVISIONING_CONNECTING) {
        count(e, s);
        say_goodbye(e, s);
    } else if (state == BERTH_PROVISIONING_WAITING) {
        bool is_busy = r->status != BERTH_STATUS_ASSIGNING;

        s->phase = WAITING;
        s->wake_ns = is_busy || e->plan->waits
                         ? berth_fleet_slot_now_ns() + r->retry_after_s * FLEET_NS_PER_S
                         : 0;
    } else if (berth_provisioning_is_assigned(p)) {
        count(e, s);
        if (e->plan->mode >= FLEET_TELEMETRY) {
            go_to_hub(e, s);
        } else {
            say_goodbye(e, s);
        }
    } else if (state == BERTH_PROVISIONING_DONE) {
        char why[512];

        (void)snprintf(why, sizeof(why), "%s: %d %s", s->who->name, r->error_code,
                       r->message[0] ? r->message : berth_provisioning_status_name(r->status));
        berth_fleet_stats_fail(e->stats, FLEET_REFUSED, why);
        s->is_counted = true;
        say_goodbye(e, s);
    }
}

static bool take_input(struct fleet_engine *e, struct fleet_slot *s, struct span bytes)
{
    err result = s->at_hub ? berth_hub_client_input(&s->hub, bytes)
                           : berth_provisioning_input(&s->provisioning, bytes);
    char why[64];
    int code = 0;

    if (err_is_ok(result)) {
        return true;
    }
    if (err_is(s->at_hub ? berth_hub_client_fault(&s->hub, &code)
                         : berth_provisioning_fault(&s->provisioning, &code),
               ERR_DENIED)) {
        (void)snprintf(why, sizeof(why), "CONNACK %d from the %s", code,
                       s->at_hub ? "hub" : "service");
        fail(e, s, FLEET_CONNACK, why);
    } else {
        fail(e, s, FLEET_PROTOCOL, err_name(result));
    }
    return false;
}

/* --- What happens to it. ------------------------------------------------------------------- */

static void talk(struct fleet_engine *e, struct fleet_slot *s)
{
    uint8_t bytes[4096];

    while (s->phase == TALKING) {
        int n;

        if (!flush(e, s)) {
            return;
        }
        n = SSL_read(s->ssl, bytes, sizeof(bytes));
        if (n <= 0) {
            enum pending why = pending(s, n);

            if (why != PENDING) {
                fail_tls(e, s, why);
            }
            return;
        }
        if (!take_input(e, s, span_of(bytes, (size_t)n))) {
            return;
        }
        if (s->at_hub) {
            on_hub_input(e, s);
        } else {
            on_service_input(e, s);
        }
        if (s->phase == WAITING && s->wake_ns == 0) { /* polls at once */
            (void)berth_provisioning_resume(&s->provisioning);
            s->phase = TALKING;
        }
    }
    if (s->phase == CLOSING) {
        berth_fleet_slot_drive(e, s);
    }
}

static void handshake(struct fleet_engine *e, struct fleet_slot *s)
{
    int n = SSL_do_handshake(s->ssl);

    if (n != 1) {
        enum pending why = pending(s, n);

        if (why != PENDING) {
            fail_tls(e, s, why);
        }
        return;
    }
    if (!s->at_hub) {
        berth_fleet_stats_add(&e->stats->tls, berth_fleet_slot_now_ns() - s->began_ns);
    }
    if (e->plan->mode == FLEET_HANDSHAKE) {
        begin_closing(e, s);
        berth_fleet_slot_drive(e, s);
    } else if (!say_hello(e, s)) {
        fail(e, s, FLEET_PROTOCOL, "the output buffer is too small");
    } else {
        s->phase = TALKING;
        talk(e, s);
    }
}

/* The handshake counts once the server has ended it too: with TLS 1.3 only then has it looked at
 * the client's certificate. */
static void finish(struct fleet_engine *e, struct fleet_slot *s)
{
    uint8_t bytes[512];
    int n;

    while ((n = SSL_read(s->ssl, bytes, sizeof(bytes))) > 0) {
    }
    switch (pending(s, n)) {
    case PENDING:
        return;
    case ENDED:
        if (e->plan->mode == FLEET_HANDSHAKE && !s->is_counted) {
            count(e, s);
        }
        release(e, s);
        return;
    case BROKEN:
        fail_tls(e, s, BROKEN);
    }
}

void berth_fleet_slot_drive(struct fleet_engine *e, struct fleet_slot *s)
{
    int fault = 0;
    socklen_t len = sizeof(fault);

    switch (s->phase) {
    case CONNECTING:
        if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &fault, &len) != 0 || fault != 0) {
            fail(e, s, FLEET_CONNECT, strerror(fault));
            return;
        }
        s->phase = HANDSHAKING;
        handshake(e, s);
        return;
    case HANDSHAKING:
        handshake(e, s);
        return;
    case TALKING:
        talk(e, s);
        return;
    case CLOSING:
        finish(e, s);
        return;
    case FREE:
    case WAITING: /* what comes now is read when the wait is over */
        return;
    }
}

int64_t berth_fleet_slot_due_ns(const struct fleet_engine *e, uint64_t number)
{
    return e->start_ns + (int64_t)((double)number / (double)e->plan->rate * 1e9);
}

void berth_fleet_slot_tick(struct fleet_engine *e, struct fleet_slot *s)
{
    if (s->phase == WAITING && s->wake_ns <= e->now_ns) {
        s->wake_ns = FLEET_NEVER;
        s->give_up_ns = e->now_ns + e->plan->timeout_ns;
        (void)berth_provisioning_resume(&s->provisioning);
        s->phase = TALKING;
        talk(e, s);
    } else if (s->phase == TALKING && s->is_held && s->wake_ns <= e->now_ns) {
        speak(e, s);
    } else if (s->phase == FREE || s->phase == WAITING || s->give_up_ns > e->now_ns) {
        return;
    } else if (s->phase == CLOSING) {
        if (!s->is_counted) {
            count(e, s);
        }
        fail(e, s, FLEET_TIMEOUT, "closing");
    } else {
        fail(e, s, FLEET_TIMEOUT,
             s->phase == CONNECTING    ? "connecting"
             : s->phase == HANDSHAKING ? "in the handshake"
                                       : "waiting for an answer");
    }
}
