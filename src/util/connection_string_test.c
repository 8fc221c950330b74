/* util/connection_string_test.c: connection strings in, parts or one sentence out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "util/connection_string.h"

static const struct {
    const char *text, *host, *policy, *key, *why;
} CASES[] = {
    { "HostName=h;SharedAccessKeyName=p;SharedAccessKey=a2V5==", "h", "p", "a2V5==", NULL },
    { " SharedAccessKey=k;HostName=h.example;SharedAccessKeyName=p;\n", "h.example", "p", "k",
      NULL },
    { "HostName=h;;Other=x=y;SharedAccessKeyName=p;SharedAccessKey=k", "h", "p", "k", NULL },
    { "", NULL, NULL, NULL, "the connection string has no HostName" },
    { "HostName=h;SharedAccessKeyName=p", NULL, NULL, NULL,
      "the connection string has no SharedAccessKey" },
    { "HostName=;SharedAccessKeyName=p;SharedAccessKey=k", NULL, NULL, NULL,
      "the connection string has no HostName" },
    { "hostname=h;SharedAccessKeyName=p;SharedAccessKey=k", NULL, NULL, NULL,
      "the connection string has no HostName" },
    { "HostName=h;HostName=i;SharedAccessKeyName=p;SharedAccessKey=k", NULL, NULL, NULL,
      "the connection string has HostName twice" },
    { "HostName=h;nonsense", NULL, NULL, NULL,
      "the connection string has a part without '=': nonsense" },
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct connection_string parts;
        err e = connection_string_parse(span_str(CASES[i].text), &parts);

        assert_int_equal(err_is_ok(e), CASES[i].why == NULL);
        if (!err_is_ok(e)) {
            assert_string_equal(err_detail(), CASES[i].why);
            continue;
        }
        assert_true(span_eq(parts.host, span_str(CASES[i].host)));
        assert_true(span_eq(parts.policy, span_str(CASES[i].policy)));
        assert_true(span_eq(parts.key, span_str(CASES[i].key)));
    }
}

static void test_device(void **state)
{
    struct connection_string_device parts;

    (void)state;
    assert_true(err_is_ok(
        connection_string_parse_device(SPAN("HostName=h;DeviceId=d;SharedAccessKey=k=="), &parts)));
    assert_true(span_eq(parts.host, SPAN("h")) && span_eq(parts.device, SPAN("d")));
    assert_true(span_eq(parts.key, SPAN("k==")) && span_is_absent(parts.module));
    assert_true(err_is_ok(connection_string_parse_device(
        SPAN("ModuleId=m;HostName=h;DeviceId=d;SharedAccessKey=k"), &parts)));
    assert_true(span_eq(parts.module, SPAN("m")));
    assert_true(err_is(connection_string_parse_device(
                           SPAN("HostName=h;SharedAccessKeyName=p;SharedAccessKey=k"), &parts),
                       ERR_MALFORMED));
    assert_string_equal(err_detail(), "the connection string has no DeviceId");
    assert_true(
        err_is_ok(connection_string_parse_device(SPAN("HostName=h;DeviceId=d;x509=true"), &parts)));
    assert_true(span_eq(parts.device, SPAN("d")) && span_is_absent(parts.key));
    assert_true(
        err_is(connection_string_parse_device(SPAN("HostName=h;DeviceId=d;x509=false"), &parts),
               ERR_MALFORMED));
    assert_string_equal(err_detail(), "the connection string has no SharedAccessKey");
    assert_true(err_is(connection_string_parse_device(
                           SPAN("HostName=h;DeviceId=d;SharedAccessKey=k;x509=true"), &parts),
                       ERR_MALFORMED));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases),
                                        cmocka_unit_test(test_device) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
