/* api/hub_mqtt_limits_test.c: a device over MQTT at a hub that has limits: what waits, what is
 * refused with which words, and when a session that waits is ended. */
#include "api/mqtt_wire_test.h"
#include "hub/hub.h"
#include "hub/limits.h"

#define USER   WIRE_HUB "/dev1/?" WIRE_VERSION
#define EVENTS "devices/dev1/messages/events/"

static struct wire_world world;
static struct hub_limits *limits;

static void put_hub(const char *settings)
{
    struct hub hub = { .host_name = SPAN(WIRE_HUB),
                       .name = SPAN("hub"),
                       .settings = span_str(settings) };

    wire_put(&world, &KIND_HUB, &hub);
}

static int set_up(void **state)
{
    struct device d = { .hub = SPAN(WIRE_HUB),
                        .device_id = SPAN("dev1"),
                        .generation_id = SPAN("638000000000000000"),
                        .etag = 1,
                        .auth = DEVICE_AUTH_SELF_SIGNED };

    (void)state;
    wire_world_init(&world);
    assert_true(err_is_ok(hub_limits_new(&limits)));
    world.service.limits = limits;
    d.primary_thumbprint = d.secondary_thumbprint = world.thumbprint;
    wire_put(&world, &KIND_DEVICE, &d);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(bus_sessions(world.bus), 0);
    hub_limits_free(limits);
    wire_world_done(&world);
    return 0;
}

static void open_device(struct wire *w, uint8_t code)
{
    struct mqtt_connect c = wire_connect_of(USER, "dev1");

    wire_open(w, &world);
    wire_connect(w, &c);
    wire_expect_connack(w, code);
}

static void close_wire(struct wire *w)
{
    wire_hang_up(w);
    wire_done(w);
}

static void waits_for_its_turn(void **state)
{
    struct wire w;
    int64_t began;

    (void)state;
    put_hub("{\"deviceLimits\":{\"d2cSends\":{\"rate\":10,\"burst\":1}}}");
    open_device(&w, MQTT_ACCEPTED);
    wire_publish(&w, EVENTS, SPAN("a"), 1, 1);
    assert_int_equal(w.n_appends, 1);
    assert_false(w.surface->is_held_up);
    began = w.now_ms;
    wire_publish(&w, EVENTS, SPAN("b"), 1, 2);
    wire_settle(&w, 1, OK);
    assert_int_equal(wire_expect(&w, MQTT_PUBACK).packet_id, 1);
    assert_int_equal(w.n_appends, 0);
    assert_true(w.surface->is_held_up); /* no more is read */
    wire_on_deadline(&w);
    assert_int_equal(w.now_ms - began, 100);
    wire_pump(&w);
    assert_int_equal(w.n_appends, 1);
    assert_false(w.surface->is_held_up);
    wire_settle(&w, 1, OK);
    assert_int_equal(wire_expect(&w, MQTT_PUBACK).packet_id, 2);
    close_wire(&w);
}

/* Silence is counted from when it is read again. */
static void is_not_silent_meanwhile(void **state)
{
    struct wire w;

    (void)state;
    put_hub("{\"deviceLimits\":{\"d2cSends\":{\"rate\":1,\"per\":\"minute\"}}}");
    open_device(&w, MQTT_ACCEPTED);
    wire_publish(&w, EVENTS, SPAN("a"), 0, 0);
    w.now_ms += 80 * 1000; /* beyond this, its 60 s of keep-alive and half of it are over */
    wire_publish(&w, EVENTS, SPAN("b"), 0, 0);
    wire_publish(&w, EVENTS, SPAN("c"), 0, 0);
    for (int i = 0; i < 100 && w.n_appends < 3; i++) {
        wire_on_deadline(&w);
        wire_pump(&w);
    }
    assert_false(w.is_closed);
    assert_int_equal(w.n_appends, 3);
    assert_int_equal(API_MQTT_SURFACE.deadline(w.surface) - w.now_ms, 90 * 1000);
    close_wire(&w);
}

static void is_ended_when_its_turn_never_comes(void **state)
{
    struct wire w;
    int64_t began;

    (void)state;
    put_hub("{\"limits\":{\"d2cSends\":{\"rate\":1,\"per\":\"hour\"}}}");
    open_device(&w, MQTT_ACCEPTED);
    wire_publish(&w, EVENTS, SPAN("a"), 1, 1);
    wire_publish(&w, EVENTS, SPAN("b"), 1, 2);
    began = w.now_ms;
    while (!w.is_closed) {
        wire_on_deadline(&w);
        wire_pump(&w);
    }
    assert_int_equal(w.now_ms - began, LIMIT_SHAPED_MS);
    wire_expect_note(&w, "hub-mqtt", "close", REASON_HUB_THROTTLED);
    assert_string_equal(wire_note(&w)->fault, "telemetry was held up for too long");
    close_wire(&w);
}

static void the_days_quota_is_used_up(void **state)
{
    struct wire w;

    (void)state;
    put_hub("{\"limits\":{\"dailyMessages\":1}}");
    open_device(&w, MQTT_ACCEPTED);
    wire_publish(&w, EVENTS, SPAN("a"), 1, 1);
    wire_publish(&w, EVENTS, SPAN("b"), 1, 2);
    while (!w.is_closed) {
        wire_on_deadline(&w);
        wire_pump(&w);
    }
    wire_expect_note(&w, "hub-mqtt", "close", REASON_MESSAGE_QUOTA_EXCEEDED);
    close_wire(&w);
    open_device(&w, MQTT_ACCEPTED); /* all else goes on */
    w.now_ms = (WIRE_NOW_MS / WIRE_DAY_MS + 1) * WIRE_DAY_MS;
    wire_publish(&w, EVENTS, SPAN("a"), 1, 1);
    assert_int_equal(w.n_appends, 1);
    close_wire(&w);
}

/* A clock that went back by an hour is no reason to wait for an hour. */
static void the_clock_goes_back(void **state)
{
    struct wire w;

    (void)state;
    put_hub("{\"deviceLimits\":{\"d2cSends\":{\"rate\":10,\"burst\":1}}}");
    open_device(&w, MQTT_ACCEPTED);
    wire_publish(&w, EVENTS, SPAN("a"), 0, 0);
    wire_publish(&w, EVENTS, SPAN("b"), 0, 0);
    assert_int_equal(w.n_appends, 1);
    w.now_ms -= 3600 * 1000;
    wire_pump(&w); /* as front/ does when the timer it armed is up */
    assert_int_equal(w.n_appends, 2);
    close_wire(&w);
}

static void connects_too_often(void **state)
{
    struct wire w;

    (void)state;
    put_hub("{\"deviceLimits\":{\"connects\":{\"rate\":1}}}");
    open_device(&w, MQTT_ACCEPTED);
    close_wire(&w);
    open_device(&w, MQTT_UNAVAILABLE);
    wire_expect_note(&w, "hub-mqtt", "connect", REASON_HUB_THROTTLED);
    w.now_ms += 1000;
    close_wire(&w);
}

static void asks_for_its_twin_too_often(void **state)
{
    struct mqtt_packet p;
    struct wire w;

    (void)state;
    put_hub("{\"limits\":{\"twinReads\":{\"rate\":1}}}");
    open_device(&w, MQTT_ACCEPTED);
    wire_subscribe(&w, "$iothub/twin/res/#", 0);
    (void)wire_expect_suback(&w);
    wire_publish(&w, "$iothub/twin/GET/?$rid=1", SPAN(""), 0, 0);
    wire_expect_text(wire_expect(&w, MQTT_PUBLISH).publish.topic, "$iothub/twin/res/200/?$rid=1");
    wire_publish(&w, "$iothub/twin/GET/?$rid=2", SPAN(""), 1, 7);
    assert_int_equal(wire_expect(&w, MQTT_PUBACK).packet_id, 7);
    p = wire_expect(&w, MQTT_PUBLISH);
    wire_expect_text(p.publish.topic, "$iothub/twin/res/429/?$rid=2");
    assert_true(wire_contains(p.publish.payload, "\"errorCode\":429001,"));
    assert_true(wire_contains(p.publish.payload,
                              "Wait 1 seconds and try again. Operation type: TwinRead\""));
    wire_expect_note(&w, "hub-mqtt", "get-twin", REASON_HUB_THROTTLED);
    assert_int_equal(wire_note(&w)->status, 429);
    close_wire(&w);
}

/* A will is not refused, but counts. */
static void dies_too_often(void **state)
{
    struct mqtt_connect c = wire_connect_of(USER, "dev1");
    struct wire w;

    (void)state;
    put_hub("{\"limits\":{\"d2cSends\":{\"rate\":10,\"burst\":2}}}");
    c.has_will = true;
    c.will = (struct mqtt_publish){ .topic = SPAN(EVENTS), .payload = SPAN("gone") };
    for (int i = 0; i < 3; i++) {
        wire_open(&w, &world);
        wire_connect(&w, &c);
        wire_expect_connack(&w, MQTT_ACCEPTED);
        wire_hang_up(&w);
        assert_int_equal(w.n_appends, 1);
        wire_done(&w);
    }
    open_device(&w, MQTT_ACCEPTED);
    wire_publish(&w, EVENTS, SPAN("a"), 0, 0);
    assert_int_equal(w.n_appends, 0);
    close_wire(&w);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(waits_for_its_turn),
        TEST(is_not_silent_meanwhile),
        TEST(is_ended_when_its_turn_never_comes),
        TEST(the_days_quota_is_used_up),
        TEST(the_clock_goes_back),
        TEST(connects_too_often),
        TEST(asks_for_its_twin_too_often),
        TEST(dies_too_often),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
