/* cmd/berth/view_test.c: what is shown of a value: times of either form alike, lists, what is
 * missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cmd/berth/view.h"

static const struct {
    const char *document, *path, *shown;
} cases[] = {
    { "{\"a\":\"2022-08-31T22:02:50.5160000Z\"}", "a", "2022-08-31 22:02:50Z" },
    { "{\"a\":\"2022-08-31T22:02:50Z\"}", "a", "2022-08-31 22:02:50Z" },
    { "{\"a\":\"0001-01-01T00:00:00Z\"}", "a", "" },
    { "{\"a\":\"Thu, 12 Oct 2017 19:23:50 GMT\"}", "a", "2017-10-12 19:23:50Z" },
    { "{\"a\":\"Sun, 01 Jan 2023 00:00:00 GMT\"}", "a", "2023-01-01 00:00:00Z" },
    { "{\"a\":\"Thu, 12 Okt 2017 19:23:50 GMT\"}", "a", "Thu, 12 Okt 2017 19:23:50 GMT" },
    { "{\"a\":\"a text that ends with the GMT\"}", "a", "a text that ends with the GMT" },
    { "{\"a\":{\"b\":\"c\"}}", "a.b", "c" },
    { "{\"a\":null,\"b\":[\"c\",1]}", "a|b", "c, 1" },
    { "{\"a\":{\"b\":true}}", "a", "{\"b\":true}" },
    { "{\"a\":1}", "b.c", "" },
    { "{\"a\":{\"y\":{\"b\":\"c\"}}}", "a.x/y.b", "c" },
};

static void test_text(void **state)
{
    static uint8_t memory[64 * 1024];
    struct cli cli = { .exit_status = 0 };

    (void)state;
    arena_init(&cli.arena, memory, sizeof(memory));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AUTO(json) json *document = NULL;
        struct span text;

        assert_true(err_is_ok(json_parse(span_str(cases[i].document), 8, &document)));
        text = berth_view_text(&cli, document, cases[i].path);
        if (!span_eq(text, span_str(cases[i].shown))) {
            fail_msg("%s of %s: \"%.*s\"", cases[i].path, cases[i].document, SPAN_FMT(text));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_text) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
