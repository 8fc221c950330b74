/* api/hub_bulk_http_test.c: several identities in one request, over the wire. */
#include "api/http_wire_test.h"
#include "hub/twin.h"

#define V    "?api-version=2021-04-12"
#define GOOD "{\"isSuccessful\":true,\"errors\":[],\"warnings\":[]}"

static struct wire_reply ask(const char *method, const char *target, const char *body)
{
    return wire_ask_as(&w, POLICY_OF_HUB, method, target, "", body);
}

static void good(const char *items)
{
    struct wire_reply r = ask("POST", "/devices" V, items);

    assert_string_equal(r.body, GOOD);
    assert_int_equal(r.status, 200);
    assert_string_equal(wire_header(&r, "Content-Type"), "application/json; charset=utf-8");
}

static struct wire_reply bad(const char *items)
{
    struct wire_reply r = ask("POST", "/devices" V, items);

    assert_int_equal(r.status, 400);
    assert_string_equal(wire_header(&r, "iothub-errorcode"), "BulkRegistryOperationFailure");
    assert_string_equal(wire_header(&r, "Content-Type"), "application/json; charset=utf-8");
    assert_int_equal(strncmp(r.body, "{\"isSuccessful\":false,\"errors\":[", 32), 0);
    assert_has(&r, "],\"warnings\":[]}");
    return r;
}

static void modes(void **state)
{
    static const struct {
        const char *mode, *rest;
        const char *code;    /* NULL: done */
        const char *becomes; /* part of it, or NULL: not looked at */
    } cases[] = {
        { "update", "", "DeviceNotFound", NULL },
        { "updateIfMatchETag", ",\"eTag\":\"nonsense\"", "DeviceNotFound", NULL },
        { "updateTwinIfMatchETag", ",\"twinETag\":\"nonsense\"", "DeviceNotFound", NULL },
        { "Delete", "", "DeviceNotFound", NULL },
        { "updateTwin", "", "DeviceNotFound", NULL },
        { "create", ",\"status\":\"disabled\"", NULL, "\"status\":\"disabled\"" },
        { "CREATE", "", "DeviceAlreadyExists", NULL },
        { "Update", ",\"statusReason\":\"a\"", NULL, "\"statusReason\":\"a\"" },
        { "UpdateIfMatchETag", "", "PreconditionFailed", NULL },
        { "UpdateIfMatchETag", ",\"eTag\":\"MQ==\"", "PreconditionFailed", NULL },
        { "UpdateIfMatchETag", ",\"eTag\":\"nonsense\"", "PreconditionFailed", NULL },
        { "UpdateIfMatchETag", ",\"eTag\":\"*\"", NULL, "\"statusReason\":null" },
        { "createOrUpdate", ",\"statusReason\":\"b\"", NULL, "\"statusReason\":\"b\"" },
        { "createOrUpdateIfMatchETag", ",\"eTag\":\"MQ==\"", "PreconditionFailed", NULL },
        { "update", ",\"authentication\":{\"type\":\"none\"}", "ArgumentInvalid", NULL },
        { "replace", "", "ArgumentInvalid", NULL },
        { "updateTwinIfMatchETag", ",\"twinETag\":\"AAAAAAAAAAk=\",\"tags\":{}",
          "PreconditionFailed", NULL },
        { "DeleteIfMatchETag", ",\"etag\":\"MQ==\"", "PreconditionFailed", NULL },
        { "deleteIfMatchETag", ",\"eTag\":\"\\\"*\\\"\"", NULL, NULL },
        { "createOrUpdate", ",\"statusReason\":\"c\"", NULL, "\"statusReason\":\"c\"" },
        { "delete", "", NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char body[512], code[128];
        struct wire_reply r;

        (void)snprintf(body, sizeof(body), "[{\"id\":\"d1\",\"importMode\":\"%s\"%s}]",
                       cases[i].mode, cases[i].rest);
        print_message("%s\n", body);
        if (cases[i].code != NULL) {
            r = bad(body);
            (void)snprintf(code, sizeof(code),
                           "{\"deviceId\":\"d1\",\"errorCode\":\"%s\",\"errorSta", cases[i].code);
            assert_has(&r, code);
            continue;
        }
        good(body);
        if (cases[i].becomes != NULL) {
            r = ask("GET", "/devices/d1" V, "");
            assert_has(&r, cases[i].becomes);
        }
    }
}

static void the_good_ones_are_kept(void **state)
{
    struct wire_reply r;

    (void)state;
    good("[{\"id\":\"there\",\"importMode\":\"create\"}]");
    r = bad("[{\"id\":\"a\",\"importMode\":\"create\"},"
            "{\"id\":\"there\",\"importMode\":\"create\"},"
            "{\"id\":\"b\",\"importMode\":\"create\",\"tags\":{\"x.y\":1}},"
            "{\"id\":\"a\",\"moduleId\":\"m1\",\"importMode\":\"create\"},"
            "{\"id\":\"gone\",\"moduleId\":\"m1\",\"importMode\":\"create\"},"
            "{\"id\":\"a\",\"importMode\":\"delete\"},"
            "{\"id\":\"not an ID\",\"importMode\":\"create\"},"
            "17,"
            "{\"id\":\"c\",\"importMode\":\"create\"}]");
    assert_has(&r, "\"errors\":[{\"deviceId\":\"there\",\"errorCode\":\"DeviceAlreadyExists\","
                   "\"errorStatus\":\"A device with that ID is already registered.\","
                   "\"operation\":\"create\"},{\"deviceId\":\"b\",\"errorCode\":"
                   "\"ArgumentInvalid\"");
    assert_has(&r, "{\"deviceId\":\"gone\",\"errorCode\":\"DeviceNotFound\",\"errorStatus\":"
                   "\"Device not found.\",\"moduleId\":\"m1\",\"operation\":\"create\"}");
    assert_has(&r, "{\"deviceId\":\"a\",\"errorCode\":\"DeviceDefinedMultipleTimes\"");
    assert_has(&r, "{\"deviceId\":\"not an ID\",\"errorCode\":\"ArgumentInvalid\"");
    assert_has(&r, "{\"deviceId\":\"\",\"errorCode\":\"ArgumentInvalid\"");
    r = ask("GET", "/devices/a/modules/m1" V, "");
    assert_int_equal(r.status, 200);
    r = ask("GET", "/devices/b" V, "");
    assert_int_equal(r.status, 404);
    r = ask("GET", "/devices/c" V, "");
    assert_int_equal(r.status, 200);
}

static void twins_come_along(void **state)
{
    struct wire_reply r;

    (void)state;
    good("[{\"id\":\"d1\",\"importMode\":\"create\",\"tags\":{\"t\":1},\"properties\":{\"desired\":"
         "{\"a\":1,\"$version\":7,\"$metadata\":{}},\"reported\":{\"r\":1}}}]");
    r = ask("GET", "/twins/d1" V, "");
    assert_has(&r, "\"version\":2,\"tags\":{\"t\":1},\"properties\":{\"desired\":{\"a\":1,");
    assert_has(&r, "\"$version\":1},\"reported\":{\"r\":1,\"$metadata\":{\"$lastUpdated\"");
    good("[{\"id\":\"d1\",\"importMode\":\"updateTwin\",\"tags\":{\"u\":2},\"properties\":"
         "{\"desired\":{\"a\":null,\"b\":2},\"reported\":{\"s\":2}}}]");
    r = ask("GET", "/twins/d1" V, "");
    assert_has(&r, "\"etag\":\"AAAAAAAAAAI=\"");
    assert_has(&r,
               "\"version\":3,\"tags\":{\"t\":1,\"u\":2},\"properties\":{\"desired\":{\"b\":2,");
    assert_has(&r, "\"reported\":{\"r\":1,\"s\":2,");
    good("[{\"id\":\"d1\",\"importMode\":\"updateTwinIfMatchETag\",\"twinETag\":\"AAAAAAAAAAI=\","
         "\"properties\":{\"reported\":{\"s\":3}}}]");
    r = ask("GET", "/twins/d1" V, "");
    assert_has(&r, "\"etag\":\"AAAAAAAAAAI=\"");
    assert_has(&r, "\"version\":4,");
    assert_has(&r, "\"reported\":{\"r\":1,\"s\":3,");
    /* An identity's update merges what it has of the twin, too. */
    good(
        "[{\"id\":\"d1\",\"importMode\":\"update\",\"statusReason\":\"x\",\"tags\":{\"t\":null}}]");
    r = ask("GET", "/twins/d1" V, "");
    assert_has(&r, "\"statusReason\":\"x\"");
    assert_has(&r, "\"tags\":{\"u\":2}");
    r = bad("[{\"id\":\"d1\",\"importMode\":\"updateTwin\",\"properties\":1}]");
    assert_has(&r, "properties is not a JSON object.");
    r = bad("[{\"id\":\"d1\",\"importMode\":\"update\",\"tags\":[]}]");
    assert_has(&r, "tags is not a JSON object.");
}

static unsigned told;

static void hear(struct bus_member *m, unsigned signals)
{
    (void)m;
    told |= signals;
}

static void sessions_hear_of_it(void **state)
{
    struct bus_member session = { .hub = SPAN(WIRE_HUB_HOST),
                                  .client_id = SPAN("d1"),
                                  .tell = hear };
    struct bus_letter *letter;

    (void)state;
    good("[{\"id\":\"d1\",\"importMode\":\"create\"},{\"id\":\"d2\",\"importMode\":\"create\"}]");
    bus_join(w.service.bus, &session);
    bus_claim(w.service.bus, &session);
    good("[{\"id\":\"d2\",\"importMode\":\"updateTwin\",\"properties\":{\"desired\":{\"x\":1}}},"
         "{\"id\":\"d1\",\"importMode\":\"updateTwin\",\"properties\":{\"desired\":{\"x\":2}}}]");
    assert_int_equal(told, BUS_LETTERS);
    letter = bus_take(w.service.bus, &session);
    assert_non_null(letter);
    assert_true(span_eq(letter->payload, SPAN("{\"x\":2,\"$version\":2}")));
    bus_letter_free(letter);
    assert_null(bus_take(w.service.bus, &session));
    told = 0;
    good("[{\"id\":\"d2\",\"importMode\":\"delete\"},{\"id\":\"d1\",\"importMode\":\"delete\"}]");
    assert_int_equal(told, BUS_CUT_OFF);
    bus_leave(w.service.bus, &session);
}

static char *many(size_t n, const char *mode, size_t twin_bytes)
{
    char *body = malloc(n * (twin_bytes + 128) + 16), *at = body;

    assert_non_null(body);
    *at++ = '[';
    for (size_t i = 0; i < n; i++) {
        at += sprintf(at, "%s{\"id\":\"d%zu\",\"importMode\":\"%s\",\"properties\":{\"desired\":{",
                      i > 0 ? "," : "", i, mode);
        for (size_t k = 0; k * 1024 < twin_bytes; k++) {
            at += sprintf(at, "%s\"p%zu\":\"%01000d\"", k > 0 ? "," : "", k, (int)i);
        }
        at += sprintf(at, "}}}");
    }
    strcpy(at, "]");
    return body;
}

/* Their twins are more than fits into a request's memory at once. */
static void a_hundred_but_no_more(void **state)
{
    struct wire_reply r;
    char *body;

    (void)state;
    body = many(101, "create", 0);
    r = ask("POST", "/devices" V, body);
    free(body);
    assert_int_equal(r.status, 400);
    assert_string_equal(wire_header(&r, "iothub-errorcode"), "ArgumentInvalid");
    assert_int_equal(strncmp(r.body, "{\"Message\":\"ErrorCode:ArgumentInvalid;", 37), 0);
    for (int part = 0; part < 4; part++) {
        body = many(100, part == 0 ? "create" : "updateTwin", part == 0 ? 0 : 8 * 1024);
        good(body);
        free(body);
    }
    body = many(100, "create", 0);
    r = bad(body);
    free(body);
    assert_has(&r, "{\"deviceId\":\"d99\",\"errorCode\":\"DeviceAlreadyExists\"");
    r = ask("GET", "/twins/d99" V, "");
    assert_has(&r, "\"version\":5,");
    body = many(100, "delete", 0);
    good(body);
    free(body);
    r = ask("GET", "/statistics/devices" V, "");
    assert_has(&r, "{\"totalDeviceCount\":0,");
}

static void what_is_no_bulk_request(void **state)
{
    static const char *const bodies[] = { "", "{}", "[", "null", "{\"devices\":[]}" };

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct wire_reply r = ask("POST", "/devices" V, bodies[i]);

        assert_int_equal(r.status, 400);
        assert_string_equal(wire_header(&r, "iothub-errorcode"), "ArgumentInvalid");
    }
    good("[]");
}

/* What is not understood is not taken for something else: a module's item is not its device's. */
static void wrong_types(void **state)
{
    static const char *const items[] = {
        "{\"id\":\"d1\",\"moduleId\":5,\"importMode\":\"delete\"}",
        "{\"id\":\"d1\",\"moduleId\":[\"m1\"],\"importMode\":\"delete\"}",
        "{\"id\":\"d1\",\"moduleId\":{},\"importMode\":\"update\"}",
        "{\"id\":[\"d1\"],\"importMode\":\"delete\"}",
        "{\"id\":\"d1\",\"importMode\":1}",
        "{\"id\":\"d1\",\"importMode\":\"update\",\"status\":1}",
        "{\"id\":\"d1\",\"importMode\":\"update\",\"authentication\":[]}",
        "{\"id\":\"d1\",\"importMode\":\"update\",\"capabilities\":1}",
        "{\"id\":\"d1\",\"importMode\":\"updateTwin\",\"tags\":\"x\"}",
    };
    struct wire_reply r;
    char body[256];

    (void)state;
    good("[{\"id\":\"d1\",\"importMode\":\"create\"},"
         "{\"id\":\"d1\",\"moduleId\":\"m1\",\"importMode\":\"create\"}]");
    for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
        (void)snprintf(body, sizeof(body), "[%s]", items[i]);
        print_message("%s\n", body);
        r = bad(body);
        assert_has(&r, "\"errorCode\":\"ArgumentInvalid\"");
    }
    good("[{\"id\":\"d1\",\"moduleId\":null,\"importMode\":\"update\"}]");
    r = ask("GET", "/devices/d1/modules/m1" V, "");
    assert_int_equal(r.status, 200);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, wire_set_up, wire_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(modes),
        TEST(the_good_ones_are_kept),
        TEST(twins_come_along),
        TEST(sessions_hear_of_it),
        TEST(a_hundred_but_no_more),
        TEST(what_is_no_bulk_request),
        TEST(wrong_types),
    };

    return cmocka_run_group_tests_name("api/hub_bulk_http", tests, NULL, NULL);
}
