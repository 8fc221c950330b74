/* util/utf8_test.c: Unicode's table 3-7 at its edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/utf8.h"

static const struct {
    const char *bytes;
    size_t len, skip; /* len 0: ill-formed */
} cases[] = {
    { "a", 1, 0 },
    { "\x7f", 1, 0 },
    { "\x80", 0, 1 },
    { "\xc1\xbf", 0, 1 },
    { "\xc2\x80", 2, 0 },
    { "\xdf\xbf", 2, 0 },
    { "\xc2", 0, 1 },
    { "\xc2\x7f", 0, 1 },
    { "\xe0\x9f\x80", 0, 1 },
    { "\xe0\xa0\x80", 3, 0 },
    { "\xed\x9f\xbf", 3, 0 },
    { "\xed\xa0\x80", 0, 1 },
    { "\xef\xbf\xbf", 3, 0 },
    { "\xe2\x82", 0, 2 },
    { "\xe2\x82\x41", 0, 2 },
    { "\xf0\x8f\xbf\xbf", 0, 1 },
    { "\xf0\x90\x80\x80", 4, 0 },
    { "\xf4\x8f\xbf\xbf", 4, 0 },
    { "\xf4\x90\x80\x80", 0, 1 },
    { "\xf0\x9f\x98", 0, 3 },
    { "\xf5\x80\x80\x80", 0, 1 },
    { "\xff", 0, 1 },
};

static void sequences(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t skip = 0;

        assert_int_equal(utf8_sequence(span_str(cases[i].bytes), &skip), cases[i].len);
        assert_int_equal(skip, cases[i].skip);
        assert_int_equal(utf8_sequence(span_str(cases[i].bytes), NULL), cases[i].len);
    }
}

/* Each is a sequence of its own, and the last character of its length or the first of the next. */
static void characters(void **state)
{
    static const struct {
        uint32_t c;
        const char *bytes;
    } edges[] = {
        { 'a', "a" },
        { 0x7f, "\x7f" },
        { 0x80, "\xc2\x80" },
        { 0x7ff, "\xdf\xbf" },
        { 0x800, "\xe0\xa0\x80" },
        { 0xffff, "\xef\xbf\xbf" },
        { 0x10000, "\xf0\x90\x80\x80" },
        { 0x10ffff, "\xf4\x8f\xbf\xbf" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(edges) / sizeof(*edges); i++) {
        uint8_t room[4];
        struct buf out = buf_over(room, sizeof(room));

        utf8_encode(edges[i].c, &out);
        assert_true(span_eq(buf_span(&out), span_str(edges[i].bytes)));
        assert_int_equal(utf8_sequence(buf_span(&out), NULL), out.len);
    }
}

/* Each case behind 0 to 16 plain characters and before as many, so at every place of a word. */
static void texts(void **state)
{
    (void)state;
    assert_true(utf8_is_text(SPAN_NONE));
    assert_true(utf8_is_text(SPAN("")));
    assert_false(utf8_is_text(SPAN("\0")));
    assert_false(utf8_is_text(SPAN("abcdefg\0hijklmnop")));
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t len = strlen(cases[i].bytes);

        for (size_t around = 0; around <= 16; around++) {
            char text[64];

            memset(text, 'x', sizeof(text));
            memcpy(text + around, cases[i].bytes, len);
            assert_int_equal(utf8_is_text(span_of(text, 2 * around + len)), cases[i].len == len);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences),
        cmocka_unit_test(characters),
        cmocka_unit_test(texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
