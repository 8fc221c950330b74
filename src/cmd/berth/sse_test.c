/* cmd/berth/sse_test.c: a stream in pieces of any size gives the same events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/sse.h"

static const struct {
    const char *stream, *events; /* name#id=data; for each */
} CASES[] = {
    { "id: 42\nevent: telemetry\ndata: {\"a\":1}\n\n", "telemetry#42={\"a\":1};" },
    { "data:a\r\ndata: b\r\ndata:  c\r\n\r\n", "#=a\nb\n c;" },
    { ": hello\n\ndata\n\n", "#=;" },
    { "data: 1\n\nid: 7\r\rdata: 2\r\r", "#=1;#7=2;" },
    { "event: x\n\ndata: y\n\n", "#=y;" },
    { "retry: 10\nnonsense\ndata: z\n\n", "#=z;" },
    { "data: not finished\n", "" },
    { "", "" },
};

static void on_event(void *context, const struct sse_event *event)
{
    struct buf *out = context;

    buf_add(out, event->name);
    buf_add_u8(out, '#');
    buf_add(out, event->id);
    buf_add_u8(out, '=');
    buf_add(out, event->data);
    buf_add_u8(out, ';');
}

static void test_cases(void **state)
{
    static const size_t steps[] = { 1, 2, 3, 1000 };

    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
            uint8_t line[64], data[64], text[256];
            struct buf out = buf_over(text, sizeof(text));
            struct sse s = { .on_event = on_event, .context = &out };
            struct span rest = span_str(CASES[i].stream);

            berth_sse_init(&s, line, sizeof(line), data, sizeof(data));
            while (rest.len > 0) {
                struct span part = span_first(rest, steps[j]);

                assert_true(err_is_ok(berth_sse_input(&s, part)));
                rest = span_from(rest, part.len);
            }
            assert_string_equal(buf_cstr(&out), CASES[i].events);
        }
    }
}

static void pass_over(void *context, const struct sse_event *event)
{
    (void)context;
    (void)event;
}

static void test_where_to_go_on(void **state)
{
    uint8_t line[64], data[64];
    struct sse s = { .on_event = pass_over };

    (void)state;
    berth_sse_init(&s, line, sizeof(line), data, sizeof(data));
    assert_string_equal(s.last_id, "");
    assert_true(err_is_ok(berth_sse_input(&s, SPAN("id: 7\ndata: x\n\n:\n\n"))));
    assert_string_equal(s.last_id, "7");
    assert_true(err_is_ok(berth_sse_input(&s, SPAN("id: 8\n:\n"))));
    assert_string_equal(s.last_id, "7"); /* it is not whole */
    assert_true(err_is_ok(berth_sse_input(&s, SPAN("\n"))));
    assert_string_equal(s.last_id, "8");
}

static void test_too_large(void **state)
{
    uint8_t line[8], data[8];
    struct sse s = { .on_event = on_event };

    (void)state;
    berth_sse_init(&s, line, sizeof(line), data, sizeof(data));
    assert_true(err_is(berth_sse_input(&s, SPAN("data: 123456")), ERR_TOO_LARGE));
    berth_sse_init(&s, line, sizeof(line), data, sizeof(data));
    assert_true(err_is(berth_sse_input(&s, SPAN("data:123\ndata:456\ndata:7\n")), ERR_TOO_LARGE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_where_to_go_on),
        cmocka_unit_test(test_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
