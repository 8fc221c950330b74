/* api/hub_method_http_test.c: direct methods over the wire of the back end: what is read, how a
 * call waits without a worker, what is answered when and to whom. The device is a member of the
 * bus. */
#include "api/http_wire_test.h"
#include "hub/bus_call.h"

#define V       "?api-version=2021-04-12"
#define METHODS "/twins/d1/methods" V

static struct bus_member session;
static bool has_letters;

static err put_device(struct store_tx *tx, void *arg)
{
    return store_put(tx, &KIND_DEVICE, arg);
}

static void on_tell(struct bus_member *m, unsigned signals)
{
    (void)m;
    has_letters = has_letters || (signals & BUS_LETTERS) != 0;
}

static void connect_device(const char *client_id)
{
    session = (struct bus_member){ .hub = SPAN(WIRE_HUB_HOST),
                                   .client_id = span_str(client_id),
                                   .tell = on_tell };
    bus_join(w.service.bus, &session);
    bus_claim(w.service.bus, &session);
}

static int set_up(void **state)
{
    struct device d = { .hub = SPAN(WIRE_HUB_HOST),
                        .device_id = SPAN("d1"),
                        .generation_id = SPAN("1"),
                        .status = DEVICE_ENABLED };

    (void)state;
    wire_open(&w);
    assert_true(err_is_ok(store_write(w.service.store, put_device, &d)));
    connect_device("d1");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    bus_leave(w.service.bus, &session);
    wire_disconnect(&w);
    assert_int_equal(bus_calls(w.service.bus), 0);
    wire_close(&w);
    return 0;
}

/* Sends a call; the answer is not taken. */
static void call(const char *target, const char *body)
{
    const char *token = wire_token(&w, POLICY_OF_HUB, "service", WIRE_HUB_HOST);
    size_t len = strlen(token) + strlen(body) + 512;
    char *text = malloc(len);

    assert_non_null(text);
    (void)snprintf(text, len,
                   "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nContent-Length: "
                   "%zu\r\n\r\n%s",
                   target, WIRE_HUB_HOST, token, strlen(body), body);
    wire_send(&w, span_str(text));
    free(text);
}

/* What the device is asked: "{name} {payload}"; its rid is kept for answer(). */
static char rid[64];
static const char *asked(void)
{
    static char text[1024];
    struct bus_letter *letter = bus_take(w.service.bus, &session);

    assert_non_null(letter);
    (void)snprintf(text, sizeof(text), "%.*s %.*s", SPAN_FMT(letter->name),
                   SPAN_FMT(letter->payload));
    (void)snprintf(rid, sizeof(rid), "%.*s", SPAN_FMT(letter->rid));
    bus_letter_free(letter);
    return text;
}

static bool answer(int64_t status, const char *payload)
{
    struct bus_letter letter = { .number = status, .payload = span_str(payload) };
    bool is_wanted = bus_call_answer(w.service.bus, &session, span_str(rid), &letter);

    wire_signal(&w);
    return is_wanted;
}

static void what_the_device_is_asked(void **state)
{
    static const struct {
        const char *target, *body, *asked;
    } cases[] = {
        { METHODS, "{\"methodName\":\"m\"}", "m null" },
        { METHODS, "{\"methodName\":\"m\",\"payload\":null}", "m null" },
        { METHODS, "{\"methodName\":\"m\",\"payload\":\"\"}", "m \"\"" },
        { METHODS, "{\"methodName\":\"m\",\"payload\": {\"b\":1.0, \"a\":[]}}",
          "m {\"b\":1.0,\"a\":[]}" },
        { METHODS,
          "{\"methodName\":\"m\",\"payload\":0,\"responseTimeoutInSeconds\":null,"
          "\"connectTimeoutInSeconds\":null,\"more\":1}",
          "m 0" },
        { METHODS,
          "{\"methodName\":\"m\",\"responseTimeoutInSeconds\":300,"
          "\"connectTimeoutInSeconds\":300}",
          "m null" },
        { "/digitaltwins/d1/commands/reboot" V, "", "reboot null" },
        { "/digitaltwins/d1/commands/reboot" V, "[1]", "reboot [1]" },
        { "/digitalTwins/d1/components/c1/commands/r" V
          "&responseTimeoutInSeconds=5&connectTimeoutInSeconds=5",
          "\"x\"", "c1*r \"x\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_reply r;

        call(cases[i].target, cases[i].body);
        assert_int_equal(w.out.len, 0);
        assert_string_equal(asked(), cases[i].asked);
        assert_true(answer(0, "{}"));
        r = wire_take(&w, false);
        assert_int_equal(r.status, 200);
    }
}

static void what_the_caller_is_answered(void **state)
{
    static const struct {
        int64_t status;
        const char *payload;
        int http_status;
        const char *body; /* or a part of it */
        const char *command;
    } cases[] = {
        { 200, "{}", 200, "{\"status\":200,\"payload\":{}}", "{}" },
        { -5, " [1.50 ,\"\\u00e4\"] ", 200, "{\"status\":-5,\"payload\":[1.50 ,\"\\u00e4\"]}",
          "[1.50 ,\"\\u00e4\"]" },
        { 500, "", 200, "{\"status\":500,\"payload\":null}", "null" },
        { 500, " ", 200, "{\"status\":500,\"payload\":null}", "null" },
        { 200, "{", 502, "\\\"errorCode\\\":502000", NULL },
        { 200, "{} {}", 502, "\\\"errorCode\\\":502000", NULL },
        { 200, "\"\xff\"", 502, "\\\"errorCode\\\":502000", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_reply r;

        call(METHODS, "{\"methodName\":\"m\"}");
        (void)asked();
        w.now_ms += 250;
        assert_true(answer(cases[i].status, cases[i].payload));
        r = wire_take(&w, false);
        assert_int_equal(r.status, cases[i].http_status);
        if (r.status == 200) {
            assert_string_equal(r.body, cases[i].body);
        } else {
            assert_has(&r, cases[i].body);
            assert_string_equal(wire_header(&r, "iothub-errorcode"), "BadGateway");
        }
        assert_true(w.task_note.has_device_status);
        assert_int_equal(w.task_note.device_status, cases[i].status);
        assert_int_equal(w.task_note.waited_us, 250000);
        call("/digitaltwins/d1/commands/m" V, "");
        (void)asked();
        assert_true(answer(cases[i].status, cases[i].payload));
        r = wire_take(&w, false);
        assert_int_equal(r.status, cases[i].http_status);
        if (r.status == 200) {
            assert_string_equal(r.body, cases[i].command);
            assert_int_equal(atoi(wire_header(&r, "x-ms-command-statuscode")),
                             (int)cases[i].status);
        }
    }
}

static void what_is_refused(void **state)
{
    static const struct {
        const char *policy, *target, *body;
        int status;
        const char *code;
    } cases[] = {
        { "service", METHODS, "", 400, "ArgumentInvalid" },
        { "service", METHODS, "[]", 400, "ArgumentInvalid" },
        { "service", METHODS, "{}", 400, "ArgumentInvalid" },
        { "service", METHODS, "{\"methodName\":\"\"}", 400, "ArgumentInvalid" },
        { "service", METHODS, "{\"methodName\":\"a/b\"}", 400, "ArgumentInvalid" },
        { "service", METHODS, "{\"methodName\":\"m\",\"responseTimeoutInSeconds\":4}", 400,
          "ArgumentInvalid" },
        { "service", METHODS, "{\"methodName\":\"m\",\"responseTimeoutInSeconds\":\"5\"}", 400,
          "ArgumentInvalid" },
        { "service", METHODS, "{\"methodName\":\"m\",\"connectTimeoutInSeconds\":31}", 400,
          "ArgumentInvalid" },
        { "service", "/digitaltwins/d1/commands/m" V "&connectTimeoutInSeconds=-1", "", 400,
          "ArgumentInvalid" },
        { "service", "/digitaltwins/d1/components/c/commands/%20" V, "", 400, "ArgumentInvalid" },
        { "service", "/digitaltwins/d1/commands/m" V, "{", 400, "ArgumentInvalid" },
        { "service", "/twins/d2/methods" V, "{\"methodName\":\"m\"}", 404, "DeviceNotFound" },
        { "service", "/twins/d1/modules/m/methods" V, "{\"methodName\":\"m\"}", 404,
          "ModuleNotFound" },
        { "service", "/twins/d1/methods", "{\"methodName\":\"m\"}", 400, "InvalidProtocolVersion" },
        { "registryReadWrite", METHODS, "{\"methodName\":\"m\"}", 401, "IotHubUnauthorizedAccess" },
        { "device", METHODS, "{\"methodName\":\"m\"}", 401, "IotHubUnauthorizedAccess" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_reply r = wire_ask_by(&w, POLICY_OF_HUB, cases[i].policy, "POST",
                                          cases[i].target, "", cases[i].body);

        if (r.status != cases[i].status) {
            fail_msg("case %zu: %d %s", i, r.status, r.body);
        }
        assert_string_equal(wire_header(&r, "iothub-errorcode"), cases[i].code);
        /* envelope A, of modules B */
        assert_has(&r, cases[i].code[0] == 'M' ? "{\"errorCode\":404010,"
                                               : "{\"Message\":\"ErrorCode:");
    }
    assert_null(bus_take(w.service.bus, &session));
}

static void a_payload_beyond_its_limit(void **state)
{
    enum { ROOM = LIMIT_METHOD_PAYLOAD + 64 };
    char *body = malloc(ROOM);
    size_t len = (size_t)snprintf(body, ROOM, "{\"methodName\":\"m\",\"payload\":\"");
    struct wire_reply r;

    (void)state;
    memset(body + len, 'x', LIMIT_METHOD_PAYLOAD - 1); /* and two quotes: one too many */
    (void)snprintf(body + len + LIMIT_METHOD_PAYLOAD - 1, 3, "\"}");
    r = wire_ask_by(&w, POLICY_OF_HUB, "service", "POST", METHODS, "", body);
    assert_int_equal(r.status, 413);
    assert_string_equal(wire_header(&r, "iothub-errorcode"), "MessageTooLarge");
    (void)snprintf(body + len + LIMIT_METHOD_PAYLOAD - 2, 3, "\"}");
    call(METHODS, body);
    (void)asked();
    free(body);
}

static void nobody_there(void **state)
{
    struct wire_reply r;

    (void)state;
    bus_leave(w.service.bus, &session);
    call(METHODS, "{\"methodName\":\"m\"}");
    r = wire_take(&w, false);
    assert_int_equal(r.status, 404);
    assert_string_equal(wire_header(&r, "iothub-errorcode"), "DeviceNotOnline");
    assert_has(&r, "{\"Message\":\"{\\\"errorCode\\\":404103,");
    call(METHODS, "{\"methodName\":\"m\",\"connectTimeoutInSeconds\":10}");
    wire_pass_ms(&w, 9999);
    assert_int_equal(w.out.len, 0);
    wire_pass_ms(&w, 1);
    r = wire_take(&w, false);
    assert_int_equal(r.status, 404);
    assert_int_equal(w.task_note.reason, REASON_DEVICE_NOT_ONLINE);
    call(METHODS, "{\"methodName\":\"m\",\"connectTimeoutInSeconds\":10}");
    wire_pass_ms(&w, 5000);
    connect_device("d1");
    wire_signal(&w);
    (void)asked();
    wire_pass_ms(&w, 29999);
    assert_int_equal(w.out.len, 0);
    wire_pass_ms(&w, 1);
    r = wire_take(&w, false);
    assert_int_equal(r.status, 504);
    assert_string_equal(wire_header(&r, "iothub-errorcode"), "GatewayTimeout");
    assert_has(&r, "\\\"info\\\":{\\\"timeout\\\":\\\"00:00:30\\\"}");
    assert_false(answer(200, "\"late\""));
    assert_int_equal(w.out.len, 0);
}

/* What comes behind a call waits for its turn; the connection lives on. */
static void a_connection_while_a_call_waits(void **state)
{
    struct wire_reply r;
    size_t n_tasks = w.n_tasks;

    (void)state;
    assert_false(API_HTTP_SURFACE.is_busy(w.surface));
    call(METHODS, "{\"methodName\":\"m\"}");
    assert_int_equal(w.n_tasks, n_tasks + 1);
    assert_true(w.task_note.is_part);
    assert_true(API_HTTP_SURFACE.is_busy(w.surface));
    wire_send(&w, SPAN("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_int_equal(w.out.len, 0);
    assert_true(w.in_len > 0);
    (void)asked();
    w.is_full = true; /* no task to answer it by: later */
    assert_true(answer(200, "1"));
    assert_int_equal(w.out.len, 0);
    w.is_full = false;
    wire_pass_ms(&w, 999);
    assert_int_equal(w.out.len, 0);
    wire_pass_ms(&w, 1);
    r = wire_take(&w, false);
    assert_string_equal(r.body, "{\"status\":200,\"payload\":1}");
    assert_false(API_HTTP_SURFACE.is_busy(w.surface));
    r = wire_take(&w, false);
    assert_string_equal(r.body, "{\"status\":\"ok\"}");
    assert_false(w.is_closed);
    wire_pass_ms(&w, LIMIT_HTTP_IDLE_MS); /* idle from its answer on, not longer */
    assert_true(w.is_closed);
}

static void a_caller_that_goes(void **state)
{
    (void)state;
    call(METHODS, "{\"methodName\":\"m\"}");
    assert_int_equal(bus_calls(w.service.bus), 1);
    wire_disconnect(&w);
    assert_int_equal(bus_calls(w.service.bus), 0);
    assert_null(bus_take(w.service.bus, &session)); /* and nobody is asked */
}

static void a_server_that_stops(void **state)
{
    struct wire_reply r;

    (void)state;
    call(METHODS, "{\"methodName\":\"m\"}");
    (void)asked();
    wire_draining = true;
    wire_pump(&w);
    wire_pass_ms(&w, LIMIT_DRAIN_MS - LIMIT_METHOD_DRAIN_MS - 1);
    assert_int_equal(w.out.len, 0);
    assert_true(answer(200, "1"));
    r = wire_take(&w, false);
    assert_int_equal(r.status, 200);
    assert_true(w.is_closed);
    wire_draining = false;
    wire_connect(&w);
    call(METHODS, "{\"methodName\":\"m\"}");
    (void)asked();
    wire_draining = true;
    wire_pump(&w);
    wire_pass_ms(&w, LIMIT_DRAIN_MS - LIMIT_METHOD_DRAIN_MS);
    r = wire_take(&w, false);
    assert_int_equal(r.status, 503);
    assert_true(w.is_closed);
    wire_connect(&w);
    call(METHODS, "{\"methodName\":\"m\"}"); /* none is begun */
    r = wire_take(&w, false);
    assert_int_equal(r.status, 503);
    assert_null(bus_take(w.service.bus, &session));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_the_device_is_asked),
        CASE(what_the_caller_is_answered),
        CASE(what_is_refused),
        CASE(a_payload_beyond_its_limit),
        CASE(nobody_there),
        CASE(a_connection_while_a_call_waits),
        CASE(a_caller_that_goes),
        CASE(a_server_that_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
