/* proto/mqtt/conn.c: order and time limits of one connection, server's side.
 *
 *     OPENING --CONNECT, level 4--> OPEN --DISCONNECT--> CLOSED
 *        \--CONNECT, other level-----------------------> CLOSED
 *     any violation ------------------------------------> CLOSED
 *
 * A packet is looked at twice: its first bytes as soon as they are there (may it come at all, is
 * it too long), the whole of it once it is. */
#include "proto/mqtt/conn.h"

void mqtt_conn_init(struct mqtt_conn *c, const struct mqtt_conn_limits *limits, int64_t now_ms)
{
    *c = (struct mqtt_conn){
        .limits = limits,
        .state = MQTT_CONN_OPENING,
        .silent_until_ms = now_ms + limits->connect_within_ms,
    };
}

static enum mqtt_conn_event violation(struct mqtt_conn *c, const char *why, const char **ret_why)
{
    c->state = MQTT_CONN_CLOSED;
    *ret_why = why;
    return MQTT_CONN_VIOLATION;
}

/* May a packet of this type come from a client now? NULL, or what forbids it. */
static const char *refuse_type(const struct mqtt_conn *c, enum mqtt_type type)
{
    if (c->state == MQTT_CONN_CLOSED) {
        return "packet after the end of the session";
    }
    if (c->state == MQTT_CONN_OPENING) {
        return type == MQTT_CONNECT ? NULL : "packet before CONNECT"; /* 3.1.0-1 */
    }
    switch (type) {
    case MQTT_PUBLISH:
    case MQTT_PUBACK:
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
    case MQTT_PINGREQ:
    case MQTT_DISCONNECT:
        return NULL;
    case MQTT_CONNECT:
        return "second CONNECT"; /* 3.1.0-2 */
    default:
        return "packet that only a server sends";
    }
}

/* One and a half times the keep-alive (3.1.2-24), at most the cap; 0: no end. */
static int64_t silent_until(const struct mqtt_conn *c, int64_t now_ms)
{
    int64_t granted = c->keep_alive_s * INT64_C(1500);
    int64_t cap = c->limits->keep_alive_cap_ms;

    if (cap > 0 && (granted == 0 || granted > cap)) {
        granted = cap;
    }
    return granted == 0 ? 0 : now_ms + granted;
}

static void accept_packet(struct mqtt_conn *c, const struct mqtt_packet *p, int64_t now_ms)
{
    if (p->type == MQTT_CONNECT) {
        bool is_ours = p->connect.level == MQTT_LEVEL_311;
        c->state = is_ours ? MQTT_CONN_OPEN : MQTT_CONN_CLOSED;
        c->keep_alive_s = p->connect.keep_alive_s;
    } else if (p->type == MQTT_DISCONNECT) {
        c->state = MQTT_CONN_CLOSED;
    }
    c->packet_until_ms = 0;
    c->silent_until_ms = c->state == MQTT_CONN_CLOSED ? now_ms : silent_until(c, now_ms);
}

enum mqtt_conn_event mqtt_conn_next(struct mqtt_conn *c, struct span *in, int64_t now_ms,
                                    struct mqtt_packet *ret_packet, const char **ret_why)
{
    size_t len = 0;
    const char *refusal;

    if (in->len == 0) {
        return MQTT_CONN_MORE;
    }
    if (!err_is_ok(mqtt_codec_frame_len(*in, &len))) {
        return violation(c, "malformed fixed header", ret_why);
    }
    refusal = refuse_type(c, (enum mqtt_type)(in->data[0] >> 4));
    if (refusal != NULL) {
        return violation(c, refusal, ret_why);
    }
    if (len > c->limits->packet_max) {
        return violation(c, "packet too large", ret_why);
    }
    if (len == 0 || len > in->len) {
        if (c->packet_until_ms == 0) {
            c->packet_until_ms = now_ms + c->limits->packet_within_ms;
        }
        return MQTT_CONN_MORE;
    }
    if (!err_is_ok(mqtt_codec_decode(span_first(*in, len), ret_packet))) {
        return violation(c, "malformed packet", ret_why);
    }
    accept_packet(c, ret_packet, now_ms);
    *in = span_from(*in, len);
    return MQTT_CONN_PACKET;
}

void mqtt_conn_adopt(struct mqtt_conn *c, const struct mqtt_conn_limits *limits, int64_t now_ms)
{
    int64_t longest = now_ms + limits->keep_alive_cap_ms;

    c->limits = limits;
    if (limits->keep_alive_cap_ms > 0 &&
        (c->silent_until_ms == 0 || c->silent_until_ms > longest)) {
        c->silent_until_ms = longest;
    }
}

int64_t mqtt_conn_deadline(const struct mqtt_conn *c)
{
    int64_t silent = c->silent_until_ms == 0 ? INT64_MAX : c->silent_until_ms;

    if (c->packet_until_ms == 0) {
        return silent;
    }
    /* Who sends is not silent: once open, a packet under way has its own time alone. */
    return c->state == MQTT_CONN_OPENING && silent < c->packet_until_ms ? silent
                                                                        : c->packet_until_ms;
}
