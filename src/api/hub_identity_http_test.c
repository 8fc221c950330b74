/* api/hub_identity_http_test.c: identities of devices and modules over the wire. */
#include "api/http_wire_test.h"

#define V       "?api-version=2021-04-12"
#define NO_TIME "\"0001-01-01T00:00:00Z\""
#define KEY16   "MDEyMzQ1Njc4OWFiY2RlZg=="
#define HEX40   "0123456789abcdefABCDEF0123456789abcdef01"
#define HEX64   HEX40 "0123456789abcdefABCDEF01"

/* if_match NULL: none. */
static struct wire_reply ask(const char *method, const char *target, const char *if_match,
                             const char *body)
{
    char header[160] = "";

    if (if_match != NULL) {
        (void)snprintf(header, sizeof(header), "If-Match: %s\r\n", if_match);
    }
    return wire_ask_as(&w, POLICY_OF_HUB, method, target, header, body);
}

static void assert_answer(const struct wire_reply *r, int status, const char *code)
{
    const char *given = wire_header(r, "iothub-errorcode");

    if (r->status != status || (code != NULL && (given == NULL || strcmp(given, code) != 0))) {
        fail_msg("%d %s instead of %d %s\n%s", r->status, given != NULL ? given : "", status,
                 code != NULL ? code : "", r->body);
    }
    if (status != 204) {
        assert_string_equal(wire_header(r, "Content-Type"), "application/json; charset=utf-8");
    }
}

static void put(const char *target, const char *body)
{
    struct wire_reply r = ask("PUT", target, NULL, body);

    assert_answer(&r, 200, NULL);
}

/* The text of a member of a body; "" when it has none. */
static const char *member(const struct wire_reply *r, const char *name)
{
    static char values[4][256];
    static int turn;
    char needle[64];
    const char *at;

    turn = (turn + 1) % 4;
    values[turn][0] = '\0';
    (void)snprintf(needle, sizeof(needle), "\"%s\":\"", name);
    at = strstr(r->body, needle);
    if (at != NULL) {
        at += strlen(needle);
        (void)snprintf(values[turn], sizeof(values[turn]), "%.*s", (int)strcspn(at, "\""), at);
    }
    return values[turn];
}

/* A body with what differs from one to the next as "~": generation, etag and keys. */
static const char *masked(const struct wire_reply *r)
{
    static char text[4096];
    static const char *const names[] = { "generationId", "etag", "primaryKey", "secondaryKey" };

    (void)snprintf(text, sizeof(text), "%s", r->body);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char needle[64], *at, *end;

        (void)snprintf(needle, sizeof(needle), "\"%s\":\"", names[i]);
        at = strstr(text, needle);
        if (at == NULL) {
            continue;
        }
        at += strlen(needle);
        end = strchr(at, '"');
        assert_true(end > at);
        *at = '~';
        memmove(at + 1, end, strlen(end) + 1);
    }
    return text;
}

static void a_device_as_the_real_hub_prints_it(void **state)
{
    struct bus_member session = { .hub = SPAN(WIRE_HUB_HOST), .client_id = SPAN("d1") };
    struct wire_reply r;
    char etag[64];

    (void)state;
    r = ask("PUT", "/devices/d1" V, NULL, "{\"deviceId\":\"d1\"}");
    assert_int_equal(r.status, 200); /* not 201 */
    assert_string_equal(
        masked(&r),
        "{\"deviceId\":\"d1\",\"generationId\":\"~\",\"etag\":\"~\",\"connectionState\":"
        "\"Disconnected\",\"status\":\"enabled\",\"statusReason\":null,"
        "\"connectionStateUpdatedTime\":" NO_TIME ",\"statusUpdatedTime\":" NO_TIME ","
        "\"lastActivityTime\":" NO_TIME ",\"cloudToDeviceMessageCount\":0,\"capabilities\":"
        "{\"iotEdge\":false},\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"~\","
        "\"secondaryKey\":\"~\"},\"x509Thumbprint\":{\"primaryThumbprint\":null,"
        "\"secondaryThumbprint\":null},\"type\":\"sas\"}}");
    assert_int_equal(strlen(member(&r, "generationId")), 18);
    assert_int_equal(strlen(member(&r, "primaryKey")), 44);
    assert_string_not_equal(member(&r, "primaryKey"), member(&r, "secondaryKey"));
    (void)snprintf(etag, sizeof(etag), "\"%s\"", member(&r, "etag"));
    assert_string_equal(wire_header(&r, "ETag"), etag);
    bus_join(w.service.bus, &session);
    bus_claim(w.service.bus, &session);
    r = ask("GET", "/Devices/d1/" V, NULL, "");
    assert_answer(&r, 200, NULL);
    assert_has(&r, "\"connectionState\":\"Connected\"");
    assert_string_equal(wire_header(&r, "ETag"), etag);
    bus_leave(w.service.bus, &session);
    r = ask("GET", "/devices/D1" V, NULL, "");
    assert_answer(&r, 404, "DeviceNotFound");
    assert_int_equal(strncmp(r.body, "{\"Message\":\"ErrorCode:DeviceNotFound;", 36), 0);
    r = ask("PUT", "/devices/a%23b" V, NULL, "{\"deviceId\":\"a#b\"}");
    assert_answer(&r, 200, NULL);
    r = ask("GET", "/devices/a%23b" V, NULL, "");
    assert_answer(&r, 200, NULL);
}

static err put_rows(struct store_tx *tx, void *arg)
{
    const struct presence presence = { .hub = SPAN(WIRE_HUB_HOST),
                                       .client_id = SPAN("d1"),
                                       .generation_id = span_str(arg),
                                       .state_updated_ms = 1000,
                                       .last_activity_ms = 2000 };
    const struct c2d_queue queue = { .hub = SPAN(WIRE_HUB_HOST),
                                     .client_id = SPAN("d1"),
                                     .generation_id = span_str(arg) };
    struct c2d_message message = { .hub = SPAN(WIRE_HUB_HOST),
                                   .client_id = SPAN("d1"),
                                   .body = SPAN("x") };

    TRY(store_put(tx, &KIND_PRESENCE, &presence));
    TRY(store_put(tx, &KIND_C2D_QUEUE, &queue));
    for (message.sequence = 1; message.sequence <= 3; message.sequence++) {
        TRY(store_put(tx, &KIND_C2D_MESSAGE, &message));
    }
    return OK;
}

static void what_is_known_besides(void **state)
{
    char generation[32];
    struct wire_reply r;

    (void)state;
    put("/devices/d1" V, "{}");
    r = ask("GET", "/devices/d1" V, NULL, "");
    (void)snprintf(generation, sizeof(generation), "%s", member(&r, "generationId"));
    assert_true(err_is_ok(store_write(w.service.store, put_rows, generation)));
    r = ask("GET", "/devices/d1" V, NULL, "");
    assert_has(&r, "\"connectionStateUpdatedTime\":\"1970-01-01T00:00:01.0000000Z\"");
    assert_has(&r, "\"lastActivityTime\":\"1970-01-01T00:00:02.0000000Z\","
                   "\"cloudToDeviceMessageCount\":3,");
    r = ask("GET", "/twins/d1" V, NULL, "");
    assert_has(&r, "\"lastActivityTime\":\"1970-01-01T00:00:02.0000000Z\","
                   "\"cloudToDeviceMessageCount\":3,");
    /* It goes with the device; what is of a former one of its ID is not its. */
    r = ask("DELETE", "/devices/d1" V, "*", "");
    assert_answer(&r, 204, NULL);
    put("/devices/d1" V, "{}");
    r = ask("GET", "/devices/d1" V, NULL, "");
    assert_has(&r, "\"lastActivityTime\":" NO_TIME ",\"cloudToDeviceMessageCount\":0,");
    assert_string_not_equal(member(&r, "generationId"), generation);
    assert_true(err_is_ok(store_write(w.service.store, put_rows, generation)));
    r = ask("GET", "/devices/d1" V, NULL, "");
    assert_has(&r, "\"lastActivityTime\":" NO_TIME ",\"cloudToDeviceMessageCount\":0,");
}

static void conditions(void **state)
{
    static const struct {
        const char *method, *target, *if_match; /* "$": the current ETag; "$-": without quotes */
        int status;
        const char *code;
    } cases[] = {
        { "PUT", "/devices/d1" V, NULL, 409, "DeviceAlreadyExists" },
        { "PUT", "/devices/d9" V, "*", 404, "DeviceNotFound" },
        { "PUT", "/devices/d9" V, "\"*\"", 404, "DeviceNotFound" },
        { "PUT", "/devices/d9" V, "\"nonsense\"", 404, "DeviceNotFound" },
        { "PUT", "/devices/d1/modules/m9" V, "\"MQ==\"", 404, "ModuleNotFound" },
        { "DELETE", "/devices/d9" V, "\"nonsense\"", 404, "DeviceNotFound" },
        { "PUT", "/devices/d1" V, "\"nonsense\"", 412, "PreconditionFailed" },
        { "DELETE", "/devices/d1" V, "\"LTE=\"", 412, "PreconditionFailed" }, /* -1 */
        { "PUT", "/devices/d1" V, "\"AAAA\"", 412, "PreconditionFailed" },
        { "PUT", "/devices/d1" V, "\"MQ==\"", 412, "PreconditionFailed" },
        { "PUT", "/devices/d1" V, "\"\"", 412, "PreconditionFailed" },
        { "PUT", "/devices/d1" V, "$", 200, NULL },
        { "PUT", "/devices/d1" V, "$-", 200, NULL },
        { "PUT", "/devices/d1" V, "*", 200, NULL },
        { "PUT", "/devices/d1" V, "\"*\"", 200, NULL },
        { "PUT", "/devices/d1/modules/m1" V, NULL, 409, "ModuleAlreadyExistsOnDevice" },
        { "PUT", "/devices/d1/modules/m9" V, "*", 404, "ModuleNotFound" },
        { "PUT", "/devices/d9/modules/m1" V, "*", 404, "DeviceNotFound" },
        { "PUT", "/devices/d9/modules/m1" V, NULL, 404, "DeviceNotFound" },
        { "PUT", "/devices/d1/modules/m1" V, "\"*\"", 200, NULL },
        { "PUT", "/devices/d1/modules/m1" V, "$", 200, NULL },
        { "GET", "/devices/d9/modules" V, NULL, 404, "DeviceNotFound" },
        { "DELETE", "/devices/d1/modules/m1" V, NULL, 412, "PreconditionFailed" },
        { "DELETE", "/devices/d1/modules/m1" V, "\"MQ==\"", 412, "PreconditionFailed" },
        { "DELETE", "/devices/d1/modules/m1" V, "$", 204, NULL },
        { "DELETE", "/devices/d1/modules/m1" V, "*", 404, "ModuleNotFound" },
        { "DELETE", "/devices/d1" V, NULL, 412, "PreconditionFailed" },
        { "DELETE", "/devices/d1" V, "\"MQ==\"", 412, "PreconditionFailed" },
        { "DELETE", "/devices/d9" V, "*", 404, "DeviceNotFound" },
        { "DELETE", "/devices/d1" V, "$", 204, NULL },
        { "DELETE", "/devices/d1" V, "\"*\"", 404, "DeviceNotFound" },
    };

    (void)state;
    put("/devices/d1" V, "{\"deviceId\":\"d1\"}");
    put("/devices/d1/modules/m1" V, "{\"deviceId\":\"d1\",\"moduleId\":\"m1\"}");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *if_match = cases[i].if_match;
        char etag[64] = "";
        struct wire_reply r;

        print_message("%s %s %s\n", cases[i].method, cases[i].target, if_match ? if_match : "");
        if (if_match != NULL && if_match[0] == '$') {
            r = ask("GET", cases[i].target, NULL, "");
            (void)snprintf(etag, sizeof(etag), "%s",
                           if_match[1] ? member(&r, "etag") : wire_header(&r, "ETag"));
            if_match = etag;
        }
        r = ask(cases[i].method, cases[i].target, if_match, cases[i].method[0] == 'P' ? "{}" : "");
        assert_answer(&r, cases[i].status, cases[i].code);
        if (r.status == 200) {
            assert_string_not_equal(wire_header(&r, "ETag"), etag);
        }
        if (r.status == 204) {
            assert_string_equal(r.body, "");
            assert_null(wire_header(&r, "Content-Type"));
        }
    }
}

static void an_etag_is_no_former_ones(void **state)
{
    struct wire_reply r;
    char etag[64];

    (void)state;
    put("/devices/d1" V, "{}");
    r = ask("GET", "/devices/d1" V, NULL, "");
    (void)snprintf(etag, sizeof(etag), "%s", wire_header(&r, "ETag"));
    r = ask("DELETE", "/devices/d1" V, etag, "");
    assert_answer(&r, 204, NULL);
    put("/devices/d1" V, "{}");
    r = ask("DELETE", "/devices/d1" V, etag, "");
    assert_answer(&r, 412, "PreconditionFailed");
    r = ask("DELETE", "/devices/d1" V, NULL, "");
    assert_has(&r, "Etag missing.");
}

#define AUTH(type, rest) "{\"authentication\":{\"type\":\"" type "\"" rest "}}"
#define KEYS(a, b)       ",\"symmetricKey\":{\"primaryKey\":\"" a "\",\"secondaryKey\":\"" b "\"}"
#define PRINTS(a, b)                                                                               \
    ",\"x509Thumbprint\":{\"primaryThumbprint\":" a ",\"secondaryThumbprint\":" b "}"

static void bodies(void **state)
{
    static const struct {
        const char *body, *part; /* NULL: refused */
    } cases[] = {
        { "{}", "\"type\":\"sas\"}}" },
        { "{\"authentication\":null,\"status\":null}", "\"status\":\"enabled\"" },
        { "{\"status\":\"DISABLED\",\"statusReason\":\"lost\"}",
          "\"status\":\"disabled\",\"statusReason\":\"lost\"" },
        { "{\"status\":\"on\"}", NULL },
        { "{\"status\":1}", NULL },
        { "{\"statusReason\":1}", NULL },
        { "{\"authentication\":[]}", NULL },
        { "{\"authentication\":{\"symmetricKey\":1}}", NULL },
        { "{\"capabilities\":1}", NULL },
        { "{\"capabilities\":{\"iotEdge\":\"yes\"}}", NULL },
        { "{\"deviceId\":\"d2\"}", NULL },
        { "{\"deviceId\":1}", NULL },
        { "[]", NULL },
        { "{\"generationId\":1,\"etag\":[],\"unknown\":{},\"connectionState\":\"Connected\"}",
          "\"connectionState\":\"Disconnected\"" },
        { AUTH("Sas", KEYS("", "")), "\"type\":\"sas\"}}" },
        { AUTH("sas", KEYS(KEY16, KEY16)), "\"primaryKey\":\"" KEY16 "\"" },
        { AUTH("sas", KEYS(KEY16, "")), NULL },
        { AUTH("sas", KEYS("", KEY16)), NULL },
        { AUTH("sas", KEYS("MDEyMzQ1Njc4OWFiY2Rl", KEY16)), NULL }, /* 15 bytes */
        { AUTH("sas", KEYS("!", KEY16)), NULL },
        { AUTH("sas", PRINTS("\"" HEX40 "\"", "null")), NULL },
        { AUTH("none", ""), NULL },
        { AUTH("tpm", ""), NULL },
        { AUTH("selfSigned", ""),
          "\"primaryKey\":null,\"secondaryKey\":null},\"x509Thumbprint\":{\"primaryThumbprint\":"
          "null" },
        { AUTH("selfSigned", KEYS(KEY16, KEY16)), NULL },
        { AUTH("selfSigned", PRINTS("\"" HEX40 "\"", "null")),
          "\"primaryThumbprint\":\"" HEX40 "\",\"secondaryThumbprint\":null" },
        { AUTH("selfsigned", PRINTS("\"" HEX64 "\"", "\"\"")),
          "\"primaryThumbprint\":\"" HEX64 "\",\"secondaryThumbprint\":null" },
        { AUTH("selfSigned", PRINTS("\"" HEX40 "0\"", "null")), NULL },
        { AUTH("selfSigned", PRINTS("\"AA:BB\"", "null")), NULL },
        { AUTH("selfSigned", PRINTS("1", "null")), NULL },
        { "{\"authentication\":{\"x509Thumbprint\":{\"secondaryThumbprint\":\"" HEX40 "\"}}}",
          "\"type\":\"selfSigned\"" },
        { AUTH("certificateAuthority", ""), "\"type\":\"certificateAuthority\"" },
        { AUTH("CertificateAuthority", KEYS("", "") PRINTS("null", "null")),
          "\"primaryKey\":null" },
        { AUTH("certificateAuthority", PRINTS("\"" HEX40 "\"", "null")), NULL },
        { AUTH("certificateAuthority", KEYS(KEY16, KEY16)), NULL },
        { "{\"deviceScope\":\"ms-azure-iot-edge://x-1\"}", NULL },
        { "{\"deviceScope\":1}", NULL },
        { "{\"parentScopes\":[1]}", NULL },
        { "{\"parentScopes\":{}}", NULL },
        { "{\"deviceScope\":\"\",\"parentScopes\":[]}", "\"type\":\"sas\"}}" },
    };
    char long_reason[1024];
    struct buf at;

    (void)state;
    put("/devices/d1" V, "{}");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_reply r = ask("PUT", "/devices/d1" V, "*", cases[i].body);

        print_message("%s\n", cases[i].body);
        if (cases[i].part == NULL) {
            assert_answer(&r, 400, "ArgumentInvalid");
            assert_int_equal(strncmp(r.body, "{\"Message\":\"ErrorCode:ArgumentInvalid;", 37), 0);
        } else {
            assert_answer(&r, 200, NULL);
            assert_has(&r, cases[i].part);
        }
    }
    for (int len = LIMIT_STATUS_REASON; len <= LIMIT_STATUS_REASON + 1; len++) {
        struct wire_reply r;

        (void)snprintf(long_reason, sizeof(long_reason), "{\"statusReason\":\"%0*d\"}", len, 0);
        r = ask("PUT", "/devices/d1" V, "*", long_reason);
        assert_int_equal(r.status, len > LIMIT_STATUS_REASON ? 400 : 200);
        at = buf_over(long_reason, sizeof(long_reason) - 1); /* characters, not bytes */
        buf_add_str(&at, "{\"statusReason\":\"");
        for (int i = 0; i < len; i++) {
            buf_add_str(&at, "\xf0\x9f\x94\xa7");
        }
        buf_add_str(&at, "\"}");
        r = ask("PUT", "/devices/d1" V, "*", buf_cstr(&at));
        assert_int_equal(r.status, len > LIMIT_STATUS_REASON ? 400 : 200);
    }
}

static void an_update_replaces_all(void **state)
{
    struct wire_reply r;
    char key[64], *body;

    (void)state;
    put("/devices/d1" V, "{\"status\":\"disabled\",\"statusReason\":\"lost\"}");
    r = ask("GET", "/devices/d1" V, NULL, "");
    assert_has(&r, "\"statusUpdatedTime\":" NO_TIME);
    (void)snprintf(key, sizeof(key), "%s", member(&r, "primaryKey"));
    body = strdup(r.body); /* what was got can be put back */
    assert_non_null(body);
    r = ask("PUT", "/devices/d1" V, "*", body);
    assert_answer(&r, 200, NULL);
    assert_string_equal(member(&r, "primaryKey"), key);
    assert_has(&r, "\"statusReason\":\"lost\"");
    free(body);
    r = ask("PUT", "/devices/d1" V, "*", "{}"); /* new keys, too */
    assert_has(&r, "\"status\":\"enabled\",\"statusReason\":null");
    assert_has(&r, "\"statusUpdatedTime\":\"2030-03-17T17:46:40.0000000Z\"");
    assert_string_not_equal(member(&r, "primaryKey"), key);
}

/* ---- lists and counts ---- */

static size_t count(const char *text, const char *part)
{
    size_t n = 0;

    for (const char *at = text; (at = strstr(at, part)) != NULL; at++) {
        n++;
    }
    return n;
}

static void lists(void **state)
{
    struct wire_reply r = ask("GET", "/devices/" V, NULL, "");
    char target[64];

    (void)state;
    assert_answer(&r, 200, NULL);
    assert_string_equal(r.body, "[]");
    for (int i = 0; i < 23; i++) {
        (void)snprintf(target, sizeof(target), "/devices/d-%02d" V, i);
        put(target, i == 7 ? "{\"status\":\"disabled\"}" : "{}");
    }
    r = ask("GET", "/devices" V, NULL, "");
    assert_int_equal(count(r.body, "\"deviceId\":\"d-"), 23);
    assert_int_equal(r.body[strlen(r.body) - 1], ']');
    r = ask("GET", "/devices/" V "&top=9", NULL, "");
    assert_has(&r, "\"deviceId\":\"d-08\"");
    assert_has_not(&r, "d-09");
    r = ask("GET", "/devices" V "&top=0", NULL, "");
    assert_answer(&r, 400, "ArgumentInvalid");
    r = ask("GET", "/devices" V "&top=x", NULL, "");
    assert_answer(&r, 400, "ArgumentInvalid");
    r = ask("GET", "/statistics/devices" V, NULL, "");
    assert_answer(&r, 200, NULL);
    assert_string_equal(r.body, "{\"totalDeviceCount\":23,\"enabledDeviceCount\":22,"
                                "\"disabledDeviceCount\":1}");
}

static void connected_devices_are_counted(void **state)
{
    struct bus_member device = { .hub = SPAN(WIRE_HUB_HOST), .client_id = SPAN("d1") };
    struct bus_member module = { .hub = SPAN(WIRE_HUB_HOST), .client_id = SPAN("d1/m1") };
    struct wire_reply r;

    (void)state;
    bus_join(w.service.bus, &device);
    bus_claim(w.service.bus, &device);
    bus_join(w.service.bus, &module);
    bus_claim(w.service.bus, &module);
    r = ask("GET", "/statistics/service" V, NULL, "");
    assert_answer(&r, 200, NULL);
    assert_string_equal(r.body, "{\"connectedDeviceCount\":1}");
    bus_leave(w.service.bus, &device);
    bus_leave(w.service.bus, &module);
}

/* ---- modules ---- */

static void a_module_as_the_real_hub_prints_it(void **state)
{
    struct wire_reply r;

    (void)state;
    put("/devices/d1" V, "{}");
    put("/devices/d1-" V, "{}");
    put("/devices/d1-/modules/other" V, "{}");
    r = ask("PUT", "/devices/d1/modules/m%20" V, NULL, "{}");
    assert_answer(&r, 400, "ArgumentInvalid");
    r = ask("PUT", "/devices/d1%2Fm1" V, NULL, "{}"); /* no way round */
    assert_answer(&r, 400, "ArgumentInvalid");
    r = ask("PUT", "/devices/d1/modules/m1" V, NULL,
            "{\"moduleId\":\"m1\",\"deviceId\":\"d1\",\"managedBy\":\"me\",\"authentication\":"
            "{\"type\":\"none\"}}");
    assert_answer(&r, 200, NULL);
    assert_string_equal(masked(&r),
                        "{\"moduleId\":\"m1\",\"managedBy\":\"me\",\"deviceId\":\"d1\","
                        "\"generationId\":\"~\",\"etag\":\"~\",\"connectionState\":"
                        "\"Disconnected\",\"connectionStateUpdatedTime\":" NO_TIME ","
                        "\"lastActivityTime\":" NO_TIME ",\"cloudToDeviceMessageCount\":0,"
                        "\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"~\","
                        "\"secondaryKey\":\"~\"},\"x509Thumbprint\":{\"primaryThumbprint\":null,"
                        "\"secondaryThumbprint\":null},\"type\":\"sas\"}}");
    r = ask("PUT", "/devices/d1/modules/m1" V, NULL, "{}");
    assert_answer(&r, 409, "ModuleAlreadyExistsOnDevice");
    assert_int_equal(strncmp(r.body, "{\"errorCode\":409301,\"message\":\"", 31), 0);
    r = ask("PUT", "/devices/d1/modules/m2" V, NULL, "{\"deviceId\":\"d2\"}");
    assert_answer(&r, 400, "ArgumentInvalid");
    r = ask("PUT", "/devices/d1/modules/m2" V, NULL, "{\"moduleId\":\"m1\"}");
    assert_answer(&r, 400, "ArgumentInvalid");
    r = ask("PUT", "/devices/d1/modules/$m" V, NULL, "{}");
    assert_answer(&r, 400, "ArgumentInvalid");
    r = ask("GET", "/devices/d1/modules" V, NULL, "");
    assert_int_equal(count(r.body, "\"moduleId\""), 1);
    r = ask("GET", "/twins/d1/modules/m1" V, NULL, "");
    assert_answer(&r, 200, NULL);
    assert_int_equal(strncmp(r.body, "{\"deviceId\":\"d1\",\"moduleId\":\"m1\",\"etag\":", 40), 0);
    r = ask("PATCH", "/twins/d1/modules/m1" V, NULL, "{\"tags\":{\"a\":1}}");
    assert_has(&r, "\"version\":3,\"tags\":{\"a\":1}");
    r = ask("GET", "/twins/d1/modules/m2" V, NULL, "");
    assert_answer(&r, 404, "ModuleNotFound");
    r = ask("PATCH", "/twins/d2/modules/m2" V, NULL, "{\"tags\":{}}");
    assert_answer(&r, 404, "DeviceNotFound");
    /* They go with their device; those of one with a similar ID stay. */
    r = ask("DELETE", "/devices/d1" V, "*", "");
    assert_answer(&r, 204, NULL);
    r = ask("GET", "/twins/d1/modules/m1" V, NULL, "");
    assert_answer(&r, 404, "DeviceNotFound");
    put("/devices/d1" V, "{}");
    r = ask("GET", "/devices/d1/modules" V, NULL, "");
    assert_string_equal(r.body, "[]");
    r = ask("GET", "/devices/d1-/modules" V, NULL, "");
    assert_int_equal(count(r.body, "\"moduleId\":\"other\""), 1);
}

static void so_many_modules_and_no_more(void **state)
{
    struct wire_reply r;
    char target[64];

    (void)state;
    put("/devices/d1" V, "{}");
    for (int i = 0; i < LIMIT_MODULES; i++) {
        (void)snprintf(target, sizeof(target), "/devices/d1/modules/m%d" V, i);
        put(target, "{}");
    }
    r = ask("PUT", "/devices/d1/modules/one-more" V, NULL, "{}");
    assert_answer(&r, 413, "TooManyModulesOnDevice");
    r = ask("PUT", "/devices/d1" V, "*", "{\"capabilities\":{\"iotEdge\":true}}");
    assert_answer(&r, 413, "TooManyModulesOnDevice");
    r = ask("GET", "/devices/d1/modules" V, NULL, "");
    assert_int_equal(count(r.body, "\"moduleId\""), LIMIT_MODULES);
    r = ask("PUT", "/devices/d1/modules/m0" V, "*", "{}"); /* those that are there can be changed */
    assert_answer(&r, 200, NULL);
}

static void edge_devices(void **state)
{
    char scope[128], body[512];
    struct wire_reply r;

    (void)state;
    r = ask("PUT", "/devices/edge" V, NULL,
            "{\"capabilities\":{\"iotEdge\":true},\"deviceScope\":\"mine\"}");
    assert_answer(&r, 200, NULL);
    (void)snprintf(scope, sizeof(scope), "ms-azure-iot-edge://edge-%s", member(&r, "generationId"));
    assert_string_equal(member(&r, "deviceScope"), scope);
    assert_has_not(&r, "parentScopes");
    r = ask("GET", "/devices/edge/modules" V, NULL, "");
    assert_int_equal(count(r.body, "\"managedBy\":\"iotEdge\""), 2);
    assert_int_equal(count(r.body, "\"type\":\"none\""), 2);
    assert_has(&r, "\"moduleId\":\"$edgeAgent\"");
    assert_has(&r, "\"moduleId\":\"$edgeHub\"");
    r = ask("DELETE", "/devices/edge/modules/$edgeHub" V, "*", "");
    assert_answer(&r, 400, "ArgumentInvalid");
    r = ask("GET", "/twins/edge" V, NULL, "");
    assert_string_equal(member(&r, "deviceScope"), scope);
    r = ask("PUT", "/devices/edge" V, "*",
            "{\"capabilities\":{\"iotEdge\":true},\"deviceScope\":\"\"}");
    assert_answer(&r, 400, "ArgumentInvalid");
    /* A child of it. */
    (void)snprintf(body, sizeof(body), "{\"deviceScope\":\"%s\",\"parentScopes\":[\"x\"]}", scope);
    put("/devices/leaf" V, body);
    r = ask("GET", "/devices/leaf" V, NULL, "");
    (void)snprintf(body, sizeof(body), "\"deviceScope\":\"%s\",\"parentScopes\":[\"%s\"]}", scope,
                   scope);
    assert_has(&r, body);
    /* An edge device in it, but not in itself. */
    (void)snprintf(body, sizeof(body),
                   "{\"capabilities\":{\"iotEdge\":true},\"parentScopes\":[\"%s\"]}", scope);
    put("/devices/lower" V, body);
    r = ask("GET", "/devices/lower" V, NULL, "");
    assert_has(&r, "\"deviceScope\":\"ms-azure-iot-edge://lower-");
    (void)snprintf(body, sizeof(body), "\"parentScopes\":[\"%s\"]}", scope);
    assert_has(&r, body);
    (void)snprintf(body, sizeof(body),
                   "{\"capabilities\":{\"iotEdge\":true},\"parentScopes\":[\"%s\"]}", scope);
    r = ask("PUT", "/devices/edge" V, "*", body);
    assert_answer(&r, 400, "ArgumentInvalid");
    /* It is not one any more: its modules go; a child keeps what it has, others cannot join. */
    r = ask("PUT", "/devices/edge" V, "*", "{}");
    assert_answer(&r, 200, NULL);
    assert_has_not(&r, "deviceScope");
    r = ask("GET", "/devices/edge/modules" V, NULL, "");
    assert_string_equal(r.body, "[]");
    (void)snprintf(body, sizeof(body), "{\"deviceScope\":\"%s\"}", scope);
    r = ask("PUT", "/devices/leaf" V, "*", body);
    assert_answer(&r, 200, NULL);
    r = ask("PUT", "/devices/leaf2" V, NULL, body);
    assert_answer(&r, 400, "ArgumentInvalid");
}

/* ---- who may ---- */

/* A token may be for a part of the hub; the IDs in it are as exact as those in paths. */
static void scopes_of_tokens(void **state)
{
    static const struct {
        const char *scope, *target;
        int status;
    } cases[] = {
        { "hub.localhost", "/devices/Dev" V, 200 },
        { "HUB.localhost", "/devices/Dev" V, 200 },
        { "hub.localhost/devices", "/devices/Dev" V, 200 },
        { "hub.localhost/Devices", "/devices/Dev" V, 200 },
        { "hub.localhost/devices/Dev", "/devices/Dev" V, 200 },
        { "hub.localhost/devices/Dev", "/devices/%44ev" V, 200 },
        { "hub.localhost/devices/Dev", "/devices/Dev/modules" V, 200 },
        { "hub.localhost/devices/Dev", "/devices/Dev/modules/Mod" V, 200 },
        { "hub.localhost/devices/Dev/modules/Mod", "/DEVICES/Dev/Modules/Mod" V, 200 },
        { "hub.localhost/devices/dev", "/devices/Dev" V, 401 },
        { "hub.localhost/devices/Dev", "/devices/dev" V, 401 },
        { "hub.localhost/devices/dev", "/devices/Dev/modules/Mod" V, 401 },
        { "hub.localhost/devices/Dev/modules/mod", "/devices/Dev/modules/Mod" V, 401 },
        { "hub.localhost/devices/Dev", "/devices/Device" V, 401 },
        { "hub.localhost/devices/Dev", "/devices" V, 401 },
        { "hub.localhost/devices/Dev", "/devices/Dev%2Fmodules%2FMod" V, 401 },
        { "hub.localhost", "/devices/Dev%2Fmodules%2FMod" V, 400 },
        { "hub.localhost/devices/Dev", "/twins/Dev" V, 401 },
        { "localhost", "/devices/Dev" V, 401 },
        { "hub.local", "/devices/Dev" V, 401 },
    };

    (void)state;
    put("/devices/Dev" V, "{}");
    put("/devices/dev" V, "{}");
    put("/devices/Dev/modules/Mod" V, "{}");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char header[600];
        struct wire_reply r;

        (void)snprintf(header, sizeof(header), "Authorization: %s\r\n",
                       wire_token(&w, POLICY_OF_HUB, "iothubowner", cases[i].scope));
        print_message("%s %s\n", cases[i].scope, cases[i].target);
        r = wire_ask_host(&w, WIRE_HUB_HOST, "GET", cases[i].target, header, "");
        assert_answer(&r, cases[i].status, NULL);
    }
}

static void tokens_and_rights(void **state)
{
    static const struct {
        const char *policy, *method, *target;
        int status;
    } cases[] = {
        { "registryRead", "GET", "/devices/d1" V, 200 },
        { "registryReadWrite", "GET", "/devices/d1" V, 200 },
        { "service", "GET", "/devices/d1" V, 401 },
        { "device", "GET", "/devices" V, 401 },
        { "registryRead", "GET", "/devices/d1/modules" V, 200 },
        { "service", "GET", "/devices/d1/modules" V, 401 },
        { "registryRead", "GET", "/statistics/devices" V, 200 },
        { "service", "GET", "/statistics/devices" V, 401 },
        { "registryRead", "GET", "/statistics/service" V, 200 },
        { "service", "GET", "/statistics/service" V, 401 },
        { "registryRead", "PUT", "/devices/d1" V, 401 },
        { "registryRead", "POST", "/devices" V, 401 },
        { "registryRead", "DELETE", "/devices/d1" V, 401 },
        { "registryRead", "PUT", "/devices/d1/modules/m1" V, 401 },
        { "registryReadWrite", "PUT", "/devices/d1" V, 400 },
        { "registryReadWrite", "POST", "/devices" V, 400 },
        { "registryReadWrite", "DELETE", "/devices/d1" V, 412 },
        { "registryReadWrite", "GET", "/twins/d1" V, 401 },
        { "service", "GET", "/twins/d1" V, 200 },
        { "registryRead", "GET", "/messages/events", 401 },
    };
    struct wire_reply r;

    (void)state;
    put("/devices/d1" V, "{}");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        r = wire_ask_by(&w, POLICY_OF_HUB, cases[i].policy, cases[i].method, cases[i].target, "",
                        "");
        print_message("%s %s %s\n", cases[i].policy, cases[i].method, cases[i].target);
        assert_answer(&r, cases[i].status,
                      cases[i].status == 401 ? "IotHubUnauthorizedAccess" : NULL);
    }
    r = wire_ask(&w, "GET", "/devices/d1" V, "", "");
    assert_answer(&r, 401, "IotHubNotFound");
    r = ask("GET", "/devices/d1", NULL, "");
    assert_answer(&r, 400, "InvalidProtocolVersion");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, wire_set_up, wire_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_device_as_the_real_hub_prints_it),
        TEST(what_is_known_besides),
        TEST(conditions),
        TEST(an_etag_is_no_former_ones),
        TEST(bodies),
        TEST(an_update_replaces_all),
        TEST(lists),
        TEST(connected_devices_are_counted),
        TEST(a_module_as_the_real_hub_prints_it),
        TEST(so_many_modules_and_no_more),
        TEST(edge_devices),
        TEST(tokens_and_rights),
        TEST(scopes_of_tokens),
    };

    return cmocka_run_group_tests_name("api/hub_identity_http", tests, NULL, NULL);
}
