/* api/dps_mqtt_test.c: registering over MQTT, packet by packet, over a real core and store. */
#include "api/mqtt_wire_test.h"

#define USER     WIRE_SCOPE "/registrations/dev1/" WIRE_VERSION
#define FILTER   "$dps/registrations/res/#"
#define REGISTER "$dps/registrations/PUT/iotdps-register/?$rid="
#define POLL     "$dps/registrations/GET/iotdps-get-operationstatus/?$rid="

static struct wire_world world;

/* ---- what is enrolled ---- */

static void put_group(enum provisioning_status status, const char *etag)
{
    static uint8_t block[256 * 1024];
    struct arena arena;
    struct env env = { .store = world.store,
                       .crypto = world.crypto,
                       .certs = world.certs,
                       .arena = &arena,
                       .now_ms = WIRE_NOW_MS,
                       .random = crypto_random };
    struct enrollment e = { .id_scope = SPAN(WIRE_SCOPE),
                            .kind = ENROLLMENT_GROUP,
                            .id = SPAN("Group"),
                            .attestation = ATTESTATION_X509,
                            .x509_source = X509_SOURCE_SIGNING,
                            .provisioning_status = status,
                            .update_hub_assignment = 1,
                            .migrate_device_data = 1 };
    struct core_enrollment_put how = { .match = { .is_given = etag != NULL, .is_any = true } };
    struct verdict v;
    struct buf der;

    arena_init(&arena, block, sizeof(block));
    der = arena_buf(&arena);
    assert_true(err_is_ok(crypto_x509_encode(world.ca, &der)));
    assert_true(err_is_ok(arena_buf_end(&arena, &der, &e.x509_primary)));
    assert_true(err_is_ok(core_enrollment_put(&env, &how, &e, &v)));
    assert_true(verdict_is_granted(v));
}

static int set_up(void **state)
{
    struct instance instance = { .id_scope = SPAN(WIRE_SCOPE),
                                 .name = SPAN("dev"),
                                 .host_name = SPAN("dps.example"),
                                 .allocation_policy = ALLOCATION_HASHED };
    struct hub hub = { .host_name = SPAN(WIRE_HUB), .name = SPAN("hub") };
    struct linked_hub link = { .id_scope = SPAN(WIRE_SCOPE),
                               .host_name = SPAN(WIRE_HUB),
                               .weight = 1,
                               .apply_allocation_policy = 1 };

    (void)state;
    wire_world_init(&world);
    wire_put(&world, &KIND_INSTANCE, &instance);
    wire_put(&world, &KIND_HUB, &hub);
    wire_put(&world, &KIND_LINKED_HUB, &link);
    put_group(PROVISIONING_ENABLED, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    wire_world_done(&world);
    return 0;
}

/* ---- helpers ---- */

static void open_as(struct wire *w, const char *username, const char *client_id)
{
    struct mqtt_connect c = wire_connect_of(username, client_id);

    wire_open(w, &world);
    wire_connect(w, &c);
    wire_expect_connack(w, MQTT_ACCEPTED);
}

static void open_subscribed(struct wire *w)
{
    open_as(w, USER, "dev1");
    wire_subscribe(w, FILTER, 1);
    assert_int_equal(wire_expect_suback(w), 1);
}

/* A response; its payload holds until the next packet. */
static struct span expect_response(struct wire *w, const char *topic)
{
    struct mqtt_packet p = wire_expect(w, MQTT_PUBLISH);

    wire_expect_text(p.publish.topic, topic);
    assert_true(p.publish.payload.len > 0);
    assert_false(p.publish.retain);
    wire_expect_nothing(w);
    return p.publish.payload;
}

/* The operationId of a body, NUL-terminated. */
static const char *operation_id_of(struct span body)
{
    static char id[LIMIT_OPERATION_ID + 1];
    const struct span head = SPAN("{\"operationId\":\"");
    struct span rest;

    assert_true(span_starts_with(body, head));
    rest = span_from(body, head.len);
    rest = span_first(rest, span_find(rest, '"'));
    assert_true(rest.len > 0 && rest.len <= LIMIT_OPERATION_ID);
    memcpy(id, rest.data, rest.len);
    id[rest.len] = '\0';
    return id;
}

/* Registers as rid 1; *ret_topic is the poll of its operation as rid 2. */
static void register_device(struct wire *w, char ret_topic[256])
{
    struct span body;

    wire_publish(w, REGISTER "1", SPAN(""), 1, 5);
    assert_int_equal(wire_expect(w, MQTT_PUBACK).packet_id, 5);
    body = expect_response(w, "$dps/registrations/res/202/?$rid=1&retry-after=1");
    assert_true(wire_contains(body, "\"status\":\"assigning\"}"));
    assert_false(wire_contains(body, "registrationState"));
    (void)snprintf(ret_topic, 256, POLL "2&operationId=%s", operation_id_of(body));
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
};

static const struct connect_case connect_cases[] = {
    { USER, "dev1", MQTT_ACCEPTED },
    { USER "&ClientVersion=x%2F1", "DEV1", MQTT_ACCEPTED },
    { "0ne99999999/registrations/dev1/" WIRE_VERSION, "dev1", MQTT_ACCEPTED },
    { WIRE_SCOPE "/registrations/ü!/" WIRE_VERSION, "ü!", MQTT_ACCEPTED },
    { USER, "dev2", MQTT_BAD_CLIENT_ID },
    { USER, "dev11", MQTT_BAD_CLIENT_ID },
    { WIRE_SCOPE "/registrations/dev1", "dev1", MQTT_BAD_CREDENTIALS },
    { WIRE_SCOPE "/registrations/dev1/", "dev1", MQTT_BAD_CREDENTIALS },
    { WIRE_SCOPE "/registrations/dev1/api-version=", "dev1", MQTT_BAD_CREDENTIALS },
    { WIRE_SCOPE "/registrations/dev1/api-version=1", "dev1", MQTT_BAD_CREDENTIALS },
    { WIRE_SCOPE "/registrations//" WIRE_VERSION, "dev1", MQTT_BAD_CREDENTIALS },
    { "/registrations/dev1/" WIRE_VERSION, "dev1", MQTT_BAD_CREDENTIALS },
};

static void connects(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(connect_cases) / sizeof(connect_cases[0]); i++) {
        const struct connect_case *t = &connect_cases[i];
        struct mqtt_connect c = wire_connect_of(t->username, t->client_id);
        struct wire w;

        wire_open(&w, &world);
        c.clean_session = i % 2 == 0; /* either way there is no session */
        wire_connect(&w, &c);
        wire_expect_connack(&w, t->code);
        assert_int_equal(w.n_notes, t->code == MQTT_ACCEPTED ? 0 : 1);
        if (t->code != MQTT_ACCEPTED) {
            wire_expect_note(&w, "dps-mqtt", "connect", REASON_REQUEST_MALFORMED);
        }
        close_wire(&w);
    }
}

static void names_beyond_any_limit(void **state)
{
    static char user[1024], password[LIMIT_SAS_TOKEN + 2];
    struct mqtt_connect c;
    struct wire w;

    (void)state;
    memset(password, 'p', sizeof(password) - 1);
    (void)snprintf(user, sizeof(user), WIRE_SCOPE "/registrations/%0*d/" WIRE_VERSION, 400, 1);
    c = wire_connect_of(user, "1");
    wire_open(&w, &world);
    wire_connect(&w, &c);
    wire_expect_connack(&w, MQTT_BAD_CREDENTIALS);
    close_wire(&w);

    c = wire_connect_of(USER, "dev1");
    c.password = span_str(password);
    wire_open(&w, &world);
    wire_connect(&w, &c);
    wire_expect_connack(&w, MQTT_BAD_CREDENTIALS);
    close_wire(&w);
}

static void other_protocol_levels(void **state)
{
    struct mqtt_connect c = wire_connect_of(USER, "dev1");
    struct wire w;

    (void)state;
    for (uint8_t level = 3; level <= 5; level += 2) {
        c.level = level;
        wire_open(&w, &world);
        wire_connect(&w, &c);
        wire_expect_connack(&w, MQTT_BAD_PROTOCOL);
        wire_expect_note(&w, "mqtt", "connect", REASON_PROTOCOL_VIOLATION);
        close_wire(&w);
    }
}

static void not_mqtt(void **state)
{
    struct wire w;

    (void)state;
    wire_open(&w, &world);
    buf_add_str(&w.in, "GET / HTTP/1.1\r\n");
    wire_pump(&w);
    assert_true(w.is_closed);
    wire_expect_nothing(&w);
    wire_expect_note(&w, "mqtt", "connect", REASON_PROTOCOL_VIOLATION);
    close_wire(&w);
}

/* ---- SUBSCRIBE ---- */

static void subscriptions(void **state)
{
    static const struct {
        const char *filter;
        uint8_t qos, code;
    } cases[] = {
        { FILTER, 0, 0 },
        { FILTER, 1, 1 },
        { FILTER, 2, 1 },
        { "#", 1, MQTT_SUBACK_FAILURE },
        { "$dps/#", 1, MQTT_SUBACK_FAILURE },
        { "$dps/registrations/res/+", 1, MQTT_SUBACK_FAILURE },
        { "$iothub/twin/res/#", 1, MQTT_SUBACK_FAILURE },
        { "a#", 1, MQTT_SUBACK_FAILURE },
    };
    struct wire w;

    (void)state;
    open_as(&w, USER, "dev1");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        wire_subscribe(&w, cases[i].filter, cases[i].qos);
        assert_int_equal(wire_expect_suback(&w), cases[i].code);
        if (cases[i].code == MQTT_SUBACK_FAILURE) {
            wire_expect_note(&w, "dps-mqtt", "subscribe", REASON_TOPIC_FORBIDDEN);
        }
    }
    assert_false(w.is_closed);
    close_wire(&w);
}

/* ---- registering ---- */

static void registers_and_polls(void **state)
{
    char poll[256];
    struct span body;
    struct wire w;

    (void)state;
    open_subscribed(&w);
    register_device(&w, poll);
    wire_expect_note(&w, "dps-mqtt", "register", REASON_GRANTED);
    assert_int_equal(wire_note(&w)->status, 202);
    wire_publish(&w, poll, SPAN(" not JSON, not looked at"), 1, 6);
    assert_int_equal(wire_expect(&w, MQTT_PUBACK).packet_id, 6);
    body = expect_response(&w, "$dps/registrations/res/200/?$rid=2");
    assert_true(wire_contains(body, "\"status\":\"assigned\",\"registrationState\":{"
                                    "\"registrationId\":\"dev1\""));
    assert_true(wire_contains(body, "\"assignedHub\":\"" WIRE_HUB "\",\"deviceId\":\"dev1\""));
    assert_true(wire_contains(body, "\"substatus\":\"initialAssignment\""));
    assert_true(wire_contains(body, "\"x509\":{\"enrollmentGroupId\":\""));
    assert_false(wire_contains(body, "null"));
    wire_expect_note(&w, "dps-mqtt", "get-operation-status", REASON_GRANTED);
    close_wire(&w);
}

static void responses_follow_the_subscription(void **state)
{
    struct mqtt_packet p;
    struct wire w;

    (void)state;
    open_as(&w, USER, "dev1");
    wire_subscribe(&w, FILTER, 0);
    assert_int_equal(wire_expect_suback(&w), 0);
    wire_publish(&w, REGISTER "a%20b", SPAN("{}"), 0, 0);
    p = wire_expect(&w, MQTT_PUBLISH); /* no PUBACK for QoS 0 */
    wire_expect_text(p.publish.topic, "$dps/registrations/res/202/?$rid=a%20b&retry-after=1");
    assert_int_equal(p.publish.qos, 0);
    wire_subscribe(&w, FILTER, 2);
    assert_int_equal(wire_expect_suback(&w), 1);
    for (uint16_t id = 1; id <= 2; id++) {
        wire_publish(&w, REGISTER "1", SPAN("{}"), 0, 0);
        p = wire_expect(&w, MQTT_PUBLISH);
        assert_int_equal(p.publish.qos, 1);
        assert_int_equal(p.publish.packet_id, id);
    }
    mqtt_codec_encode_puback(0, &w.in); /* C# acknowledges so */
    wire_pump(&w);
    assert_false(w.is_closed);
    close_wire(&w);
}

static void nothing_without_a_subscription(void **state)
{
    /* UNSUBSCRIBE, packet 3, one filter */
    static const uint8_t unsubscribe[] = "\xa2\x1c\x00\x03\x00\x18$dps/registrations/res/#";
    struct wire w;

    (void)state;
    open_as(&w, USER, "dev1");
    wire_publish(&w, REGISTER "1", SPAN(""), 1, 5);
    (void)wire_expect(&w, MQTT_PUBACK);
    wire_expect_nothing(&w);
    wire_subscribe(&w, FILTER, 1);
    (void)wire_expect_suback(&w);
    buf_add(&w.in, span_of(unsubscribe, sizeof(unsubscribe) - 1));
    wire_pump(&w);
    assert_int_equal(wire_expect(&w, MQTT_UNSUBACK).packet_id, 3);
    wire_publish(&w, REGISTER "1", SPAN(""), 1, 6);
    (void)wire_expect(&w, MQTT_PUBACK);
    wire_expect_nothing(&w);
    close_wire(&w);
}

/* ---- refusals ---- */

struct refusal_case {
    const char *scope, *id, *topic, *body;
    bool has_certificate;
    int status;
    enum reason reason;
    const char *code; /* in the body */
};

static const struct refusal_case refusal_cases[] = {
    { "0ne99999999", "dev1", REGISTER "1", "", true, 401, REASON_SCOPE_UNKNOWN, "401002" },
    { WIRE_SCOPE, "dev1", REGISTER "1", "", false, 401, REASON_CLIENT_CERTIFICATE_MISSING,
      "401002" },
    { WIRE_SCOPE, "dev2", REGISTER "1", "", true, 401, REASON_COMMON_NAME_MISMATCH, "401002" },
    { WIRE_SCOPE, "dev!", REGISTER "1", "", true, 400, REASON_REGISTRATION_ID_INVALID, "400004" },
    { WIRE_SCOPE, "dev1", REGISTER "1", "{", true, 400, REASON_BODY_MALFORMED, "400004" },
    { WIRE_SCOPE, "dev1", REGISTER "1", "[]", true, 400, REASON_BODY_MALFORMED, "400004" },
    { WIRE_SCOPE, "dev1", REGISTER "1", "{\"registrationId\":\"dev2\"}", true, 400,
      REASON_FIELD_INVALID, "400004" },
    { WIRE_SCOPE, "dev1", REGISTER "1", "{\"csr\":\"MIIB\"}", true, 400, REASON_FIELD_INVALID,
      "400004" },
    { WIRE_SCOPE, "dev1", POLL "1&operationId=5.x", "", true, 404, REASON_OPERATION_NOT_FOUND,
      "404203" },
    { WIRE_SCOPE, "dev1", POLL "1", "", true, 404, REASON_OPERATION_NOT_FOUND, "404203" },
    { WIRE_SCOPE, "dev1", "$dps/registrations/POST/requestSoftwareUpdates/?$rid=1", "{}", true, 404,
      REASON_ROUTE_NOT_FOUND, "404001" },
};

static void refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusal_cases) / sizeof(refusal_cases[0]); i++) {
        const struct refusal_case *t = &refusal_cases[i];
        char user[256], topic[128], code[64];
        struct span body;
        struct wire w;

        (void)snprintf(user, sizeof(user), "%s/registrations/%s/" WIRE_VERSION, t->scope, t->id);
        (void)snprintf(topic, sizeof(topic), "$dps/registrations/res/%d/?$rid=1", t->status);
        (void)snprintf(code, sizeof(code), "{\"errorCode\":%s,\"trackingId\":\"1111", t->code);
        open_as(&w, user, t->id);
        w.peer.n_chain = t->has_certificate ? 1 : 0;
        wire_subscribe(&w, FILTER, 1);
        (void)wire_expect_suback(&w);
        wire_publish(&w, t->topic, span_str(t->body), 1, 5);
        (void)wire_expect(&w, MQTT_PUBACK);
        body = expect_response(&w, topic);
        assert_int_equal(wire_note(&w)->status, t->status);
        assert_string_equal(reason_info(wire_note(&w)->reason)->token,
                            reason_info(t->reason)->token);
        assert_true(wire_contains(body, code));
        assert_false(w.is_closed); /* a device may try again */
        close_wire(&w);
    }
}

struct latest {
    struct arena arena;
    struct decision_row *rows;
    size_t n;
};

static err read_decisions(struct store_tx *tx, void *arg)
{
    struct latest *l = arg;
    struct store_scan last = { .descending = true, .limit = 1 };

    return store_scan(tx, &KIND_DECISION, &last, &l->arena, &l->rows, &l->n);
}

/* The latest. */
static void expect_decision(enum reason reason)
{
    static uint8_t block[64 * 1024];
    struct latest l = { .n = 0 };

    arena_init(&l.arena, block, sizeof(block));
    assert_true(err_is_ok(store_read(world.store, read_decisions, &l)));
    assert_int_equal(l.n, 1);
    assert_true(span_eq(l.rows[0].reason, span_str(reason_info(reason)->token)));
    assert_true(span_eq(l.rows[0].registration_id, SPAN("dev1")));
}

/* Refused before anything is looked up, and still explained. */
static void unreadable_chain(void **state)
{
    struct wire w;

    (void)state;
    open_subscribed(&w);
    w.peer.n_chain = 0;
    w.peer.has_unreadable_chain = true;
    wire_publish(&w, REGISTER "1", SPAN(""), 0, 0);
    (void)expect_response(&w, "$dps/registrations/res/401/?$rid=1");
    wire_expect_note(&w, "dps-mqtt", "register", REASON_CERTIFICATE_UNREADABLE);
    expect_decision(REASON_CERTIFICATE_UNREADABLE);
    wire_publish(&w, REGISTER "1", SPAN("{"), 0, 0);
    (void)expect_response(&w, "$dps/registrations/res/400/?$rid=1");
    expect_decision(REASON_BODY_MALFORMED);
    close_wire(&w);
}

static unsigned told;

static void hear(struct bus_member *m, unsigned signals)
{
    (void)m;
    told |= signals;
}

/* Whoever still uses the former certificate at the hub is cut off. */
static void another_leaf_cuts_off_the_former(void **state)
{
    struct bus_member member = { .hub = SPAN(WIRE_HUB), .client_id = SPAN("dev1"), .tell = hear };
    struct crypto_cert *other = wire_issue(&world, "dev1");
    struct crypto_cert *const leaves[] = { world.leaf, world.leaf, other };
    struct wire w;
    char poll[256];

    (void)state;
    told = 0;
    bus_join(world.bus, &member);
    bus_claim(world.bus, &member);
    for (size_t i = 0; i < sizeof(leaves) / sizeof(*leaves); i++) {
        struct crypto_cert *chain[1] = { leaves[i] };

        assert_int_equal(told, 0);
        open_subscribed(&w);
        w.peer.chain = chain;
        register_device(&w, poll);
        close_wire(&w);
    }
    assert_int_equal(told, BUS_CUT_OFF);
    bus_leave(world.bus, &member);
    crypto_x509_free(other);
}

static void too_large_a_body(void **state)
{
    static uint8_t body[2 * LIMIT_DPS_BODY];
    struct wire w;

    (void)state;
    memset(body, ' ', sizeof(body));
    open_subscribed(&w);
    wire_publish(&w, REGISTER "1", span_of(body, LIMIT_DPS_BODY + 1), 0, 0);
    (void)expect_response(&w, "$dps/registrations/res/413/?$rid=1");
    wire_publish(&w, REGISTER "1", span_of(body, sizeof(body)), 0, 0); /* even the packet is */
    assert_true(w.is_closed);
    wire_expect_note(&w, "dps-mqtt", "close", REASON_PROTOCOL_VIOLATION);
    close_wire(&w);
}

static void throttled(void **state)
{
    struct span body;
    struct wire w;

    (void)state;
    open_subscribed(&w);
    w.is_full = true;
    wire_publish(&w, REGISTER "1", SPAN(""), 1, 5);
    (void)wire_expect(&w, MQTT_PUBACK);
    body = expect_response(&w, "$dps/registrations/res/429/?$rid=1&retry-after=7");
    assert_true(wire_contains(body, "{\"errorCode\":429001,"));
    wire_expect_note(&w, "dps-mqtt", "register", REASON_THROTTLED);
    assert_false(w.is_closed);
    close_wire(&w);
}

static void fault(void **state)
{
    struct span body;
    struct wire w;

    (void)state;
    open_subscribed(&w);
    w.arena_size = 4096; /* too little to decide in */
    wire_publish(&w, REGISTER "1", SPAN(""), 1, 5);
    (void)wire_expect(&w, MQTT_PUBACK);
    body = expect_response(&w, "$dps/registrations/res/500/?$rid=1");
    assert_true(wire_contains(body, "{\"errorCode\":500001,"));
    wire_expect_note(&w, "dps-mqtt", "register", REASON_INTERNAL);
    assert_non_null(wire_note(&w)->fault);
    close_wire(&w);
}

static void disabled_enrollment(void **state)
{
    struct span body;
    struct wire w;

    (void)state;
    put_group(PROVISIONING_DISABLED, "*");
    open_subscribed(&w);
    wire_publish(&w, REGISTER "1", SPAN(""), 0, 0);
    body = expect_response(&w, "$dps/registrations/res/200/?$rid=1");
    assert_true(wire_contains(body, "{\"operationId\":\"\",\"status\":\"disabled\","
                                    "\"registrationState\":{\"registrationId\":\"dev1\""));
    assert_false(wire_contains(body, "assignedHub"));
    wire_expect_note(&w, "dps-mqtt", "register", REASON_ENROLLMENT_DISABLED);
    close_wire(&w);
    put_group(PROVISIONING_ENABLED, "*");
}

static void no_hub_to_go_to(void **state)
{
    struct linked_hub link = { .id_scope = SPAN(WIRE_SCOPE),
                               .host_name = SPAN(WIRE_HUB),
                               .weight = 1,
                               .apply_allocation_policy = 0 };
    char poll[256];
    struct span body;
    struct wire w;

    (void)state;
    wire_put(&world, &KIND_LINKED_HUB, &link);
    open_subscribed(&w);
    register_device(&w, poll);
    wire_expect_note(&w, "dps-mqtt", "register", REASON_HUB_NOT_FOUND);
    wire_publish(&w, poll, SPAN(" "), 0, 0);
    body = expect_response(&w, "$dps/registrations/res/200/?$rid=2");
    assert_true(wire_contains(body, "\"status\":\"failed\",\"registrationState\""));
    assert_true(wire_contains(body, "\"errorCode\":401001,\"errorMessage\":\"IoTHub not found.\""));
    close_wire(&w);
    link.apply_allocation_policy = 1;
    wire_put(&world, &KIND_LINKED_HUB, &link);
}

/* ---- what ends a connection ---- */

static void forbidden_topics(void **state)
{
    static const char *const topics[] = {
        "$dps/registrations/PUT/iotdps-register/",
        "$dps/registrations/PUT/iotdps-register/?$rid=",
        "$dps/registrations/PUT/iotdps-register?$rid=1",
        "$iothub/twin/GET/?$rid=1",
        "devices/dev1/messages/events/",
        "x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
        struct wire w;

        open_subscribed(&w);
        wire_publish(&w, topics[i], SPAN(""), 1, 5);
        assert_true(w.is_closed);
        wire_expect_nothing(&w);
        wire_expect_note(&w, "dps-mqtt", "close", REASON_TOPIC_FORBIDDEN);
        close_wire(&w);
    }
}

static void qos_2_ends_it(void **state)
{
    struct wire w;

    (void)state;
    open_subscribed(&w);
    wire_publish(&w, REGISTER "1", SPAN(""), 2, 5);
    assert_true(w.is_closed);
    wire_expect_nothing(&w);
    wire_expect_note(&w, "dps-mqtt", "close", REASON_PROTOCOL_VIOLATION);
    close_wire(&w);
}

static void ping_and_disconnect(void **state)
{
    struct wire w;

    (void)state;
    open_as(&w, USER, "dev1");
    mqtt_codec_encode_pingreq(&w.in);
    mqtt_codec_encode_pingreq(&w.in);
    wire_pump(&w);
    (void)wire_expect(&w, MQTT_PINGRESP);
    (void)wire_expect(&w, MQTT_PINGRESP);
    mqtt_codec_encode_disconnect(&w.in);
    wire_pump(&w);
    assert_true(w.is_closed);
    assert_int_equal(w.n_notes, 0);
    close_wire(&w);
}

static void keep_alive(void **state)
{
    static const struct {
        uint16_t keep_alive_s;
        int64_t within_ms;
    } cases[] = { { 0, INT64_MAX }, { 30, 45000 }, { 1740, 2610000 }, { 65535, 98302500 } };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mqtt_connect c = wire_connect_of(USER, "dev1");
        int64_t expected = cases[i].within_ms;
        struct surface_io io;
        struct wire w;

        c.keep_alive_s = cases[i].keep_alive_s;
        wire_open(&w, &world);
        assert_int_equal(API_MQTT_SURFACE.deadline(w.surface), w.now_ms + LIMIT_MQTT_CONNECT_MS);
        wire_connect(&w, &c);
        expected = expected == INT64_MAX ? expected : w.now_ms + expected;
        assert_int_equal(API_MQTT_SURFACE.deadline(w.surface), expected);
        if (expected != INT64_MAX) {
            w.now_ms = expected - 1;
            io = wire_io(&w);
            assert_int_equal(API_MQTT_SURFACE.on_deadline(w.surface, &io), SURFACE_IDLE);
            w.now_ms = expected;
            io = wire_io(&w);
            assert_int_equal(API_MQTT_SURFACE.on_deadline(w.surface, &io), SURFACE_CLOSE);
            wire_expect_note(&w, "dps-mqtt", "close", REASON_PROTOCOL_VIOLATION);
        }
        close_wire(&w);
    }
}

/* Bytes come one by one; several packets come at once. */
static void any_pieces(void **state)
{
    struct mqtt_connect c = wire_connect_of(USER, "dev1");
    struct mqtt_publish p = { .topic = SPAN(REGISTER "1"), .qos = 1, .packet_id = 5 };
    static uint8_t bytes[4096];
    struct buf all = buf_over(bytes, sizeof(bytes));
    struct wire w;

    (void)state;
    mqtt_codec_encode_connect(&c, &all);
    mqtt_codec_encode_subscribe(10, SPAN(FILTER), 1, &all);
    mqtt_codec_encode_publish(&p, &all);
    mqtt_codec_encode_pingreq(&all);
    for (size_t piece = 1; piece <= all.len; piece += all.len - 1) {
        wire_open(&w, &world);
        for (size_t at = 0; at < all.len; at += piece) {
            buf_add(&w.in, span_first(span_from(buf_span(&all), at), piece));
            wire_pump(&w);
        }
        (void)wire_expect(&w, MQTT_CONNACK);
        (void)wire_expect_suback(&w);
        (void)wire_expect(&w, MQTT_PUBACK);
        (void)wire_expect(&w, MQTT_PUBLISH);
        (void)wire_expect(&w, MQTT_PINGRESP);
        wire_expect_nothing(&w);
        close_wire(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects),
        cmocka_unit_test(names_beyond_any_limit),
        cmocka_unit_test(other_protocol_levels),
        cmocka_unit_test(not_mqtt),
        cmocka_unit_test(subscriptions),
        cmocka_unit_test(registers_and_polls),
        cmocka_unit_test(responses_follow_the_subscription),
        cmocka_unit_test(nothing_without_a_subscription),
        cmocka_unit_test(refusals),
        cmocka_unit_test(unreadable_chain),
        cmocka_unit_test(another_leaf_cuts_off_the_former),
        cmocka_unit_test(too_large_a_body),
        cmocka_unit_test(throttled),
        cmocka_unit_test(fault),
        cmocka_unit_test(disabled_enrollment),
        cmocka_unit_test(no_hub_to_go_to),
        cmocka_unit_test(forbidden_topics),
        cmocka_unit_test(qos_2_ends_it),
        cmocka_unit_test(ping_and_disconnect),
        cmocka_unit_test(keep_alive),
        cmocka_unit_test(any_pieces),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
