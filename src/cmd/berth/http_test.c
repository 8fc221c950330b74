/* cmd/berth/http_test.c: error bodies of the three kinds in, one sentence out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/http.h"

static const struct {
    int status;
    const char *body, *sentence;
} CASES[] = {
    { 404, "{\"errorCode\":404201,\"trackingId\":\"t-1\",\"message\":\"Not found.\"}",
      "it: Not found (404201); tracking ID t-1" },
    { 409,
      "{\"code\":\"certificate-in-use\",\"httpStatusCode\":\"409\",\"message\":\"Group g uses "
      "it.\",\"details\":\"Tracking ID: t-2\"}",
      "it: Group g uses it; tracking ID t-2" },
    { 412,
      "{\"Message\":\"{\\\"errorCode\\\":412002,\\\"trackingId\\\":\\\"t-3\\\",\\\"message\\\":"
      "\\\"Stale\\\"}\",\"ExceptionMessage\":\"\"}",
      "it: Stale (412002); tracking ID t-3" },
    { 404, "{\"Message\":\"ErrorCode:DeviceNotFound;no d\"}", "it: no d (DeviceNotFound)" },
    { 404,
      "{\"Message\":\"ErrorCode:DeviceNotFound;no d\",\"ExceptionMessage\":\"Tracking "
      "ID:28F7-G2-TimeStamp:2026-08-15T09:07:36Z\"}",
      "it: no d (DeviceNotFound); tracking ID 28F7-G2" },
    { 502, "<html>Bad gateway</html>", "it: the server answered 502" },
    { 500, "", "it: the server answered 500" },
    { 500, "[]", "it: the server answered 500" },
};

static void test_explain(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        char memory[512];
        struct buf out = buf_over(memory, sizeof(memory));

        berth_http_explain(CASES[i].status, span_str(CASES[i].body), "it", &out);
        assert_string_equal(buf_cstr(&out), CASES[i].sentence);
    }
}

static void test_headers(void **state)
{
    struct http_reply reply = { .headers = SPAN("Date: now\r\nETag:  \"a:b\" \r\n"
                                                "iothub-app-k:\r\niothub-app-K: 2\r\n\r\n") };
    struct span lines = reply.headers, name, value;
    int n = 0;

    (void)state;
    assert_true(span_eq(berth_http_header(&reply, "etag"), SPAN("\"a:b\"")));
    assert_true(span_is_absent(berth_http_header(&reply, "eta")));
    assert_int_equal(berth_http_header(&reply, "IOTHUB-APP-K").len, 0);
    while (berth_http_next_header(&lines, &name, &value)) {
        n++;
    }
    assert_int_equal(n, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_explain),
                                        cmocka_unit_test(test_headers) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
