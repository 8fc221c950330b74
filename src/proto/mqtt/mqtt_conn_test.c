/* proto/mqtt/mqtt_conn_test.c: order of packets, arrival in pieces, deadlines. */
#include "proto/mqtt/conn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define CONNECT_60                                                                                 \
    "\x10\x0f\0\x04MQTT\x04\x02\0\x3c\0\x03"                                                       \
    "dev"
#define CONNECT_0                                                                                  \
    "\x10\x0f\0\x04MQTT\x04\x02\0\x00\0\x03"                                                       \
    "dev"
#define CONNECT_LEVEL_5 "\x10\x0d\0\x04MQTT\x05\x02\0\x3c\0\0\0"
#define PUBLISH                                                                                    \
    "\x30\x05\0\x01"                                                                               \
    "txy"
#define PINGREQ    "\xc0\0"
#define DISCONNECT "\xe0\0"

static const struct mqtt_conn_limits limits = {
    .packet_max = 64,
    .connect_within_ms = 10000,
    .packet_within_ms = 5000,
    .keep_alive_cap_ms = 100000,
};

static struct mqtt_conn open_conn(struct span connect, int64_t now_ms)
{
    struct mqtt_conn c;
    struct mqtt_packet p;
    const char *why = NULL;

    mqtt_conn_init(&c, &limits, now_ms);
    assert_int_equal(mqtt_conn_next(&c, &connect, now_ms, &p, &why), MQTT_CONN_PACKET);
    return c;
}

static void takes_packets_off_the_front(void **state)
{
    struct mqtt_conn c;
    struct mqtt_packet p;
    struct span in = SPAN(CONNECT_60 PUBLISH PINGREQ DISCONNECT);
    static const enum mqtt_type types[] = { MQTT_CONNECT, MQTT_PUBLISH, MQTT_PINGREQ,
                                            MQTT_DISCONNECT };
    const char *why = NULL;

    (void)state;
    mqtt_conn_init(&c, &limits, 0);
    for (size_t i = 0; i < COUNT(types); i++) {
        assert_int_equal(mqtt_conn_next(&c, &in, 0, &p, &why), MQTT_CONN_PACKET);
        assert_int_equal(p.type, types[i]);
    }
    assert_int_equal(in.len, 0);
    assert_int_equal(c.state, MQTT_CONN_CLOSED);
    assert_int_equal(mqtt_conn_next(&c, &in, 0, &p, &why), MQTT_CONN_MORE);
    assert_null(why);
}

/* The same stream a byte at a time: as many packets, and none before its last byte. */
static void waits_for_whole_packets(void **state)
{
    const struct span all = SPAN(CONNECT_60 PUBLISH PINGREQ DISCONNECT);
    static const size_t ends[] = { 17, 24, 26, 28 };
    struct mqtt_conn c;
    struct span in = span_first(all, 0);
    size_t n = 0;

    (void)state;
    mqtt_conn_init(&c, &limits, 0);
    for (size_t end = 1; end <= all.len; end++) {
        struct mqtt_packet p;
        const char *why = NULL;
        enum mqtt_conn_event event;

        in.len++;
        event = mqtt_conn_next(&c, &in, 0, &p, &why);
        assert_int_equal(event, end == ends[n] ? MQTT_CONN_PACKET : MQTT_CONN_MORE);
        n += event == MQTT_CONN_PACKET;
    }
    assert_int_equal(n, COUNT(ends));
}

static void refuses(void **state)
{
    static const struct {
        const char *before, *in;
        size_t before_len, in_len;
        const char *why;
    } cases[] = {
#define CASE(before_, in_, why_) { before_, in_, sizeof(before_) - 1, sizeof(in_) - 1, why_ }
        CASE("", PUBLISH, "packet before CONNECT"),
        CASE("", "\xc0", "packet before CONNECT"), /* at its first byte */
        CASE("", "\x16\x03\x01", "malformed fixed header"),
        CASE("",
             "\x10\x0f\0\x04MQTT\x04\x03\0\x3c\0\x03"
             "dev",
             "malformed packet"),
        CASE(CONNECT_60, CONNECT_60, "second CONNECT"),
        CASE(CONNECT_60, "\x20\x02\0\0", "packet that only a server sends"),
        CASE(CONNECT_60, "\x90\x03\0\x01\0", "packet that only a server sends"),
        CASE(CONNECT_60, "\xb0\x02\0\x01", "packet that only a server sends"),
        CASE(CONNECT_60, "\xd0\0", "packet that only a server sends"),
        CASE(CONNECT_60, "\x62\x02\0\x01", "malformed fixed header"),
        CASE(CONNECT_60, "\x30\x3f", "packet too large"), /* before its body came */
        CASE(CONNECT_60, "\x36", "malformed fixed header"),
        CASE(CONNECT_60, "\x30\x02\0\0", "malformed packet"),
        CASE(CONNECT_60 DISCONNECT, PINGREQ, "packet after the end of the session"),
        CASE(CONNECT_LEVEL_5, PINGREQ, "packet after the end of the session"),
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct span before = span_of(cases[i].before, cases[i].before_len);
        struct span in = span_of(cases[i].in, cases[i].in_len);
        struct mqtt_conn c;
        struct mqtt_packet p;
        const char *why = NULL;

        mqtt_conn_init(&c, &limits, 0);
        while (before.len > 0) {
            assert_int_equal(mqtt_conn_next(&c, &before, 0, &p, &why), MQTT_CONN_PACKET);
        }
        assert_int_equal(mqtt_conn_next(&c, &in, 0, &p, &why), MQTT_CONN_VIOLATION);
        assert_string_equal(why, cases[i].why);
        assert_int_equal(c.state, MQTT_CONN_CLOSED);
    }
}

static void the_largest_packet_passes(void **state)
{
    struct mqtt_conn c = open_conn(SPAN(CONNECT_60), 0);
    uint8_t room[64] = { 0x30, 62, 0, 1, 't' };
    struct span in = span_of(room, sizeof(room));
    struct mqtt_packet p;
    const char *why = NULL;

    (void)state;
    assert_int_equal(mqtt_conn_next(&c, &in, 0, &p, &why), MQTT_CONN_PACKET);
    assert_int_equal(p.publish.payload.len, 59);
}

static void another_level_is_the_callers_to_answer(void **state)
{
    struct mqtt_conn c = open_conn(SPAN(CONNECT_LEVEL_5), 1000);

    (void)state;
    assert_int_equal(c.state, MQTT_CONN_CLOSED);
    assert_int_equal(mqtt_conn_deadline(&c), 1000);
}

static void connect_must_come_in_time(void **state)
{
    struct mqtt_conn c;
    struct mqtt_packet p;
    struct span in = SPAN("\x10");
    const char *why = NULL;

    (void)state;
    mqtt_conn_init(&c, &limits, 1000);
    assert_int_equal(mqtt_conn_deadline(&c), 11000);
    assert_int_equal(mqtt_conn_next(&c, &in, 2000, &p, &why), MQTT_CONN_MORE);
    assert_int_equal(mqtt_conn_deadline(&c), 7000);
    mqtt_conn_init(&c, &limits, 1000);
    assert_int_equal(mqtt_conn_next(&c, &in, 9000, &p, &why), MQTT_CONN_MORE);
    assert_int_equal(mqtt_conn_deadline(&c), 11000); /* a late start gains nothing */
}

static void keep_alive_sets_the_silence(void **state)
{
    static const struct mqtt_conn_limits uncapped = { 64, 10000, 5000, 0 };
    struct mqtt_conn c = open_conn(SPAN(CONNECT_60), 1000);
    struct mqtt_packet p;
    struct span in = SPAN(PINGREQ);
    const char *why = NULL;

    (void)state;
    assert_int_equal(mqtt_conn_deadline(&c), 1000 + 90000);
    assert_int_equal(mqtt_conn_next(&c, &in, 50000, &p, &why), MQTT_CONN_PACKET);
    assert_int_equal(mqtt_conn_deadline(&c), 50000 + 90000);
    c = open_conn(SPAN("\x10\x0f\0\x04MQTT\x04\x02\x7f\xff\0\x03"
                       "dev"),
                  1000);
    assert_int_equal(mqtt_conn_deadline(&c), 1000 + 100000); /* capped */
    c = open_conn(SPAN(CONNECT_0), 1000);
    assert_int_equal(mqtt_conn_deadline(&c), 1000 + 100000);
    mqtt_conn_init(&c, &uncapped, 1000);
    in = SPAN(CONNECT_0);
    assert_int_equal(mqtt_conn_next(&c, &in, 1000, &p, &why), MQTT_CONN_PACKET);
    assert_true(mqtt_conn_deadline(&c) == INT64_MAX);
}

static void adopted_limits_cut_what_was_granted(void **state)
{
    static const struct mqtt_conn_limits tighter = { 64, 10000, 5000, 80000 };
    static const struct mqtt_conn_limits uncapped = { 64, 10000, 5000, 0 };
    struct mqtt_conn c = open_conn(SPAN(CONNECT_60), 1000);

    (void)state;
    assert_int_equal(mqtt_conn_deadline(&c), 1000 + 90000);
    mqtt_conn_adopt(&c, &uncapped, 1000);
    assert_int_equal(mqtt_conn_deadline(&c), 1000 + 90000);
    mqtt_conn_adopt(&c, &tighter, 1000);
    assert_int_equal(mqtt_conn_deadline(&c), 1000 + 80000);
    c.silent_until_ms = 0; /* for ever */
    mqtt_conn_adopt(&c, &tighter, 2000);
    assert_int_equal(mqtt_conn_deadline(&c), 2000 + 80000);
}

static void a_packet_begun_must_end(void **state)
{
    const struct span all = SPAN(PUBLISH);
    struct mqtt_conn c = open_conn(SPAN(CONNECT_0), 1000);
    struct mqtt_packet p;
    struct span in = span_first(all, 1);
    const char *why = NULL;

    (void)state;
    assert_int_equal(mqtt_conn_next(&c, &in, 2000, &p, &why), MQTT_CONN_MORE);
    assert_int_equal(mqtt_conn_deadline(&c), 7000);
    in.len = 4;
    assert_int_equal(mqtt_conn_next(&c, &in, 6000, &p, &why), MQTT_CONN_MORE);
    assert_int_equal(mqtt_conn_deadline(&c), 7000); /* bytes buy no time */
    in.len = all.len;
    assert_int_equal(mqtt_conn_next(&c, &in, 6500, &p, &why), MQTT_CONN_PACKET);
    assert_int_equal(mqtt_conn_deadline(&c), 106500);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_packets_off_the_front),
        cmocka_unit_test(waits_for_whole_packets),
        cmocka_unit_test(refuses),
        cmocka_unit_test(the_largest_packet_passes),
        cmocka_unit_test(another_level_is_the_callers_to_answer),
        cmocka_unit_test(connect_must_come_in_time),
        cmocka_unit_test(keep_alive_sets_the_silence),
        cmocka_unit_test(adopted_limits_cut_what_was_granted),
        cmocka_unit_test(a_packet_begun_must_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
