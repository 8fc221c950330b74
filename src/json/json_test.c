/* json/json_test.c: what parses, what is refused and why, typed members, printing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json/json.h"

enum { DEPTH = 4 };

/* What a text prints as, or the fault of parsing it. */
struct text_case {
    const char *text;
    enum err_code code;
    const char *printed; /* NULL: as the text */
};

static const struct text_case text_cases[] = {
    { "{}", ERR_NONE, NULL },
    { "[]", ERR_NONE, NULL },
    { "null", ERR_NONE, NULL },
    { "true", ERR_NONE, NULL },
    { "false", ERR_NONE, NULL },
    { "\"\"", ERR_NONE, NULL },
    { "-9223372036854775808", ERR_NONE, NULL },
    { "9223372036854775807", ERR_NONE, NULL },
    { "9223372036854775808", ERR_MALFORMED, NULL },
    { "1e400", ERR_MALFORMED, NULL },
    { "01", ERR_MALFORMED, NULL },
    { "+1", ERR_MALFORMED, NULL },
    { "NaN", ERR_MALFORMED, NULL },
    { " [ 1 , 2 ] \n", ERR_NONE, "[1,2]" },
    { "{\"z\":1,\"a\":{\"y\":[true,null]},\"m\":\"\"}", ERR_NONE, NULL },
    /* Text. */
    { "\"\\u0041\\n\\/\\b\"", ERR_NONE, "\"A\\n/\\u0008\"" },
    { "\"\xc3\xa9 \xf0\x9f\x98\x80\"", ERR_NONE, NULL },
    { "\"\\ud83d\\ude00\"", ERR_NONE, "\"\xf0\x9f\x98\x80\"" },
    { "\"\\ud83d\"", ERR_MALFORMED, NULL },
    { "\"\\u0000\"", ERR_MALFORMED, NULL },
    { "{\"a\\u0000\":1}", ERR_MALFORMED, NULL },
    { "\"\xff\"", ERR_MALFORMED, NULL },
    { "\"\xc0\x80\"", ERR_MALFORMED, NULL },
    { "\"\n\"", ERR_MALFORMED, NULL },
    { "'a'", ERR_MALFORMED, NULL },
    /* Names. */
    { "{\"a\":1,\"a\":2}", ERR_MALFORMED, NULL },
    { "{\"a\":1,\"\\u0061\":2}", ERR_MALFORMED, NULL },
    { "{\"a\":{\"b\":1},\"b\":{\"a\":1}}", ERR_NONE, NULL },
    { "{\"\":1}", ERR_NONE, NULL },
    { "{1:1}", ERR_MALFORMED, NULL },
    { "{\"a\":1,}", ERR_MALFORMED, NULL },
    /* Numbers with a fraction. */
    { "0.1", ERR_NONE, NULL },
    { "21.5", ERR_NONE, NULL },
    { "1.0", ERR_NONE, NULL },
    { "-0.0", ERR_NONE, NULL },
    { "0.30000000000000004", ERR_NONE, NULL },
    { "3.14159265358979300", ERR_NONE, "3.141592653589793" },
    { "5e-324", ERR_NONE, NULL },
    { "1.7976931348623157e308", ERR_NONE, NULL },
    /* Nesting. */
    { "[[[[]]]]", ERR_NONE, NULL },
    { "[[[[1]]]]", ERR_NONE, NULL },
    { "[[[[[]]]]]", ERR_TOO_LARGE, NULL },
    { "{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}", ERR_TOO_LARGE, NULL },
    { "[1,{\"a\":[{\"b\":[]}]}]", ERR_TOO_LARGE, NULL },
    /* Beginning and end. */
    { "", ERR_MALFORMED, NULL },
    { " ", ERR_MALFORMED, NULL },
    { "{} {}", ERR_MALFORMED, NULL },
    { "1,", ERR_MALFORMED, NULL },
    { "\xef\xbb\xbf{}", ERR_MALFORMED, NULL },
};

static void texts_parse_and_print(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(text_cases) / sizeof(text_cases[0]); i++) {
        const struct text_case *t = &text_cases[i];
        AUTO(json) json *document = NULL;
        char bytes[256];
        struct buf out = buf_over(bytes, sizeof(bytes));
        err e = json_parse(span_str(t->text), DEPTH, &document);

        if (e.code != t->code) {
            print_error("%s: %s (%s)\n", t->text, err_name(e), err_detail());
        }
        assert_int_equal(e.code, t->code);
        if (!err_is_ok(e)) {
            assert_null(document);
            assert_true(err_detail()[0] != '\0');
            continue;
        }
        assert_true(err_is_ok(json_print(document, &out)));
        assert_string_equal(buf_cstr(&out), t->printed != NULL ? t->printed : t->text);
    }
}

/* Every truncation is refused, and so is one byte too many. */
static void truncations_are_refused(void **state)
{
    static const char text[] = "{\"a\":[1.5,true,null,\"x\\u00e9\"],\"b\":{\"c\":-7}}!";
    const size_t whole = sizeof(text) - 2;
    AUTO(json) json *document = NULL;

    (void)state;
    for (size_t n = 0; n <= whole + 1; n++) {
        err e = json_parse(span_of(text, n), DEPTH, &document);
        assert_int_equal(e.code, n == whole ? ERR_NONE : ERR_MALFORMED);
    }
}

static void absent_text_is_malformed(void **state)
{
    json *document = NULL;

    (void)state;
    assert_int_equal(json_parse(SPAN_NONE, DEPTH, &document).code, ERR_MALFORMED);
}

/* Deeper than jansson itself will go. */
static void very_deep_is_too_large(void **state)
{
    static char text[200000];
    json *document = NULL;

    (void)state;
    memset(text, '[', sizeof(text));
    assert_int_equal(json_parse(span_of(text, sizeof(text)), DEPTH, &document).code, ERR_TOO_LARGE);
}

static void fault_says_where(void **state)
{
    json *document = NULL;

    (void)state;
    assert_false(err_is_ok(json_parse(SPAN("{\"a\":\n oops}"), DEPTH, &document)));
    assert_non_null(strstr(err_detail(), "line 2"));
    assert_non_null(strstr(err_detail(), "oops"));
}

static const char members[] =
    "{\"text\":\"abc\",\"empty\":\"\",\"null\":null,\"yes\":true,\"no\":false,"
    "\"int\":-5,\"whole\":3.0,\"real\":3.5,\"huge\":1e300,\"list\":[1],"
    "\"object\":{}}";

struct get_case {
    const char *name;
    enum err_code text, boolean, integer;
    int64_t value; /* 99: kept */
};

static const struct get_case get_cases[] = {
    { "missing", ERR_NONE, ERR_NONE, ERR_NONE, 99 },
    { "null", ERR_NONE, ERR_NONE, ERR_NONE, 99 },
    { "text", ERR_NONE, ERR_MALFORMED, ERR_MALFORMED, 99 },
    { "empty", ERR_NONE, ERR_MALFORMED, ERR_MALFORMED, 99 },
    { "yes", ERR_MALFORMED, ERR_NONE, ERR_MALFORMED, 99 },
    { "no", ERR_MALFORMED, ERR_NONE, ERR_MALFORMED, 99 },
    { "int", ERR_MALFORMED, ERR_MALFORMED, ERR_NONE, -5 },
    { "whole", ERR_MALFORMED, ERR_MALFORMED, ERR_NONE, 3 },
    { "real", ERR_MALFORMED, ERR_MALFORMED, ERR_MALFORMED, 99 },
    { "huge", ERR_MALFORMED, ERR_MALFORMED, ERR_MALFORMED, 99 },
    { "list", ERR_MALFORMED, ERR_MALFORMED, ERR_MALFORMED, 99 },
    { "object", ERR_MALFORMED, ERR_MALFORMED, ERR_MALFORMED, 99 },
};

static void typed_members(void **state)
{
    AUTO(json) json *document = NULL;

    (void)state;
    assert_true(err_is_ok(json_parse(span_str(members), DEPTH, &document)));
    for (size_t i = 0; i < sizeof(get_cases) / sizeof(get_cases[0]); i++) {
        const struct get_case *t = &get_cases[i];
        struct span text = SPAN("kept");
        bool flag = true;
        int64_t value = 99;

        assert_int_equal(json_get_text(document, t->name, &text).code, t->text);
        assert_int_equal(json_get_bool(document, t->name, &flag).code, t->boolean);
        assert_int_equal(json_get_int(document, t->name, &value).code, t->integer);
        assert_int_equal(value, t->value);
        assert_int_equal(flag, strcmp(t->name, "no") != 0);
        assert_int_equal(text.len, strcmp(t->name, "text") == 0    ? 3
                                   : strcmp(t->name, "empty") == 0 ? 0
                                                                   : 4);
        assert_non_null(text.data);
    }
    assert_int_equal(json_get_bool(document, "text", &(bool){ false }).code, ERR_MALFORMED);
    assert_non_null(strstr(err_detail(), "text"));
}

static void kinds_and_members(void **state)
{
    AUTO(json) json *document = NULL;
    json *list;

    (void)state;
    assert_true(err_is_ok(json_parse(span_str(members), DEPTH, &document)));
    list = json_member(document, "list");
    assert_true(json_is_object(document));
    assert_true(json_is_array(list));
    assert_true(json_is_string(json_member(document, "text")));
    assert_true(json_is_null(json_member(document, "null")));
    assert_false(json_is_object(list) || json_is_string(list) || json_is_null(list));
    assert_false(json_is_object(NULL) || json_is_array(NULL) || json_is_null(NULL));
    assert_null(json_member(document, "missing"));
    assert_null(json_member(list, "list"));
    assert_null(json_member(NULL, "list"));
    assert_int_equal(json_array_len(list), 1);
    assert_int_equal(json_array_len(document), 0);
    assert_non_null(json_array_at(list, 0));
    assert_null(json_array_at(list, 1));
    assert_true(span_eq(json_text(json_member(document, "text")), SPAN("abc")));
    assert_true(span_is_absent(json_text(list)));
    assert_true(span_is_absent(json_text(NULL)));
}

static void scalars(void **state)
{
    AUTO(json) json *list = NULL;
    struct json_number n;
    bool b;

    (void)state;
    assert_true(err_is_ok(json_parse(SPAN("[9007199254740993,2.5,true,\"1\"]"), DEPTH, &list)));
    assert_true(json_find_number(json_array_at(list, 0), &n));
    assert_true(n.is_integer && n.integer == 9007199254740993);
    assert_true(json_find_number(json_array_at(list, 1), &n));
    assert_true(!n.is_integer && n.real > 2.4 && n.real < 2.6);
    assert_true(json_find_bool(json_array_at(list, 2), &b) && b);
    assert_false(json_find_number(json_array_at(list, 2), &n));
    assert_false(json_find_bool(json_array_at(list, 0), &b));
    assert_false(json_find_number(json_array_at(list, 3), &n));
    assert_false(json_find_number(NULL, &n) || json_find_bool(NULL, &b));
}

static void iteration_keeps_the_order(void **state)
{
    static const char *const names[] = { "z", "a", "m" };
    AUTO(json) json *document = NULL;
    AUTO(json) json *empty = NULL;
    size_t n = 0;

    (void)state;
    assert_true(err_is_ok(json_parse(SPAN("{\"z\":0,\"a\":[1],\"m\":2}"), DEPTH, &document)));
    for (struct json_iter it = json_first(document); it.name; json_next(&it)) {
        assert_string_equal(it.name, names[n]);
        assert_ptr_equal(it.value, json_member(document, names[n]));
        n++;
    }
    assert_int_equal(n, 3);
    assert_true(err_is_ok(json_parse(SPAN("{}"), DEPTH, &empty)));
    assert_null(json_first(empty).name);
    assert_null(json_first(NULL).name);
}

static void print_needs_room(void **state)
{
    static const char text[] = "[1.5,{\"a\":\"b\"},null]";
    AUTO(json) json *document = NULL;
    char bytes[sizeof(text)];

    (void)state;
    assert_true(err_is_ok(json_parse(span_str(text), DEPTH, &document)));
    for (size_t cap = 0; cap < sizeof(text) - 1; cap++) {
        struct buf out = buf_over(bytes, cap);
        assert_int_equal(json_print(document, &out).code, ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_parse_and_print),    cmocka_unit_test(truncations_are_refused),
        cmocka_unit_test(absent_text_is_malformed), cmocka_unit_test(very_deep_is_too_large),
        cmocka_unit_test(fault_says_where),         cmocka_unit_test(typed_members),
        cmocka_unit_test(kinds_and_members),        cmocka_unit_test(iteration_keeps_the_order),
        cmocka_unit_test(print_needs_room),         cmocka_unit_test(scalars),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
