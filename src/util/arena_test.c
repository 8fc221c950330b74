/* util/arena_test.c: alignment, the cap, and giving room back. */
#include "util/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static _Alignas(max_align_t) uint8_t block[256];

static void memory_is_zeroed_and_aligned(void **state)
{
    (void)state;
    for (size_t offset = 0; offset < 16; offset++) {
        struct arena a;
        uint8_t *p;

        memset(block, 0xff, sizeof(block));
        arena_init(&a, block + offset, sizeof(block) - offset);
        (void)arena_alloc(&a, 1);
        p = arena_alloc(&a, 24);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < 24; i++) {
            assert_int_equal(p[i], 0);
        }
    }
}

static void the_cap_holds(void **state)
{
    struct arena a;

    (void)state;
    arena_init(&a, block, 64);
    assert_null(arena_alloc(&a, 65));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_array(&a, SIZE_MAX / 2, 4));
    assert_non_null(ARENA_ARRAY(&a, 8, uint64_t));
    assert_null(ARENA_NEW(&a, char));
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 64));
}

static void copies_with_a_nul(void **state)
{
    struct arena a;
    struct span copy;

    (void)state;
    memset(block, 0xff, sizeof(block));
    arena_init(&a, block, 8);
    assert_true(err_is_ok(arena_copy(&a, SPAN_NONE, &copy)));
    assert_true(span_is_absent(copy));
    assert_true(err_is_ok(arena_copy(&a, SPAN(""), &copy)));
    assert_false(span_is_absent(copy));
    assert_true(err_is_ok(arena_copy(&a, SPAN("abcdef"), &copy)));
    assert_string_equal((const char *)copy.data, "abcdef");
    assert_true(err_is(arena_copy(&a, SPAN(""), &copy), ERR_NOMEM));
    assert_string_equal(arena_cstr(&a, SPAN_NONE), "");
    assert_null(arena_cstr(&a, SPAN("x")));
}

static void prints(void **state)
{
    struct arena a;
    struct span text;

    (void)state;
    arena_init(&a, block, 6);
    assert_true(err_is_ok(arena_printf(&a, &text, "%d-%d", 1, 23)));
    assert_true(span_eq(text, SPAN("1-23")));
    assert_true(err_is(arena_printf(&a, &text, "x"), ERR_NOMEM));
    assert_true(err_is_ok(arena_printf(&a, &text, "%s", "")));
}

static void an_open_buf_takes_what_it_wrote(void **state)
{
    struct arena a;
    struct buf b;
    struct span text;

    (void)state;
    arena_init(&a, block, 8);
    b = arena_buf(&a);
    buf_add_str(&b, "abc");
    assert_true(err_is_ok(arena_buf_end(&a, &b, &text)));
    assert_true(span_eq(text, SPAN("abc")));
    assert_int_equal(a.used, 4);
    b = arena_buf(&a);
    buf_add_str(&b, "defg"); /* fits, but its NUL does not */
    assert_true(err_is(arena_buf_end(&a, &b, &text), ERR_NOMEM));
    assert_int_equal(a.used, 4);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(the_cap_holds),
        cmocka_unit_test(copies_with_a_nul),
        cmocka_unit_test(prints),
        cmocka_unit_test(an_open_buf_takes_what_it_wrote),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
