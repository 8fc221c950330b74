/* api/mqtt.c: the MQTT surface. A connection is nobody's until its CONNECT; then the user name says
 * whether it registers (dps_mqtt.c) or talks to its hub (hub_mqtt.c). What is the same for both,
 * the order of packets, keep-alive, SUBACK, PINGRESP, is here. One packet a step. */
#include "api/dps_mqtt.h"
#include "api/hub_mqtt.h"
#include "api/surface.h"
#include "model/limits.h"
#include "proto/mqtt/conn.h"

enum role { ROLE_NONE, ROLE_DPS, ROLE_HUB };

struct mqtt_surface {
    struct surface base;
    struct mqtt_conn conn;
    enum role role;
    bool is_working; /* a task is with a worker: the device is not the one who is silent */
    union {
        struct dps_mqtt dps;
        struct hub_mqtt hub;
    };
};

/* Until CONNECT the keep-alive has no cap, so that a device that registers keeps the one it named.
 */
static const struct mqtt_conn_limits LIMITS_OPENING = {
    .packet_max = LIMIT_MQTT_CONNECT_PACKET,
    .connect_within_ms = LIMIT_MQTT_CONNECT_MS,
    .packet_within_ms = LIMIT_MQTT_PACKET_MS,
};
/* Twice what a body may be: one beyond its limit is answered, not cut off. */
static const struct mqtt_conn_limits LIMITS_DPS = {
    .packet_max = 2 * LIMIT_DPS_BODY,
    .connect_within_ms = LIMIT_MQTT_CONNECT_MS,
    .packet_within_ms = LIMIT_MQTT_PACKET_MS,
};
static const struct mqtt_conn_limits LIMITS_HUB = {
    .packet_max = LIMIT_MQTT_PACKET,
    .connect_within_ms = LIMIT_MQTT_CONNECT_MS,
    .packet_within_ms = LIMIT_MQTT_PACKET_MS,
    .keep_alive_cap_ms = LIMIT_HUB_KEEP_ALIVE_MS,
};

static struct mqtt_surface *mqtt_of(struct surface *s)
{
    return (struct mqtt_surface *)s; /* its first member */
}

static void init(struct surface *s, int64_t now_ms)
{
    struct mqtt_surface *m = mqtt_of(s);

    m->role = ROLE_NONE;
    m->is_working = false;
    mqtt_conn_init(&m->conn, &LIMITS_OPENING, now_ms);
}

/* Ends the connection with a line in the log. */
static enum surface_step close_with(struct mqtt_surface *m, enum reason reason, const char *why,
                                    struct surface_io *io)
{
    struct access_note note = {
        .surface = "mqtt", .operation = "connect", .reason = reason, .fault = why
    };

    switch (m->role) {
    case ROLE_DPS:
        return dps_mqtt_close(&m->dps, reason, why, io);
    case ROLE_HUB:
        return hub_mqtt_close(&m->hub, reason, why, io);
    default:
        io->note(io, &note);
        return SURFACE_CLOSE;
    }
}

/* ---- packets ---- */

static enum surface_step handle_connect(struct mqtt_surface *m, const struct mqtt_connect *c,
                                        struct surface_io *io)
{
    const struct mqtt_connack bad_protocol = { .code = MQTT_BAD_PROTOCOL };

    if (c->level != MQTT_LEVEL_311) {
        mqtt_codec_encode_connack(&bad_protocol, io->out);
        return close_with(m, REASON_PROTOCOL_VIOLATION, "MQTT version other than 3.1.1", io);
    }
    if (topic_is_dps_user(c->username)) {
        m->role = ROLE_DPS;
        mqtt_conn_adopt(&m->conn, &LIMITS_DPS, io->now_ms);
        return dps_mqtt_connect(&m->dps, c, io);
    }
    m->role = ROLE_HUB;
    mqtt_conn_adopt(&m->conn, &LIMITS_HUB, io->now_ms);
    return hub_mqtt_connect(&m->hub, &m->base, c, io);
}

static enum surface_step handle_subscribe(struct mqtt_surface *m, const struct mqtt_packet *p,
                                          struct surface_io *io)
{
    uint8_t codes[LIMIT_SUBSCRIPTIONS];
    struct span rest = p->subscribe.filters;
    struct span filter;
    uint8_t qos;
    size_t n = 0;

    if (p->subscribe.n_filters > LIMIT_SUBSCRIPTIONS) {
        return close_with(m, REASON_PROTOCOL_VIOLATION, "too many filters in one SUBSCRIBE", io);
    }
    if (m->role == ROLE_HUB) {
        return hub_mqtt_subscribe(&m->hub, p, io);
    }
    while (mqtt_codec_next_filter(p, &rest, &filter, &qos)) {
        codes[n++] = dps_mqtt_subscribe(&m->dps, filter, qos, io);
    }
    mqtt_codec_encode_suback(p->subscribe.packet_id, span_of(codes, n), io->out);
    return SURFACE_AGAIN;
}

static enum surface_step handle_unsubscribe(struct mqtt_surface *m, const struct mqtt_packet *p,
                                            struct surface_io *io)
{
    struct span rest = p->subscribe.filters;
    struct span filter;
    uint8_t qos;

    if (m->role == ROLE_HUB) {
        return hub_mqtt_subscribe(&m->hub, p, io);
    }
    while (mqtt_codec_next_filter(p, &rest, &filter, &qos)) {
        dps_mqtt_unsubscribe(&m->dps, filter);
    }
    mqtt_codec_encode_unsuback(p->subscribe.packet_id, io->out);
    return SURFACE_AGAIN;
}

static enum surface_step handle_packet(struct mqtt_surface *m, const struct mqtt_packet *p,
                                       struct surface_io *io)
{
    switch (p->type) {
    case MQTT_CONNECT:
        return handle_connect(m, &p->connect, io);
    case MQTT_SUBSCRIBE:
        return handle_subscribe(m, p, io);
    case MQTT_UNSUBSCRIBE:
        return handle_unsubscribe(m, p, io);
    case MQTT_PUBLISH:
        return m->role == ROLE_DPS ? dps_mqtt_publish(&m->dps, &p->publish, io)
                                   : hub_mqtt_publish(&m->hub, &p->publish, io);
    case MQTT_PUBACK:
        if (m->role == ROLE_HUB) {
            hub_mqtt_puback(&m->hub, p->packet_id);
        }
        return SURFACE_AGAIN;
    case MQTT_PINGREQ:
        mqtt_codec_encode_pingresp(io->out);
        return SURFACE_AGAIN;
    case MQTT_DISCONNECT:
        return m->role == ROLE_HUB ? hub_mqtt_disconnect(&m->hub, io) : SURFACE_CLOSE;
    default:
        return SURFACE_AGAIN;
    }
}

/* ---- what front/ calls ---- */

/* What could not be written must not be skipped: the next packet would be taken for it. */
static enum surface_step checked(const struct surface_io *io, enum surface_step next)
{
    bool has_task = next == SURFACE_WORK || next == SURFACE_APPEND;

    return io->out->failed && !has_task ? SURFACE_CLOSE : next;
}

static bool is_full(const struct mqtt_surface *m)
{
    return m->role == ROLE_HUB && hub_mqtt_is_full(&m->hub);
}

static bool is_held_up(const struct mqtt_surface *m, int64_t now_ms)
{
    return m->role == ROLE_HUB && hub_mqtt_is_held_up(&m->hub, now_ms);
}

/* What the hub sends unasked. */
static enum surface_step deliver(struct mqtt_surface *m, bool is_quiet, struct surface_io *io)
{
    enum surface_step next;

    if (m->role != ROLE_HUB) {
        return SURFACE_IDLE;
    }
    hub_mqtt_deliver(&m->hub, io);
    next = hub_mqtt_deliver_c2d(&m->hub, is_quiet, io);
    m->is_working = next == SURFACE_WORK;
    return checked(io, next);
}

static enum surface_step step(struct surface *s, struct surface_io *io)
{
    struct mqtt_surface *m = mqtt_of(s);
    struct span in = span_of(io->in, io->in_len);
    bool is_waiting;
    enum surface_step next = SURFACE_IDLE;
    const char *why = NULL;
    struct mqtt_packet p;

    is_waiting = is_full(m) || is_held_up(m, io->now_ms);
    next = deliver(m, is_waiting, io);
    if (next != SURFACE_IDLE || is_waiting) {
        return next;
    }
    switch (mqtt_conn_next(&m->conn, &in, io->now_ms, &p, &why)) {
    case MQTT_CONN_MORE:
        return deliver(m, true, io);
    case MQTT_CONN_VIOLATION:
        return close_with(m, REASON_PROTOCOL_VIOLATION, why, io);
    case MQTT_CONN_PACKET:
        next = handle_packet(m, &p, io);
        break;
    }
    if (next != SURFACE_IDLE) {
        io->consumed = io->in_len - in.len;
    }
    m->is_working = next == SURFACE_WORK;
    return checked(io, next);
}

static enum surface_step finish(struct surface *s, struct task *t, struct surface_io *io)
{
    struct mqtt_surface *m = mqtt_of(s);

    if (m->role == ROLE_DPS) {
        m->is_working = false;
        return checked(io, dps_mqtt_finish(&m->dps, t, io));
    }
    if (t->run != NULL) {
        m->is_working = false; /* not an append */
    }
    return hub_mqtt_finish(&m->hub, t, io);
}

static enum surface_step on_signal(struct surface *s, unsigned signals, struct surface_io *io)
{
    struct mqtt_surface *m = mqtt_of(s);

    return m->role == ROLE_HUB ? hub_mqtt_on_signal(&m->hub, signals, io) : SURFACE_IDLE;
}

static int64_t turn_deadline(const struct mqtt_surface *m)
{
    return m->role == ROLE_HUB && !m->is_working && m->hub.turn.until_ms != 0 ? m->hub.turn.until_ms
                                                                              : INT64_MAX;
}

static int64_t silence_deadline(const struct mqtt_surface *m)
{
    /* Nor is a device silent whose packets are left unread. */
    return m->is_working || is_full(m) || turn_deadline(m) != INT64_MAX
               ? INT64_MAX
               : mqtt_conn_deadline(&m->conn);
}

static int64_t session_deadline(const struct mqtt_surface *m)
{
    return m->role == ROLE_HUB && !m->is_working ? m->hub.until_ms : INT64_MAX;
}

static int64_t retry_deadline(const struct mqtt_surface *m)
{
    return m->role == ROLE_HUB && !m->is_working ? hub_mqtt_retry_ms(&m->hub) : INT64_MAX;
}

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t deadline(const struct surface *s)
{
    const struct mqtt_surface *m = (const struct mqtt_surface *)s;

    return earliest(earliest(retry_deadline(m), turn_deadline(m)),
                    earliest(silence_deadline(m), session_deadline(m)));
}

static enum surface_step on_deadline(struct surface *s, struct surface_io *io)
{
    struct mqtt_surface *m = mqtt_of(s);

    if (io->now_ms < deadline(s)) {
        return SURFACE_IDLE;
    }
    if (io->now_ms >= session_deadline(m)) {
        return hub_mqtt_close(&m->hub, REASON_TOKEN_EXPIRED, "the session's token", io);
    }
    if (io->now_ms >= retry_deadline(m)) {
        hub_mqtt_on_retry(&m->hub);
        return SURFACE_AGAIN; /* what else is overdue has its turn next */
    }
    if (io->now_ms >= turn_deadline(m)) {
        return SURFACE_IDLE; /* the step that follows reads on */
    }
    if (m->role == ROLE_NONE) {
        return SURFACE_CLOSE; /* whoever connects and says nothing is counted, not logged */
    }
    return close_with(m, REASON_PROTOCOL_VIOLATION, "silent beyond its keep-alive", io);
}

static enum surface_step closed(struct surface *s, struct surface_io *io)
{
    struct mqtt_surface *m = mqtt_of(s);

    m->conn.state = MQTT_CONN_CLOSED;
    return m->role == ROLE_HUB ? hub_mqtt_closed(&m->hub, io) : SURFACE_IDLE;
}

static bool is_busy(const struct surface *s)
{
    const struct mqtt_surface *m = (const struct mqtt_surface *)s;

    return m->role == ROLE_HUB && hub_mqtt_is_busy(&m->hub);
}

const struct surface_ops API_MQTT_SURFACE = {
    .name = "mqtt",
    .size = sizeof(struct mqtt_surface),
    .init = init,
    .step = step,
    .finish = finish,
    .on_signal = on_signal,
    .deadline = deadline,
    .on_deadline = on_deadline,
    .closed = closed,
    .is_busy = is_busy,
};
