/* proto/mqtt/mqtt_codec_test.c: every packet, every truncation of it, one byte too many, and the
 * breaches of sections 2 and 3. Packets are written out by hand from the standard. */
#include "proto/mqtt/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define CONNECT_PLAIN                                                                              \
    SPAN("\x10\x0f\0\x04MQTT\x04\x02\0\x3c\0\x03"                                                  \
         "dev")
#define CONNECT_FULL                                                                               \
    SPAN("\x10\x21\0\x04MQTT\x04\xee\0\x00\0\x03"                                                  \
         "dev"                                                                                     \
         "\0\x04will\0\x02hi"                                                                      \
         "\0\x04user\0\x00")
#define PUBLISH_0                                                                                  \
    SPAN("\x30\x05\0\x01"                                                                          \
         "txy")
#define PUBLISH_1 SPAN("\x3b\x07\0\x01t\x01\x02xy")
#define SUBSCRIBE_2                                                                                \
    SPAN("\x82\x0c\0\x07\0\x01"                                                                    \
         "a\x01\0\x03"                                                                             \
         "b/#\x00")
#define UNSUBSCRIBE_2                                                                              \
    SPAN("\xa2\x0a\0\x07\0\x01"                                                                    \
         "a\0\x03"                                                                                 \
         "b/#")
#define SUBACK_2 SPAN("\x90\x04\0\x07\x01\x80")

static struct mqtt_packet decode(struct span frame)
{
    struct mqtt_packet p;

    assert_true(err_is_ok(mqtt_codec_decode(frame, &p)));
    return p;
}

static void decodes_connect(void **state)
{
    struct mqtt_packet p = decode(CONNECT_PLAIN);

    (void)state;
    assert_int_equal(p.type, MQTT_CONNECT);
    assert_true(span_eq(p.connect.protocol, SPAN("MQTT")));
    assert_int_equal(p.connect.level, MQTT_LEVEL_311);
    assert_int_equal(p.connect.keep_alive_s, 60);
    assert_true(span_eq(p.connect.client_id, SPAN("dev")));
    assert_true(p.connect.clean_session);
    assert_false(p.connect.has_will);
    assert_true(span_is_absent(p.connect.username));
    assert_true(span_is_absent(p.connect.password));
}

static void decodes_connect_with_everything(void **state)
{
    struct span frame = SPAN("\x10\x24\0\x04MQTT\x04\xee\x01\x02\0\x03"
                             "dev"
                             "\0\x04will\0\x02hi\0\x04user\0\x03key");
    struct mqtt_packet p = decode(frame);

    (void)state;
    assert_int_equal(p.connect.keep_alive_s, 0x102);
    assert_true(p.connect.has_will);
    assert_true(span_eq(p.connect.will.topic, SPAN("will")));
    assert_true(span_eq(p.connect.will.payload, SPAN("hi")));
    assert_int_equal(p.connect.will.qos, 1);
    assert_true(p.connect.will.retain);
    assert_true(span_eq(p.connect.username, SPAN("user")));
    assert_true(span_eq(p.connect.password, SPAN("key")));
}

static void an_empty_password_is_not_an_absent_one(void **state)
{
    struct mqtt_packet p = decode(SPAN("\x10\x14\0\x04MQTT\x04\xc2\0\0\0\x03"
                                       "dev\0\x01u\0\0"));

    (void)state;
    assert_false(span_is_absent(p.connect.password));
    assert_int_equal(p.connect.password.len, 0);
}

static void gives_other_levels_back(void **state)
{
    struct mqtt_packet p = decode(SPAN("\x10\x0d\0\x04MQTT\x05\x02\0\x3c\x05\x11\0"));

    (void)state;
    assert_int_equal(p.connect.level, 5);
    assert_true(span_is_absent(p.connect.client_id));
    p = decode(SPAN("\x10\x10\0\x06MQIsdp\x03\x02\0\x3c\0\x02"
                    "ab"));
    assert_true(span_eq(p.connect.protocol, SPAN("MQIsdp")));
    assert_int_equal(p.connect.level, 3);
}

static void decodes_publish(void **state)
{
    struct mqtt_packet p = decode(PUBLISH_0);

    (void)state;
    assert_int_equal(p.publish.qos, 0);
    assert_int_equal(p.publish.packet_id, 0);
    assert_true(span_eq(p.publish.topic, SPAN("t")));
    assert_true(span_eq(p.publish.payload, SPAN("xy")));
    p = decode(PUBLISH_1);
    assert_int_equal(p.publish.qos, 1);
    assert_true(p.publish.dup);
    assert_true(p.publish.retain);
    assert_int_equal(p.publish.packet_id, 0x102);
    assert_true(span_eq(p.publish.payload, SPAN("xy")));
    p = decode(SPAN("\x30\x03\0\x01t"));
    assert_int_equal(p.publish.payload.len, 0);
}

static void decodes_subscriptions(void **state)
{
    static const uint8_t qos_of[] = { 1, 0 };
    const struct span filters[] = { SPAN("a"), SPAN("b/#") };
    const struct span frames[] = { SUBSCRIBE_2, UNSUBSCRIBE_2 };

    (void)state;
    for (size_t k = 0; k < COUNT(frames); k++) {
        struct mqtt_packet p = decode(frames[k]);
        struct span rest = p.subscribe.filters, filter;
        uint8_t qos;
        size_t n = 0;

        assert_int_equal(p.subscribe.packet_id, 7);
        assert_int_equal(p.subscribe.n_filters, 2);
        while (mqtt_codec_next_filter(&p, &rest, &filter, &qos)) {
            assert_true(n < COUNT(filters));
            assert_true(span_eq(filter, filters[n]));
            assert_int_equal(qos, k == 0 ? qos_of[n] : 0);
            n++;
        }
        assert_int_equal(n, 2);
    }
}

static void decodes_small_packets(void **state)
{
    struct mqtt_packet p = decode(SPAN("\x20\x02\x01\x00"));

    (void)state;
    assert_true(p.connack.session_present);
    assert_int_equal(p.connack.code, MQTT_ACCEPTED);
    assert_int_equal(decode(SPAN("\x20\x02\x00\x05")).connack.code, MQTT_NOT_AUTHORIZED);
    assert_int_equal(decode(SPAN("\x40\x02\x01\x02")).packet_id, 0x102);
    assert_int_equal(decode(SPAN("\x40\x02\x00\x00")).packet_id, 0); /* an SDK's habit */
    assert_int_equal(decode(SPAN("\xb0\x02\x01\x02")).packet_id, 0x102);
    p = decode(SUBACK_2);
    assert_int_equal(p.suback.packet_id, 7);
    assert_true(span_eq(p.suback.codes, SPAN("\x01\x80")));
    assert_int_equal(decode(SPAN("\xc0\0")).type, MQTT_PINGREQ);
    assert_int_equal(decode(SPAN("\xd0\0")).type, MQTT_PINGRESP);
    assert_int_equal(decode(SPAN("\xe0\0")).type, MQTT_DISCONNECT);
}

static void refuses(struct span frame, const char *what)
{
    struct mqtt_packet p;

    if (!err_is(mqtt_codec_decode(frame, &p), ERR_MALFORMED)) {
        fail_msg("accepted: %s", what);
    }
}

/* The frame itself cut short, and a shorter or longer frame that says so in its header. Payloads,
 * codes and lists of filters end where the frame does, so a cut one may be a good one. */
static void every_length_but_the_right_one(void **state)
{
    const struct span frames[] = {
        CONNECT_PLAIN,
        CONNECT_FULL,
        PUBLISH_0,
        PUBLISH_1,
        SUBSCRIBE_2,
        UNSUBSCRIBE_2,
        SUBACK_2,
        SPAN("\x20\x02\x00\x05"),
        SPAN("\x40\x02\x01\x02"),
        SPAN("\xb0\x02\x01\x02"),
        SPAN("\xc0\0"),
        SPAN("\xd0\0"),
        SPAN("\xe0\0"),
    };

    (void)state;
    for (size_t k = 0; k < COUNT(frames); k++) {
        uint8_t room[64];
        uint8_t type = frames[k].data[0] >> 4;
        bool is_open_ended = type == MQTT_PUBLISH || type == MQTT_SUBACK;
        struct mqtt_packet p;

        (void)decode(frames[k]);
        for (size_t len = 0; len < frames[k].len; len++) {
            size_t frame_len = 99;

            refuses(span_first(frames[k], len), "truncated frame");
            assert_true(err_is_ok(mqtt_codec_frame_len(span_first(frames[k], len), &frame_len)));
            assert_int_equal(frame_len, len < 2 ? 0 : frames[k].len);
        }
        memset(room, 0, sizeof(room));
        memcpy(room, frames[k].data, frames[k].len);
        refuses(span_of(room, frames[k].len + 1), "byte behind the frame");
        for (size_t len = 2; len <= frames[k].len + 1; len++) {
            err e;

            room[1] = (uint8_t)(len - 2);
            e = mqtt_codec_decode(span_of(room, len), &p);
            if (!is_open_ended && type != MQTT_SUBSCRIBE && type != MQTT_UNSUBSCRIBE) {
                assert_int_equal(err_is_ok(e), len == frames[k].len);
            }
        }
    }
}

static void refuses_breaches(void **state)
{
    static const struct {
        const char *what;
        struct span frame;
    } cases[] = {
#define BAD(what_, literal)                                                                        \
    {                                                                                              \
        what_,                                                                                     \
        {                                                                                          \
            (const uint8_t *)(literal), sizeof(literal) - 1                                        \
        }                                                                                          \
    }
        BAD("type 0", "\x00\x00"),
        BAD("PUBREC", "\x50\x02\0\x01"),
        BAD("PUBREL", "\x62\x02\0\x01"),
        BAD("PUBCOMP", "\x70\x02\0\x01"),
        BAD("type 15", "\xf0\x00"),
        BAD("PINGREQ with flags", "\xc1\x00"),
        BAD("SUBSCRIBE without flags", "\x80\x06\0\x07\0\x01"
                                       "a\x01"),
        BAD("PUBLISH QoS 3", "\x36\x05\0\x01t\0\x01"),
        BAD("PUBLISH DUP with QoS 0", "\x38\x03\0\x01t"),
        BAD("length over four bytes", "\x30\x80\x80\x80\x80\x01"),
        BAD("CONNECT reserved flag", "\x10\x0f\0\x04MQTT\x04\x03\0\x3c\0\x03"
                                     "dev"),
        BAD("CONNECT will QoS without will", "\x10\x0f\0\x04MQTT\x04\x0a\0\x3c\0\x03"
                                             "dev"),
        BAD("CONNECT will retain without will", "\x10\x0f\0\x04MQTT\x04\x22\0\x3c\0\x03"
                                                "dev"),
        BAD("CONNECT will QoS 3", "\x10\x14\0\x04MQTT\x04\x1e\0\x3c\0\x03"
                                  "dev\0\x01w\0\0"),
        BAD("CONNECT will topic empty", "\x10\x13\0\x04MQTT\x04\x06\0\x3c\0\x03"
                                        "dev\0\0\0\0"),
        BAD("CONNECT will topic wild", "\x10\x14\0\x04MQTT\x04\x06\0\x3c\0\x03"
                                       "dev\0\x01#\0\0"),
        BAD("CONNECT password alone", "\x10\x12\0\x04MQTT\x04\x42\0\x3c\0\x03"
                                      "dev\0\x01p"),
        BAD("CONNECT name", "\x10\x0f\0\x04MQTQ\x04\x02\0\x3c\0\x03"
                            "dev"),
        BAD("CONNECT name at another level", "\x10\x07\0\x04HTTP\x05"),
        BAD("CONNECT old name, new level", "\x10\x11\0\x06MQIsdp\x04\x02\0\x3c\0\x03"
                                           "dev"),
        BAD("CONNECT client id", "\x10\x0f\0\x04MQTT\x04\x02\0\x3c\0\x03"
                                 "d\xffv"),
        BAD("CONNECT user name", "\x10\x12\0\x04MQTT\x04\x82\0\x3c\0\x03"
                                 "dev\0\x01\0"),
        BAD("CONNACK flags", "\x20\x02\x02\x00"),
        BAD("CONNACK session with refusal", "\x20\x02\x01\x05"),
        BAD("CONNACK code", "\x20\x02\x00\x06"),
        BAD("PUBLISH topic empty", "\x30\x02\0\0"),
        BAD("PUBLISH topic '+'", "\x30\x05\0\x03"
                                 "a/+"),
        BAD("PUBLISH topic '#'", "\x30\x05\0\x03"
                                 "a/#"),
        BAD("PUBLISH topic U+0000", "\x30\x05\0\x03"
                                    "a\0b"),
        BAD("PUBLISH packet id 0", "\x32\x05\0\x01t\0\0"),
        BAD("PUBLISH without packet id", "\x32\x04\0\x01t\0"),
        BAD("SUBSCRIBE packet id 0", "\x82\x06\0\0\0\x01"
                                     "a\x01"),
        BAD("SUBSCRIBE nothing", "\x82\x02\0\x07"),
        BAD("SUBSCRIBE empty filter", "\x82\x05\0\x07\0\0\x01"),
        BAD("SUBSCRIBE without QoS", "\x82\x05\0\x07\0\x01"
                                     "a"),
        BAD("SUBSCRIBE QoS 3", "\x82\x06\0\x07\0\x01"
                               "a\x03"),
        BAD("SUBSCRIBE reserved bit", "\x82\x06\0\x07\0\x01"
                                      "a\x81"),
        BAD("SUBSCRIBE ill-formed text", "\x82\x06\0\x07\0\x01\xc3\x01"),
        BAD("UNSUBSCRIBE nothing", "\xa2\x02\0\x07"),
        BAD("UNSUBSCRIBE packet id 0", "\xa2\x05\0\0\0\x01"
                                       "a"),
        BAD("SUBACK nothing", "\x90\x02\0\x07"),
        BAD("SUBACK packet id 0", "\x90\x03\0\0\x01"),
        BAD("SUBACK code", "\x90\x03\0\x07\x03"),
        BAD("UNSUBACK packet id 0", "\xb0\x02\0\0"),
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        refuses(cases[i].frame, cases[i].what);
    }
}

static void frame_lengths(void **state)
{
    static const struct {
        struct span in;
        bool ok;
        size_t len;
    } cases[] = {
#define IN(literal) { (const uint8_t *)(literal), sizeof(literal) - 1 }
        { IN(""), true, 0 },
        { IN("\x30"), true, 0 },
        { IN("\x30\x7f"), true, 2 + 127 },
        { IN("\x30\x80"), true, 0 },
        { IN("\x30\x80\x01"), true, 3 + 128 },
        { IN("\x30\xff\x7f"), true, 3 + 16383 },
        { IN("\x30\x80\x80\x01"), true, 4 + 16384 },
        { IN("\x30\xff\xff\xff"), true, 0 },
        { IN("\x30\xff\xff\xff\x7f"), true, (size_t)5 + MQTT_REMAINING_LENGTH_MAX },
        { IN("\x30\xff\xff\xff\xff"), false, 0 },
        { IN("\x00"), false, 0 },
        { IN("\x16\x03\x01"), false, 0 }, /* a TLS hello */
        { IN("GET / HTTP/1.1"), false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t len = 99;

        assert_int_equal(err_is_ok(mqtt_codec_frame_len(cases[i].in, &len)), cases[i].ok);
        assert_int_equal(len, cases[i].ok ? cases[i].len : 99);
    }
}

/* Unicode table 3-7, behind prefixes that move the text across the eight bytes looked at at once.
 */
static void checks_utf8(void **state)
{
    static const struct {
        const char *text;
        bool ok;
    } cases[] = {
        { "\x7f", true },
        { "\xc2\x80", true },
        { "\xdf\xbf", true },
        { "\xe0\xa0\x80", true },
        { "\xed\x9f\xbf", true },
        { "\xee\x80\x80", true },
        { "\xef\xbf\xbf", true },
        { "\xf0\x90\x80\x80", true },
        { "\xf4\x8f\xbf\xbf", true },
        { "\x80", false },
        { "\xbf", false },
        { "\xc0\x80", false },
        { "\xc1\xbf", false },
        { "\xc2", false },
        { "\xc2\x41", false },
        { "\xe0\x9f\xbf", false },
        { "\xe1\x80", false },
        { "\xed\xa0\x80", false },
        { "\xf0\x8f\xbf\xbf", false },
        { "\xf1\x80\x80", false },
        { "\xf4\x90\x80\x80", false },
        { "\xf5\x80\x80\x80", false },
        { "\xff", false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t prefix = 0; prefix < 18; prefix++) {
            uint8_t room[64];
            struct buf b = buf_over(room, sizeof(room));

            buf_add(&b, span_first(SPAN("abcdefghijklmnopqrstuvwxyz"), prefix));
            buf_add_str(&b, cases[i].text);
            buf_add(&b, span_first(SPAN("abcdefghi"), prefix / 2));
            assert_int_equal(mqtt_codec_is_filter(buf_span(&b)), cases[i].ok);
            room[b.len / 2] = 0;
            assert_false(mqtt_codec_is_filter(buf_span(&b)));
        }
    }
}

static void knows_filters(void **state)
{
    static const char *const good[] = { "a",   "/",  "+",   "#",    "a/+/b",
                                        "+/+", "/+", "a/#", "a//b", "$x/#" };
    static const char *const bad[] = { "",   "a#",   "#/a", "a/#/b", "a+",
                                       "+a", "a/b+", "##",  "++",    "a/#b" };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(mqtt_codec_is_filter(span_str(good[i])));
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(mqtt_codec_is_filter(span_str(bad[i])));
    }
}

static void matches(void **state)
{
    static const struct {
        const char *filter, *topic;
        bool is_match;
    } cases[] = {
        { "a/b", "a/b", true },
        { "a/b", "a/B", false },
        { "a/b", "a/b/c", false },
        { "a/b/c", "a/b", false },
        { "a", "a/", false },
        { "a/", "a", false },
        { "sport/tennis/player1/#", "sport/tennis/player1", true },
        { "sport/tennis/player1/#", "sport/tennis/player1/ranking", true },
        { "sport/tennis/player1/#", "sport/tennis/player12", false },
        { "sport/#", "sport", true },
        { "#", "a/b/c", true },
        { "#", "/", true },
        { "sport/tennis/+", "sport/tennis/player1", true },
        { "sport/tennis/+", "sport/tennis/player1/ranking", false },
        { "sport/+", "sport", false },
        { "sport/+", "sport/", true },
        { "+/+", "/finance", true },
        { "/+", "/finance", true },
        { "+", "/finance", false },
        { "+/a/#", "x/a", true },
        { "+/a/#", "x/b", false },
        { "#", "$SYS/a", false },
        { "+/a", "$SYS/a", false },
        { "$SYS/#", "$SYS/a", true },
        { "$SYS/+", "$SYS/a", true },
        { "$dps/registrations/res/#", "$dps/registrations/res/200/?$rid=1", true },
        { "a/$b/+", "a/$b/c", true },
        { "+/b", "a$/b", true },
        { "", "a", false },
        { "a", "", false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (mqtt_codec_matches(span_str(cases[i].filter), span_str(cases[i].topic)) !=
            cases[i].is_match) {
            fail_msg("%s against %s", cases[i].filter, cases[i].topic);
        }
    }
}

static void encode_all(struct buf *b)
{
    const struct mqtt_connect c = {
        .protocol = SPAN("MQTT"),
        .level = MQTT_LEVEL_311,
        .client_id = SPAN("dev"),
        .username = SPAN("user"),
        .password = SPAN(""),
        .clean_session = true,
        .has_will = true,
        .will = { .topic = SPAN("will"), .payload = SPAN("hi"), .qos = 1, .retain = true },
    };
    const struct mqtt_publish p = { SPAN("t"), SPAN("xy"), 0x102, 1, true, true };

    mqtt_codec_encode_connect(&c, b);
    mqtt_codec_encode_connack(&(struct mqtt_connack){ true, 0 }, b);
    mqtt_codec_encode_publish(&(struct mqtt_publish){ SPAN("t"), SPAN("xy"), 0, 0, false, false },
                              b);
    mqtt_codec_encode_publish(&p, b);
    mqtt_codec_encode_puback(0x102, b);
    mqtt_codec_encode_subscribe(7, SPAN("b/#"), 1, b);
    mqtt_codec_encode_suback(7, SPAN("\x01\x80"), b);
    mqtt_codec_encode_unsuback(7, b);
    mqtt_codec_encode_pingreq(b);
    mqtt_codec_encode_pingresp(b);
    mqtt_codec_encode_disconnect(b);
}

#define ENCODED                                                                                    \
    SPAN("\x10\x21\0\x04MQTT\x04\xee\0\x00\0\x03"                                                  \
         "dev\0\x04will\0\x02hi\0\x04user\0\x00"                                                   \
         "\x20\x02\x01\x00"                                                                        \
         "\x30\x05\0\x01"                                                                          \
         "txy"                                                                                     \
         "\x3b\x07\0\x01t\x01\x02xy"                                                               \
         "\x40\x02\x01\x02"                                                                        \
         "\x82\x08\0\x07\0\x03"                                                                    \
         "b/#\x01"                                                                                 \
         "\x90\x04\0\x07\x01\x80"                                                                  \
         "\xb0\x02\0\x07\xc0\x00\xd0\x00\xe0\x00")

static void encodes(void **state)
{
    uint8_t room[256];
    struct buf b = buf_over(room, sizeof(room));

    (void)state;
    encode_all(&b);
    assert_true(err_is_ok(buf_ok(&b)));
    assert_true(span_eq(buf_span(&b), ENCODED));
}

/* With too little room: whole packets, then failure; never a part of one. */
static void encodes_whole_packets_or_none(void **state)
{
    (void)state;
    for (size_t cap = 0; cap <= ENCODED.len; cap++) {
        uint8_t room[256];
        struct buf b = buf_over(room, cap);
        struct span rest;

        encode_all(&b);
        assert_int_equal(b.failed, cap < ENCODED.len);
        for (rest = buf_span(&b); rest.len > 0;) {
            size_t len = 0;

            assert_true(err_is_ok(mqtt_codec_frame_len(rest, &len)));
            assert_in_range(len, 2, rest.len);
            rest = span_from(rest, len);
        }
    }
}

static void refuses_to_encode_what_is_too_long(void **state)
{
    static uint8_t text[UINT16_MAX + 1], room[UINT16_MAX + 16];
    struct buf b = buf_over(room, sizeof(room));
    struct mqtt_publish p = { .topic = span_of(text, UINT16_MAX + 1) };

    (void)state;
    mqtt_codec_encode_publish(&p, &b);
    assert_true(b.failed);
    assert_int_equal(b.len, 0);
    b = buf_over(room, sizeof(room));
    p.topic.len = UINT16_MAX;
    mqtt_codec_encode_publish(&p, &b);
    assert_false(b.failed);
    assert_int_equal(b.len, 4 + 2 + UINT16_MAX);
    b = buf_over(room, sizeof(room));
    p.payload = span_of(text, (size_t)MQTT_REMAINING_LENGTH_MAX);
    mqtt_codec_encode_publish(&p, &b);
    assert_true(b.failed);
}

/* Remaining lengths at the ends of each size are read back as written. */
static void lengths_survive_the_round_trip(void **state)
{
    static const size_t payload_lens[] = { 0, 124, 125, 16380, 16381, 70000 };
    static uint8_t payload[70000], room[70016];

    (void)state;
    for (size_t i = 0; i < COUNT(payload_lens); i++) {
        struct buf b = buf_over(room, sizeof(room));
        struct mqtt_publish p = { .topic = SPAN("t"), .payload = { payload, payload_lens[i] } };
        size_t len = 0;

        mqtt_codec_encode_publish(&p, &b);
        assert_true(err_is_ok(mqtt_codec_frame_len(buf_span(&b), &len)));
        assert_int_equal(len, b.len);
        assert_int_equal(decode(buf_span(&b)).publish.payload.len, payload_lens[i]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_connect),
        cmocka_unit_test(decodes_connect_with_everything),
        cmocka_unit_test(an_empty_password_is_not_an_absent_one),
        cmocka_unit_test(gives_other_levels_back),
        cmocka_unit_test(decodes_publish),
        cmocka_unit_test(decodes_subscriptions),
        cmocka_unit_test(decodes_small_packets),
        cmocka_unit_test(every_length_but_the_right_one),
        cmocka_unit_test(refuses_breaches),
        cmocka_unit_test(frame_lengths),
        cmocka_unit_test(checks_utf8),
        cmocka_unit_test(knows_filters),
        cmocka_unit_test(matches),
        cmocka_unit_test(encodes),
        cmocka_unit_test(encodes_whole_packets_or_none),
        cmocka_unit_test(refuses_to_encode_what_is_too_long),
        cmocka_unit_test(lengths_survive_the_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
