/* cmd/log_test.c: lines of both formats, and that nothing from outside can break out of its line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cmd/log.h"
#include "json/json.h"

static const int64_t NOW_MS = 1661983370516; /* 2022-08-31T22:02:50.516Z */

static const char *access_line(enum config_log_format format, const struct access_note *note,
                               const char *tracking_id)
{
    static char line[LOG_LINE_MAX + 1];
    const struct peer peer = { .address = "192.0.2.1:40000" };
    const struct front_access a = { note, &peer, tracking_id, 1234 };

    line[log_format_access(format, NOW_MS, &a, line)] = '\0';
    return line;
}

static void test_access(void **state)
{
    const struct access_note note = { .surface = "dps-mqtt",
                                      .operation = "register",
                                      .scope = SPAN("0ne00000001"),
                                      .id = SPAN("device 1"),
                                      .reason = REASON_ISSUER_UNKNOWN,
                                      .status = 401 };
    const struct access_note broken = { .surface = "ops",
                                        .operation = "GET /metrics",
                                        .reason = REASON_INTERNAL,
                                        .fault = "disk full" };

    (void)state;
    assert_string_equal(
        access_line(CONFIG_LOG_LOGFMT, &note, "id-1"),
        "time=2022-08-31T22:02:50.5160000Z level=info event=request surface=dps-mqtt "
        "operation=register scope=0ne00000001 id=\"device 1\" reason=issuer-unknown status=401 "
        "trackingId=id-1 durationUs=1234 peer=192.0.2.1:40000\n");
    assert_string_equal(
        access_line(CONFIG_LOG_JSON, &note, "id-1"),
        "{\"time\":\"2022-08-31T22:02:50.5160000Z\",\"level\":\"info\",\"event\":\"request\","
        "\"surface\":\"dps-mqtt\",\"operation\":\"register\",\"scope\":\"0ne00000001\","
        "\"id\":\"device 1\",\"reason\":\"issuer-unknown\",\"status\":401,\"trackingId\":\"id-1\","
        "\"durationUs\":1234,\"peer\":\"192.0.2.1:40000\"}\n");
    assert_string_equal(
        access_line(CONFIG_LOG_LOGFMT, &broken, ""),
        "time=2022-08-31T22:02:50.5160000Z level=error event=request surface=ops "
        "operation=\"GET /metrics\" reason=internal fault=\"disk full\" peer=192.0.2.1:40000\n");
}

struct text_case {
    const char *text;
    const char *logfmt, *json;
};

static const struct text_case text_cases[] = {
    { "plain-1", " id=plain-1 ", "\"plain-1\"" },
    { "", " id=\"\" ", "\"\"" },
    { "a b", " id=\"a b\" ", "\"a b\"" },
    { "a=b", " id=\"a=b\" ", "\"a=b\"" },
    { "a\"b\\c", " id=\"a\\\"b\\\\c\" ", "\"a\\\"b\\\\c\"" },
    { "a\nlevel=error", " id=\"a\\u000alevel=error\" ", "\"a\\u000alevel=error\"" },
    { "\x1b[2J\x7f", " id=\"\\u001b[2J\\u007f\" ", "\"\\u001b[2J\\u007f\"" },
    { "caf\xc3\xa9 \xf0\x9f\x98\x80", " id=\"caf\xc3\xa9 \xf0\x9f\x98\x80\" ",
      "\"caf\xc3\xa9 \xf0\x9f\x98\x80\"" },
    { "\xc0\x80\xff", " id=\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\" ",
      "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
    { "\xed\xa0\x80", NULL, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
    { "cut \xe2\x82", NULL, "\"cut \xef\xbf\xbd\xef\xbf\xbd\"" },
};

static void test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(text_cases) / sizeof(text_cases[0]); i++) {
        const struct access_note note = { .surface = "s",
                                          .operation = "o",
                                          .id = span_str(text_cases[i].text) };
        const char *line;

        if (text_cases[i].logfmt != NULL) {
            line = access_line(CONFIG_LOG_LOGFMT, &note, "");
            assert_non_null(strstr(line, text_cases[i].logfmt));
        }
        line = access_line(CONFIG_LOG_JSON, &note, "");
        assert_non_null(strstr(line, text_cases[i].json));
    }
}

/* Whatever stands in it, a line is one line of JSON. */
static void test_long_texts(void **state)
{
    static uint8_t bytes[100000];
    static char fault[5000], line[LOG_LINE_MAX];
    const struct access_note note = { .surface = "s",
                                      .operation = "o",
                                      .scope = { bytes, sizeof(bytes) },
                                      .id = { bytes, sizeof(bytes) },
                                      .fault = fault };

    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        AUTO(json) json *document = NULL;
        const char *text;

        memset(bytes, byte, sizeof(bytes));
        memset(fault, byte == 0 ? 1 : byte, sizeof(fault) - 1);
        text = access_line(CONFIG_LOG_JSON, &note, "id");
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
        if (byte != 0) { /* U+0000 is more than our own parser takes */
            assert_true(err_is_ok(json_parse(span_str(text), 4, &document)));
        }
        assert_true(log_format_event(CONFIG_LOG_JSON, NOW_MS, CONFIG_LOG_ERROR, "e", fault, line) <
                    sizeof(line));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_access),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_long_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
