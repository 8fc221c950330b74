// links: berth_proto
/* tests/fuzz/fuzz_mqtt_codec.c: any bytes as a packet. What decodes, encodes to a packet that
 * decodes to the same; and no filter, good or bad, makes matching read past its end. */
#include "fuzz.h"
#include "proto/mqtt/codec.h"

enum { ROOM = 1 << 16 };

static bool same(struct span a, struct span b)
{
    return span_is_absent(a) == span_is_absent(b) && span_eq(a, b);
}

static bool same_publish(const struct mqtt_publish *a, const struct mqtt_publish *b)
{
    return span_eq(a->topic, b->topic) && span_eq(a->payload, b->payload) &&
           a->packet_id == b->packet_id && a->qos == b->qos && a->dup == b->dup &&
           a->retain == b->retain;
}

static bool same_connect(const struct mqtt_connect *a, const struct mqtt_connect *b)
{
    return span_eq(a->protocol, b->protocol) && a->level == b->level &&
           span_eq(a->client_id, b->client_id) && same(a->username, b->username) &&
           same(a->password, b->password) && a->keep_alive_s == b->keep_alive_s &&
           a->clean_session == b->clean_session && a->has_will == b->has_will &&
           same_publish(&a->will, &b->will);
}

static bool same_packet(const struct mqtt_packet *a, const struct mqtt_packet *b)
{
    if (a->type != b->type) {
        return false;
    }
    switch (a->type) {
    case MQTT_CONNECT:
        return same_connect(&a->connect, &b->connect);
    case MQTT_CONNACK:
        return a->connack.code == b->connack.code &&
               a->connack.session_present == b->connack.session_present;
    case MQTT_PUBLISH:
        return same_publish(&a->publish, &b->publish);
    case MQTT_SUBSCRIBE:
        return a->subscribe.packet_id == b->subscribe.packet_id &&
               span_eq(a->subscribe.filters, b->subscribe.filters);
    case MQTT_SUBACK:
        return a->suback.packet_id == b->suback.packet_id &&
               span_eq(a->suback.codes, b->suback.codes);
    case MQTT_PUBACK:
    case MQTT_UNSUBACK:
        return a->packet_id == b->packet_id;
    default:
        return true;
    }
}

/* False: there is no encoder for this one (several filters, UNSUBSCRIBE, another level). */
static bool encode(const struct mqtt_packet *p, struct buf *out)
{
    struct span rest = p->subscribe.filters, filter;
    uint8_t qos;

    switch (p->type) {
    case MQTT_CONNECT:
        mqtt_codec_encode_connect(&p->connect, out);
        return p->connect.level == MQTT_LEVEL_311;
    case MQTT_CONNACK:
        mqtt_codec_encode_connack(&p->connack, out);
        return true;
    case MQTT_PUBLISH:
        mqtt_codec_encode_publish(&p->publish, out);
        return true;
    case MQTT_PUBACK:
        mqtt_codec_encode_puback(p->packet_id, out);
        return true;
    case MQTT_SUBSCRIBE:
        FUZZ_CHECK(mqtt_codec_next_filter(p, &rest, &filter, &qos));
        mqtt_codec_encode_subscribe(p->subscribe.packet_id, filter, qos, out);
        return p->subscribe.n_filters == 1;
    case MQTT_SUBACK:
        mqtt_codec_encode_suback(p->suback.packet_id, p->suback.codes, out);
        return true;
    case MQTT_UNSUBACK:
        mqtt_codec_encode_unsuback(p->packet_id, out);
        return true;
    case MQTT_PINGREQ:
        mqtt_codec_encode_pingreq(out);
        return true;
    case MQTT_PINGRESP:
        mqtt_codec_encode_pingresp(out);
        return true;
    case MQTT_DISCONNECT:
        mqtt_codec_encode_disconnect(out);
        return true;
    case MQTT_UNSUBSCRIBE:
        break;
    }
    return false;
}

static void walk_filters(const struct mqtt_packet *p)
{
    struct span rest = p->subscribe.filters, filter;
    uint8_t qos;
    size_t n = 0;

    while (mqtt_codec_next_filter(p, &rest, &filter, &qos)) {
        FUZZ_CHECK(filter.len > 0 && qos <= 2);
        n++;
    }
    FUZZ_CHECK(rest.len == 0 && n == p->subscribe.n_filters && n > 0);
}

/* The bytes as "filter NUL topic", and as a filter against itself. */
static void check_matching(struct span in)
{
    struct span topic = in;
    struct span filter = span_cut(&topic, 0);
    bool is_plain = mqtt_codec_is_filter(filter) && span_find(filter, '+') == filter.len &&
                    span_find(filter, '#') == filter.len;

    (void)mqtt_codec_matches(filter, topic);
    FUZZ_CHECK(mqtt_codec_matches(filter, filter) || !is_plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t room[ROOM];
    struct buf out = buf_over(room, sizeof(room));
    struct span in = span_of(data, size);
    struct mqtt_packet p, again;
    size_t len = 0;

    check_matching(in);
    if (!err_is_ok(mqtt_codec_frame_len(in, &len)) || len == 0 || len > size) {
        FUZZ_CHECK(!err_is_ok(mqtt_codec_decode(in, &p)));
        return 0;
    }
    if (!err_is_ok(mqtt_codec_decode(span_first(in, len), &p))) {
        return 0;
    }
    FUZZ_CHECK(len == size || !err_is_ok(mqtt_codec_decode(in, &again)));
    if (p.type == MQTT_SUBSCRIBE || p.type == MQTT_UNSUBSCRIBE) {
        walk_filters(&p);
    }
    if (encode(&p, &out) && !out.failed) {
        FUZZ_CHECK(err_is_ok(mqtt_codec_decode(buf_span(&out), &again)));
        FUZZ_CHECK(same_packet(&p, &again));
    }
    return 0;
}
