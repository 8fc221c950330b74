/* api/hub_telemetry_http_test.c: devices and modules at the hub's door over HTTPS, and what they
 * send: who is let in and how the others are told, single messages, batches. */
#include "api/http_wire_test.h"
#include "hub/identity.h"
#include "util/hex.h"

#define V "?api-version=2021-04-12"

static const struct span one = SPAN_INIT("one-one-one-one-one"),
                         two = SPAN_INIT("two-two-two-two-two");
static err put(struct store_tx *tx, void *arg)
{
    return hub_identity_put(tx, arg);
}

static void put_identity(const char *client_id, enum device_auth auth, const char *thumbprint,
                         enum device_status status)
{
    bool is_sas = auth == DEVICE_AUTH_SAS;
    struct device d = { .hub = SPAN(WIRE_HUB_HOST),
                        .device_id = span_str(client_id),
                        .generation_id = SPAN("638000000000000000"),
                        .etag = 1,
                        .status = status,
                        .auth = auth,
                        .primary_thumbprint = span_str(thumbprint),
                        .secondary_thumbprint = span_str(thumbprint),
                        .primary_key = is_sas ? one : SPAN_NONE,
                        .secondary_key = is_sas ? two : SPAN_NONE };

    arena_reset(&w.arena);
    assert_true(err_is_ok(store_write(w.service.store, put, &d)));
}

static int set_up(void **state)
{
    (void)state;
    wire_open(&w);
    put_identity("d1", DEVICE_AUTH_SAS, NULL, DEVICE_ENABLED);
    put_identity("d1/m1", DEVICE_AUTH_SAS, NULL, DEVICE_ENABLED);
    put_identity("off", DEVICE_AUTH_SAS, NULL, DEVICE_DISABLED);
    put_identity("off/m1", DEVICE_AUTH_SAS, NULL, DEVICE_ENABLED);
    put_identity("gone/m1", DEVICE_AUTH_SAS, NULL, DEVICE_ENABLED);
    return 0;
}

/* resource NULL: without a header. */
static struct wire_reply ask(const char *resource, struct span key, const char *target,
                             const char *headers, const char *body)
{
    char all[4096];
    struct buf token;

    arena_reset(&w.arena);
    token = arena_buf(&w.arena);
    if (resource != NULL) {
        buf_add_str(&token, "Authorization: ");
        assert_true(err_is_ok(sas_make(w.crypto, span_str(resource), key, SPAN_NONE,
                                       w.now_ms / 1000 + 3600, &token)));
        buf_add_str(&token, "\r\n");
    }
    (void)snprintf(all, sizeof(all), "%s%s", buf_cstr(&token), headers);
    return wire_ask_host(&w, WIRE_HUB_HOST, "POST", target, all, body);
}

static size_t kept(struct sink_event **ret_events)
{
    struct sink_query q = { .hub = SPAN(WIRE_HUB_HOST), .max_events = 4096, .max_bytes = 1 << 30 };
    struct sink_reading r;

    arena_reset(&w.arena);
    assert_true(err_is_ok(sink_read(w.service.sink, &q, &w.arena, &r)));
    *ret_events = r.events;
    return r.n;
}

static err count_decisions(struct store_tx *tx, void *arg)
{
    struct store_scan scan = { 0 };

    return store_count(tx, &KIND_DECISION, &scan, arg);
}

#define D1  WIRE_HUB_HOST "/devices/d1"
#define OFF WIRE_HUB_HOST "/devices/off"

static void test_who_may_send(void **state)
{
    static const struct {
        const char *resource;
        const struct span *key;
        const char *target;
        int status;
        enum reason reason;
    } cases[] = {
        { D1, &one, "/devices/d1/messages/events" V, 204, REASON_GRANTED },
        { D1, &two, "/Devices/d1/Messages/Events" V, 204, REASON_GRANTED },
        { WIRE_HUB_HOST, &one, "/devices/d1/messages/events" V, 204, REASON_GRANTED },
        { "HUB.localhost/devices/d1", &one, "/devices/%641/messages/events" V, 204,
          REASON_GRANTED },
        { D1 "/modules/m1", &one, "/devices/d1/modules/m1/messages/events" V, 204, REASON_GRANTED },
        { D1, &two, "/devices/d1/modules/m1/messages/events" V, 204, REASON_GRANTED },
        { NULL, NULL, "/devices/d1/messages/events" V, 401, REASON_CLIENT_CERTIFICATE_MISSING },
        { D1, &one, "/devices/d1/messages/events", 400, REASON_API_VERSION_MISSING },
        { D1, &one, "/devices/D1/messages/events" V, 404, REASON_DEVICE_NOT_FOUND },
        { D1 "/modules/m1", &one, "/devices/d1/messages/events" V, 401, REASON_TOKEN_SCOPE },
        { D1 "/modules/m2", &one, "/devices/d1/modules/m1/messages/events" V, 401,
          REASON_TOKEN_SCOPE },
        { WIRE_HUB_HOST "/devices/D1/modules/m1", &one, "/devices/d1/modules/m1/messages/events" V,
          401, REASON_TOKEN_SCOPE },
        { D1 "/modules/M1", &one, "/devices/d1/modules/m1/messages/events" V, 401,
          REASON_TOKEN_SCOPE },
        { D1, &one, "/devices/d1/modules/m2/messages/events" V, 404, REASON_MODULE_NOT_FOUND },
        { OFF, &one, "/devices/off/messages/events" V, 401, REASON_DEVICE_DISABLED },
        { OFF "/modules/m1", &one, "/devices/off/modules/m1/messages/events" V, 401,
          REASON_DEVICE_DISABLED },
        { WIRE_HUB_HOST, &one, "/devices/gone/modules/m1/messages/events" V, 404,
          REASON_MODULE_NOT_FOUND },
        { D1, &one, "/devices/d1%2Fm1/messages/events" V, 400, REASON_FIELD_INVALID },
    };
    struct sink_event *events;
    size_t sent = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_reply r;
        int64_t records = 0, after = 0;
        bool is_at_door = cases[i].reason != REASON_GRANTED &&
                          cases[i].reason != REASON_API_VERSION_MISSING &&
                          cases[i].reason != REASON_FIELD_INVALID;

        assert_true(err_is_ok(store_read(w.service.store, count_decisions, &records)));
        print_message("%s %s\n", cases[i].resource, cases[i].target);
        r = ask(cases[i].resource, cases[i].key ? *cases[i].key : one, cases[i].target, "", "x");
        assert_int_equal(r.status, cases[i].status);
        assert_string_equal(reason_info(w.task_note.reason)->token,
                            reason_info(cases[i].reason)->token);
        assert_true((wire_header(&r, "iothub-errorcode") != NULL) == (cases[i].status != 204));
        sent += cases[i].status == 204;
        /* One tracking ID for all in this fixture: records replace each other. */
        assert_true(err_is_ok(store_read(w.service.store, count_decisions, &after)));
        assert_int_equal(after, records > 0 || is_at_door);
    }
    assert_int_equal(kept(&events), sent);
}

static void test_who_may_send_by_policy(void **state)
{
    const char *target = "/devices/d1/messages/events" V;

    (void)state;
    assert_int_equal(wire_ask_by(&w, POLICY_OF_HUB, "device", "POST", target, "", "x").status, 204);
    assert_int_equal(wire_ask_by(&w, POLICY_OF_HUB, "service", "POST", target, "", "x").status,
                     401);
    assert_int_equal(w.task_note.reason, REASON_RIGHT_MISSING);
}

static void test_who_may_send_by_certificate(void **state)
{
    struct crypto_cert_spec spec = { .common_name = "c1",
                                     .not_before_ms = w.now_ms - 1000,
                                     .not_after_ms = w.now_ms + 1000,
                                     .path_len = -1,
                                     .serial = { 1 } };
    struct crypto_key *key;
    struct crypto_cert *leaf, *chain[1];
    uint8_t digest[CRYPTO_SHA256_LEN];
    char text[2 * CRYPTO_SHA256_LEN + 1];
    struct buf hex = buf_over(text, sizeof(text));
    struct sink_event *events;

    (void)state;
    assert_true(err_is_ok(crypto_key_generate(w.crypto, CRYPTO_KEY_EC_P256, &key)));
    assert_true(err_is_ok(crypto_key_issue(w.crypto, &spec, key, NULL, key, &leaf)));
    assert_true(err_is_ok(crypto_x509_sha256(leaf, digest)));
    hex_encode_upper(span_of(digest, sizeof(digest)), &hex);
    put_identity("c1", DEVICE_AUTH_SELF_SIGNED, buf_cstr(&hex), DEVICE_ENABLED);
    put_identity("c2", DEVICE_AUTH_SELF_SIGNED, "00", DEVICE_ENABLED);
    chain[0] = leaf;
    w.peer.chain = chain;
    w.peer.n_chain = 1;
    assert_int_equal(ask(NULL, one, "/devices/c1/messages/events" V, "", "x").status, 204);
    assert_int_equal(kept(&events), 1);
    assert_non_null(strstr((const char *)events[0].properties.data, "\\\"type\\\":\\\"x509\\\""));
    assert_int_equal(ask(NULL, one, "/devices/c2/messages/events" V, "", "x").status, 401);
    assert_int_equal(w.task_note.reason, REASON_THUMBPRINT_MISMATCH);
    /* A token counts before the certificate where the identity has keys. */
    assert_int_equal(ask(D1, one, "/devices/d1/messages/events" V, "", "x").status, 204);
    w.peer.n_chain = 0;
    crypto_x509_free(leaf);
    crypto_key_free(key);
}

/* A call over HTTPS leaves what the device subscribed to as it is. */
static err put_session(struct store_tx *tx, void *arg)
{
    return store_put(tx, &KIND_SESSION, arg);
}

static err find_session(struct store_tx *tx, void *arg)
{
    struct session s = { .hub = SPAN(WIRE_HUB_HOST), .client_id = SPAN("d1") };

    return store_find(tx, &KIND_SESSION, &s, &w.arena, &s, (bool *)arg);
}

static void test_sessions_are_left_alone(void **state)
{
    struct session s = { .hub = SPAN(WIRE_HUB_HOST),
                         .client_id = SPAN("d1"),
                         .generation_id = SPAN("another"),
                         .filters = SPAN("x") };
    bool is_there = false;

    (void)state;
    assert_true(err_is_ok(store_write(w.service.store, put_session, &s)));
    assert_int_equal(ask(D1, one, "/devices/d1/messages/events" V, "", "x").status, 204);
    assert_true(err_is_ok(store_read(w.service.store, find_session, &is_there)));
    assert_true(is_there);
}

static void test_a_message(void **state)
{
    struct sink_event *events;
    struct wire_reply r;

    (void)state;
    r = ask(D1 "/modules/m1", two, "/devices/d1/modules/m1/messages/events" V,
            "Content-Type: text/plain\r\nIoTHub-MessageId: m 1\r\niothub-correlationid: c\r\n"
            "iothub-userid: u\r\niothub-to: /x\r\niothub-contenttype: application/json\r\n"
            "iothub-contentencoding: utf-8\r\niothub-creation-time-utc: 2026-01-01\r\n"
            "iothub-interface-id: urn:i\r\niothub-expiry: e\r\ndt-subject: comp\r\n"
            "iothub-app-Key+%20: v+%20\r\nIOTHUB-APP-b: \r\niothub-app-: none\r\nX-Other: o\r\n"
            "iothub-app-iothub-connection-device-id: forged\r\niothub-app-$.cdid: forged\r\n",
            "{\"t\":1}");
    assert_int_equal(r.status, 204);
    assert_null(wire_header(&r, "Content-Length"));
    assert_true(w.task_note.quiet);
    assert_int_equal(kept(&events), 1);
    assert_true(span_eq(events[0].device_id, SPAN("d1")));
    assert_true(span_eq(events[0].body, SPAN("{\"t\":1}")));
    assert_true(span_eq(
        events[0].properties,
        SPAN("{\"system\":{\"message-id\":\"m 1\",\"correlation-id\":\"c\",\"user-id\":\"u\","
             "\"to\":\"/x\",\"content-type\":\"application/json\",\"content-encoding\":\"utf-8\","
             "\"iothub-creation-time-utc\":\"2026-01-01\",\"iothub-interface-id\":\"urn:i\","
             "\"absolute-expiry-time\":\"e\",\"dt-subject\":\"comp\","
             "\"iothub-connection-device-id\":\"d1\",\"iothub-connection-module-id\":\"m1\","
             "\"iothub-connection-auth-method\":\"{\\\"scope\\\":\\\"module\\\",\\\"type\\\":"
             "\\\"sas\\\",\\\"issuer\\\":\\\"iothub\\\",\\\"acceptingIpFilterRule\\\":null}\","
             "\"iothub-connection-auth-generation-id\":\"638000000000000000\","
             "\"iothub-enqueuedtime\":\"2030-03-17T17:46:40.0000000Z\","
             "\"iothub-message-source\":\"Telemetry\"},\"application\":{\"Key+%20\":\"v+%20\","
             "\"b\":\"\"}}")));
    assert_int_equal(atomic_load(&w.metrics.telemetry_events), 1);
    r = ask(D1, one, "/devices/d1/messages/events" V, "", ""); /* an empty one is one */
    assert_int_equal(r.status, 204);
    assert_int_equal(kept(&events), 2);
}

#define BATCH "Content-Type: application/vnd.microsoft.iothub.json; charset=utf-8\r\n"

static void test_batches(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *kept; /* bodies, joined */
        const char *says;
    } cases[] = {
        { "[{\"body\":\"aGk=\",\"properties\":{\"iothub-app-k\":\"v\",\"other\":\"o\"}},"
          "{\"body\":\"text\",\"base64Encoded\":false},{\"body\":\"\",\"properties\":null}]",
          204, "hi|text||", NULL },
        { "[{\"body\":\"aGk=\",\"base64Encoded\":true}]", 204, "hi|", NULL },
        { "[]", 400, "", "A batch is an array of messages." },
        { "{\"body\":\"aGk=\"}", 400, "", "A batch is an array of messages." },
        { "", 400, "", "ErrorCode:" },
        { "[{\"body\":\"aGk=\"},", 400, "", "ErrorCode:" },
        { "[{\"body\":\"aGk=\"},7]", 400, "", "Message 1: it is no object." },
        { "[{\"body\":\"aGk=\"},{}]", 400, "", "Message 1: body is missing." },
        { "[{\"body\":7}]", 400, "", "Message 0: " },
        { "[{\"body\":\"?\"}]", 400, "", "Message 0: body is not base64." },
        { "[{\"body\":\"\",\"base64Encoded\":1}]", 400, "", "Message 0: " },
        { "[{\"body\":\"\",\"properties\":[]}]", 400, "", "properties is no object." },
        { "[{\"body\":\"\",\"properties\":{\"iothub-app-a\":1}}]", 400, "",
          "a property is no text." },
    };
    struct sink_event *events;
    size_t before = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_reply r = ask(D1, one, "/devices/d1/messages/events" V, BATCH, cases[i].body);
        char bodies[256] = "";
        size_t n;

        print_message("%s\n", cases[i].body);
        assert_int_equal(r.status, cases[i].status);
        if (cases[i].says != NULL) {
            assert_has(&r, cases[i].says);
        }
        n = kept(&events);
        for (size_t k = before; k < n; k++) {
            (void)snprintf(bodies + strlen(bodies), sizeof(bodies) - strlen(bodies), "%.*s|",
                           SPAN_FMT(events[k].body));
        }
        assert_string_equal(bodies, cases[i].kept);
        before = n;
    }
    assert_non_null(
        strstr((const char *)events[0].properties.data, "\"application\":{\"k\":\"v\"}"));
}

/* `n` messages of an empty body. */
static int batch_of(size_t n)
{
    static const char element[] = "{\"body\":\"\"},";
    char *text = calloc(n + 1, sizeof(element));
    int status;

    assert_non_null(text);
    text[0] = '[';
    for (size_t i = 0; i < n; i++) {
        memcpy(text + 1 + i * (sizeof(element) - 1), element, sizeof(element) - 1);
    }
    text[n * (sizeof(element) - 1)] = ']';
    status = ask(D1, one, "/devices/d1/messages/events" V, BATCH, text).status;
    free(text);
    return status;
}

static void test_sizes(void **state)
{
    struct sink_event *events;
    char *text = malloc(LIMIT_TELEMETRY_MESSAGE + 2);
    struct wire_reply r;

    (void)state;
    assert_int_equal(batch_of(LIMIT_BATCH_MESSAGES), 204);
    assert_int_equal(batch_of(LIMIT_BATCH_MESSAGES + 1), 413);
    assert_int_equal(kept(&events), LIMIT_BATCH_MESSAGES);
    assert_non_null(text);
    memset(text, 'x', LIMIT_TELEMETRY_MESSAGE + 1);
    text[LIMIT_TELEMETRY_MESSAGE + 1] = '\0';
    r = ask(D1, one, "/devices/d1/messages/events" V, "", text);
    assert_int_equal(r.status, 413);
    assert_string_equal(wire_header(&r, "iothub-errorcode"), "MessageTooLarge");
    text[LIMIT_TELEMETRY_MESSAGE] = '\0';
    assert_int_equal(ask(D1, one, "/devices/d1/messages/events" V, "", text).status, 204);
    assert_int_equal(
        ask(D1, one, "/devices/d1/messages/events" V, "iothub-app-k: v\r\n", text).status, 413);
    free(text);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, wire_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_who_may_send),
        CASE(test_who_may_send_by_policy),
        CASE(test_who_may_send_by_certificate),
        CASE(test_sessions_are_left_alone),
        CASE(test_a_message),
        CASE(test_batches),
        CASE(test_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
