/* util/span_test.c: comparing, cutting and parsing runs of bytes. */
#include "util/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void compares(void **state)
{
    static const struct {
        const char *a, *b;
        bool eq, eq_nocase, starts, starts_nocase, ends;
        int order;
    } cases[] = {
        { "", "", true, true, true, true, true, 0 },
        { "abc", "abc", true, true, true, true, true, 0 },
        { "abc", "ABC", false, true, false, true, false, 1 },
        { "abc", "ab", false, false, true, true, false, 1 },
        { "abc", "AB", false, false, false, true, false, 1 },
        { "abc", "bc", false, false, false, false, true, -1 },
        { "ab", "abc", false, false, false, false, false, -1 },
        { "abc", "", false, false, true, true, true, 1 },
        { "a[", "a{", false, false, false, false, false, -1 }, /* letters alone are folded */
        { "\xc4", "\xe4", false, false, false, false, false, -1 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct span a = span_str(cases[i].a), b = span_str(cases[i].b);
        int order = span_compare(a, b);

        assert_int_equal(span_eq(a, b), cases[i].eq);
        assert_int_equal(span_eq_nocase(a, b), cases[i].eq_nocase);
        assert_int_equal(span_starts_with(a, b), cases[i].starts);
        assert_int_equal(span_starts_with_nocase(a, b), cases[i].starts_nocase);
        assert_int_equal(span_ends_with(a, b), cases[i].ends);
        assert_int_equal((order > 0) - (order < 0), cases[i].order);
    }
}

static void absent_is_not_empty_but_equal_in_bytes(void **state)
{
    (void)state;
    assert_true(span_is_absent(span_str(NULL)));
    assert_false(span_is_absent(span_str("")));
    assert_true(span_eq(SPAN_NONE, SPAN("")));
    assert_true(span_starts_with(SPAN("a"), SPAN_NONE));
    assert_int_equal(span_compare(SPAN_NONE, SPAN("")), 0);
    assert_true(span_is_absent(span_from(SPAN_NONE, 3)));
    assert_int_equal(span_find(SPAN_NONE, 'a'), 0);
}

static void parts_are_cut_to_the_length(void **state)
{
    (void)state;
    assert_true(span_eq(span_from(SPAN("abc"), 1), SPAN("bc")));
    assert_int_equal(span_from(SPAN("abc"), 9).len, 0);
    assert_true(span_eq(span_first(SPAN("abc"), 2), SPAN("ab")));
    assert_int_equal(span_first(SPAN("abc"), 9).len, 3);
    assert_int_equal(span_find(SPAN("abca"), 'a'), 0);
    assert_int_equal(span_find(SPAN("abc"), 'c'), 2);
    assert_int_equal(span_find(SPAN("abc"), 'x'), 3);
}

static void cut_gives_every_part_once(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        const char *parts[4];
    } cases[] = {
        { "", 1, { "" } },
        { "a", 1, { "a" } },
        { "a,", 2, { "a", "" } },
        { ",a", 2, { "", "a" } },
        { "a,bc,,d", 4, { "a", "bc", "", "d" } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct span rest = span_str(cases[i].text);
        size_t n = 0;

        while (!span_is_absent(rest)) {
            assert_true(n < cases[i].n);
            assert_true(span_eq(span_cut(&rest, ','), span_str(cases[i].parts[n])));
            n++;
        }
        assert_int_equal(n, cases[i].n);
    }
}

static void trims_white_space(void **state)
{
    (void)state;
    assert_true(span_eq(span_trim(SPAN(" \t\r\na b\n ")), SPAN("a b")));
    assert_int_equal(span_trim(SPAN(" \t ")).len, 0);
    assert_int_equal(span_trim(SPAN_NONE).len, 0);
}

static void parses_integers(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        { "0", true, 0 },
        { "42", true, 42 },
        { "007", true, 7 },
        { "9223372036854775807", true, INT64_MAX },
        { "00000000000000000000009", true, 9 },
        { "9223372036854775808", false, 0 },
        { "99999999999999999999", false, 0 },
        { "", false, 0 },
        { "-1", false, 0 },
        { "+1", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "1a", false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t value = -7;

        assert_int_equal(span_parse_int(span_str(cases[i].text), &value), cases[i].ok);
        assert_int_equal(value, cases[i].ok ? cases[i].value : -7);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),
        cmocka_unit_test(absent_is_not_empty_but_equal_in_bytes),
        cmocka_unit_test(parts_are_cut_to_the_length),
        cmocka_unit_test(cut_gives_every_part_once),
        cmocka_unit_test(trims_white_space),
        cmocka_unit_test(parses_integers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
