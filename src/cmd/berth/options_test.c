/* cmd/berth/options_test.c: command lines in, values or one sentence out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/options.h"

static const struct option COMMAND[] = {
    { .name = "enrollment-id",
      .alias = "eid",
      .kind = OPTION_TEXT,
      .traits = OPTION_REQUIRED | OPTION_OPERAND,
      .value = "ID",
      .help = "" },
    { .name = "count", .kind = OPTION_INT, .value = "N", .min = 1, .max = 9, .default_value = "3" },
    { .name = "force", .alias = "f", .kind = OPTION_FLAG },
    { .name = "etag", .kind = OPTION_TEXT, .value = "ETAG" },
    { .name = "edge", .alias = "ee", .kind = OPTION_BOOL },
    OPTIONS_END,
};

static const struct option GLOBAL[] = {
    { .name = "output", .alias = "o", .kind = OPTION_CHOICE, .value = "table|json" },
    { .name = "help", .alias = "h", .kind = OPTION_FLAG },
    OPTIONS_END,
};

enum { ARGS_MAX = 8 };

static const struct {
    const char *args[ARGS_MAX];
    const char *why; /* NULL: good, and the values below */
    const char *id, *output, *etag;
    int count;
    bool force;
} CASES[] = {
    { { "d1" }, NULL, "d1", NULL, NULL, 3, false },
    { { "--enrollment-id", "d1", "-o", "json" }, NULL, "d1", "json", NULL, 3, false },
    { { "--eid=d1", "--count=9", "-f" }, NULL, "d1", NULL, NULL, 9, true },
    { { "--output=table", "d1", "--etag", "--x" }, NULL, "d1", "table", "--x", 3, false },
    { { "--etag=", "--", "--force" }, NULL, "--force", NULL, "", 3, false },
    { { "-" }, NULL, "-", NULL, NULL, 3, false },
    { { "--help" }, NULL, NULL, NULL, NULL, 3, false },
    { { NULL }, "ID is missing", NULL, NULL, NULL, 0, false },
    { { "d1", "d2" }, "nothing is expected where 'd2' stands", NULL, NULL, NULL, 0, false },
    { { "d1", "--eid", "d1" }, "--enrollment-id is given twice", NULL, NULL, NULL, 0, false },
    { { "d1", "--count", "10" },
      "--count wants a number from 1 to 9, not '10'",
      NULL,
      NULL,
      NULL,
      0,
      false },
    { { "d1", "--count", "-1" },
      "--count wants a number from 1 to 9, not '-1'",
      NULL,
      NULL,
      NULL,
      0,
      false },
    { { "d1", "--count" }, "--count wants a value", NULL, NULL, NULL, 0, false },
    { { "d1", "-o", "xml" }, "--output is one of table|json, not 'xml'", NULL, NULL, NULL, 0, 0 },
    { { "d1", "-o", "tabl" }, "--output is one of table|json, not 'tabl'", NULL, NULL, NULL, 0, 0 },
    { { "d1", "--force=yes" }, "--force takes no value", NULL, NULL, NULL, 0, false },
    { { "d1", "--fource" },
      "there is no option --fource; did you mean --force?",
      NULL,
      NULL,
      NULL,
      0,
      false },
    { { "d1", "--zzzzzzzz" }, "there is no option --zzzzzzzz", NULL, NULL, NULL, 0, false },
    { { "d1", "-z" }, "there is no option -z", NULL, NULL, NULL, 0, false },
    { { "d1", "-etag" }, "there is no option -etag; did you mean --etag?", NULL, NULL, NULL, 0, 0 },
    { { "d1", "--o", "json" }, "there is no option --o", NULL, NULL, NULL, 0, false },
};

static void assert_text(const char *actual, const char *expected)
{
    if (expected == NULL) {
        assert_null(actual);
    } else {
        assert_non_null(actual);
        assert_string_equal(actual, expected);
    }
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        char *argv[ARGS_MAX], why[256] = "";
        struct options o;
        int argc = 0;
        err e;

        for (; CASES[i].args[argc] != NULL; argc++) {
            argv[argc] = (char *)CASES[i].args[argc];
        }
        e = berth_options_parse(&o, COMMAND, GLOBAL, argc, argv, why, sizeof(why));
        assert_string_equal(why, CASES[i].why ? CASES[i].why : "");
        assert_int_equal(err_is_ok(e), CASES[i].why == NULL);
        if (err_is_ok(e)) {
            assert_text(berth_options_text(&o, "enrollment-id"), CASES[i].id);
            assert_text(berth_options_text(&o, "output"), CASES[i].output);
            assert_text(berth_options_text(&o, "etag"), CASES[i].etag);
            assert_int_equal(berth_options_int(&o, "count"), CASES[i].count);
            assert_int_equal(berth_options_flag(&o, "force"), CASES[i].force);
        }
    }
}

static void test_bool(void **state)
{
    static const struct {
        const char *args[ARGS_MAX];
        const char *why; /* NULL: good */
        bool edge;
        const char *id;
    } cases[] = {
        { { "d1", "--edge" }, NULL, true, "d1" },
        { { "--edge", "d1" }, NULL, true, "d1" },
        { { "--ee", "true", "d1" }, NULL, true, "d1" },
        { { "--edge", "false", "d1" }, NULL, false, "d1" },
        { { "--edge=false", "true" }, NULL, false, "true" },
        { { "--edge=yes", "d1" }, "--edge is true or false, not 'yes'", false, NULL },
        { { "--edge", "--ee", "d1" }, "--edge is given twice", false, NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char why[256] = "";
        struct options o;
        int argc = 0;

        while (cases[i].args[argc] != NULL) {
            argc++;
        }
        if (err_is_ok(berth_options_parse(&o, COMMAND, GLOBAL, argc, (char *const *)cases[i].args,
                                          why, sizeof(why)))) {
            assert_int_equal(berth_options_flag(&o, "edge"), cases[i].edge);
            assert_text(berth_options_text(&o, "enrollment-id"), cases[i].id);
        }
        assert_string_equal(why, cases[i].why ? cases[i].why : "");
    }
}

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(berth_options_distance("force", "force", 3), 0);
    assert_int_equal(berth_options_distance("force", "fource", 3), 1);
    assert_int_equal(berth_options_distance("kitten", "sitting", 3), 3);
    assert_int_equal(berth_options_distance("abcdef", "uvwxyz", 3), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_bool),
        cmocka_unit_test(test_distance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
