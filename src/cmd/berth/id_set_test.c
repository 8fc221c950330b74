/* cmd/berth/id_set_test.c: what was added is found, and nothing else, however often the set grew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/id_set.h"

enum { MANY = 20000, ROOM = 16 * 1024 * 1024 };

static struct span name_of(char *room, const char *what, int i)
{
    (void)snprintf(room, 32, "%s-%d", what, i);
    return span_str(room);
}

static void test_many(void **state)
{
    void *room = malloc(ROOM);
    struct arena arena;
    struct id_set s;
    char id[32], name[32];

    (void)state;
    arena_init(&arena, room, ROOM);
    berth_id_set_init(&s, &arena);
    assert_null(berth_id_set_find(&s, SPAN("d-1")));
    for (int i = 0; i < MANY; i++) {
        assert_true(err_is_ok(berth_id_set_add(&s, name_of(id, "d", i), name_of(name, "r", i))));
        assert_true(err_is_ok(berth_id_set_add(&s, name_of(id, "d", i), SPAN("another"))));
    }
    assert_int_equal(s.n, MANY);
    for (int i = 0; i < MANY; i++) {
        struct id_entry *e = berth_id_set_find(&s, name_of(id, "d", i));

        assert_non_null(e);
        assert_true(span_eq(e->name, name_of(name, "r", i)));
        assert_false(e->is_seen);
        assert_null(berth_id_set_find(&s, name_of(id, "D", i)));
    }
    free(room);
}

static void test_out_of_memory(void **state)
{
    static uint8_t room[4096];
    struct arena arena;
    struct id_set s;

    (void)state;
    arena_init(&arena, room, sizeof(room));
    berth_id_set_init(&s, &arena);
    assert_true(err_is(berth_id_set_add(&s, SPAN("d"), SPAN("r")), ERR_NOMEM));
    assert_null(berth_id_set_find(&s, SPAN("d")));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_many),
                                        cmocka_unit_test(test_out_of_memory) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
