/* api/hub_mqtt_method_test.c: direct methods as a device sees them: the topic, subscriptions,
 * answers and their acknowledgement. Who calls is on the bus. */
#include "api/mqtt_wire_test.h"
#include "hub/bus_call.h"

#define USER    WIRE_HUB "/dev1/?" WIRE_VERSION
#define METHODS "$iothub/methods/POST/#"

static struct wire_world world;
static struct wire w;
static struct bus_call caller;
static int n_told;

static int set_up(void **state)
{
    struct hub hub = { .host_name = SPAN(WIRE_HUB), .name = SPAN("hub") };
    struct device d = { .hub = SPAN(WIRE_HUB),
                        .device_id = SPAN("dev1"),
                        .generation_id = SPAN("1"),
                        .status = DEVICE_ENABLED,
                        .auth = DEVICE_AUTH_SELF_SIGNED };
    struct mqtt_connect c = wire_connect_of(USER, "dev1");

    (void)state;
    wire_world_init(&world);
    wire_put(&world, &KIND_HUB, &hub);
    d.primary_thumbprint = d.secondary_thumbprint = world.thumbprint;
    wire_put(&world, &KIND_DEVICE, &d);
    wire_open(&w, &world);
    wire_connect(&w, &c);
    wire_expect_connack(&w, MQTT_ACCEPTED);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wire_hang_up(&w);
    wire_done(&w);
    bus_call_end(world.bus, &caller);
    assert_int_equal(bus_calls(world.bus), 0);
    wire_world_done(&world);
    return 0;
}

static void on_told(struct bus_call *c)
{
    (void)c;
    n_told++;
}

static void deliver(void)
{
    wire_pass_signals(&w);
    wire_pump(&w);
}

static void begin(const char *name, struct span payload)
{
    struct bus_letter letter = {
        .kind = BUS_LETTER_METHOD, .name = span_str(name), .rid = SPAN("0a1b"), .payload = payload
    };

    bus_call_end(world.bus, &caller);
    n_told = 0;
    caller = (struct bus_call){
        .hub = SPAN(WIRE_HUB), .client_id = SPAN("dev1"), .rid = letter.rid, .tell = on_told
    };
    assert_true(bus_call_begin(world.bus, &caller, bus_letter_new(&letter)));
    deliver();
}

static void expect_method(const char *topic, const char *payload)
{
    struct mqtt_packet p = wire_expect(&w, MQTT_PUBLISH);

    wire_expect_text(p.publish.topic, topic);
    wire_expect_text(p.publish.payload, payload);
    assert_int_equal(p.publish.qos, 0);
    assert_false(p.publish.retain || p.publish.dup);
    wire_expect_nothing(&w);
    assert_int_equal(bus_call_state(world.bus, &caller), BUS_CALL_TAKEN);
}

static void it_is_sent_to_one_that_subscribed(void **state)
{
    static const struct {
        const char *filter;
        uint8_t qos;
        bool is_sent;
    } cases[] = {
        { "#", 0, false }, /* does not match $ topics */
        { "$iothub/twin/res/#", 0, false },
        { "$iothub/methods/POST/other/#", 0, false },
        { METHODS, 0, true },
        { METHODS, 1, true },
        { "$iothub/methods/POST/m*n/#", 1, true },
        { "$iothub/methods/POST/+/+", 0, true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        wire_subscribe(&w, cases[i].filter, cases[i].qos);
        assert_int_equal(wire_expect_suback(&w), cases[i].qos);
        begin("m*n", SPAN("{\"a\":1}"));
        if (cases[i].is_sent) {
            expect_method("$iothub/methods/POST/m*n/?$rid=0a1b", "{\"a\":1}");
        } else {
            wire_expect_nothing(&w);
            assert_int_equal(bus_call_state(world.bus, &caller), BUS_CALL_OFFLINE);
            assert_int_equal(n_told, 1);
        }
        mqtt_codec_encode_subscribe(10, span_str(cases[i].filter), 0, &w.in);
        w.in.data[0] = 0xa2; /* UNSUBSCRIBE has no QoS at the end */
        w.in.data[1]--;
        w.in.len--;
        wire_pump(&w);
        (void)wire_expect(&w, MQTT_UNSUBACK);
        bus_call_end(world.bus, &caller);
    }
}

static void one_that_waits_comes_behind_the_suback(void **state)
{
    (void)state;
    begin("m", SPAN("null"));
    wire_expect_nothing(&w);
    wire_subscribe(&w, METHODS, 1);
    assert_int_equal(wire_expect_suback(&w), 1);
    deliver();
    expect_method("$iothub/methods/POST/m/?$rid=0a1b", "null");
    assert_true(API_MQTT_SURFACE.is_busy(w.surface));
    bus_call_end(world.bus, &caller);
    assert_false(API_MQTT_SURFACE.is_busy(w.surface));
}

static void answers(void **state)
{
    static const struct {
        const char *topic, *payload;
        uint8_t qos;
        bool is_taken;
    } cases[] = {
        { "$iothub/methods/res/200/?$rid=0a1b", "{}", 0, true },
        { "$iothub/methods/res/-3/?$rid=0a1b", "", 1, true },
        { "$iothub/methods/res/200/?$rid=0a1b&x=1", "not JSON", 1,
          true }, /* the caller's to judge */
        { "$iothub/methods/res/200/?$rid=0A1B", "{}", 1, false },
        { "$iothub/methods/res/200/?$rid=0a1", "{}", 0, false },
    };

    (void)state;
    wire_subscribe(&w, METHODS, 0);
    (void)wire_expect_suback(&w);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin("m", SPAN("null"));
        (void)wire_expect(&w, MQTT_PUBLISH);
        wire_publish(&w, cases[i].topic, span_str(cases[i].payload), cases[i].qos,
                     cases[i].qos ? 77 : 0);
        if (cases[i].qos > 0) {
            assert_int_equal(wire_expect(&w, MQTT_PUBACK).packet_id, 77);
        }
        wire_expect_nothing(&w);
        assert_int_equal(bus_call_state(world.bus, &caller),
                         cases[i].is_taken ? BUS_CALL_ANSWERED : BUS_CALL_TAKEN);
        if (cases[i].is_taken) {
            wire_expect_text(bus_call_answer_of(&caller)->payload, cases[i].payload);
            assert_int_equal(bus_call_answer_of(&caller)->number, i == 1 ? -3 : 200);
        }
        wire_publish(&w, cases[i].topic, span_str(cases[i].payload), 1, 78); /* again: too late */
        assert_int_equal(wire_expect(&w, MQTT_PUBACK).packet_id, 78);
        assert_false(w.is_closed);
    }
}

/* PUBACKs go out in the order of what they acknowledge. */
static void an_answer_behind_telemetry(void **state)
{
    (void)state;
    wire_subscribe(&w, METHODS, 0);
    (void)wire_expect_suback(&w);
    begin("m", SPAN("null"));
    (void)wire_expect(&w, MQTT_PUBLISH);
    wire_publish(&w, "devices/dev1/messages/events/", SPAN("x"), 1, 1);
    wire_publish(&w, "$iothub/methods/res/200/?$rid=0a1b", SPAN("{}"), 1, 2);
    wire_expect_nothing(&w);
    wire_settle(&w, 1, OK);
    assert_int_equal(wire_expect(&w, MQTT_PUBACK).packet_id, 1);
    assert_int_equal(wire_expect(&w, MQTT_PUBACK).packet_id, 2);
    assert_int_equal(bus_call_state(world.bus, &caller), BUS_CALL_ANSWERED);
}

static void a_topic_that_is_none_closes(void **state)
{
    (void)state;
    wire_publish(&w, "$iothub/methods/res/ok/?$rid=1", SPAN("{}"), 0, 0);
    assert_true(w.is_closed);
    wire_expect_note(&w, "hub-mqtt", "close", REASON_TOPIC_FORBIDDEN);
}

/* A device that takes nothing more is not sent more. */
static void a_slow_device(void **state)
{
    static uint8_t large[LIMIT_UNSENT + 1];

    (void)state;
    wire_subscribe(&w, METHODS, 0);
    (void)wire_expect_suback(&w);
    begin("m", span_of(memset(large, '1', sizeof(large)), sizeof(large)));
    assert_int_equal(bus_call_state(world.bus, &caller), BUS_CALL_TAKEN);
    begin("m", SPAN("2"));
    assert_int_equal(bus_call_state(world.bus, &caller), BUS_CALL_POSTED);
    (void)wire_expect(&w, MQTT_PUBLISH);
    wire_pump(&w);
    expect_method("$iothub/methods/POST/m/?$rid=0a1b", "2");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(it_is_sent_to_one_that_subscribed),
        CASE(one_that_waits_comes_behind_the_suback),
        CASE(answers),
        CASE(an_answer_behind_telemetry),
        CASE(a_topic_that_is_none_closes),
        CASE(a_slow_device),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
