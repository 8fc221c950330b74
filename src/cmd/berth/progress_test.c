/* cmd/berth/progress_test.c: the line at several places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/progress.h"

static const struct {
    struct progress_point at;
    int64_t from;
    bool is_bar;
    const char *line;
} cases[] = {
    { { 0, 0, 0, 0, 0 }, 0, true, "0 rows  0/s" },
    { { 12345, 0, 0, 0, 1000 }, 0, true, "12,345 rows  12,345/s" },
    { { 5000, 3, 50, 100, 10000 },
      0,
      true,
      "[############            ] 50%  5,000 rows  3 failed  500/s  0:11 left" },
    { { 5000, 3, 50, 100, 10000 }, 0, false, "50%  5,000 rows  3 failed  500/s  0:11 left" },
    { { 1000, 0, 60, 100, 2000 }, 50, false, "60%  1,000 rows  500/s  0:09 left" },
    { { 1000000, 0, 100, 100, 100000 },
      0,
      true,
      "[########################] 100%  1,000,000 rows  10,000/s" },
    { { 1, 0, 1, 10000, 1000 }, 0, false, "0%  1 rows  1/s  2:46:40 left" },
};

static void test_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char memory[200];
        struct buf out = buf_over(memory, sizeof(memory) - 1);

        berth_progress_format(&cases[i].at, "rows", cases[i].from, cases[i].is_bar, &out);
        assert_string_equal(buf_cstr(&out), cases[i].line);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_line) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
