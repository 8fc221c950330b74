/* api/hub_c2d_text_test.c: addresses and topics of cloud-to-device messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/hub_c2d_text.h"
#include "hub/c2d.h"

static uint8_t block[64 * 1024];

static void assert_text(const char *expected, struct span s)
{
    if (!span_eq(span_str(expected), s)) {
        fail_msg("%.*s\nis not\n%s", SPAN_FMT(s), expected);
    }
}

static void addresses(void **state)
{
    static const struct {
        const char *to, *client_id; /* NULL: malformed */
    } cases[] = {
        { "/devices/d1/messages/deviceBound", "d1" },
        { "/devices/d1/messages/devicebound", "d1" },
        { "/Devices/d1/Messages/DEVICEBOUND", "d1" },
        { "/devices/D1/messages/devicebound", "D1" },
        { "/devices/a%20b/messages/devicebound", NULL },
        { "/devices/a%3Ab%2Bc/messages/devicebound", "a:b+c" },
        { "/devices/a%2Fb/messages/devicebound", NULL },
        { "/devices/d1/modules/m%40/messages/deviceBound", "d1/m@" },
        { "/devices/d1/modules/m/x/messages/deviceBound", NULL },
        { "/devices/d1/modules//messages/deviceBound", NULL },
        { "/devices/d1/modules/messages/deviceBound", NULL },
        { "/devices//messages/deviceBound", NULL },
        { "/devices/d1/messages/deviceBound/", NULL },
        { "/devices/d1/messages/deviceBound/x", NULL },
        { "/devices/d1/messages/", NULL },
        { "/devices/d1/messages", NULL },
        { "/devices/d1", NULL },
        { "/devices", NULL },
        { "devices/d1/messages/deviceBound", NULL },
        { "//devices/d1/messages/deviceBound", NULL },
        { "/devices/%/messages/deviceBound", NULL },
        { "/devices/d1/messages/events", NULL },
        { "/", NULL },
        { "", NULL },
        { NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena arena;
        struct span client_id = SPAN_NONE;
        err e;

        arena_init(&arena, block, sizeof(block));
        e = hub_c2d_text_parse_to(span_str(cases[i].to), &arena, &client_id);
        if (err_is_ok(e) != (cases[i].client_id != NULL)) {
            fail_msg("%s: %s", cases[i].to, err_name(e));
        }
        if (cases[i].client_id != NULL) {
            assert_text(cases[i].client_id, client_id);
        }
    }
}

#define PREFIX "devices/d/messages/devicebound/"

static void topics(void **state)
{
    static const struct {
        struct c2d_message message;
        const char *topic;
    } cases[] = {
        { { .client_id = SPAN_INIT("d"), .target = SPAN_INIT("/devices/d/messages/deviceBound") },
          PREFIX "%24.to=%2Fdevices%2Fd%2Fmessages%2FdeviceBound" },
        { { .client_id = SPAN_INIT("d") },
          PREFIX "%24.to=%2Fdevices%2Fd%2Fmessages%2Fdevicebound" },
        { { .client_id = SPAN_INIT("d/m") },
          "devices/d/modules/m/messages/devicebound/%24.to=%2Fdevices%2Fd%2Fmodules%2Fm%2Fmessages"
          "%2Fdevicebound" },
        { { .client_id = SPAN_INIT("d"),
            .target = SPAN_INIT("t"),
            .ack = C2D_ACK_NONE,
            .properties = SPAN_INIT("{\"k\":\"v\",\"e\":\"\",\"x&y\":\"=/+ \\u00e4\"}") },
          PREFIX "%24.to=t&iothub-ack=none&k=v&x%26y=%3D%2F%2B%20%C3%A4" },
        { { .client_id = SPAN_INIT("d"),
            .message_id = SPAN_INIT("m"),
            .is_expiry_given = 1,
            .expires_ms = 1661983370516,
            .target = SPAN_INIT("t"),
            .correlation_id = SPAN_INIT("c"),
            .user_id = SPAN_INIT("u"),
            .content_type = SPAN_INIT("a/b"),
            .content_encoding = SPAN_INIT("utf-8"),
            .ack = C2D_ACK_FULL },
          PREFIX "%24.mid=m&%24.exp=2022-08-31T22%3A02%3A50.5160000Z&%24.to=t&%24.cid=c&%24.uid=u"
                 "&%24.ct=a%2Fb&%24.ce=utf-8&iothub-ack=full" },
        { { .client_id = SPAN_INIT("d"), .message_id = SPAN_INIT(""), .target = SPAN_INIT("t") },
          PREFIX "%24.to=t" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena arena;
        struct span topic;

        arena_init(&arena, block, sizeof(block));
        assert_true(err_is_ok(hub_c2d_text_topic(&cases[i].message, &arena, &topic)));
        assert_text(cases[i].topic, topic);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(topics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
