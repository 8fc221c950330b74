/* cmd/berth/table_test.c: rows in, text out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/table.h"

static const char *const TITLES[] = { "ID", "STATUS", "NOTE" };

static void assert_prints(struct table *t, const char *expected)
{
    char text[1024] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");

    assert_non_null(out);
    berth_table_print(t, out);
    fclose(out);
    assert_string_equal(text, expected);
}

static void test_columns(void **state)
{
    const struct span rows[][3] = {
        { SPAN("sensor-1"), SPAN("enabled"), SPAN("x") },
        { SPAN("d\xc3\xa9"), { NULL, 0 }, SPAN("a\nb\x1b[2J") },
    };
    uint8_t memory[1024];
    struct arena arena;
    struct table t;

    (void)state;
    arena_init(&arena, memory, sizeof(memory));
    berth_table_init(&t, &arena, TITLES, 3);
    assert_prints(&t, "ID  STATUS  NOTE\n");
    assert_true(err_is_ok(berth_table_add(&t, rows[0])));
    assert_true(err_is_ok(berth_table_add(&t, rows[1])));
    assert_prints(&t, "ID        STATUS   NOTE\n"
                      "sensor-1  enabled  x\n"
                      "d\xc3\xa9        -        a?b?[2J\n");
}

static void test_empty_column_is_left_out(void **state)
{
    const struct span row[] = { SPAN("d1"), { NULL, 0 }, SPAN("n") };
    uint8_t memory[1024];
    struct arena arena;
    struct table t;

    (void)state;
    arena_init(&arena, memory, sizeof(memory));
    berth_table_init(&t, &arena, TITLES, 3);
    assert_true(err_is_ok(berth_table_add(&t, row)));
    assert_prints(&t, "ID  NOTE\n"
                      "d1  n\n");
}

static void test_blocks(void **state)
{
    const struct span rows[][3] = { { SPAN("d1"), { NULL, 0 }, SPAN("n") },
                                    { SPAN("d-2"), { NULL, 0 }, { NULL, 0 } },
                                    { SPAN("d3"), SPAN("enabled"), SPAN("n") } };
    static const char *const printed[] = { "ID  NOTE\nd1  n\n", "d-2  -\n",
                                           "ID   STATUS   NOTE\nd3   enabled  n\n" };
    uint8_t memory[1024];
    struct arena arena;
    struct table t;

    (void)state;
    arena_init(&arena, memory, sizeof(memory));
    berth_table_init(&t, &arena, TITLES, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(err_is_ok(berth_table_add(&t, rows[i])));
        assert_prints(&t, printed[i]);
        arena_reset(&arena);
    }
}

static void test_no_memory(void **state)
{
    static const struct span row[3];
    uint8_t memory[8];
    struct arena arena;
    struct table t;

    (void)state;
    arena_init(&arena, memory, sizeof(memory));
    berth_table_init(&t, &arena, TITLES, 3);
    assert_true(err_is(berth_table_add(&t, row), ERR_NOMEM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_empty_column_is_left_out),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
