/* util/timefmt_test.c: points in time as text; expected values are of date(1). */
#include "util/timefmt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void formats_and_parses_back(void **state)
{
    static const struct {
        int64_t time_ms;
        const char *iso, *http;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.0000000Z", "Thu, 01 Jan 1970 00:00:00 GMT" },
        { -1, "1969-12-31T23:59:59.9990000Z", "Wed, 31 Dec 1969 23:59:59 GMT" },
        { 1661983370516, "2022-08-31T22:02:50.5160000Z", "Wed, 31 Aug 2022 22:02:50 GMT" },
        { 951782400000, "2000-02-29T00:00:00.0000000Z", "Tue, 29 Feb 2000 00:00:00 GMT" },
        { 1709251199999, "2024-02-29T23:59:59.9990000Z", "Thu, 29 Feb 2024 23:59:59 GMT" },
        { 4107542400000, "2100-03-01T00:00:00.0000000Z", "Mon, 01 Mar 2100 00:00:00 GMT" },
        { 253402300799999, "9999-12-31T23:59:59.9990000Z", "Fri, 31 Dec 9999 23:59:59 GMT" },
        { -62135596800000, "0001-01-01T00:00:00.0000000Z", "Mon, 01 Jan 0001 00:00:00 GMT" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t iso[28], http[29];
        struct buf b = buf_over(iso, sizeof(iso)), h = buf_over(http, sizeof(http));
        int64_t back = 7;

        timefmt_iso(cases[i].time_ms, &b);
        assert_true(span_eq(buf_span(&b), span_str(cases[i].iso)));
        timefmt_http(cases[i].time_ms, &h);
        assert_true(span_eq(buf_span(&h), span_str(cases[i].http)));
        assert_true(err_is_ok(timefmt_parse_iso(buf_span(&b), &back)));
        assert_int_equal(back, cases[i].time_ms);
    }
}

static void any_time_can_be_formatted(void **state)
{
    uint8_t room[64];
    struct buf b = buf_over(room, sizeof(room));

    (void)state;
    timefmt_iso(INT64_MIN, &b);
    assert_true(err_is_ok(buf_ok(&b)));
    b.len = 0;
    timefmt_http(INT64_MAX, &b);
    assert_true(err_is_ok(buf_ok(&b)));
}

static void parses_fractions(void **state)
{
    static const struct {
        const char *text;
        int64_t time_ms;
    } cases[] = {
        { "1970-01-01T00:00:01Z", 1000 },      { "1970-01-01T00:00:01.2Z", 1200 },
        { "1970-01-01T00:00:01.23Z", 1230 },   { "1970-01-01T00:00:01.234Z", 1234 },
        { "1970-01-01T00:00:01.2349Z", 1234 }, { "1970-01-01T00:00:01.234567891Z", 1234 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t time_ms = 0;

        assert_true(err_is_ok(timefmt_parse_iso(span_str(cases[i].text), &time_ms)));
        assert_int_equal(time_ms, cases[i].time_ms);
    }
}

static void refuses(void **state)
{
    static const char *const bad[] = {
        "0000-01-01T00:00:00Z", "2023-00-01T00:00:00Z",  "2023-13-01T00:00:00Z",
        "2023-01-00T00:00:00Z", "2023-01-32T00:00:00Z",  "2023-04-31T00:00:00Z",
        "2023-02-29T00:00:00Z", "2100-02-29T00:00:00Z",  "2023-01-01T24:00:00Z",
        "2023-01-01T00:60:00Z", "2023-01-01T00:00:61Z",  "2023-01-01T00:00:00.Z",
        "2023-01-01 00:00:00Z", "2023-01-01T00:00:00z",  "2023-01-01T00:00:00+00:00",
        "23-01-01T00:00:00Z",   "2023-1-01T00:00:00Z",   "2023-01-01T00:00:00.1234567890Z",
        "+023-01-01T00:00:00Z", "2023-01-01T00:00:00ZZ",
    };
    const struct span good = SPAN("2024-02-29T01:02:03.45Z");
    int64_t time_ms = 7;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (!err_is(timefmt_parse_iso(span_str(bad[i]), &time_ms), ERR_MALFORMED)) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    for (size_t len = 0; len < good.len; len++) {
        assert_true(err_is(timefmt_parse_iso(span_first(good, len), &time_ms), ERR_MALFORMED));
    }
    assert_int_equal(time_ms, 7);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_and_parses_back),
        cmocka_unit_test(any_time_can_be_formatted),
        cmocka_unit_test(parses_fractions),
        cmocka_unit_test(refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
