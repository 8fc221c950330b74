/* api/http_test.c: one HTTP connection: framing to answers, one at a time, refusals without a
 * handler, deadlines. What single routes answer is in the tests beside them. */
#include "api/http_wire_test.h"

static void test_every_answer_is_tracked_and_dated(void **state)
{
    struct wire_reply r = wire_ask(&w, "GET", "/healthz", "", "");

    (void)state;
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "{\"status\":\"ok\"}");
    assert_string_equal(wire_header(&r, "x-ms-request-id"), WIRE_TRACKING_ID);
    assert_string_equal(wire_header(&r, "Date"), "Sun, 17 Mar 2030 17:46:40 GMT");
    assert_string_equal(wire_header(&r, "Content-Type"), "application/json; charset=utf-8");
    assert_null(wire_header(&r, "Connection"));
    assert_null(wire_header(&r, "Strict-Transport-Security"));
    assert_string_equal(w.task_note.surface, "ops");
    assert_int_equal(w.task_note.status, 200);
    wire_send(&w, SPAN("GET /healthz HTTP/1.1\r\nHost: dps.example.com\r\n\r\n"));
    r = wire_take(&w, false);
    assert_string_equal(wire_header(&r, "Strict-Transport-Security"),
                        "max-age=31536000; includeSubDomains");
    assert_int_equal(w.out.len, 0);
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
    static const char requests[] = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
                                   "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"
                                   "POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                                   "Content-Type: application/json\r\n\r\n{}"
                                   "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                                   "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    static const int expected[] = { 200, 404, 405, 200 };
    struct wire_reply r;

    (void)state;
    for (size_t step = 1; step < sizeof(requests); step += step < 8 ? 1 : 64) {
        w.n_tasks = 0;
        wire_connect(&w);
        for (size_t at = 0; at < sizeof(requests) - 1 && !w.is_closed; at += step) {
            wire_send(&w, span_first(span_from(span_str(requests), at), step));
        }
        for (size_t i = 0; i < 4; i++) {
            r = wire_take(&w, false);
            assert_int_equal(r.status, expected[i]);
        }
        assert_string_equal(wire_header(&r, "Connection"), "close");
        assert_true(w.is_closed);
        assert_int_equal(w.out.len, 0);
        assert_int_equal(w.n_tasks, 4);
    }
}

static void test_refusals_before_a_handler(void **state)
{
    static const struct {
        const char *method, *target, *headers, *body;
        int status;
        const char *code; /* x-ms-error-code */
        const char *allow;
    } cases[] = {
        { "GET", "/", "", "", 404, "404001", NULL },
        { "GET", "/enrollments/a/b/c", "", "", 404, "404001", NULL },
        { "GET", "/healthz/", "", "", 200, NULL, NULL },
        { "GET", "/HealthZ?x=1", "", "", 200, NULL, NULL },
        { "PUT", "/healthz", "", "", 405, "405001", "GET" },
        { "PUT", "/enrollments?api-version=2021-10-01", "", "{}", 405, "405001", "POST" },
        { "GET", "/enrollments?api-version=2021-10-01", "", "", 405, "405001", "POST" },
        { "DELETE", "/enrollmentGroups/?api-version=2021-10-01", "", "", 405, "405001", "POST" },
        { "GET", "/registrations?api-version=2021-10-01", "", "", 405, "405001", "" },
        { "PATCH", "/enrollments/a", "", "", 405, "405001", "GET, PUT, DELETE" },
        { "GET", "/enrollments/a", "", "", 400, "400001", NULL },
        { "GET", "/enrollments/a?api-version=", "", "", 400, "400001", NULL },
        { "GET", "/enrollments/a?api-version=new", "", "", 400, "400001", NULL },
        { "GET", "/enrollments/a?api-version=2021-10-01x", "", "", 400, "400001", NULL },
        { "GET", "/enrollments/%zz?api-version=2021-10-01", "", "", 400, "400004", NULL },
        { "PUT", "/enrollments/a?api-version=2021-10-01", "Content-Type: text/xml\r\n", "<a/>", 415,
          "415001", NULL },
        /* The token is looked at behind those. */
        { "GET", "/enrollments/a?api-version=2018-04-01", "", "", 401, "401002", NULL },
        { "GET", "/enrollments/a?api-version=2026-11-02-preview", "", "", 401, "401002", NULL },
        { "POST", "/enrollments/query?api-version=2021-10-01", "Content-Type: text/xml\r\n", "",
          401, "401002", NULL },
        { "PUT", "/enrollments/a?Api-Version=2021-10-01",
          "content-type: Application/JSON; charset=utf-8\r\n", "{}", 401, "401002", NULL },
        { "PUT", "/enrollments/a?api-version=2021-10-01", "", "{}", 401, "401002", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_reply r =
            wire_ask(&w, cases[i].method, cases[i].target, cases[i].headers, cases[i].body);

        print_message("%s %s\n", cases[i].method, cases[i].target);
        assert_int_equal(r.status, cases[i].status);
        if (cases[i].code != NULL) {
            assert_string_equal(wire_header(&r, "x-ms-error-code"), cases[i].code);
            assert_non_null(strstr(r.body, "\"trackingId\":\"" WIRE_TRACKING_ID "\"") != NULL
                                ? r.body
                                : strstr(r.body, "Tracking ID: " WIRE_TRACKING_ID));
        }
        if (cases[i].allow != NULL) {
            assert_string_equal(wire_header(&r, "Allow"), cases[i].allow);
        }
        assert_false(w.is_closed);
    }
}

static void test_head_is_get_without_body(void **state)
{
    struct wire_reply r = wire_ask(&w, "HEAD", "/healthz", "", "");

    (void)state;
    assert_int_equal(r.status, 200);
    assert_string_equal(wire_header(&r, "Content-Length"), "15");
    assert_int_equal(w.out.len, 0);
}

static void test_continue_is_sent_before_the_body(void **state)
{
    struct wire_reply r;

    (void)state;
    wire_send(&w, SPAN("POST /healthz HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                       "Content-Length: 2\r\n\r\n"));
    r = wire_take(&w, false);
    assert_int_equal(r.status, 100);
    wire_send(&w, SPAN("{}"));
    r = wire_take(&w, false);
    assert_int_equal(r.status, 405);
}

static void test_violations_are_answered_and_closed(void **state)
{
    static const struct {
        const char *text;
        int status;
        enum reason reason;
    } cases[] = {
        { "\x16\x03\x01", 400, REASON_REQUEST_MALFORMED },
        { "GET / HTTP/1.1\r\n\r\n", 400, REASON_REQUEST_MALFORMED },
        { "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, REASON_REQUEST_MALFORMED },
        { "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413,
          REASON_BODY_TOO_LARGE },
        { "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501,
          REASON_REQUEST_MALFORMED },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_reply r;

        wire_connect(&w);
        wire_send(&w, span_str(cases[i].text));
        r = wire_take(&w, false);
        assert_int_equal(r.status, cases[i].status);
        assert_string_equal(wire_header(&r, "Connection"), "close");
        assert_true(w.is_closed);
        assert_int_equal(w.last_note.reason, cases[i].reason);
        assert_int_equal(w.status_noted, cases[i].status);
    }
}

static void test_no_task_is_429_and_the_connection_stays(void **state)
{
    struct wire_reply r;

    (void)state;
    w.is_full = true;
    r = wire_ask(&w, "GET", "/enrollments/a?api-version=2021-10-01", "", "");
    assert_int_equal(r.status, 429);
    assert_string_equal(wire_header(&r, "Retry-After"), "7");
    assert_non_null(strstr(r.body, "\"errorCode\":429001"));
    r = wire_ask(&w, "GET", "/devices/a?api-version=2021-04-12", "", "");
    assert_non_null(strstr(r.body, "ErrorCode:ThrottlingException"));
    assert_int_equal(w.last_note.reason, REASON_THROTTLED);
    assert_string_equal(w.last_note.surface, "hub-http");
    w.is_full = false;
    r = wire_ask(&w, "GET", "/healthz", "", "");
    assert_int_equal(r.status, 200);
}

static void test_deadlines(void **state)
{
    struct wire_reply r;

    (void)state;
    wire_pass_ms(&w, LIMIT_HTTP_IDLE_MS - 1);
    assert_false(w.is_closed);
    r = wire_ask(&w, "GET", "/healthz", "", "");
    assert_int_equal(r.status, 200);
    wire_pass_ms(&w, LIMIT_HTTP_IDLE_MS - 1);
    assert_false(w.is_closed);
    wire_pass_ms(&w, 1);
    assert_true(w.is_closed);
    assert_int_equal(w.out.len, 0);

    wire_connect(&w);
    wire_send(&w, SPAN("GET / HT"));
    wire_pass_ms(&w, LIMIT_HTTP_REQUEST_MS - 1);
    assert_false(w.is_closed);
    wire_pass_ms(&w, 1);
    assert_true(w.is_closed);
    r = wire_take(&w, false);
    assert_int_equal(r.status, 408);
}

static void test_draining_closes_after_the_answer(void **state)
{
    struct wire_reply r;

    (void)state;
    wire_draining = true;
    r = wire_ask(&w, "GET", "/healthz", "", "");
    assert_int_equal(r.status, 503);
    assert_string_equal(r.body, "{\"status\":\"draining\"}");
    assert_string_equal(wire_header(&r, "Connection"), "close");
    assert_true(w.is_closed);
}

static void test_metrics_page(void **state)
{
    struct access_note note = { .surface = "service", .reason = REASON_TOKEN_EXPIRED };
    struct wire_reply r;

    (void)state;
    metrics_request(&w.metrics, &note, 1500);
    metrics_request(&w.metrics, &note, 1500000000);
    note.surface = "who knows";
    metrics_request(&w.metrics, &note, 0);
    r = wire_ask(&w, "GET", "/metrics", "", "");
    assert_int_equal(r.status, 200);
    assert_string_equal(wire_header(&r, "Content-Type"),
                        "text/plain; version=0.0.4; charset=utf-8");
    assert_non_null(
        strstr(r.body, "\nberth_requests_total{surface=\"service\",reason=\"token-expired\"} 2\n"));
    assert_non_null(
        strstr(r.body, "\nberth_requests_total{surface=\"other\",reason=\"token-expired\"} 1\n"));
    assert_non_null(strstr(r.body, "_bucket{le=\"0.0005\"} 1\n"));
    assert_non_null(strstr(r.body, "_bucket{le=\"0.002\"} 2\n"));
    assert_non_null(strstr(r.body, "_bucket{le=\"5\"} 2\n"));
    assert_non_null(strstr(r.body, "_bucket{le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(r.body, "\nberth_store_write_backlog 0\n"));
    assert_non_null(strstr(r.body, "\nberth_hub_sessions 0\n"));
    assert_non_null(strstr(r.body, "\nberth_telemetry_last_offset 0\n"));

    w.peer.is_loopback = false;
    r = wire_ask(&w, "GET", "/metrics", "", "");
    assert_int_equal(r.status, 404);
    w.service.metrics_public = true;
    r = wire_ask(&w, "GET", "/metrics", "", "");
    assert_int_equal(r.status, 200);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, wire_set_up, wire_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_answer_is_tracked_and_dated),
        TEST(test_pipelined_requests_are_answered_in_order),
        TEST(test_refusals_before_a_handler),
        TEST(test_head_is_get_without_body),
        TEST(test_continue_is_sent_before_the_body),
        TEST(test_violations_are_answered_and_closed),
        TEST(test_no_task_is_429_and_the_connection_stays),
        TEST(test_deadlines),
        TEST(test_draining_closes_after_the_answer),
        TEST(test_metrics_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
