/* hub/hub_message_test.c: message properties as back ends read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "hub/hub.h"
#include "model/limits.h"

#define STAMPS                                                                                     \
    "\"iothub-connection-device-id\":\"dev\","                                                     \
    "\"iothub-connection-auth-method\":\"{\\\"scope\\\":\\\"device\\\",\\\"type\\\":"              \
    "\\\"x509\\\",\\\"issuer\\\":\\\"iothub\\\",\\\"acceptingIpFilterRule\\\":null}\","            \
    "\"iothub-connection-auth-generation-id\":\"638855968000000000\","                             \
    "\"iothub-enqueuedtime\":\"2025-06-15T15:06:40.0000000Z\","                                    \
    "\"iothub-message-source\":\"Telemetry\""

static struct arena arena;

static int setup(void **state)
{
    enum { ROOM = 2 * 1024 * 1024 };
    void *block = malloc(ROOM);

    (void)state;
    assert_non_null(block);
    arena_init(&arena, block, ROOM);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(arena.block);
    return 0;
}

static struct hub_message message(void)
{
    return (struct hub_message){ .hub = SPAN("hub.example"),
                                 .client_id = SPAN("dev"),
                                 .credential = HUB_BY_CERTIFICATE,
                                 .generation_id = SPAN("638855968000000000"),
                                 .body = SPAN("hello"),
                                 .now_ms = 1750000000000 };
}

static void properties(void **state)
{
    static const struct {
        const char *given[8]; /* name, value, … */
        bool is_will, retain;
        const char *system, *application;
    } cases[] = {
        { { NULL }, false, false, "", "" },
        { { "a", "1", "b", "" }, false, false, "", "\"a\":\"1\",\"b\":\"\"" },
        { { "$.mid", "m", "$.cid", "c" },
          false,
          false,
          "\"message-id\":\"m\",\"correlation-id\":\"c\",",
          "" },
        { { "$.ct", "application/json", "$.ce", "utf-8" },
          false,
          false,
          "\"content-type\":\"application/json\",\"content-encoding\":\"utf-8\",",
          "" },
        { { "$.uid", "u", "$.to", "t", "$.exp", "e", "$.ctime", "z" },
          false,
          false,
          "\"user-id\":\"u\",\"to\":\"t\",\"absolute-expiry-time\":\"e\","
          "\"iothub-creation-time-utc\":\"z\",",
          "" },
        { { "$.on", "o", "$.ifid", "i", "$.sub", "s", "$.schema", "x" },
          false,
          false,
          "\"iothub-outputname\":\"o\",\"iothub-interface-id\":\"i\",\"dt-subject\":\"s\","
          "\"iothub-message-schema\":\"x\",",
          "" },
        /* Unknown ones are dropped, and those that speak for another device. */
        { { "$.ttl", "9", "$.cdid", "other", "$.cmid", "m", "$", "x" }, false, false, "", "" },
        /* Only the hub stamps. */
        { { "iothub-connection-device-id", "other", "IOTHUB-ENQUEUEDTIME", "0", "x", "1" },
          false,
          false,
          "",
          "\"x\":\"1\"" },
        /* Of two the last. */
        { { "a", "1", "b", "2", "a", "3" }, false, false, "", "\"b\":\"2\",\"a\":\"3\"" },
        { { "$.mid", "1", "$.mid", "2" }, false, false, "\"message-id\":\"2\",", "" },
        { { "a", "1" }, true, false, "", "\"a\":\"1\",\"iothub-MessageType\":\"Will\"" },
        { { "mqtt-retain", "no" },
          true,
          true,
          "",
          "\"iothub-MessageType\":\"Will\",\"mqtt-retain\":\"true\"" },
        { { "mqtt-retain", "no" }, false, false, "", "\"mqtt-retain\":\"no\"" },
        { { "q\"", "\n\xff" }, false, false, "", "\"q\\\"\":\"\\n\xef\xbf\xbd\"" },
        { { "", NULL }, false, false, "", "\"\":\"\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hub_message m = message();
        struct sink_event event;
        struct span expected;

        for (size_t k = 0; k < 8 && cases[i].given[k] != NULL; k += 2) {
            m.properties[m.n_properties++] =
                (struct hub_property){ span_str(cases[i].given[k]),
                                       span_str(cases[i].given[k + 1]) };
        }
        m.is_will = cases[i].is_will;
        m.retain = cases[i].retain;
        assert_true(err_is_ok(hub_message_event(&m, &arena, &event)));
        assert_true(err_is_ok(arena_printf(&arena, &expected,
                                           "{\"system\":{%s" STAMPS "},\"application\":{%s}}",
                                           cases[i].system, cases[i].application)));
        assert_string_equal((const char *)expected.data, (const char *)event.properties.data);
        assert_true(span_eq(event.body, SPAN("hello")));
        assert_true(span_eq(event.hub, SPAN("hub.example")));
        assert_true(span_eq(event.device_id, SPAN("dev")));
        assert_int_equal(event.enqueued_ms, m.now_ms);
        assert_ptr_not_equal(event.body.data, m.body.data);
    }
}

/* Body, values, and names of application properties count; names of system properties do not. */
static void the_largest_message(void **state)
{
    uint8_t *body = calloc(1, LIMIT_TELEMETRY_MESSAGE + 1);
    struct hub_message m = message();
    struct sink_event event;

    (void)state;
    assert_non_null(body);
    m.body = span_of(body, LIMIT_TELEMETRY_MESSAGE);
    assert_true(err_is_ok(hub_message_event(&m, &arena, &event)));
    assert_int_equal(event.body.len, LIMIT_TELEMETRY_MESSAGE);
    m.body.len++;
    assert_true(err_is(hub_message_event(&m, &arena, &event), ERR_TOO_LARGE));
    m.properties[0] = (struct hub_property){ SPAN("ab"), SPAN("cd") };
    m.properties[1] = (struct hub_property){ SPAN("$.mid"), SPAN("xyz") };
    m.n_properties = 2;
    m.body.len = LIMIT_TELEMETRY_MESSAGE - 7;
    assert_true(err_is_ok(hub_message_event(&m, &arena, &event)));
    m.body.len++;
    assert_true(err_is(hub_message_event(&m, &arena, &event), ERR_TOO_LARGE));
    free(body);
}

static void no_room(void **state)
{
    struct hub_message m = message();
    struct sink_event event;

    (void)state;
    for (size_t size = 0; size < 256; size += 16) {
        struct arena small;

        arena_init(&small, arena.block, size);
        assert_true(err_is(hub_message_event(&m, &small, &event), ERR_NOMEM));
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = { CASE(properties), CASE(the_largest_message),
                                        CASE(no_room) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
