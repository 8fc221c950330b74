/* cmd/berth/csv_test.c: records whole, cut short and broken; what is written reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/csv.h"

enum { FIELDS = 4 };

static const struct {
    const char *text;  /* several records */
    size_t len, lines; /* of the first; 0: none is whole, unless it is the last */
} measures[] = {
    { "a,b\nc", 4, 1 },
    { "a,b\r\nc", 5, 1 },
    { "\nc", 1, 1 },
    { "\"a\nb\",c\nd\n", 8, 2 },
    { "\"a\"\"\n\",c\nd\n", 9, 2 },
    { "\"\",\"\n\"\nd\n", 7, 2 },
    { "a\"b\nc\"\n", 4, 1 }, /* a quote in the middle is not one: the next line is whole */
    { "a,b", 0, 0 },
    { "\"a\nb", 0, 0 },
    { "", 0, 0 },
};

static void test_measure(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(measures) / sizeof(measures[0]); i++) {
        struct span text = span_str(measures[i].text);
        size_t len = 0, lines = 0;
        bool is_whole = berth_csv_measure(text, false, &len, &lines);

        assert_int_equal(is_whole, measures[i].len > 0);
        if (is_whole) {
            assert_int_equal(len, measures[i].len);
            assert_int_equal(lines, measures[i].lines);
            for (size_t n = 0; n < len; n++) {
                assert_false(berth_csv_measure(span_first(text, n), false, &len, &lines));
            }
        }
        assert_int_equal(berth_csv_measure(text, true, &len, &lines), text.len > 0);
    }
}

static const struct {
    const char *record;
    const char *fields[FIELDS];
    const char *why; /* NULL: good */
} records[] = {
    { "a,b\n", { "a", "b" }, NULL },
    { "a,b\r\n", { "a", "b" }, NULL },
    { "a,\r", { "a", "\r" }, NULL },
    { "", { "" }, NULL },
    { ",,", { "", "", "" }, NULL },
    { " a , b", { " a ", " b" }, NULL },
    { "\"a,b\",\"c\"\"d\",\"\"", { "a,b", "c\"d", "" }, NULL },
    { "\"a\r\nb\",\"\"\"\"\n", { "a\r\nb", "\"" }, NULL },
    { "\xc3\xa9,\xf0\x9f\x98\x80", { "\xc3\xa9", "\xf0\x9f\x98\x80" }, NULL },
    { "a,b\"c", { NULL }, "field 2 has a quote in its middle" },
    { "\"a\"b,c", { NULL }, "field 1 goes on behind its closing quote" },
    { "a,\"b\n", { NULL }, "field 2 has no closing quote" },
    { "a,\"", { NULL }, "field 2 has no closing quote" },
    { "1,2,3,4,5", { NULL }, "there are more than 4 fields" },
};

static void test_decode(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        struct span fields[FIELDS];
        size_t n = 0, expected = 0;
        uint8_t record[64];
        err e;

        memcpy(record, records[i].record, strlen(records[i].record));
        e = berth_csv_decode(record, strlen(records[i].record), fields, FIELDS, &n);
        while (expected < FIELDS && records[i].fields[expected] != NULL) {
            expected++;
        }
        assert_int_equal(err_is_ok(e), records[i].why == NULL);
        assert_int_equal(n, expected);
        for (size_t f = 0; f < n; f++) {
            assert_true(span_eq(fields[f], span_str(records[i].fields[f])));
        }
        if (records[i].why != NULL) {
            assert_string_equal(err_detail(), records[i].why);
        }
    }
}

static void test_encode(void **state)
{
    static const char *const pairs[][2] = {
        { "a b", "a b" },       { "", "" },
        { "a,b", "\"a,b\"" },   { "\"", "\"\"\"\"" },
        { "a\nb", "\"a\nb\"" }, { "a\"\"b\"", "\"a\"\"\"\"b\"\"\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        uint8_t memory[64];
        struct buf out = buf_over(memory, sizeof(memory));
        struct span field;
        size_t n = 0;

        berth_csv_encode(span_str(pairs[i][0]), &out);
        assert_true(span_eq(buf_span(&out), span_str(pairs[i][1])));
        assert_true(err_is_ok(berth_csv_decode(memory, out.len, &field, 1, &n)));
        assert_true(span_eq(field, span_str(pairs[i][0])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measure),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_encode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
