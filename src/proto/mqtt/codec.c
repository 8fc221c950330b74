/* proto/mqtt/codec.c: MQTT 3.1.1 packets to structs and back. Knows bytes; not their order
 * (conn.c), not their meaning (api/). Spans in a result point into the input; a packet is
 * written whole or not at all. Section numbers are those of the OASIS standard. */
#include "proto/mqtt/codec.h"

#include "util/cursor.h"
#include "util/utf8.h"

enum {
    PUBLISH_RETAIN = 0x01,
    PUBLISH_QOS_SHIFT = 1,
    PUBLISH_DUP = 0x08,
    SUBSCRIBE_FLAGS = 0x02,

    CONNECT_RESERVED = 0x01,
    CONNECT_CLEAN = 0x02,
    CONNECT_WILL = 0x04,
    CONNECT_WILL_QOS_SHIFT = 3,
    CONNECT_WILL_RETAIN = 0x20,
    CONNECT_PASSWORD = 0x40,
    CONNECT_USERNAME = 0x80,

    QOS_MASK = 0x03,
    QOS_MAX = 2,
};

static bool is_topic_name(struct span s)
{
    return s.len > 0 && utf8_is_text(s) && memchr(s.data, '+', s.len) == NULL &&
           memchr(s.data, '#', s.len) == NULL;
}

/* May this be the first byte of a packet (2.2.1, 2.2.2)? */
static bool is_first_byte(uint8_t byte)
{
    uint8_t flags = byte & 0x0f;
    uint8_t qos = flags >> PUBLISH_QOS_SHIFT & QOS_MASK;

    switch (byte >> 4) {
    case MQTT_PUBLISH:
        return qos <= QOS_MAX && (qos > 0 || (flags & PUBLISH_DUP) == 0);
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
        return flags == SUBSCRIBE_FLAGS;
    case MQTT_CONNECT:
    case MQTT_CONNACK:
    case MQTT_PUBACK:
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
    case MQTT_PINGREQ:
    case MQTT_PINGRESP:
    case MQTT_DISCONNECT:
        return flags == 0;
    default:
        return false;
    }
}

/* Fixed header = type-and-flags, remaining length: 7 bits a byte, low first, at most 4 (2.2.3). */
static err decode_fixed_header(struct span in, size_t *ret_header_len, size_t *ret_rest_len)
{
    size_t rest = 0;

    *ret_header_len = 0;
    if (in.len > 0 && !is_first_byte(in.data[0])) {
        return ERR(MALFORMED);
    }
    for (size_t i = 1; i < in.len; i++) {
        rest |= (size_t)(in.data[i] & 0x7f) << (7 * (i - 1));
        if ((in.data[i] & 0x80) == 0) {
            *ret_header_len = i + 1;
            *ret_rest_len = rest;
            return OK;
        }
        if (i + 1 == MQTT_FIXED_HEADER_MAX) {
            return ERR(MALFORMED);
        }
    }
    return OK;
}

err mqtt_codec_frame_len(struct span in, size_t *ret_len)
{
    size_t header_len, rest_len = 0;

    TRY(decode_fixed_header(in, &header_len, &rest_len));
    *ret_len = header_len == 0 ? 0 : header_len + rest_len;
    return OK;
}

/* CONNECT = name level flags keep-alive client-id [will-topic will-message] [username] [password]
 * section 3.1 */
static err decode_connect(struct cursor *c, struct mqtt_connect *m)
{
    uint8_t flags;

    m->protocol = cursor_lp16(c);
    m->level = cursor_u8(c);
    TRY(cursor_ok(c));
    if (m->level != MQTT_LEVEL_311) {
        bool is_mqtt = span_eq(m->protocol, SPAN("MQTT")) || span_eq(m->protocol, SPAN("MQIsdp"));
        return is_mqtt ? OK : ERR(MALFORMED);
    }
    flags = cursor_u8(c);
    m->keep_alive_s = cursor_u16(c);
    m->client_id = cursor_lp16(c);
    m->clean_session = (flags & CONNECT_CLEAN) != 0;
    m->has_will = (flags & CONNECT_WILL) != 0;
    m->will.qos = flags >> CONNECT_WILL_QOS_SHIFT & QOS_MASK;
    m->will.retain = (flags & CONNECT_WILL_RETAIN) != 0;
    if (m->has_will) {
        m->will.topic = cursor_lp16(c);
        m->will.payload = cursor_lp16(c);
    }
    if (flags & CONNECT_USERNAME) {
        m->username = cursor_lp16(c);
    }
    if (flags & CONNECT_PASSWORD) {
        m->password = cursor_lp16(c);
    }
    TRY(cursor_done(c));
    if (!span_eq(m->protocol, SPAN("MQTT")) || (flags & CONNECT_RESERVED) != 0 ||
        !utf8_is_text(m->client_id) || !utf8_is_text(m->username) || m->will.qos > QOS_MAX ||
        (m->has_will && !is_topic_name(m->will.topic)) ||
        (!m->has_will && (m->will.qos != 0 || m->will.retain)) ||
        ((flags & CONNECT_PASSWORD) != 0 && (flags & CONNECT_USERNAME) == 0)) {
        return ERR(MALFORMED); /* 3.1.2.1 to 3.1.2.9 */
    }
    return OK;
}

/* CONNACK = flags code     section 3.2 */
static err decode_connack(struct cursor *c, struct mqtt_connack *m)
{
    uint8_t flags = cursor_u8(c);

    m->session_present = flags == 1;
    m->code = cursor_u8(c);
    TRY(cursor_done(c));
    return flags > 1 || m->code > MQTT_NOT_AUTHORIZED || (m->code != 0 && flags != 0)
               ? ERR(MALFORMED)
               : OK;
}

/* PUBLISH = topic [packet-id] payload     section 3.3 */
static err decode_publish(uint8_t first, struct cursor *c, struct mqtt_publish *m)
{
    m->qos = first >> PUBLISH_QOS_SHIFT & QOS_MASK;
    m->dup = (first & PUBLISH_DUP) != 0;
    m->retain = (first & PUBLISH_RETAIN) != 0;
    m->topic = cursor_lp16(c);
    if (m->qos > 0) {
        m->packet_id = cursor_u16(c);
    }
    m->payload = cursor_rest(c);
    TRY(cursor_done(c));
    return !is_topic_name(m->topic) || (m->qos > 0 && m->packet_id == 0) ? ERR(MALFORMED) : OK;
}

/* SUBSCRIBE = packet-id 1*(filter qos); UNSUBSCRIBE = packet-id 1*filter     sections 3.8, 3.10 */
static err decode_subscribe(bool has_qos, struct cursor *c, struct mqtt_subscribe *m)
{
    m->packet_id = cursor_u16(c);
    m->filters = c->rest;
    while (c->rest.len > 0 && !c->failed) {
        struct span filter = cursor_lp16(c);
        uint8_t qos = has_qos ? cursor_u8(c) : 0;

        if (filter.len == 0 || !utf8_is_text(filter) || qos > QOS_MAX) {
            return ERR(MALFORMED);
        }
        m->n_filters++;
    }
    TRY(cursor_done(c));
    return m->packet_id == 0 || m->n_filters == 0 ? ERR(MALFORMED) : OK;
}

/* SUBACK = packet-id 1*code     section 3.9 */
static err decode_suback(struct cursor *c, struct mqtt_suback *m)
{
    m->packet_id = cursor_u16(c);
    m->codes = cursor_rest(c);
    TRY(cursor_done(c));
    for (size_t i = 0; i < m->codes.len; i++) {
        if (m->codes.data[i] > QOS_MAX && m->codes.data[i] != MQTT_SUBACK_FAILURE) {
            return ERR(MALFORMED);
        }
    }
    return m->packet_id == 0 || m->codes.len == 0 ? ERR(MALFORMED) : OK;
}

static err decode_packet_id(bool may_be_zero, struct cursor *c, uint16_t *ret_packet_id)
{
    uint16_t packet_id = cursor_u16(c);

    TRY(cursor_done(c));
    if (packet_id == 0 && !may_be_zero) {
        return ERR(MALFORMED);
    }
    *ret_packet_id = packet_id;
    return OK;
}

static err decode_body(uint8_t first, struct cursor *c, struct mqtt_packet *p)
{
    switch (p->type) {
    case MQTT_CONNECT:
        return decode_connect(c, &p->connect);
    case MQTT_CONNACK:
        return decode_connack(c, &p->connack);
    case MQTT_PUBLISH:
        return decode_publish(first, c, &p->publish);
    case MQTT_SUBSCRIBE:
        return decode_subscribe(true, c, &p->subscribe);
    case MQTT_UNSUBSCRIBE:
        return decode_subscribe(false, c, &p->subscribe);
    case MQTT_SUBACK:
        return decode_suback(c, &p->suback);
    case MQTT_PUBACK:
        return decode_packet_id(true, c, &p->packet_id);
    case MQTT_UNSUBACK:
        return decode_packet_id(false, c, &p->packet_id);
    case MQTT_PINGREQ:
    case MQTT_PINGRESP:
    case MQTT_DISCONNECT:
        return cursor_done(c);
    }
    return ERR(MALFORMED);
}

err mqtt_codec_decode(struct span frame, struct mqtt_packet *ret_packet)
{
    size_t header_len, rest_len = 0;
    struct cursor c;
    struct mqtt_packet p = { 0 };

    TRY(decode_fixed_header(frame, &header_len, &rest_len));
    if (header_len == 0 || frame.len - header_len != rest_len) {
        return ERR(MALFORMED);
    }
    p.type = (enum mqtt_type)(frame.data[0] >> 4);
    c = cursor_over(span_from(frame, header_len));
    TRY(decode_body(frame.data[0], &c, &p));
    *ret_packet = p;
    return OK;
}

bool mqtt_codec_next_filter(const struct mqtt_packet *p, struct span *rest, struct span *ret_filter,
                            uint8_t *ret_qos)
{
    struct cursor c = cursor_over(*rest);
    struct span filter = cursor_lp16(&c);
    uint8_t qos = p->type == MQTT_SUBSCRIBE ? cursor_u8(&c) : 0;

    if (c.failed) {
        return false;
    }
    *rest = c.rest;
    *ret_filter = filter;
    *ret_qos = qos;
    return true;
}

/* Filter = level *("/" level), level "+" | "#" (the last) | text without '+' and '#'     4.7.1 */
bool mqtt_codec_is_filter(struct span filter)
{
    struct span rest = filter;

    if (filter.len == 0 || filter.len > UINT16_MAX || !utf8_is_text(filter)) {
        return false;
    }
    while (!span_is_absent(rest)) {
        struct span level = span_cut(&rest, '/');
        bool has_plus = span_find(level, '+') < level.len;
        bool has_hash = span_find(level, '#') < level.len;

        if ((has_plus || has_hash) && level.len > 1) {
            return false;
        }
        if (has_hash && !span_is_absent(rest)) {
            return false;
        }
    }
    return true;
}

bool mqtt_codec_matches(struct span filter, struct span topic)
{
    if (filter.len == 0 || topic.len == 0) {
        return false;
    }
    if (topic.data[0] == '$' && (filter.data[0] == '+' || filter.data[0] == '#')) {
        return false; /* 4.7.2 */
    }
    while (!span_is_absent(filter)) {
        struct span wanted = span_cut(&filter, '/');
        struct span level;

        if (span_eq(wanted, SPAN("#"))) {
            return true; /* also of the parent: "a/#" matches "a" (4.7.1.2) */
        }
        if (span_is_absent(topic)) {
            return false;
        }
        level = span_cut(&topic, '/');
        if (!span_eq(wanted, SPAN("+")) && !span_eq(wanted, level)) {
            return false;
        }
    }
    return span_is_absent(topic);
}

/* Reserves a whole packet in `out` and gives a buf over its body, the fixed header written. On
 * failure the body has no room and whatever is written to it is lost. */
static struct buf begin_packet(uint8_t first, size_t rest_len, struct buf *out)
{
    uint8_t header[MQTT_FIXED_HEADER_MAX] = { first };
    size_t n = 1;
    size_t left = rest_len;
    uint8_t *at;

    if (rest_len > MQTT_REMAINING_LENGTH_MAX) {
        out->failed = true;
        return buf_over(NULL, 0);
    }
    do {
        header[n++] = (uint8_t)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
        left >>= 7;
    } while (left > 0);
    at = buf_reserve(out, n + rest_len);
    if (at == NULL) {
        return buf_over(NULL, 0);
    }
    memcpy(at, header, n);
    return buf_over(at + n, rest_len);
}

/* Bytes a string takes, or more than any packet may have when it is too long for its length. */
static size_t lp16_len(struct span s)
{
    return s.len <= UINT16_MAX ? 2 + s.len : (size_t)MQTT_REMAINING_LENGTH_MAX + 1;
}

static uint8_t connect_flags(const struct mqtt_connect *c)
{
    unsigned flags = c->clean_session ? CONNECT_CLEAN : 0;

    if (c->has_will) {
        flags |= CONNECT_WILL | (unsigned)c->will.qos << CONNECT_WILL_QOS_SHIFT;
        flags |= c->will.retain ? CONNECT_WILL_RETAIN : 0;
    }
    flags |= span_is_absent(c->username) ? 0 : CONNECT_USERNAME;
    flags |= span_is_absent(c->password) ? 0 : CONNECT_PASSWORD;
    return (uint8_t)flags;
}

void mqtt_codec_encode_connect(const struct mqtt_connect *c, struct buf *out)
{
    size_t fixed = 4; /* level, flags, keep-alive */
    size_t will_len = c->has_will ? lp16_len(c->will.topic) + lp16_len(c->will.payload) : 0;
    size_t username_len = span_is_absent(c->username) ? 0 : lp16_len(c->username);
    size_t password_len = span_is_absent(c->password) ? 0 : lp16_len(c->password);
    struct buf body = begin_packet(MQTT_CONNECT << 4,
                                   lp16_len(c->protocol) + fixed + lp16_len(c->client_id) +
                                       will_len + username_len + password_len,
                                   out);

    buf_add_lp16(&body, c->protocol);
    buf_add_u8(&body, c->level);
    buf_add_u8(&body, connect_flags(c));
    buf_add_u16(&body, c->keep_alive_s);
    buf_add_lp16(&body, c->client_id);
    if (c->has_will) {
        buf_add_lp16(&body, c->will.topic);
        buf_add_lp16(&body, c->will.payload);
    }
    if (username_len > 0) {
        buf_add_lp16(&body, c->username);
    }
    if (password_len > 0) {
        buf_add_lp16(&body, c->password);
    }
}

void mqtt_codec_encode_connack(const struct mqtt_connack *c, struct buf *out)
{
    struct buf body = begin_packet(MQTT_CONNACK << 4, 2, out);

    buf_add_u8(&body, c->session_present);
    buf_add_u8(&body, c->code);
}

void mqtt_codec_encode_publish(const struct mqtt_publish *p, struct buf *out)
{
    unsigned first = MQTT_PUBLISH << 4 | (unsigned)p->qos << PUBLISH_QOS_SHIFT |
                     (p->dup ? PUBLISH_DUP : 0) | (p->retain ? PUBLISH_RETAIN : 0);
    size_t payload_len = p->payload.len <= MQTT_REMAINING_LENGTH_MAX
                             ? p->payload.len
                             : (size_t)MQTT_REMAINING_LENGTH_MAX + 1;
    struct buf body =
        begin_packet((uint8_t)first, lp16_len(p->topic) + (p->qos > 0 ? 2 : 0) + payload_len, out);

    buf_add_lp16(&body, p->topic);
    if (p->qos > 0) {
        buf_add_u16(&body, p->packet_id);
    }
    buf_add(&body, p->payload);
}

static void encode_packet_id(enum mqtt_type type, uint16_t packet_id, struct buf *out)
{
    struct buf body = begin_packet((uint8_t)(type << 4), 2, out);

    buf_add_u16(&body, packet_id);
}

void mqtt_codec_encode_puback(uint16_t packet_id, struct buf *out)
{
    encode_packet_id(MQTT_PUBACK, packet_id, out);
}

void mqtt_codec_encode_unsuback(uint16_t packet_id, struct buf *out)
{
    encode_packet_id(MQTT_UNSUBACK, packet_id, out);
}

void mqtt_codec_encode_subscribe(uint16_t packet_id, struct span filter, uint8_t qos,
                                 struct buf *out)
{
    struct buf body =
        begin_packet(MQTT_SUBSCRIBE << 4 | SUBSCRIBE_FLAGS, 2 + lp16_len(filter) + 1, out);

    buf_add_u16(&body, packet_id);
    buf_add_lp16(&body, filter);
    buf_add_u8(&body, qos);
}

void mqtt_codec_encode_suback(uint16_t packet_id, struct span codes, struct buf *out)
{
    struct buf body = begin_packet(MQTT_SUBACK << 4, 2 + codes.len, out);

    buf_add_u16(&body, packet_id);
    buf_add(&body, codes);
}

void mqtt_codec_encode_pingreq(struct buf *out)
{
    (void)begin_packet(MQTT_PINGREQ << 4, 0, out);
}

void mqtt_codec_encode_pingresp(struct buf *out)
{
    (void)begin_packet(MQTT_PINGRESP << 4, 0, out);
}

void mqtt_codec_encode_disconnect(struct buf *out)
{
    (void)begin_packet(MQTT_DISCONNECT << 4, 0, out);
}
