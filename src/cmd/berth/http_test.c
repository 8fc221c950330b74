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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_explain) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
