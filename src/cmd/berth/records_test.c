/* cmd/berth/records_test.c: records through a pipe that gives them piece by piece, and from the
 * middle of a file; what is too long is one bad record, not the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "cmd/berth/records.h"
#include "model/limits.h"
#include "util/buf.h"

enum { RECORDS_MAX = 6 };

static const struct {
    const char *text; /* '#': as many x as a record may have and one */
    bool is_csv;
    struct {
        const char *text; /* NULL: too long */
        int line;
    } records[RECORDS_MAX];
} cases[] = {
    { "", false, { { NULL, 0 } } },
    { "\n\r\n\r", false, { { NULL, 0 } } },
    { "a\nb", false, { { "a\n", 1 }, { "b", 2 } } },
    { "\xef\xbb\xbf"
      "a\r\n\r\nb\n",
      false,
      { { "a\r\n", 1 }, { "b\n", 3 } } },
    { "\"a\n\"\nb\n", false, { { "\"a\n", 1 }, { "\"\n", 2 }, { "b\n", 3 } } },
    { "\"a\n\"\nb\n", true, { { "\"a\n\"\n", 1 }, { "b\n", 3 } } },
    { "\n\"a\n\n\",1\n\nb", true, { { "\"a\n\n\",1\n", 2 }, { "b", 6 } } },
    { "\"a\nb", true, { { "\"a\nb", 1 } } },
    { "#\nb\n", false, { { NULL, 1 }, { "b\n", 2 } } },
    { "a\n##", false, { { "a\n", 1 }, { NULL, 2 } } },
    { "###\n\nb", false, { { NULL, 1 }, { "b", 3 } } },
    { "\"a,b\nc\n#\nd\n", true, { { NULL, 1 }, { "c\n", 2 }, { NULL, 3 }, { "d\n", 4 } } },
};

static FILE *make_file(const char *text)
{
    FILE *f = tmpfile();

    assert_non_null(f);
    for (; *text != '\0'; text++) {
        for (int n = *text == '#' ? LIMIT_IMPORT_RECORD + 1 : 1; n > 0; n--) {
            assert_true(fputc(*text == '#' ? 'x' : *text, f) != EOF);
        }
    }
    assert_int_equal(fflush(f), 0);
    rewind(f);
    return f;
}

static void check_record(const struct record *record, const char *text, int line)
{
    assert_int_equal(record->line, line);
    assert_int_equal(record->end_offset - record->offset, record->len);
    assert_int_equal(record->is_too_long, text == NULL);
    if (text != NULL) {
        assert_true(span_eq(span_of(record->text, record->len), span_str(text)));
    }
}

static void check(size_t at)
{
    FILE *f = make_file(cases[at].text);
    struct record record;
    struct records r;
    bool is_there = true;
    size_t n = 0;

    assert_true(err_is_ok(berth_records_open(&r, fileno(f), cases[at].is_csv, "file")));
    for (;; n++) {
        assert_true(err_is_ok(berth_records_next(&r, &record, &is_there)));
        if (!is_there) {
            break;
        }
        assert_true(n < RECORDS_MAX && cases[at].records[n].line > 0);
        check_record(&record, cases[at].records[n].text, cases[at].records[n].line);
        if (!record.is_too_long && n + 1 < RECORDS_MAX && cases[at].records[n + 1].line > 0) {
            /* The same file, taken up behind this record. */
            int64_t line = r.line;

            assert_true(err_is_ok(berth_records_seek(&r, record.end_offset, line)));
        }
    }
    assert_true(n == RECORDS_MAX || cases[at].records[n].line == 0);
    berth_records_close(&r);
    (void)fclose(f);
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check(i);
    }
}

static void test_cut(void **state)
{
    static const char *const lines[] = { "\"a\n", "b,\"\"c\n", "d" };
    FILE *f = make_file("\"a\nb,\"\"c\nd");
    struct record record;
    struct records r;
    bool is_there = true;

    (void)state;
    assert_true(err_is_ok(berth_records_open(&r, fileno(f), true, "file")));
    for (size_t i = 0; i < 3; i++) {
        char whole[32];

        assert_true(err_is_ok(berth_records_next(&r, &record, &is_there)) && is_there);
        memcpy(whole, record.text, record.len);
        memset(record.text, '!', record.len); /* as a decoder may */
        berth_records_cut(&r, &record, span_of(whole, record.len));
        if (i < 2) {
            check_record(&record, lines[i], (int)i + 1);
        }
    }
    assert_true(err_is_ok(berth_records_next(&r, &record, &is_there)));
    assert_false(is_there);
    berth_records_close(&r);
    (void)fclose(f);
}

static void test_unreadable(void **state)
{
    struct record record;
    struct records r;
    bool is_there;

    (void)state;
    assert_true(err_is_ok(berth_records_open(&r, -1, true, "gone")));
    assert_true(err_is(berth_records_next(&r, &record, &is_there), ERR_IO));
    assert_non_null(strstr(err_detail(), "gone"));
    berth_records_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_unreadable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
