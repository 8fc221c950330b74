/* util/buf_test.c: exact fits, sticky failure, growth. */
#include "util/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void write_all(struct buf *b)
{
    buf_add(b, SPAN("ab"));
    buf_add_str(b, "c");
    buf_add_u8(b, 'd');
    buf_add_u16(b, 0x4546);
    buf_add_u32(b, 0x4748494a);
    buf_add_int(b, -12);
    buf_add_lp16(b, SPAN("x"));
    buf_printf(b, "%s%d", "y", 5);
}

#define ALL SPAN("abcdEFGHIJ-12\0\001xy5")

static void writes_in_order(void **state)
{
    uint8_t room[64];
    struct buf b = buf_over(room, sizeof(room));

    (void)state;
    write_all(&b);
    assert_true(err_is_ok(buf_ok(&b)));
    assert_true(span_eq(buf_span(&b), ALL));
}

/* Fits exactly with the room for it, never with less; what was written stays whole. */
static void every_capacity(void **state)
{
    (void)state;
    for (size_t cap = 0; cap <= ALL.len; cap++) {
        uint8_t room[64] = { 0 };
        struct buf b = buf_over(room, cap);

        write_all(&b);
        assert_int_equal(err_is_ok(buf_ok(&b)), cap == ALL.len);
        assert_true(b.len <= cap);
        assert_true(span_starts_with(ALL, buf_span(&b)));
        assert_int_equal(room[cap], 0);
    }
}

static void failure_sticks(void **state)
{
    uint8_t room[4];
    struct buf b = buf_over(room, sizeof(room));

    (void)state;
    buf_add_str(&b, "ab");
    buf_add_str(&b, "cde");
    buf_add_str(&b, "f");
    assert_true(err_is(buf_ok(&b), ERR_NOMEM));
    assert_true(span_eq(buf_span(&b), SPAN("ab")));
    assert_null(buf_reserve(&b, 1));
}

static void integers_at_their_ends(void **state)
{
    uint8_t room[20];
    struct buf b = buf_over(room, sizeof(room));

    (void)state;
    buf_add_int(&b, INT64_MIN);
    assert_true(span_eq(buf_span(&b), SPAN("-9223372036854775808")));
    assert_true(err_is_ok(buf_ok(&b)));
    b.len = 0;
    buf_add_int(&b, 0);
    assert_true(span_eq(buf_span(&b), SPAN("0")));
}

static void lp16_has_a_longest_text(void **state)
{
    static uint8_t text[UINT16_MAX + 1], room[UINT16_MAX + 8];
    struct buf b = buf_over(room, sizeof(room));

    (void)state;
    buf_add_lp16(&b, span_of(text, UINT16_MAX));
    assert_true(err_is_ok(buf_ok(&b)));
    b = buf_over(room, sizeof(room));
    buf_add_lp16(&b, span_of(text, UINT16_MAX + 1));
    assert_true(err_is(buf_ok(&b), ERR_NOMEM));
    assert_int_equal(b.len, 0);
}

static void prints_long_texts(void **state)
{
    char room[1024];
    struct buf b = buf_over(room, sizeof(room));

    (void)state;
    buf_printf(&b, "%0300d|", 7);
    assert_int_equal(b.len, 301);
    assert_true(span_ends_with(buf_span(&b), SPAN("07|")));
    buf_printf(&b, "%0800d", 7);
    assert_true(b.failed);
    assert_int_equal(b.len, 301);
}

static void nothing_fits_into_nothing(void **state)
{
    struct buf b = buf_over(NULL, 0);

    (void)state;
    buf_add(&b, SPAN_NONE);
    buf_add(&b, SPAN(""));
    assert_true(err_is_ok(buf_ok(&b)));
    assert_string_equal(buf_cstr(&b), "");
    assert_true(b.failed);
}

static void consumes_from_the_front(void **state)
{
    uint8_t room[8];
    struct buf b = buf_over(room, sizeof(room));

    (void)state;
    buf_add_str(&b, "abcdef");
    buf_consume(&b, 0);
    buf_consume(&b, 2);
    assert_true(span_eq(buf_span(&b), SPAN("cdef")));
    buf_consume(&b, 99);
    assert_int_equal(b.len, 0);
}

static void text_for_c_needs_a_byte_more(void **state)
{
    char room[4];
    struct buf b = buf_over(room, sizeof(room));

    (void)state;
    buf_add_str(&b, "abc");
    assert_string_equal(buf_cstr(&b), "abc");
    assert_int_equal(b.len, 3);
    buf_add_str(&b, "d");
    assert_string_equal(buf_cstr(&b), "");
    assert_true(b.failed);
}

static uint8_t pool[2][16];

static bool move_to_pool(struct buf *b, size_t need)
{
    uint8_t *other = b->data == pool[0] ? pool[1] : pool[0];

    if (need > sizeof(pool[0])) {
        return false;
    }
    if (b->len > 0) {
        memcpy(other, b->data, b->len);
    }
    b->data = other;
    b->cap = need;
    return true;
}

static void asks_its_hook_for_room(void **state)
{
    struct buf b = { .grow = move_to_pool };

    (void)state;
    buf_add_str(&b, "abcdef");
    buf_add_str(&b, "ghijklmnop");
    assert_true(err_is_ok(buf_ok(&b)));
    assert_true(span_eq(buf_span(&b), SPAN("abcdefghijklmnop")));
    buf_add_u8(&b, 'q');
    assert_true(err_is(buf_ok(&b), ERR_NOMEM));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_in_order),
        cmocka_unit_test(every_capacity),
        cmocka_unit_test(failure_sticks),
        cmocka_unit_test(integers_at_their_ends),
        cmocka_unit_test(lp16_has_a_longest_text),
        cmocka_unit_test(prints_long_texts),
        cmocka_unit_test(nothing_fits_into_nothing),
        cmocka_unit_test(consumes_from_the_front),
        cmocka_unit_test(text_for_c_needs_a_byte_more),
        cmocka_unit_test(asks_its_hook_for_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
