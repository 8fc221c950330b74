/* cmd/berth/commands_test.c: the table of commands keeps its own rules, and words find their
 * command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/commands.h"

static bool has_name(const struct option *o, const char *name)
{
    return strcmp(o->name, name) == 0 || (o->alias != NULL && strcmp(o->alias, name) == 0);
}

static size_t count_named(const struct option *options, const char *name)
{
    size_t n = 0;

    for (const struct option *o = options; o->name != NULL; o++) {
        n += has_name(o, name);
    }
    return n;
}

static void check_option(const struct command *c, const struct option *o)
{
    int64_t value = 0;

    assert_int_equal(count_named(c->options, o->name), 1);
    assert_int_equal(count_named(BERTH_GLOBAL_OPTIONS, o->name), 0);
    if (o->alias != NULL) {
        assert_int_equal(count_named(c->options, o->alias), 1);
        assert_int_equal(count_named(BERTH_GLOBAL_OPTIONS, o->alias), 0);
    }
    assert_non_null(o->help);
    assert_true(o->kind == OPTION_FLAG || o->kind == OPTION_BOOL || o->value != NULL);
    if (o->kind == OPTION_INT) {
        assert_true(o->min <= o->max);
        assert_true(o->default_value == NULL ||
                    (span_parse_int(span_str(o->default_value), &value) && value >= o->min &&
                     value <= o->max));
    }
}

/* `berth NOUN --help` is there for what stands before every verb. */
static void check_group(const struct command *c)
{
    const char *last = strrchr(c->path, ' ');
    size_t found = 0;

    for (const struct command_group *g = BERTH_GROUPS; last != NULL && g->path != NULL; g++) {
        found += span_eq(span_str(g->path), span_of(c->path, (size_t)(last - c->path)));
    }
    assert_int_equal(found, last != NULL);
}

static void test_table(void **state)
{
    const struct command *c;

    (void)state;
    for (size_t i = 0; (c = berth_commands_at(i)) != NULL; i++) {
        size_t n = 0;

        assert_non_null(c->run);
        check_group(c);
        assert_false(span_ends_with(span_str(c->summary), SPAN(".")));
        for (const struct option *o = c->options; o->name != NULL; o++, n++) {
            check_option(c, o);
        }
        assert_true(n < OPTIONS_MAX);
    }
}

static const struct {
    const char *words[5];
    const char *path; /* NULL: no command */
    const char *group;
} CASES[] = {
    { { "hub", "list" }, "hub list", "hub" },
    { { "hub", "device-identity", "show", "d1" },
      "hub device-identity show",
      "hub device-identity" },
    { { "explain", "hub" }, "explain", NULL },
    { { "hub", "device-identity" }, NULL, "hub device-identity" },
    { { "hub", "device-identity", "fly" }, NULL, "hub device-identity" },
    { { "hub", "lis" }, NULL, "hub" },
    { { "hu" }, NULL, NULL },
    { { NULL }, NULL, NULL },
};

static void test_finding(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        const struct command *command;
        const struct command_group *group;
        int argc = 0, used = 0;

        while (CASES[i].words[argc] != NULL) {
            argc++;
        }
        command = berth_commands_find(argc, (char *const *)CASES[i].words, &used);
        group = berth_commands_find_group(argc, (char *const *)CASES[i].words);
        assert_int_equal(command != NULL, CASES[i].path != NULL);
        assert_int_equal(group != NULL, CASES[i].group != NULL);
        if (command != NULL) {
            assert_string_equal(command->path, CASES[i].path);
        }
        if (group != NULL) {
            assert_string_equal(group->path, CASES[i].group);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_finding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
