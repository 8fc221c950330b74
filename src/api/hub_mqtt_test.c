/* api/hub_mqtt_test.c: a device and its hub over MQTT: the door, telemetry up to its PUBACK, wills,
 * and the ways a session ends; over a real hub, store and bus. */
#include "api/mqtt_wire_test.h"
#include "hub/hub.h"

#define USER(device) WIRE_HUB "/" device "/?" WIRE_VERSION
#define EVENTS       "devices/dev1/messages/events/"

static struct wire_world world;

static void put_device(const char *id, enum device_status status, struct span thumbprint)
{
    bool is_module = strchr(id, '/') != NULL;
    struct device d = { .hub = SPAN(WIRE_HUB),
                        .device_id = span_str(id),
                        .generation_id = SPAN("638000000000000000"),
                        .etag = 1,
                        .status = status,
                        .auth = DEVICE_AUTH_SELF_SIGNED,
                        .primary_thumbprint = thumbprint,
                        .secondary_thumbprint = thumbprint };

    wire_put(&world, is_module ? &KIND_MODULE : &KIND_DEVICE, &d);
}

static int set_up(void **state)
{
    struct hub hub = { .host_name = SPAN(WIRE_HUB), .name = SPAN("hub") };

    (void)state;
    wire_world_init(&world);
    wire_put(&world, &KIND_HUB, &hub);
    put_device("dev1", DEVICE_ENABLED, world.thumbprint);
    put_device("registrations", DEVICE_ENABLED, world.thumbprint);
    put_device("off", DEVICE_DISABLED, world.thumbprint);
    put_device("off/m", DEVICE_ENABLED, world.thumbprint);
    put_device("dev1/m", DEVICE_ENABLED, world.thumbprint);
    put_device("other", DEVICE_ENABLED, SPAN("00"));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(bus_sessions(world.bus), 0);
    wire_world_done(&world);
    return 0;
}

static void open_with(struct wire *w, const struct mqtt_connect *c)
{
    wire_open(w, &world);
    wire_connect(w, c);
    wire_expect_connack(w, MQTT_ACCEPTED);
    wire_expect_note(w, "hub-mqtt", "connect", REASON_GRANTED);
}

static void open_device(struct wire *w)
{
    struct mqtt_connect c = wire_connect_of(USER("dev1"), "dev1");

    open_with(w, &c);
}

static void close_wire(struct wire *w)
{
    wire_hang_up(w);
    wire_done(w);
}

/* ---- CONNECT ---- */

struct connect_case {
    const char *username, *client_id;
    uint8_t code;
    enum reason reason;
};

static const struct connect_case connect_cases[] = {
    { USER("dev1"), "dev1", MQTT_ACCEPTED, REASON_GRANTED },
    { USER("dev1") "&DeviceClientType=x%2F1", "dev1", MQTT_ACCEPTED, REASON_GRANTED },
    { "HUB.example/dev1/?" WIRE_VERSION, "dev1", MQTT_ACCEPTED, REASON_GRANTED },
    { WIRE_HUB "/dev1/" WIRE_VERSION, "dev1", MQTT_ACCEPTED, REASON_GRANTED },
    { WIRE_HUB "/dev1/DeviceClientType=x&" WIRE_VERSION, "dev1", MQTT_ACCEPTED, REASON_GRANTED },
    { WIRE_HUB "/dev1", "dev1", MQTT_ACCEPTED, REASON_GRANTED },
    { USER("registrations"), "registrations", MQTT_ACCEPTED, REASON_GRANTED },
    { "hub2.example/dev1/?" WIRE_VERSION, "dev1", MQTT_NOT_AUTHORIZED, REASON_HUB_UNKNOWN },
    { USER("nobody"), "nobody", MQTT_NOT_AUTHORIZED, REASON_DEVICE_NOT_FOUND },
    { USER("DEV1"), "DEV1", MQTT_NOT_AUTHORIZED, REASON_DEVICE_NOT_FOUND },
    { USER("dev1"), "Dev1", MQTT_NOT_AUTHORIZED, REASON_CLIENT_ID_MISMATCH },
    { USER("other"), "other", MQTT_NOT_AUTHORIZED, REASON_THUMBPRINT_MISMATCH },
    { USER("off"), "off", MQTT_UNAVAILABLE, REASON_DEVICE_DISABLED },
    { WIRE_HUB "/dev1/m/?" WIRE_VERSION, "dev1/m", MQTT_ACCEPTED, REASON_GRANTED },
    { WIRE_HUB "/dev1/m/" WIRE_VERSION, "dev1/m", MQTT_ACCEPTED, REASON_GRANTED },
    { WIRE_HUB "/dev1/m", "dev1/m", MQTT_ACCEPTED, REASON_GRANTED },
    { WIRE_HUB "/dev1/m/?" WIRE_VERSION, "dev1", MQTT_NOT_AUTHORIZED, REASON_CLIENT_ID_MISMATCH },
    { USER("dev1"), "dev1/m", MQTT_NOT_AUTHORIZED, REASON_CLIENT_ID_MISMATCH },
    { WIRE_HUB "/dev1/x/?" WIRE_VERSION, "dev1/x", MQTT_NOT_AUTHORIZED, REASON_MODULE_NOT_FOUND },
    { WIRE_HUB "/off/m/?" WIRE_VERSION, "off/m", MQTT_UNAVAILABLE, REASON_DEVICE_DISABLED },
    { USER("dev1") "&model-id=%zz", "dev1", MQTT_UNAVAILABLE, REASON_REQUEST_MALFORMED },
    { WIRE_HUB "/dev1/m n/?" WIRE_VERSION, "dev1/m n", MQTT_UNAVAILABLE, REASON_REQUEST_MALFORMED },
    { WIRE_HUB, "dev1", MQTT_UNAVAILABLE, REASON_REQUEST_MALFORMED },
    { WIRE_HUB "/", "dev1", MQTT_UNAVAILABLE, REASON_REQUEST_MALFORMED },
    { "/dev1", "dev1", MQTT_UNAVAILABLE, REASON_REQUEST_MALFORMED },
    { WIRE_HUB "/de v1/?" WIRE_VERSION, "de v1", MQTT_UNAVAILABLE, REASON_REQUEST_MALFORMED },
    { WIRE_HUB "/dev1//?" WIRE_VERSION, "dev1", MQTT_UNAVAILABLE, REASON_REQUEST_MALFORMED },
};

static void connects(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(connect_cases) / sizeof(connect_cases[0]); i++) {
        const struct connect_case *t = &connect_cases[i];
        struct mqtt_connect c = wire_connect_of(t->username, t->client_id);
        struct wire w;

        wire_open(&w, &world);
        c.clean_session = i % 2 == 0;
        wire_connect(&w, &c);
        wire_expect_connack(&w, t->code);
        wire_expect_note(&w, "hub-mqtt", "connect", t->reason);
        assert_int_equal(wire_note(&w)->status, t->code);
        assert_int_equal(w.n_notes, 1);
        assert_int_equal(bus_sessions(world.bus), t->code == MQTT_ACCEPTED);
        close_wire(&w);
        assert_int_equal(bus_sessions(world.bus), 0);
    }
}

static void connect_without_a_name(void **state)
{
    struct mqtt_connect c = wire_connect_of(NULL, "dev1");
    struct wire w;

    (void)state;
    wire_open(&w, &world);
    wire_connect(&w, &c);
    wire_expect_connack(&w, MQTT_UNAVAILABLE);
    close_wire(&w);
}

static void connect_without_a_certificate(void **state)
{
    struct mqtt_connect c = wire_connect_of(USER("dev1"), "dev1");
    struct wire w;

    (void)state;
    wire_open(&w, &world);
    w.peer.n_chain = 0;
    wire_connect(&w, &c);
    wire_expect_connack(&w, MQTT_NOT_AUTHORIZED);
    wire_expect_note(&w, "hub-mqtt", "connect", REASON_CLIENT_CERTIFICATE_MISSING);
    close_wire(&w);

    wire_open(&w, &world);
    w.peer.n_chain = 0;
    w.peer.has_unreadable_chain = true;
    wire_connect(&w, &c);
    wire_expect_connack(&w, MQTT_NOT_AUTHORIZED);
    wire_expect_note(&w, "hub-mqtt", "connect", REASON_CERTIFICATE_UNREADABLE);
    close_wire(&w);
}

static void connect_at_the_limit(void **state)
{
    struct mqtt_connect c = wire_connect_of(USER("dev1"), "dev1");
    struct wire w;

    (void)state;
    wire_open(&w, &world);
    w.is_full = true;
    wire_connect(&w, &c);
    wire_expect_connack(&w, MQTT_UNAVAILABLE);
    wire_expect_note(&w, "hub-mqtt", "connect", REASON_THROTTLED);
    close_wire(&w);
}

static void keep_alive(void **state)
{
    static const struct {
        uint16_t keep_alive_s;
        int64_t within_ms;
    } cases[] = { { 0, LIMIT_HUB_KEEP_ALIVE_MS },
                  { 60, 90000 },
                  { 1178, 1767000 },
                  { 1179, LIMIT_HUB_KEEP_ALIVE_MS } };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mqtt_connect c = wire_connect_of(USER("dev1"), "dev1");
        struct wire w;

        c.keep_alive_s = cases[i].keep_alive_s;
        open_with(&w, &c);
        assert_int_equal(API_MQTT_SURFACE.deadline(w.surface), w.now_ms + cases[i].within_ms);
        mqtt_codec_encode_pingreq(&w.in);
        w.now_ms += 1000;
        wire_pump(&w);
        (void)wire_expect(&w, MQTT_PINGRESP);
        assert_int_equal(API_MQTT_SURFACE.deadline(w.surface), w.now_ms + cases[i].within_ms);
        close_wire(&w);
    }
}

/* ---- SUBSCRIBE ---- */

static void subscriptions(void **state)
{
    static const struct {
        const char *filter;
        uint8_t qos, code;
    } cases[] = {
        { "devices/dev1/messages/devicebound/#", 1, 1 },
        { "devices/+/messages/devicebound/#", 0, 0 },
        { "$iothub/twin/res/#", 0, 0 },
        { "$iothub/methods/POST/#", 2, 1 },
        { "#", 0, 0 },
        { "devices/#/x", 1, MQTT_SUBACK_FAILURE },
        { "a+", 1, MQTT_SUBACK_FAILURE },
    };
    struct wire w;

    (void)state;
    open_device(&w);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        wire_subscribe(&w, cases[i].filter, cases[i].qos);
        assert_int_equal(wire_expect_suback(&w), cases[i].code);
    }
    assert_false(w.is_closed);
    close_wire(&w);
}

/* `n` filters "f" in one packet. */
static void subscribe_to_many(struct wire *w, size_t n)
{
    buf_add_u8(&w->in, 0x82);
    buf_add_u8(&w->in, (uint8_t)(2 + 4 * n));
    buf_add_u16(&w->in, 10);
    for (size_t i = 0; i < n; i++) {
        buf_add_lp16(&w->in, SPAN("f"));
        buf_add_u8(&w->in, 1);
    }
    wire_pump(w);
}

static void many_subscriptions(void **state)
{
    struct mqtt_packet p;
    struct wire w;

    (void)state;
    open_device(&w);
    subscribe_to_many(&w, LIMIT_SUBSCRIPTIONS);
    p = wire_expect(&w, MQTT_SUBACK);
    assert_int_equal(p.suback.codes.len, LIMIT_SUBSCRIPTIONS);
    subscribe_to_many(&w, LIMIT_SUBSCRIPTIONS + 1);
    assert_true(w.is_closed);
    wire_expect_note(&w, "hub-mqtt", "close", REASON_PROTOCOL_VIOLATION);
    close_wire(&w);
}

/* ---- telemetry ---- */

static void telemetry_is_acknowledged_once_durable(void **state)
{
    const struct sink_event *event;
    uint64_t before = world.metrics.telemetry_events;
    struct wire w;

    (void)state;
    open_device(&w);
    wire_publish(&w, EVENTS "%24.mid=1&%24.ct=application%2Fjson&a=%20b/", SPAN("{\"t\":21}"), 1,
                 7);
    wire_publish(&w, EVENTS, SPAN(""), 0, 0);
    wire_publish(&w, EVENTS, SPAN("x"), 1, 8);
    wire_expect_nothing(&w);
    assert_int_equal(w.n_appends, 3);
    event = &w.appends->task.append.event;
    wire_expect_text(event->hub, WIRE_HUB);
    wire_expect_text(event->device_id, "dev1");
    wire_expect_text(event->body, "{\"t\":21}");
    assert_true(wire_contains(event->properties, "\"message-id\":\"1\""));
    assert_true(wire_contains(event->properties, "\"content-type\":\"application/json\""));
    assert_true(wire_contains(event->properties, "\"application\":{\"a\":\" b\"}"));
    assert_true(wire_contains(event->properties, "638000000000000000"));
    assert_int_equal(event->enqueued_ms, w.now_ms);

    wire_settle(&w, 1, OK);
    assert_int_equal(wire_expect(&w, MQTT_PUBACK).packet_id, 7);
    wire_expect_nothing(&w);
    wire_expect_note(&w, "hub-mqtt", "telemetry", REASON_GRANTED);
    assert_true(wire_note(&w)->quiet);
    wire_settle(&w, 1, OK);
    wire_expect_nothing(&w);
    wire_settle(&w, 1, OK);
    assert_int_equal(wire_expect(&w, MQTT_PUBACK).packet_id, 8);
    assert_int_equal(world.metrics.telemetry_events, before + 3);
    close_wire(&w);
}

/* Those before it are acknowledged, those behind it not any more. */
static void lost_message_ends_the_session(void **state)
{
    struct wire w;

    (void)state;
    open_device(&w);
    for (uint16_t id = 1; id <= 3; id++) {
        wire_publish(&w, EVENTS, SPAN("x"), 1, id);
    }
    wire_settle(&w, 1, OK);
    assert_int_equal(wire_expect(&w, MQTT_PUBACK).packet_id, 1);
    wire_settle(&w, 1, ERR(IO));
    assert_true(w.is_closed);
    wire_expect_note(&w, "hub-mqtt", "telemetry", REASON_INTERNAL);
    assert_false(wire_note(&w)->quiet);
    wire_settle(&w, 1, OK);
    wire_expect_nothing(&w);
    close_wire(&w);

    open_device(&w);
    wire_publish(&w, EVENTS, SPAN("x"), 0, 0);
    wire_settle(&w, 1, ERR(BUSY));
    assert_true(w.is_closed);
    wire_expect_note(&w, "hub-mqtt", "telemetry", REASON_THROTTLED);
    close_wire(&w);
}

static void appends_in_flight_are_bounded(void **state)
{
    struct wire w;

    (void)state;
    open_device(&w);
    for (uint16_t id = 1; id <= LIMIT_APPENDS_IN_FLIGHT + 2; id++) {
        wire_publish(&w, EVENTS, SPAN("x"), 1, id);
    }
    assert_int_equal(w.n_appends, LIMIT_APPENDS_IN_FLIGHT);
    assert_true(w.in.len > 0);
    assert_int_equal(API_MQTT_SURFACE.deadline(w.surface), INT64_MAX); /* we are who waits */
    wire_settle(&w, 1, OK);
    assert_int_equal(w.n_appends, LIMIT_APPENDS_IN_FLIGHT);
    wire_settle(&w, LIMIT_APPENDS_IN_FLIGHT, OK);
    wire_settle(&w, 1, OK);
    assert_int_equal(w.in.len, 0);
    for (uint16_t id = 1; id <= LIMIT_APPENDS_IN_FLIGHT + 2; id++) {
        assert_int_equal(wire_expect(&w, MQTT_PUBACK).packet_id, id);
    }
    close_wire(&w);
}

static void telemetry_waits_for_a_task(void **state)
{
    struct wire w;

    (void)state;
    open_device(&w);
    wire_publish(&w, EVENTS, SPAN("x"), 1, 1);
    w.is_full = true;
    wire_publish(&w, EVENTS, SPAN("y"), 1, 2);
    assert_int_equal(w.n_appends, 1);
    assert_false(w.is_closed);
    w.is_full = false;
    wire_settle(&w, 1, OK);
    assert_int_equal(wire_expect(&w, MQTT_PUBACK).packet_id, 1);
    assert_int_equal(w.n_appends, 1);
    wire_expect_text(w.appends->task.append.event.body, "y");
    wire_settle(&w, 1, OK);
    assert_int_equal(wire_expect(&w, MQTT_PUBACK).packet_id, 2);
    w.is_full = true; /* and nothing that will come back */
    wire_publish(&w, EVENTS, SPAN("z"), 1, 3);
    assert_true(w.is_closed);
    wire_expect_note(&w, "hub-mqtt", "close", REASON_THROTTLED);
    close_wire(&w);
}

static void too_large_a_message(void **state)
{
    static uint8_t body[LIMIT_TELEMETRY_MESSAGE + 1];
    struct wire w;

    (void)state;
    open_device(&w);
    wire_publish(&w, EVENTS, span_of(body, LIMIT_TELEMETRY_MESSAGE), 1, 1);
    assert_int_equal(w.n_appends, 1);
    wire_publish(&w, EVENTS, span_of(body, LIMIT_TELEMETRY_MESSAGE + 1), 1, 2);
    assert_true(w.is_closed);
    assert_int_equal(w.n_appends, 1);
    wire_expect_note(&w, "hub-mqtt", "telemetry", REASON_MESSAGE_TOO_LARGE);
    close_wire(&w);
}

static void too_many_properties(void **state)
{
    static char topic[1024] = EVENTS;
    size_t at = strlen(EVENTS);
    struct wire w;

    (void)state;
    for (int i = 0; i <= HUB_PROPERTIES_MAX; i++) {
        at += (size_t)snprintf(topic + at, sizeof(topic) - at, "k%d=v&", i);
    }
    open_device(&w);
    wire_publish(&w, topic, SPAN("x"), 1, 1);
    assert_true(w.is_closed);
    assert_int_equal(w.n_appends, 0);
    wire_expect_note(&w, "hub-mqtt", "telemetry", REASON_MESSAGE_TOO_LARGE);
    close_wire(&w);
}

static void forbidden_publishes(void **state)
{
    static const struct {
        const char *topic;
        uint8_t qos;
        enum reason reason;
    } cases[] = {
        { "devices/other/messages/events/", 1, REASON_TOPIC_FORBIDDEN },
        { "devices/dev1/messages/devicebound/", 1, REASON_TOPIC_FORBIDDEN },
        { "devices/dev1/modules/m/messages/events/", 1, REASON_TOPIC_FORBIDDEN },
        { "$iothub/twin/GET/?$rid=", 0, REASON_TOPIC_FORBIDDEN },
        { "$iothub/twin/PUT/?$rid=1", 0, REASON_TOPIC_FORBIDDEN },
        { "$dps/registrations/PUT/iotdps-register/?$rid=1", 1, REASON_TOPIC_FORBIDDEN },
        { "x", 0, REASON_TOPIC_FORBIDDEN },
        { EVENTS, 2, REASON_PROTOCOL_VIOLATION },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire w;

        open_device(&w);
        wire_publish(&w, cases[i].topic, SPAN("x"), cases[i].qos, cases[i].qos ? 1 : 0);
        assert_true(w.is_closed);
        wire_expect_nothing(&w);
        wire_expect_note(&w, "hub-mqtt", "close", cases[i].reason);
        close_wire(&w);
    }
}

/* ---- wills ---- */

static struct mqtt_connect with_will(const char *topic, struct span payload)
{
    struct mqtt_connect c = wire_connect_of(USER("dev1"), "dev1");

    c.has_will = true;
    c.will = (struct mqtt_publish){ .topic = span_str(topic), .payload = payload, .qos = 1 };
    return c;
}

static void will_follows_an_ungraceful_end(void **state)
{
    struct mqtt_connect c = with_will(EVENTS "a=b", SPAN("gone"));
    const struct sink_event *event;
    struct wire w;

    (void)state;
    c.will.retain = true;
    open_with(&w, &c);
    wire_hang_up(&w);
    assert_int_equal(w.n_appends, 1);
    event = &w.appends->task.append.event;
    wire_expect_text(event->device_id, "dev1");
    wire_expect_text(event->body, "gone");
    assert_true(wire_contains(event->properties,
                              "\"application\":{\"a\":\"b\",\"iothub-MessageType\":\"Will\","
                              "\"mqtt-retain\":\"true\"}"));
    wire_settle(&w, 1, OK);
    wire_expect_nothing(&w);
    wire_expect_note(&w, "hub-mqtt", "telemetry", REASON_GRANTED);
    wire_done(&w);
}

static void will_is_void_after_disconnect(void **state)
{
    struct mqtt_connect c = with_will(EVENTS, SPAN("gone"));
    struct wire w;

    (void)state;
    open_with(&w, &c);
    mqtt_codec_encode_disconnect(&w.in);
    wire_pump(&w);
    assert_true(w.is_closed);
    wire_hang_up(&w);
    assert_int_equal(w.n_appends, 0);
    wire_done(&w);
}

/* Nor does the will of whoever was never let in count. */
static void will_needs_a_session(void **state)
{
    struct mqtt_connect c = with_will("devices/off/messages/events/", SPAN("gone"));
    struct wire w;

    (void)state;
    c.username = SPAN(USER("off"));
    c.client_id = SPAN("off");
    wire_open(&w, &world);
    wire_connect(&w, &c);
    wire_expect_connack(&w, MQTT_UNAVAILABLE);
    wire_hang_up(&w);
    assert_int_equal(w.n_appends, 0);
    wire_done(&w);
}

static void will_at_the_limit_is_lost_with_a_line(void **state)
{
    struct mqtt_connect c = with_will(EVENTS, SPAN("gone"));
    struct wire w;

    (void)state;
    open_with(&w, &c);
    w.is_full = true;
    wire_hang_up(&w);
    wire_expect_note(&w, "hub-mqtt", "telemetry", REASON_THROTTLED);
    wire_done(&w);
}

static void refused_wills(void **state)
{
    static uint8_t large[LIMIT_WILL + 1];
    static char properties[1024] = EVENTS;
    static const struct {
        const char *topic;
        size_t payload_len;
        uint8_t qos;
        enum reason reason;
    } cases[] = {
        { EVENTS, LIMIT_WILL, 1, REASON_GRANTED },
        { EVENTS "a=b", LIMIT_WILL - 3, 0, REASON_GRANTED },
        { EVENTS, LIMIT_WILL + 1, 1, REASON_MESSAGE_TOO_LARGE },
        { EVENTS "a=b", LIMIT_WILL - 2, 1, REASON_MESSAGE_TOO_LARGE },
        { properties, 0, 1, REASON_MESSAGE_TOO_LARGE },
        { "devices/other/messages/events/", 0, 1, REASON_TOPIC_FORBIDDEN },
        { "x", 0, 1, REASON_TOPIC_FORBIDDEN },
        { EVENTS, 0, 2, REASON_TOPIC_FORBIDDEN },
    };
    size_t at = strlen(EVENTS);

    (void)state;
    for (int i = 0; i <= HUB_PROPERTIES_MAX; i++) {
        at += (size_t)snprintf(properties + at, sizeof(properties) - at, "k%d=v&", i);
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mqtt_connect c = with_will(cases[i].topic, span_of(large, cases[i].payload_len));
        bool is_taken = cases[i].reason == REASON_GRANTED;
        struct wire w;

        c.will.qos = cases[i].qos;
        wire_open(&w, &world);
        wire_connect(&w, &c);
        wire_expect_connack(&w, is_taken ? MQTT_ACCEPTED : MQTT_NOT_AUTHORIZED);
        wire_expect_note(&w, "hub-mqtt", "connect", cases[i].reason);
        wire_hang_up(&w);
        assert_int_equal(w.n_appends, is_taken);
        wire_done(&w);
    }
}

/* ---- the end ---- */

static void newer_connection_takes_over(void **state)
{
    struct mqtt_connect c = with_will(EVENTS, SPAN("gone"));
    struct wire older, newer;

    (void)state;
    open_with(&older, &c);
    open_device(&newer);
    assert_int_equal(older.signals, BUS_TAKEN_OVER);
    assert_int_equal(newer.signals, 0);
    wire_pass_signals(&older);
    assert_true(older.is_closed);
    wire_expect_nothing(&older);
    wire_expect_note(&older, "hub-mqtt", "close", REASON_SESSION_TAKEN_OVER);
    wire_hang_up(&older);
    assert_int_equal(older.n_appends, 1); /* an ungraceful end */
    assert_true(bus_is_connected(world.bus, SPAN(WIRE_HUB), SPAN("dev1")));
    wire_done(&older);
    wire_publish(&newer, EVENTS, SPAN("x"), 1, 1);
    wire_settle(&newer, 1, OK);
    (void)wire_expect(&newer, MQTT_PUBACK);
    close_wire(&newer);
}

/* A login that fails takes nothing over. */
static void refused_connection_takes_nothing_over(void **state)
{
    struct mqtt_connect c = wire_connect_of(USER("dev1"), "dev1");
    struct wire older, newer;

    (void)state;
    open_device(&older);
    wire_open(&newer, &world);
    newer.peer.n_chain = 0;
    wire_connect(&newer, &c);
    wire_expect_connack(&newer, MQTT_NOT_AUTHORIZED);
    assert_int_equal(older.signals, 0);
    close_wire(&newer);
    assert_true(bus_is_connected(world.bus, SPAN(WIRE_HUB), SPAN("dev1")));
    close_wire(&older);
}

static void cut_off(void **state)
{
    struct wire w;

    (void)state;
    open_device(&w);
    bus_cut_off(world.bus, SPAN(WIRE_HUB), SPAN("dev1"));
    assert_int_equal(w.signals, BUS_CUT_OFF);
    wire_pass_signals(&w);
    assert_true(w.is_closed);
    wire_expect_nothing(&w);
    wire_expect_note(&w, "hub-mqtt", "close", REASON_SESSION_CUT_OFF);
    close_wire(&w);
}

static void violations(void **state)
{
    struct mqtt_connect c = wire_connect_of(USER("dev1"), "dev1");
    struct wire w;

    (void)state;
    open_device(&w);
    wire_connect(&w, &c); /* once more */
    assert_true(w.is_closed);
    wire_expect_nothing(&w);
    wire_expect_note(&w, "hub-mqtt", "close", REASON_PROTOCOL_VIOLATION);
    close_wire(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects),
        cmocka_unit_test(connect_without_a_name),
        cmocka_unit_test(connect_without_a_certificate),
        cmocka_unit_test(connect_at_the_limit),
        cmocka_unit_test(keep_alive),
        cmocka_unit_test(subscriptions),
        cmocka_unit_test(many_subscriptions),
        cmocka_unit_test(telemetry_is_acknowledged_once_durable),
        cmocka_unit_test(lost_message_ends_the_session),
        cmocka_unit_test(appends_in_flight_are_bounded),
        cmocka_unit_test(telemetry_waits_for_a_task),
        cmocka_unit_test(too_large_a_message),
        cmocka_unit_test(too_many_properties),
        cmocka_unit_test(forbidden_publishes),
        cmocka_unit_test(will_follows_an_ungraceful_end),
        cmocka_unit_test(will_is_void_after_disconnect),
        cmocka_unit_test(will_needs_a_session),
        cmocka_unit_test(will_at_the_limit_is_lost_with_a_line),
        cmocka_unit_test(refused_wills),
        cmocka_unit_test(newer_connection_takes_over),
        cmocka_unit_test(refused_connection_takes_nothing_over),
        cmocka_unit_test(cut_off),
        cmocka_unit_test(violations),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
