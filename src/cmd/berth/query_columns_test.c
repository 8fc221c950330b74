/* cmd/berth/query_columns_test.c: rows of any shape to a table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/query_columns.h"

static const struct {
    const char *rows, *table;
    bool left_some_out;
} CASES[] = {
    { "[{\"n\":3}]", "n\n3\n", false },
    { "[{\"a\":1},{\"b\":\"x\"}]", "a  b\n1  -\n-  x\n", false },
    { "[{\"t\":{\"room\":\"k\",\"at\":{\"x\":1}},\"e\":{}}]",
      "t.room  t.at.x  e\nk       1       {}\n", false },
    { "[{\"a.b\":1,\"a\":{\"b\":2,\"c.d\":3},\"v\":[1,2]}]", "a.b  a.c.d  v\n1    3      1, 2\n",
      false },
    { "[{\"a\":{\"$metadata\":{\"x\":1},\"y\":null,\"z\":true}}]", "a.z\ntrue\n", false },
    { "[{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":1}}}}}]", "a.b.c.d\n{\"e\":1}\n", false },
    { "[{\"deviceId\":\"d\",\"deviceEtag\":\"e\",\"status\":\"enabled\",\"connectionState\":"
      "\"Connected\",\"version\":2,\"tags\":{\"r\":1},\"properties\":{}}]",
      "DEVICE  STATUS   CONNECTION  VERSION  TAGS\nd       enabled  Connected   2        "
      "{\"r\":1}\n",
      false },
    { "[{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":0,\"j\":0,\"k\":0,"
      "\"l\":0,\"m\":0,\"n\":0,\"o\":0,\"p\":0,\"q\":0}]",
      "a  b  c  d  e  f  g  h  i  j  k  l  m  n  o  p\n0  0  0  0  0  0  0  0  0  0  0  0  0  0  0 "
      " 0\n",
      true },
};

static void test_tables(void **state)
{
    static uint8_t memory[256 * 1024];

    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        AUTO(json) json *rows = NULL;
        struct cli cli = { .exit_status = 0 };
        struct query_columns q;
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        arena_init(&cli.arena, memory, sizeof(memory));
        assert_true(err_is_ok(json_parse(span_str(CASES[i].rows), 16, &rows)));
        berth_query_columns_init(&q, &cli);
        assert_true(err_is_ok(berth_query_columns_add(&q, rows)));
        berth_table_print(&q.table, out);
        (void)fclose(out);
        assert_string_equal(text, CASES[i].table);
        assert_int_equal(q.left_some_out, CASES[i].left_some_out);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_tables) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
