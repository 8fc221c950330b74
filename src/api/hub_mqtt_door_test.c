/* api/hub_mqtt_door_test.c: what a connection is let in as, and what follows from it: modules, the
 * model it names, how it proved itself; and what is kept of its subscriptions. */
#include "api/hub_mqtt_job.h"
#include "api/mqtt_wire_test.h"
#include "attest/sas.h"
#include "hub/identity.h"

#define USER(client)  WIRE_HUB "/" client "/?" WIRE_VERSION
#define MODULE_EVENTS "devices/dev1/modules/m/messages/events/"

static const struct span key = SPAN_INIT("one-one-one-one-one");
static struct wire_world world;

static void put_identity(const char *client_id, enum device_auth auth, struct span thumbprint)
{
    struct device d = { .hub = SPAN(WIRE_HUB),
                        .device_id = span_str(client_id),
                        .generation_id = SPAN("638000000000000000"),
                        .auth = auth,
                        .primary_thumbprint = thumbprint,
                        .primary_key = auth == DEVICE_AUTH_SAS ? key : SPAN_NONE };

    wire_put(&world, hub_identity_kind(d.device_id), &d);
}

static int set_up(void **state)
{
    struct hub hub = { .host_name = SPAN(WIRE_HUB), .name = SPAN("hub") };
    struct policy policy = { .owner_type = POLICY_OF_HUB,
                             .owner = hub.host_name,
                             .name = SPAN("device"),
                             .rights = RIGHT_DEVICE_CONNECT,
                             .primary_key = key };

    (void)state;
    wire_world_init(&world);
    wire_put(&world, &KIND_HUB, &hub);
    wire_put(&world, &KIND_POLICY, &policy);
    put_identity("dev1", DEVICE_AUTH_SELF_SIGNED, world.thumbprint);
    put_identity("dev1/m", DEVICE_AUTH_SELF_SIGNED, world.thumbprint);
    put_identity("sas", DEVICE_AUTH_SAS, SPAN_NONE);
    put_identity("sas/m", DEVICE_AUTH_SAS, SPAN_NONE);
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
}

static void close_wire(struct wire *w)
{
    wire_hang_up(w);
    wire_done(w);
}

/* ---- stamps ---- */

struct stamp_case {
    const char *username, *client_id, *topic;
    const char *resource, *policy; /* of the token; NULL: none */
    const char *device, *module;
    const char *method; /* scope and type */
    const char *model;  /* NULL: no such stamp */
};

static const struct stamp_case stamp_cases[] = {
    { USER("dev1"), "dev1", "devices/dev1/messages/events/", NULL, NULL, "dev1", NULL,
      "\\\"scope\\\":\\\"device\\\",\\\"type\\\":\\\"x509\\\"", NULL },
    { USER("dev1/m"), "dev1/m", MODULE_EVENTS, NULL, NULL, "dev1", "m",
      "\\\"scope\\\":\\\"module\\\",\\\"type\\\":\\\"x509\\\"", NULL },
    { USER("sas") "&model-id=dtmi%3Aberth%3Atest%3B1", "sas", "devices/sas/messages/events",
      WIRE_HUB "/devices/sas", NULL, "sas", NULL,
      "\\\"scope\\\":\\\"device\\\",\\\"type\\\":\\\"sas\\\"", "dtmi:berth:test;1" },
    { USER("sas/m") "&model-id=first&model-id=second", "sas/m",
      "devices/sas/modules/m/messages/events/", WIRE_HUB "/devices/sas/modules/m", NULL, "sas", "m",
      "\\\"scope\\\":\\\"module\\\",\\\"type\\\":\\\"sas\\\"", "first" },
    { USER("sas"), "sas", "devices/sas/messages/events/", WIRE_HUB, "device", "sas", NULL,
      "\\\"scope\\\":\\\"hub\\\",\\\"type\\\":\\\"sas\\\"", NULL },
    { USER("sas/m"), "sas/m", "devices/sas/modules/m/messages/events/", WIRE_HUB, "device", "sas",
      "m", "\\\"scope\\\":\\\"hub\\\",\\\"type\\\":\\\"sas\\\"", NULL },
};

static void expect_member(struct span json_text, const char *name, const char *value)
{
    char text[256];

    (void)snprintf(text, sizeof(text), value == NULL ? "\"%s\"" : "\"%s\":\"%s\"", name, value);
    assert_int_equal(wire_contains(json_text, text), value != NULL);
}

static void stamps(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(stamp_cases) / sizeof(stamp_cases[0]); i++) {
        const struct stamp_case *t = &stamp_cases[i];
        struct mqtt_connect c = wire_connect_of(t->username, t->client_id);
        const struct sink_event *event;
        uint8_t room[512];
        struct buf token = buf_over(room, sizeof(room));
        struct wire w;

        wire_open(&w, &world);
        if (t->resource != NULL) {
            assert_true(err_is_ok(sas_make(world.crypto, span_str(t->resource), key,
                                           span_str(t->policy), WIRE_NOW_MS / 1000 + 60, &token)));
            c.password = buf_span(&token);
            w.peer.n_chain = 0;
        }
        wire_connect(&w, &c);
        wire_expect_connack(&w, MQTT_ACCEPTED);
        wire_publish(&w, t->topic, SPAN("x"), 1, 1);
        assert_int_equal(w.n_appends, 1);
        event = &w.appends->task.append.event;
        wire_expect_text(event->device_id, t->device);
        expect_member(event->properties, "iothub-connection-device-id", t->device);
        expect_member(event->properties, "iothub-connection-module-id", t->module);
        expect_member(event->properties, "dt-dataschema", t->model);
        assert_true(wire_contains(event->properties, t->method));
        close_wire(&w);
    }
}

/* A connection speaks for itself alone. */
static void topics_of_others(void **state)
{
    static const struct {
        const char *client, *topic;
    } cases[] = {
        { "dev1/m", "devices/dev1/messages/events/" },
        { "dev1/m", "devices/dev1/modules/m2/messages/events/" },
        { "dev1/m", "devices/dev2/modules/m/messages/events/" },
        { "dev1/m", "devices/dev1/modules/m/messages/other/" },
        { "dev1/m", "devices/dev1/m/messages/events/" },
        { "dev1", MODULE_EVENTS },
        { "dev1", "devices/dev1/modules/messages/events/" },
        { "dev1", "devices/Dev1/messages/events/" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool is_module = strcmp(cases[i].client, "dev1") != 0;
        struct mqtt_connect c =
            wire_connect_of(is_module ? USER("dev1/m") : USER("dev1"), cases[i].client);
        struct wire w;

        open_with(&w, &c);
        wire_publish(&w, cases[i].topic, SPAN("x"), 1, 1);
        assert_true(w.is_closed);
        wire_expect_nothing(&w);
        wire_expect_note(&w, "hub-mqtt", "close", REASON_TOPIC_FORBIDDEN);
        close_wire(&w);
    }
}

static void a_modules_will(void **state)
{
    struct mqtt_connect c = wire_connect_of(USER("dev1/m"), "dev1/m");
    struct wire w;

    (void)state;
    c.has_will = true;
    c.will = (struct mqtt_publish){ .topic = SPAN(MODULE_EVENTS "a=b"), .payload = SPAN("gone") };
    open_with(&w, &c);
    wire_hang_up(&w);
    assert_int_equal(w.n_appends, 1);
    expect_member(w.appends->task.append.event.properties, "iothub-connection-module-id", "m");
    wire_done(&w);
    c.will.topic = SPAN("devices/dev1/messages/events/"); /* its device's */
    wire_open(&w, &world);
    wire_connect(&w, &c);
    wire_expect_connack(&w, MQTT_NOT_AUTHORIZED);
    close_wire(&w);
}

/* A module and its device have a session each. */
static void a_module_beside_its_device(void **state)
{
    struct mqtt_connect device = wire_connect_of(USER("dev1"), "dev1");
    struct mqtt_connect module = wire_connect_of(USER("dev1/m"), "dev1/m");
    struct wire d, m, again;

    (void)state;
    open_with(&d, &device);
    open_with(&m, &module);
    assert_int_equal(bus_sessions(world.bus), 2);
    assert_int_equal(d.signals, 0);
    open_with(&again, &module);
    assert_int_equal(d.signals, 0);
    assert_int_equal(m.signals, BUS_TAKEN_OVER);
    bus_cut_off(world.bus, SPAN(WIRE_HUB), SPAN("dev1"));
    assert_int_equal(d.signals, BUS_CUT_OFF);
    assert_int_equal(again.signals, BUS_CUT_OFF);
    close_wire(&m);
    close_wire(&again);
    close_wire(&d);
}

/* ---- how it ends ---- */

static void the_tokens_expiry_closes(void **state)
{
    struct mqtt_connect c = wire_connect_of(USER("sas"), "sas");
    uint8_t room[512];
    struct buf token = buf_over(room, sizeof(room));
    struct surface_io io;
    struct wire w;

    (void)state;
    assert_true(err_is_ok(sas_make(world.crypto, SPAN(WIRE_HUB "/devices/sas"), key, SPAN_NONE,
                                   WIRE_NOW_MS / 1000 + 20, &token)));
    c.password = buf_span(&token);
    wire_open(&w, &world);
    w.peer.n_chain = 0;
    wire_connect(&w, &c);
    wire_expect_connack(&w, MQTT_ACCEPTED);
    assert_int_equal(API_MQTT_SURFACE.deadline(w.surface), WIRE_NOW_MS + 20000);
    w.now_ms += 20000;
    io = wire_io(&w);
    assert_int_equal(API_MQTT_SURFACE.on_deadline(w.surface, &io), SURFACE_CLOSE);
    wire_expect_nothing(&w);
    close_wire(&w);
}

/* ---- subscriptions ---- */

static uint64_t writes(void)
{
    struct store_stats stats;

    store_stats(world.store, &stats);
    return stats.writes;
}

static void what_is_kept_is_not_kept_again(void **state)
{
    static const struct {
        const char *filter;
        uint8_t qos;
        bool is_written;
    } cases[] = {
        { "a/#", 1, true }, { "a/#", 1, false }, { "a/#", 2, false }, /* granted 1 */
        { "a/#", 0, true }, { "a/#", 0, false }, { "b", 0, true },    { "a+", 0, false },
    };
    struct mqtt_connect c = wire_connect_of(USER("dev1"), "dev1");
    struct wire w;

    (void)state;
    c.clean_session = false;
    open_with(&w, &c);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t before = writes();

        wire_subscribe(&w, cases[i].filter, cases[i].qos);
        (void)wire_expect_suback(&w);
        assert_int_equal(writes() - before, cases[i].is_written);
    }
    close_wire(&w);

    wire_open(&w, &world);
    wire_connect(&w, &c);
    assert_true(wire_expect(&w, MQTT_CONNACK).connack.session_present);
    wire_subscribe(&w, "b", 0);
    (void)wire_expect_suback(&w);
    close_wire(&w);

    c.clean_session = true;
    open_with(&w, &c); /* session-present 0 */
    close_wire(&w);
    c.clean_session = false;
    open_with(&w, &c); /* nothing is left of it */
    close_wire(&w);
}

/* What cannot be kept is not granted. */
static void a_subscription_that_is_lost(void **state)
{
    struct mqtt_connect c = wire_connect_of(USER("dev1"), "dev1");
    struct wire w;

    (void)state;
    c.clean_session = false;
    open_with(&w, &c);
    w.arena_size = sizeof(struct hub_job) + 64; /* too little for the store */
    wire_subscribe(&w, "a", 1);
    assert_true(w.is_closed);
    wire_expect_nothing(&w);
    wire_expect_note(&w, "hub-mqtt", "subscribe", REASON_INTERNAL);
    close_wire(&w);
    open_with(&w, &c);
    close_wire(&w);
}

/* The older connection's SUBSCRIBE is read when the newer one was let in already. */
static void a_subscription_that_comes_too_late(void **state)
{
    struct mqtt_connect c = wire_connect_of(USER("dev1"), "dev1");
    struct wire older, newer;

    (void)state;
    c.clean_session = false;
    open_with(&older, &c);
    c.clean_session = true;
    open_with(&newer, &c);
    wire_subscribe(&older, "a", 1);
    assert_true(older.is_closed);
    wire_expect_nothing(&older);
    wire_expect_note(&older, "hub-mqtt", "subscribe", REASON_SESSION_TAKEN_OVER);
    close_wire(&older);
    close_wire(&newer);
    c.clean_session = false;
    open_with(&newer, &c);
    close_wire(&newer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamps),
        cmocka_unit_test(topics_of_others),
        cmocka_unit_test(a_modules_will),
        cmocka_unit_test(a_module_beside_its_device),
        cmocka_unit_test(the_tokens_expiry_closes),
        cmocka_unit_test(what_is_kept_is_not_kept_again),
        cmocka_unit_test(a_subscription_that_is_lost),
        cmocka_unit_test(a_subscription_that_comes_too_late),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
