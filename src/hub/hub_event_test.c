/* hub/hub_event_test.c: which events changes leave in the log, and what they say. */
#include "hub/kit_test.h"

#include "hub/event.h"
#include "hub/hub.h"
#include "hub/twin.h"
#include "model/limits.h"

#define TIME "2025-06-15T15:06:40.0000000Z"

static struct sink *sink;
static const struct device device = { .hub = SPAN_INIT("hub.example"),
                                      .device_id = SPAN_INIT("d1"),
                                      .generation_id = SPAN_INIT("g"),
                                      .etag = 1,
                                      .version = 2,
                                      .desired_version = 1,
                                      .reported_version = 1,
                                      .twin_etag = 1,
                                      .created_ms = NOW_MS };

static int setup(void **state)
{
    (void)state;
    kit_open();
    assert_ok(sink_mem_open(&sink));
    env = (struct env){
        .store = store, .sink = sink, .arena = &arena, .now_ms = NOW_MS, .tracking_id = "t-1"
    };
    kit_put(&KIND_DEVICE, &device);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sink_close(sink);
    kit_close();
    return 0;
}

static struct sink_event *events;
static size_t n_events;

static void read_events(void)
{
    struct sink_query q = { .hub = HUB, .max_events = 100, .max_bytes = 1 << 20 };

    struct sink_reading r;

    arena_reset(&arena);
    assert_ok(sink_read(sink, &q, &arena, &r));
    events = r.events;
    n_events = r.n;
}

#define PROPERTIES(source, op, schema, module_stamp, module)                                       \
    "{\"system\":{\"correlation-id\":\"t-1\",\"content-type\":\"application/json\","               \
    "\"content-encoding\":\"utf-8\",\"iothub-connection-device-id\":\"d1\"," module_stamp          \
    "\"iothub-connection-auth-generation-id\":\"g\",\"iothub-enqueuedtime\":\"" TIME "\","         \
    "\"iothub-message-source\":\"" source "\"},\"application\":{\"hubName\":\"hub\","              \
    "\"deviceId\":\"d1\"," module "\"opType\":\"" op "\",\"operationTimestamp\":\"" TIME "\","     \
    "\"iothub-message-schema\":\"" schema "\"}}"
#define BIRTH "{\"$metadata\":{\"$lastUpdated\":\"" TIME "\"},\"$version\":1}"

static void lifecycle(void **state)
{
    struct device module = device;

    (void)state;
    module.device_id = SPAN("d1/m");
    module.tags = SPAN("{\"a\":1}");
    assert_ok(hub_event_lifecycle(&env, HUB_EVENT_CREATED, &device));
    assert_ok(hub_event_lifecycle(&env, HUB_EVENT_DELETED, &module));
    read_events();
    assert_int_equal(n_events, 2);
    assert_int_equal(events[0].source, SINK_DEVICE_LIFECYCLE);
    assert_text("d1", events[0].device_id);
    assert_true(span_is_absent(events[0].module_id));
    assert_int_equal(events[0].enqueued_ms, NOW_MS);
    assert_text(PROPERTIES("deviceLifecycleEvents", "createDeviceIdentity",
                           "deviceLifecycleNotification", "", ""),
                events[0].properties);
    assert_text("{\"deviceId\":\"d1\",\"etag\":\"AAAAAAAAAAE=\",\"version\":2,"
                "\"properties\":{\"desired\":" BIRTH ",\"reported\":" BIRTH "}}",
                events[0].body);
    assert_text("d1", events[1].device_id);
    assert_text("m", events[1].module_id);
    assert_text(PROPERTIES("deviceLifecycleEvents", "deleteModuleIdentity",
                           "moduleLifecycleNotification", "\"iothub-connection-module-id\":\"m\",",
                           "\"moduleId\":\"m\","),
                events[1].properties);
    assert_text("{\"deviceId\":\"d1\",\"moduleId\":\"m\",\"etag\":\"AAAAAAAAAAE=\",\"version\":2,"
                "\"tags\":{\"a\":1},"
                "\"properties\":{\"desired\":" BIRTH ",\"reported\":" BIRTH "}}",
                events[1].body);
}

/* ---- twins ---- */

static void change(const char *tags, const char *desired, bool is_replace, enum reason expected)
{
    AUTO(json) json *t = NULL;
    AUTO(json) json *d = NULL;
    struct hub_twin_change c = { .is_replace = is_replace, .if_etag = -1 };
    struct device now;
    struct verdict v;

    if (tags != NULL) {
        assert_ok(json_parse(span_str(tags), 8, &t));
    }
    if (desired != NULL) {
        assert_ok(json_parse(span_str(desired), 8, &d));
    }
    c.tags = t;
    c.desired = d;
    assert_ok(hub_twin_change(&env, bus, HUB, SPAN("d1"), &c, &now, &v));
    assert_int_equal(v.reason, expected);
}

static void report(const char *patch)
{
    struct hub_twin_report r = { .patch = span_str(patch),
                                 .if_version = -1,
                                 .generation_id = SPAN("g") };
    struct verdict v;
    int64_t version;

    assert_ok(hub_twin_report(&env, HUB, SPAN("d1"), &r, &version, &v));
    assert_int_equal(v.reason, REASON_GRANTED);
}

#define META(version) "\"$metadata\":{\"$lastUpdated\":\"" TIME "\"},\"$version\":" version

static void twin_changes(void **state)
{
    static const struct {
        const char *op, *body;
    } expected[] = {
        { "updateTwin", "{\"version\":3,\"tags\":{\"a\":null},\"properties\":{}}" },
        { "updateTwin",
          "{\"version\":4,\"properties\":{\"desired\":{\"x\":{\"y\":1}," META("2") "}}}" },
        { "replaceTwin",
          "{\"version\":5,\"tags\":{},\"properties\":{\"desired\":{\"z\":2," META("3") "}}}" },
        { "updateTwin", "{\"version\":6,\"properties\":{\"reported\":{\"r\":3," META("2") "}}}" },
    };

    (void)state;
    change("{\"a\":null}", NULL, false, REASON_GRANTED);
    change(NULL, "{\"x\":{\"y\":1},\"$version\":77}", false, REASON_GRANTED);
    change("{\"a\":[]}", "{\"\\u0001\":1}", false, REASON_FIELD_INVALID);
    change(NULL, "{\"z\":2}", true, REASON_GRANTED);
    change(NULL, NULL, false, REASON_GRANTED); /* nothing is changed */
    report("{\"r\":3}");
    read_events();
    assert_int_equal(n_events, sizeof(expected) / sizeof(expected[0]));
    for (size_t i = 0; i < n_events; i++) {
        char op[40];

        (void)snprintf(op, sizeof(op), "\"opType\":\"%s\"", expected[i].op);
        assert_int_equal(events[i].source, SINK_TWIN_CHANGE);
        assert_text(expected[i].body, events[i].body);
        assert_non_null(strstr((const char *)events[i].properties.data, op));
        assert_non_null(strstr((const char *)events[i].properties.data,
                               "\"iothub-message-schema\":\"twinChangeNotification\""));
    }
}

/* ---- connections, and what is not wanted ---- */

static void connections(void **state)
{
    struct hub_event_connection c = { .hub = HUB,
                                      .client_id = SPAN("d1"),
                                      .generation_id = SPAN("g"),
                                      .is_connected = true,
                                      .run = 0x1234,
                                      .number = 10,
                                      .now_ms = NOW_MS };

    (void)state;
    assert_ok(hub_event_connection(sink, &c));
    c.client_id = SPAN("d1/m");
    c.is_connected = false;
    assert_ok(hub_event_connection(sink, &c));
    assert_ok(hub_event_connection(NULL, &c));
    assert_ok(hub_event_lifecycle(&env, HUB_EVENT_CREATED, &device)); /* they are in by now */
    read_events();
    assert_int_equal(n_events, 3);
    assert_int_equal(events[0].source, SINK_CONNECTION_STATE);
    assert_text("{\"sequenceNumber\":\"0000000000001234000000000000000A\"}", events[0].body);
    assert_non_null(
        strstr((const char *)events[0].properties.data, "\"opType\":\"deviceConnected\""));
    assert_text("m", events[1].module_id);
    assert_non_null(
        strstr((const char *)events[1].properties.data, "\"opType\":\"moduleDisconnected\""));
}

static void what_is_not_wanted(void **state)
{
    struct hub_event_connection c = { .hub = HUB, .client_id = SPAN("d1") };

    (void)state;
    sink_want(sink, 1U << SINK_DEVICE_LIFECYCLE);
    change("{\"a\":1}", NULL, false, REASON_GRANTED);
    assert_ok(hub_event_connection(sink, &c));
    assert_ok(hub_event_lifecycle(&env, HUB_EVENT_CREATED, &device));
    assert_ok(hub_event_lifecycle_post(&env, HUB_EVENT_CREATED, &device));
    sink_want(sink, 1U << SINK_CONNECTION_STATE);
    assert_ok(hub_event_lifecycle(&env, HUB_EVENT_CREATED, &device));
    env.sink = NULL;
    assert_ok(hub_event_lifecycle(&env, HUB_EVENT_CREATED, &device));
    assert_ok(hub_event_lifecycle_post(&env, HUB_EVENT_CREATED, &device));
    do { /* nobody waited for the posted one */
        read_events();
    } while (n_events < 2);
    assert_int_equal(n_events, 2);
    assert_int_equal(events[0].source, SINK_DEVICE_LIFECYCLE);
    assert_text("d1", events[1].device_id);
}

/* ---- removals that were cut off ---- */

static void a_removal_goes_on(void **state)
{
    const struct hub hubs[] = {
        { .host_name = HUB, .name = SPAN("a"), .id_scope = SPAN("s"), .life = LIFE_DELETING },
        { .host_name = SPAN("b.example"), .name = SPAN("b"), .id_scope = SPAN("s") },
    };
    struct device gone;
    struct verdict v;
    struct hub *left;
    size_t n;
    bool more;
    int rounds = 0;

    (void)state;
    kit_put(&KIND_HUB, &hubs[0]);
    kit_put(&KIND_HUB, &hubs[1]);
    do {
        arena_reset(&arena);
        assert_ok(hub_remove_resume(&env, bus, 1, &more));
        assert_true(++rounds < 5);
    } while (more);
    assert_true(rounds > 2);
    assert_ok(hub_device_get(&env, HUB, SPAN("d1"), &gone, &v));
    assert_int_equal(v.reason, REASON_DEVICE_NOT_FOUND);
    assert_ok(hub_list(&env, &left, &n));
    assert_int_equal(n, 1);
    assert_text("b.example", left[0].host_name);
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(lifecycle),          IN_A_WORLD(twin_changes),      IN_A_WORLD(connections),
        IN_A_WORLD(what_is_not_wanted), IN_A_WORLD(a_removal_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
