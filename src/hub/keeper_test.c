/* hub/keeper_test.c: chores are done now and then, after a fault too, and once more at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <semaphore.h>

#include "hub/keeper.h"
#include "util/arena.h"

struct counted {
    atomic_int runs, faults;
    sem_t ran;
    int more; /* times to ask for more at once */
    bool is_broken;
};

static err count(const struct env *env, struct bus *bus, void *arg, bool *again)
{
    struct counted *c = arg;
    int n = atomic_fetch_add(&c->runs, 1);

    assert_null(bus);
    assert_int_equal(env->arena->used, 0);
    assert_non_null(arena_alloc(env->arena, 1));
    assert_true(env->now_ms > 0);
    *again = n < c->more;
    (void)sem_post(&c->ran);
    return c->is_broken ? ERR(IO) : OK;
}

static void note_fault(void *arg, const char *chore, err fault)
{
    assert_string_equal(chore, "counting");
    assert_true(err_is(fault, ERR_IO));
    (void)atomic_fetch_add(&((struct counted *)arg)->faults, 1);
}

static void run(struct counted *c, int runs)
{
    struct hub_chore chore = { .name = "counting", .run = count, .arg = c };
    struct hub_keeper_config config = {
        .chores = &chore, .n_chores = 1, .on_fault = note_fault, .arg = c
    };
    struct hub_keeper *k;

    assert_int_equal(sem_init(&c->ran, 0, 0), 0);
    assert_int_equal(hub_keeper_start(&config, &k).code, ERR_NONE);
    for (int i = 0; i < runs; i++) {
        while (sem_wait(&c->ran) != 0) {
        }
    }
    hub_keeper_stop(k);
    (void)sem_destroy(&c->ran);
}

static void test_done_again_and_at_the_end(void **state)
{
    struct counted c = { .more = 20 }; /* with a pause between each, this would take 20 s */

    (void)state;
    run(&c, 20);
    assert_true(atomic_load(&c.runs) >= 21);
    assert_int_equal(atomic_load(&c.faults), 0);
}

static void test_a_fault_is_told_and_the_chore_tried_again(void **state)
{
    struct counted c = { .is_broken = true };

    (void)state;
    run(&c, 2);
    assert_int_equal(atomic_load(&c.faults), atomic_load(&c.runs));
}

static void test_stopped_before_its_first_turn(void **state)
{
    struct counted c = { 0 };

    (void)state;
    run(&c, 0);
    assert_int_equal(atomic_load(&c.runs), 1);
    hub_keeper_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_done_again_and_at_the_end),
        cmocka_unit_test(test_a_fault_is_told_and_the_chore_tried_again),
        cmocka_unit_test(test_stopped_before_its_first_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
