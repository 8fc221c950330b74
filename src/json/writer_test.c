/* json/writer_test.c: punctuation, escapes, kinds of value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json/writer.h"

struct text_case {
    struct span text;
    const char *written;
};

#define U_FFFD "\xef\xbf\xbd"

static const struct text_case text_cases[] = {
    { { (const uint8_t *)"", 0 }, "\"\"" },
    { { NULL, 0 }, "\"\"" },
    { { (const uint8_t *)"plain text", 10 }, "\"plain text\"" },
    { { (const uint8_t *)"a\"b\\c/d", 7 }, "\"a\\\"b\\\\c/d\"" },
    { { (const uint8_t *)"\r\n\t", 3 }, "\"\\r\\n\\t\"" },
    { { (const uint8_t *)"a\0b\x01\x1f\x7f", 6 }, "\"a\\u0000b\\u0001\\u001f\\u007f\"" },
    { { (const uint8_t *)"\xc3\xa9", 2 }, "\"\xc3\xa9\"" },
    { { (const uint8_t *)"\xe2\x82\xac.", 4 }, "\"\xe2\x82\xac.\"" },
    { { (const uint8_t *)"\xf0\x9f\x98\x80", 4 }, "\"\xf0\x9f\x98\x80\"" },
    { { (const uint8_t *)"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf", 10 },
      "\"\xed\x9f\xbf\xee\x80\x80\xf4\x8f\xbf\xbf\"" },
    /* Ill-formed: one U+FFFD for each maximal subpart (Unicode 15, table 3-8). */
    { { (const uint8_t *)"\xff", 1 }, "\"" U_FFFD "\"" },
    { { (const uint8_t *)"a\x80z", 3 }, "\"a" U_FFFD "z\"" },
    { { (const uint8_t *)"\xc3", 1 }, "\"" U_FFFD "\"" },
    { { (const uint8_t *)"\xc3\"", 2 }, "\"" U_FFFD "\\\"\"" },
    { { (const uint8_t *)"\xc0\x80", 2 }, "\"" U_FFFD U_FFFD "\"" },
    { { (const uint8_t *)"\xe2\x82", 2 }, "\"" U_FFFD "\"" },
    { { (const uint8_t *)"\xe0\x80\x80", 3 }, "\"" U_FFFD U_FFFD U_FFFD "\"" },
    { { (const uint8_t *)"\xed\xa0\x80", 3 }, "\"" U_FFFD U_FFFD U_FFFD "\"" },
    { { (const uint8_t *)"\xf0\x9f\x98x", 4 }, "\"" U_FFFD "x\"" },
    { { (const uint8_t *)"\xf4\x90\x80\x80", 4 }, "\"" U_FFFD U_FFFD U_FFFD U_FFFD "\"" },
};

static void text_is_escaped(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(text_cases) / sizeof(text_cases[0]); i++) {
        char bytes[128];
        struct buf out = buf_over(bytes, sizeof(bytes));
        struct json_writer w = json_writer_over(&out);

        json_write_text(&w, NULL, text_cases[i].text);
        assert_string_equal(buf_cstr(&out), text_cases[i].written);
    }
}

static void write_sample(struct json_writer *w)
{
    json_write_begin_object(w, NULL);
    json_write_str(w, "text", "a\"b");
    json_write_text_if(w, "absent", SPAN_NONE);
    json_write_text_if(w, "given", SPAN(""));
    json_write_begin_array(w, "list");
    json_write_int(w, NULL, INT64_MIN);
    json_write_int(w, NULL, INT64_MAX);
    json_write_begin_object(w, NULL);
    json_write_end_object(w);
    json_write_begin_array(w, NULL);
    json_write_end_array(w);
    json_write_null(w, NULL);
    json_write_end_array(w);
    json_write_bool(w, "yes", true);
    json_write_bool(w, "no", false);
    json_write_null(w, "null");
    json_write_raw_if(w, "raw", SPAN("{\"x\":[1]}"));
    json_write_raw_if(w, "noraw", SPAN_NONE);
    json_write_time(w, "time", 1661983370516);
    json_write_base64(w, "base64", SPAN("\xfb\xff"));
    json_write_hex_upper(w, "hex", SPAN("\x0a\xbc"));
    json_write_name(w, SPAN("na\"me"));
    json_write_int(w, NULL, 1);
    json_write_name(w, SPAN(""));
    json_write_begin_object(w, NULL);
    json_write_int(w, "in", 2);
    json_write_end_object(w);
    json_write_end_object(w);
}

static const char sample[] =
    "{\"text\":\"a\\\"b\",\"given\":\"\",\"list\":[-9223372036854775808,9223372036854775807,{},[],"
    "null],\"yes\":true,\"no\":false,\"null\":null,\"raw\":{\"x\":[1]},"
    "\"time\":\"2022-08-31T22:02:50.5160000Z\",\"base64\":\"+/8=\",\"hex\":\"0ABC\","
    "\"na\\\"me\":1,\"\":{\"in\":2}}";

static void every_kind_of_value(void **state)
{
    char bytes[512];
    struct buf out = buf_over(bytes, sizeof(bytes));
    struct json_writer w = json_writer_over(&out);

    (void)state;
    write_sample(&w);
    assert_true(err_is_ok(buf_ok(&out)));
    assert_string_equal(buf_cstr(&out), sample);
}

static void too_little_room_sticks(void **state)
{
    char bytes[sizeof(sample)];

    (void)state;
    for (size_t cap = 0; cap < sizeof(sample) - 1; cap++) {
        struct buf out = buf_over(bytes, cap);
        struct json_writer w = json_writer_over(&out);

        write_sample(&w);
        assert_int_equal(buf_ok(&out).code, ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_escaped),
        cmocka_unit_test(every_kind_of_value),
        cmocka_unit_test(too_little_room_sticks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
