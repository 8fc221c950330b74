/* api/filters_test.c: filters added, changed, matched, kept and read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "api/filters.h"

static void matches_with_the_highest_qos(void **state)
{
    static const struct {
        const char *topic;
        int qos;
    } cases[] = {
        { "$iothub/twin/res/200/?$rid=1", 0 },
        { "$iothub/methods/POST/x/?$rid=1", -1 },
        { "devices/d1/messages/devicebound/", 1 },
        { "anything", 0 }, /* by "#" */
    };
    struct filters f = { 0 };

    (void)state;
    assert_int_equal(filters_match(&f, SPAN("a")), -1);
    assert_true(filters_add(&f, SPAN("$iothub/twin/res/#"), 0));
    assert_true(filters_add(&f, SPAN("#"), 0));
    assert_true(filters_add(&f, SPAN("devices/+/messages/devicebound/#"), 1));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(filters_match(&f, span_str(cases[i].topic)), cases[i].qos);
    }
    filters_free(&f);
}

static void adds_and_removes(void **state)
{
    struct filters f = { 0 };
    size_t len;

    (void)state;
    assert_true(filters_add(&f, SPAN("a"), 0));
    assert_true(filters_add(&f, SPAN("bb"), 1));
    assert_true(filters_add(&f, SPAN("ccc"), 0));
    len = f.len;
    assert_true(filters_add(&f, SPAN("a"), 1)); /* changed in place */
    assert_int_equal(f.len, len);
    assert_int_equal(filters_match(&f, SPAN("a")), 1);
    filters_remove(&f, SPAN("b"));
    assert_int_equal(f.len, len);
    filters_remove(&f, SPAN("bb"));
    assert_int_equal(f.len, len - 5);
    assert_int_equal(filters_match(&f, SPAN("bb")), -1);
    assert_int_equal(filters_match(&f, SPAN("ccc")), 0);
    filters_remove(&f, SPAN("ccc"));
    filters_remove(&f, SPAN("a"));
    assert_int_equal(f.len, 0);
    assert_false(span_is_absent(filters_span(&f)));
    filters_free(&f);
}

static void is_bounded(void **state)
{
    static uint8_t text[LIMIT_FILTERS];
    struct filters f = { 0 };
    char name[8];

    (void)state;
    for (int i = 0; i < LIMIT_SUBSCRIPTIONS; i++) {
        (void)snprintf(name, sizeof(name), "f%d", i);
        assert_true(filters_add(&f, span_str(name), 0));
    }
    assert_false(filters_add(&f, SPAN("more"), 0));
    assert_true(filters_add(&f, SPAN("f3"), 1)); /* needs no room */
    f.len = 0;
    memset(text, 'x', sizeof(text));
    assert_false(filters_add(&f, span_of(text, LIMIT_FILTERS - 2), 0));
    assert_int_equal(f.len, 0);
    assert_true(filters_add(&f, span_of(text, LIMIT_FILTERS - 3), 0));
    assert_false(filters_add(&f, SPAN("y"), 0));
    filters_free(&f);
    assert_int_equal(filters_match(&f, SPAN("x")), -1);
}

static void reads_back_what_is_whole(void **state)
{
    struct filters f = { 0 }, g = { 0 };
    struct span packed;

    (void)state;
    assert_true(filters_load(&f, filters_span(&f)));
    assert_true(filters_add(&f, SPAN("a/+"), 0));
    assert_true(filters_add(&f, SPAN("b/#"), 1));
    packed = filters_span(&f);
    assert_true(filters_load(&g, packed));
    assert_true(span_eq(filters_span(&g), packed));
    for (size_t n = 1; n < packed.len; n++) {
        bool is_first_alone = n == 6; /* one filter less is whole too */

        assert_int_equal(filters_load(&g, span_first(packed, n)), is_first_alone);
        assert_int_equal(g.len, is_first_alone ? n : 0);
    }
    assert_false(filters_load(&g, span_of("\2\0\1a", 4)));  /* QoS 2 */
    assert_false(filters_load(&g, span_of("\0\0\2#a", 5))); /* no filter */
    assert_int_equal(g.len, 0);
    filters_free(&f);
    filters_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_with_the_highest_qos),
        cmocka_unit_test(adds_and_removes),
        cmocka_unit_test(is_bounded),
        cmocka_unit_test(reads_back_what_is_whole),
    };

    return cmocka_run_group_tests_name("api/filters", tests, NULL, NULL);
}
