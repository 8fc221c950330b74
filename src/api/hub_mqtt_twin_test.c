/* api/hub_mqtt_twin_test.c: a device's twin over MQTT, and what it subscribed to before. */
#include "api/mqtt_wire_test.h"
#include "hub/hub.h"
#include "hub/twin.h"

#define USER    WIRE_HUB "/dev1/?" WIRE_VERSION
#define RES     "$iothub/twin/res/#"
#define DESIRED "$iothub/twin/PATCH/properties/desired/#"
#define GET     "$iothub/twin/GET/?$rid="
#define PATCH   "$iothub/twin/PATCH/properties/reported/?$rid="

static struct wire_world world;
static struct device stored;

static int set_up(void **state)
{
    struct hub hub = { .host_name = SPAN(WIRE_HUB), .name = SPAN("hub") };

    (void)state;
    wire_world_init(&world);
    wire_put(&world, &KIND_HUB, &hub);
    stored = (struct device){ .hub = SPAN(WIRE_HUB),
                              .device_id = SPAN("dev1"),
                              .generation_id = SPAN("1"),
                              .status = DEVICE_ENABLED,
                              .auth = DEVICE_AUTH_SELF_SIGNED,
                              .primary_thumbprint = world.thumbprint,
                              .secondary_thumbprint = world.thumbprint,
                              .tags = SPAN("{\"secret\":1}"),
                              .desired = SPAN("{\"a\":1}"),
                              .version = 2,
                              .desired_version = 3,
                              .reported_version = 1,
                              .twin_etag = 1 };
    wire_put(&world, &KIND_DEVICE, &stored);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(bus_sessions(world.bus), 0);
    wire_world_done(&world);
    return 0;
}

/* Returns whether a session was there. */
static bool open_as(struct wire *w, bool is_clean)
{
    struct mqtt_connect c = wire_connect_of(USER, "dev1");
    struct mqtt_packet p;

    c.clean_session = is_clean;
    wire_open(w, &world);
    wire_connect(w, &c);
    p = wire_expect(w, MQTT_CONNACK);
    assert_int_equal(p.connack.code, MQTT_ACCEPTED);
    return p.connack.session_present;
}

static void close_wire(struct wire *w)
{
    wire_hang_up(w);
    wire_done(w);
}

static struct span expect_publish(struct wire *w, const char *topic, uint8_t qos)
{
    struct mqtt_packet p = wire_expect(w, MQTT_PUBLISH);

    wire_expect_text(p.publish.topic, topic);
    assert_int_equal(p.publish.qos, qos);
    assert_int_equal(p.publish.packet_id != 0, qos > 0);
    assert_false(p.publish.retain);
    return p.publish.payload;
}

static void change_desired(const char *patch)
{
    static uint8_t block[1024 * 1024];
    struct arena arena;
    struct env env = { .store = world.store, .arena = &arena, .now_ms = WIRE_NOW_MS };
    AUTO(json) json *desired = NULL;
    struct hub_twin_change change = { .if_etag = -1 };
    struct device d;
    struct verdict v;

    arena_init(&arena, block, sizeof(block));
    assert_true(err_is_ok(json_parse(span_str(patch), LIMIT_JSON_DEPTH, &desired)));
    change.desired = desired;
    assert_true(
        err_is_ok(hub_twin_change(&env, world.bus, SPAN(WIRE_HUB), SPAN("dev1"), &change, &d, &v)));
    assert_true(verdict_is_granted(v));
}

static void requests_and_their_answers(void **state)
{
    static const struct {
        const char *topic, *payload;
        const char *answer;  /* topic; NULL: none */
        const char *content; /* the body, or a part of an error's */
    } cases[] = {
        { GET "0", "", "$iothub/twin/res/200/?$rid=0",
          "{\"desired\":{\"a\":1,\"$version\":3},\"reported\":{\"$version\":1}}" },
        { PATCH "b-7", "{\"t\":1}", "$iothub/twin/res/204/?$rid=b-7&$version=2", "" },
        { GET "0f0e-1", " ", "$iothub/twin/res/200/?$rid=0f0e-1",
          "{\"desired\":{\"a\":1,\"$version\":3},\"reported\":{\"t\":1,\"$version\":2}}" },
        { PATCH "1&$version=2", "{\"t\":null}", "$iothub/twin/res/204/?$rid=1&$version=3", "" },
        { PATCH "2&$version=2", "{}", "$iothub/twin/res/412/?$rid=2", "\"errorCode\":412001" },
        { PATCH "3", "{", "$iothub/twin/res/400/?$rid=3", "\"errorCode\":400004" },
        { PATCH "4", "{\"a.b\":1}", "$iothub/twin/res/400/?$rid=4", "\"errorCode\":400004" },
        { PATCH "4", "{\"a\":[null]}", "$iothub/twin/res/400/?$rid=4", "array with a null" },
        { "$iothub/twin/PATCH/properties/reported/?", "{\"u\":1}", NULL, NULL },
        { PATCH, "{\"u\":2}", NULL, NULL },
        { GET "5", "{}", "$iothub/twin/res/200/?$rid=5",
          "{\"desired\":{\"a\":1,\"$version\":3},\"reported\":{\"u\":2,\"$version\":5}}" },
    };
    struct wire w;

    (void)state;
    open_as(&w, true);
    wire_subscribe(&w, RES, 0);
    assert_int_equal(wire_expect_suback(&w), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t qos = i % 2;

        wire_publish(&w, cases[i].topic, span_str(cases[i].payload), qos, qos ? 7 : 0);
        if (qos > 0) {
            assert_int_equal(wire_expect(&w, MQTT_PUBACK).packet_id, 7);
        }
        if (cases[i].answer != NULL) {
            struct span body = expect_publish(&w, cases[i].answer, 0);

            if (wire_contains(span_str(cases[i].answer), "/res/4")) {
                assert_true(wire_contains(body, cases[i].content));
            } else {
                wire_expect_text(body, cases[i].content);
            }
        }
        wire_expect_nothing(&w);
    }
    close_wire(&w);
}

static void answers_follow_the_subscription(void **state)
{
    struct wire w;

    (void)state;
    open_as(&w, true);
    wire_publish(&w, GET "1", SPAN(""), 0, 0);
    wire_expect_nothing(&w); /* it did not ask to hear */
    change_desired("{\"b\":2}");
    wire_pass_signals(&w);
    wire_pump(&w);
    wire_expect_nothing(&w);
    wire_subscribe(&w, "#", 1);
    assert_int_equal(wire_expect_suback(&w), 1);
    wire_publish(&w, GET "2", SPAN(""), 0, 0);
    wire_expect_nothing(&w); /* "#" is not for "$iothub" */
    wire_subscribe(&w, RES, 1);
    (void)wire_expect_suback(&w);
    wire_subscribe(&w, DESIRED, 1);
    (void)wire_expect_suback(&w);
    wire_publish(&w, GET "3", SPAN(""), 0, 0);
    (void)expect_publish(&w, "$iothub/twin/res/200/?$rid=3", 1);
    change_desired("{\"b\":{\"c\":null}}");
    wire_pass_signals(&w);
    wire_pump(&w);
    wire_expect_text(expect_publish(&w, "$iothub/twin/PATCH/properties/desired/?$version=5", 1),
                     "{\"b\":{\"c\":null},\"$version\":5}");
    wire_expect_nothing(&w);
    close_wire(&w);
}

static void odd_topics_close(void **state)
{
    static const char *const topics[] = {
        "$iothub/twin/GET/?",         "$iothub/twin/GET/?$rid=",
        "$iothub/twin/GET/x/?$rid=1", GET "1/x",
        "$iothub/twin/POST/?$rid=1",  PATCH "1&$version=x",
        PATCH "1&$version=-2",        "$iothub/twin/PATCH/properties/desired/?$rid=1",
        "$iothub/methods/res/200/x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
        struct wire w;

        open_as(&w, true);
        wire_publish(&w, topics[i], SPAN("{}"), 1, 3);
        assert_true(w.is_closed);
        wire_expect_nothing(&w);
        wire_expect_note(&w, "hub-mqtt", "close", REASON_TOPIC_FORBIDDEN);
        close_wire(&w);
    }
}

static void acknowledgements_keep_their_order(void **state)
{
    struct wire w;

    (void)state;
    open_as(&w, true);
    wire_publish(&w, "devices/dev1/messages/events/", SPAN("x"), 1, 1);
    wire_publish(&w, PATCH, SPAN("{\"a\":1}"), 1, 2);
    wire_expect_nothing(&w);
    wire_settle(&w, 1, OK);
    assert_int_equal(wire_expect(&w, MQTT_PUBACK).packet_id, 1);
    assert_int_equal(wire_expect(&w, MQTT_PUBACK).packet_id, 2);
    close_wire(&w);
}

static void a_slow_reader_keeps_its_letters(void **state)
{
    static char patch[70 * 1024];
    size_t len = 1;
    struct wire w;

    (void)state;
    patch[0] = '{';
    for (int i = 0; i < 7; i++) {
        len += (size_t)snprintf(patch + len, sizeof(patch) - len, "%s\"m%d\":\"", i ? "," : "", i);
        memset(patch + len, 'x', 4000);
        len += 4000;
        patch[len++] = '"';
    }
    patch[len++] = '}';
    patch[len] = '\0';
    open_as(&w, true);
    wire_subscribe(&w, DESIRED, 0);
    (void)wire_expect_suback(&w);
    for (int i = 0; i < 5; i++) {
        change_desired(patch);
    }
    wire_pass_signals(&w);
    wire_pump(&w); /* nothing is taken off: three fill the output */
    for (int i = 0; i < 5; i++) {
        char topic[96];

        (void)snprintf(topic, sizeof(topic), "$iothub/twin/PATCH/properties/desired/?$version=%d",
                       4 + i);
        if (i == 3) {
            wire_expect_nothing(&w);
            wire_pump(&w); /* it has drained */
        }
        (void)expect_publish(&w, topic, 0);
    }
    wire_expect_nothing(&w);
    close_wire(&w);
}

static void subscriptions_outlive_the_connection(void **state)
{
    struct wire w;

    (void)state;
    assert_false(open_as(&w, false));
    wire_subscribe(&w, DESIRED, 1);
    assert_int_equal(wire_expect_suback(&w), 1);
    wire_expect_note(&w, "hub-mqtt", "subscribe", REASON_GRANTED);
    close_wire(&w);
    assert_true(open_as(&w, false));
    change_desired("{\"b\":2}");
    wire_pass_signals(&w);
    wire_pump(&w);
    (void)expect_publish(&w, "$iothub/twin/PATCH/properties/desired/?$version=4", 1);
    close_wire(&w);
    assert_false(open_as(&w, true)); /* which makes them void, for good */
    wire_subscribe(&w, RES, 1);
    (void)wire_expect_suback(&w);
    close_wire(&w);
    assert_false(open_as(&w, false));
    change_desired("{\"b\":3}");
    wire_pass_signals(&w);
    wire_pump(&w);
    wire_expect_nothing(&w);
    close_wire(&w);
}

static void a_new_device_inherits_nothing(void **state)
{
    struct wire w;

    (void)state;
    (void)open_as(&w, false);
    wire_subscribe(&w, DESIRED, 1);
    (void)wire_expect_suback(&w);
    stored.generation_id = SPAN("2");
    wire_put(&world, &KIND_DEVICE, &stored);
    wire_subscribe(&w, RES, 1); /* the former device, not yet cut off */
    assert_true(w.is_closed);
    wire_expect_nothing(&w);
    close_wire(&w);
    assert_false(open_as(&w, false));
    close_wire(&w);
}

/* The former device, not yet cut off, neither sees the new one's twin nor writes to it. */
static void a_new_devices_twin_is_its_own(void **state)
{
    struct wire w;

    (void)state;
    (void)open_as(&w, true);
    wire_subscribe(&w, RES, 0);
    (void)wire_expect_suback(&w);
    stored.generation_id = SPAN("2");
    stored.desired = SPAN("{\"new\":1}");
    wire_put(&world, &KIND_DEVICE, &stored);
    wire_publish(&w, PATCH "1", SPAN("{\"old\":1}"), 0, 0);
    (void)expect_publish(&w, "$iothub/twin/res/404/?$rid=1", 0);
    wire_publish(&w, GET "2", SPAN(""), 0, 0);
    (void)expect_publish(&w, "$iothub/twin/res/404/?$rid=2", 0);
    close_wire(&w);
    (void)open_as(&w, true);
    wire_subscribe(&w, RES, 0);
    (void)wire_expect_suback(&w);
    wire_publish(&w, GET "3", SPAN(""), 0, 0);
    wire_expect_text(expect_publish(&w, "$iothub/twin/res/200/?$rid=3", 0),
                     "{\"desired\":{\"new\":1,\"$version\":3},\"reported\":{\"$version\":1}}");
    close_wire(&w);
}

static void filters_are_bounded(void **state)
{
    static char filter[LIMIT_FILTERS + 2];
    struct wire w;

    (void)state;
    (void)open_as(&w, false);
    memset(filter, 'x', LIMIT_FILTERS + 1);
    wire_subscribe(&w, filter, 1);
    assert_int_equal(wire_expect_suback(&w), MQTT_SUBACK_FAILURE);
    for (int i = 0; i <= LIMIT_SUBSCRIPTIONS; i++) {
        (void)snprintf(filter, sizeof(filter), "f/%d", i);
        wire_subscribe(&w, filter, 0);
        assert_int_equal(wire_expect_suback(&w), i < LIMIT_SUBSCRIPTIONS ? 0 : MQTT_SUBACK_FAILURE);
    }
    w.is_full = true;
    wire_subscribe(&w, "f/1", 1); /* no task: nothing is granted that is not kept */
    assert_true(w.is_closed);
    wire_expect_nothing(&w);
    close_wire(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(requests_and_their_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers_follow_the_subscription, set_up, tear_down),
        cmocka_unit_test_setup_teardown(odd_topics_close, set_up, tear_down),
        cmocka_unit_test_setup_teardown(acknowledgements_keep_their_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slow_reader_keeps_its_letters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(subscriptions_outlive_the_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_device_inherits_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_devices_twin_is_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(filters_are_bounded, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("api/hub_mqtt_twin", tests, NULL, NULL);
}
