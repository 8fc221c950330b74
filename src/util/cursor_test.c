/* util/cursor_test.c: reading to the end and past it. */
#include "util/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 0, 2, 'h', 'i', 9 };

static void read_all(struct cursor *c)
{
    (void)cursor_u8(c);
    (void)cursor_u16(c);
    (void)cursor_u32(c);
    (void)cursor_lp16(c);
    (void)cursor_bytes(c, 1);
}

static void reads_in_order(void **state)
{
    struct cursor c = cursor_over(span_of(bytes, sizeof(bytes)));

    (void)state;
    assert_int_equal(cursor_u8(&c), 1);
    assert_int_equal(cursor_u16(&c), 0x0203);
    assert_int_equal(cursor_u32(&c), 0x04050607);
    assert_true(span_eq(cursor_lp16(&c), SPAN("hi")));
    assert_true(err_is(cursor_done(&c), ERR_MALFORMED)); /* a byte left over */
    assert_true(err_is_ok(cursor_ok(&c)));
    assert_int_equal(cursor_rest(&c).len, 1);
    assert_true(err_is_ok(cursor_done(&c)));
}

static void every_truncation_fails(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(bytes); len++) {
        struct cursor c = cursor_over(span_of(bytes, len));

        read_all(&c);
        assert_true(err_is(cursor_ok(&c), ERR_MALFORMED));
        assert_true(err_is(cursor_done(&c), ERR_MALFORMED));
    }
}

static void failure_sticks(void **state)
{
    struct cursor c = cursor_over(SPAN("abc"));

    (void)state;
    assert_int_equal(cursor_u32(&c), 0);
    assert_true(c.failed);
    assert_int_equal(cursor_u8(&c), 0);
    assert_true(span_is_absent(cursor_bytes(&c, 0)));
    assert_true(span_is_absent(cursor_rest(&c)));
}

static void an_empty_string_is_not_absent(void **state)
{
    struct cursor c = cursor_over(SPAN("\0\0"));
    struct span s = cursor_lp16(&c);

    (void)state;
    assert_false(span_is_absent(s));
    assert_int_equal(s.len, 0);
    assert_true(err_is_ok(cursor_done(&c)));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_in_order),
        cmocka_unit_test(every_truncation_fails),
        cmocka_unit_test(failure_sticks),
        cmocka_unit_test(an_empty_string_is_not_absent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
