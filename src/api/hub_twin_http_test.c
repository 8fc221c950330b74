/* api/hub_twin_http_test.c: twins for the back end over the wire: their shape, conditions, limits.
 */
#include "api/http_wire_test.h"

#define V    "?api-version=2021-04-12"
#define TWIN "/twins/d1" V

static err put_device(struct store_tx *tx, void *arg)
{
    return store_put(tx, &KIND_DEVICE, arg);
}

static int set_up(void **state)
{
    struct device d = { .hub = SPAN(WIRE_HUB_HOST),
                        .device_id = SPAN("d1"),
                        .generation_id = SPAN("1"),
                        .etag = 7,
                        .status = DEVICE_ENABLED,
                        .auth = DEVICE_AUTH_SELF_SIGNED,
                        .primary_thumbprint = SPAN("AABB"),
                        .version = 2,
                        .desired_version = 1,
                        .reported_version = 1,
                        .twin_etag = 1,
                        .created_ms = 1750000000000 };

    (void)state;
    wire_open(&w);
    assert_true(err_is_ok(store_write(w.service.store, put_device, &d)));
    return 0;
}

static struct wire_reply ask(const char *method, const char *if_match, const char *body)
{
    char header[128] = "";

    if (if_match != NULL) {
        (void)snprintf(header, sizeof(header), "If-Match: %s\r\n", if_match);
    }
    return wire_ask_by(&w, POLICY_OF_HUB, "service", method, TWIN, header, body);
}

static void a_fresh_twin_as_the_real_hub_prints_it(void **state)
{
    struct wire_reply r = ask("GET", NULL, "");

    (void)state;
    assert_int_equal(r.status, 200);
    assert_string_equal(
        r.body,
        "{\"deviceId\":\"d1\",\"etag\":\"AAAAAAAAAAE=\",\"deviceEtag\":\"Nw==\","
        "\"status\":\"enabled\",\"statusUpdateTime\":\"0001-01-01T00:00:00Z\","
        "\"connectionState\":\"Disconnected\",\"lastActivityTime\":\"0001-01-01T00:00:00Z\","
        "\"cloudToDeviceMessageCount\":0,\"authenticationType\":\"selfSigned\","
        "\"x509Thumbprint\":{\"primaryThumbprint\":\"AABB\",\"secondaryThumbprint\":null},"
        "\"modelId\":\"\",\"version\":2,\"properties\":{\"desired\":{\"$metadata\":"
        "{\"$lastUpdated\":\"2025-06-15T15:06:40.0000000Z\"},\"$version\":1},\"reported\":"
        "{\"$metadata\":{\"$lastUpdated\":\"2025-06-15T15:06:40.0000000Z\"},\"$version\":1}},"
        "\"capabilities\":{\"iotEdge\":false}}");
    assert_string_equal(wire_header(&r, "ETag"), "\"AAAAAAAAAAE=\"");
}

static void changes(void **state)
{
    struct wire_reply r = ask("PATCH", NULL,
                              "{\"tags\":{\"room\":\"kitchen\"},\"properties\":{\"desired\":"
                              "{\"a\":{\"b\":1},\"$version\":9},\"reported\":{\"no\":1}},\"x\":1}");

    (void)state;
    assert_int_equal(r.status, 200);
    assert_has(&r, "\"version\":3,\"tags\":{\"room\":\"kitchen\"},\"properties\":{\"desired\":"
                   "{\"a\":{\"b\":1},\"$metadata\":{\"$lastUpdated\":\"");
    assert_has(&r, "\"$lastUpdatedVersion\":2,\"a\":{\"$lastUpdated\":\"");
    assert_has(&r, "\"$version\":2},\"reported\":{\"$metadata\"");
    assert_string_equal(wire_header(&r, "ETag"), "\"AAAAAAAAAAI=\"");
    /* A section that is null is as if it were not named. */
    r = ask("PATCH", NULL, "{\"tags\":null,\"properties\":{\"desired\":null}}");
    assert_int_equal(r.status, 200);
    assert_has(&r, "\"version\":3,\"tags\":{\"room\":\"kitchen\"}");
    r = ask("PATCH", NULL, "{\"properties\":null}");
    assert_int_equal(r.status, 200);
    r = ask("PUT", NULL, "{\"properties\":{\"desired\":{\"c\":1}}}");
    assert_int_equal(r.status, 200);
    assert_has(&r, "\"version\":4,\"properties\":{\"desired\":{\"c\":1,\"$metadata\"");
    assert_has(&r, "\"$version\":3},\"reported\"");
}

static void conditions(void **state)
{
    static const struct {
        const char *if_match;
        int status;
    } cases[] = {
        { NULL, 200 },           { "*", 200 },
        { "\"*\"", 200 },        { "\"AAAAAAAAAAQ=\"", 200 },
        { "AAAAAAAAAAU=", 200 }, { "\"AAAAAAAAAAU=\"", 412 },
        { "AAAAAAAAAAA=", 412 }, { "\"nonsense\"", 412 },
        { "\"\"", 412 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_reply r = ask(i % 2 ? "PUT" : "PATCH", cases[i].if_match, "{\"tags\":{}}");

        if (r.status != cases[i].status) {
            fail_msg("If-Match: %s: %d", cases[i].if_match, r.status);
        }
        if (r.status == 412) {
            assert_string_equal(wire_header(&r, "iothub-errorcode"), "PreconditionFailed");
        }
    }
}

static void conditions_of_what_is_not_there(void **state)
{
    static const char *const headers[] = { "", "If-Match: *\r\n", "If-Match: \"nonsense\"\r\n",
                                           "If-Match: \"AAAAAAAAAAE=\"\r\n" };

    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        struct wire_reply r = wire_ask_by(&w, POLICY_OF_HUB, "service", i % 2 ? "PUT" : "PATCH",
                                          "/twins/d9" V, headers[i], "{}");

        assert_int_equal(r.status, 404);
        assert_string_equal(wire_header(&r, "iothub-errorcode"), "DeviceNotFound");
    }
}

static void refusals(void **state)
{
    static const struct {
        const char *body;
        const char *part;
    } cases[] = {
        { "", "" },
        { "[]", "" },
        { "{\"tags\":1}", "tags is not a JSON object." },
        { "{\"properties\":[]}", "properties is not a JSON object." },
        { "{\"properties\":{\"desired\":\"x\"}}", "properties.desired is not a JSON object." },
        { "{\"tags\":{\"a.b\":1}}", "'a.b' is not a name" },
        { "{\"properties\":{\"desired\":{\"a\":[null]}}}", "array with a null" },
        { "{\"properties\":{\"desired\":{\"a\":4503599627370496}}}", "beyond" },
    };
    struct wire_reply r;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        r = ask(i % 2 ? "PUT" : "PATCH", NULL, cases[i].body);
        if (r.status != 400) {
            fail_msg("%s: %d", cases[i].body, r.status);
        }
        assert_has(&r, cases[i].part);
        if (i > 1) {
            assert_string_equal(wire_header(&r, "iothub-errorcode"), "ArgumentInvalid");
        }
    }
    r = wire_ask_by(&w, POLICY_OF_HUB, "service", "GET", "/twins/nobody" V, "", "");
    assert_int_equal(r.status, 404);
    assert_string_equal(wire_header(&r, "iothub-errorcode"), "DeviceNotFound");
    assert_int_equal(strncmp(r.body, "{\"Message\":\"ErrorCode:DeviceNotFound;", 36), 0);
    r = wire_ask_by(&w, POLICY_OF_HUB, "registryReadWrite", "GET", TWIN, "", "");
    assert_int_equal(r.status, 401);
    r = wire_ask_by(&w, POLICY_OF_HUB, "registryReadWrite", "PATCH", TWIN, "", "{\"tags\":{}}");
    assert_int_equal(r.status, 401);
    assert_string_equal(wire_header(&r, "iothub-errorcode"), "IotHubUnauthorizedAccess");
    r = ask("GET", NULL, "");
    assert_has(&r, "\"version\":2,");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_fresh_twin_as_the_real_hub_prints_it, set_up,
                                        wire_tear_down),
        cmocka_unit_test_setup_teardown(changes, set_up, wire_tear_down),
        cmocka_unit_test_setup_teardown(conditions, set_up, wire_tear_down),
        cmocka_unit_test_setup_teardown(conditions_of_what_is_not_there, set_up, wire_tear_down),
        cmocka_unit_test_setup_teardown(refusals, set_up, wire_tear_down),
    };

    return cmocka_run_group_tests_name("api/hub_twin_http", tests, NULL, NULL);
}
