/* cmd/berth/fleet_stats_test.c: percentiles of known rows of numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cmd/berth/fleet_stats.h"

static void assert_ms(double actual, int64_t expected_us)
{
    assert_int_equal((int64_t)(actual * 1000.0 + 0.5), expected_us);
}

static void test_percentiles(void **state)
{
    static uint8_t memory[8192];
    struct arena arena;
    struct latencies l;
    struct latency_summary s;

    (void)state;
    arena_init(&arena, memory, sizeof(memory));
    assert_true(err_is_ok(berth_fleet_stats_init(&l, &arena, 1000)));
    for (int64_t i = 1000; i >= 1; i--) {
        berth_fleet_stats_add(&l, i * 1000);
    }
    berth_fleet_stats_add(&l, 5000000); /* no room: counted, not measured */
    s = berth_fleet_stats_summary(&l);
    assert_int_equal(s.n, 1000);
    assert_int_equal(l.dropped, 1);
    assert_ms(s.p50_ms, 500);
    assert_ms(s.p90_ms, 900);
    assert_ms(s.p99_ms, 990);
    assert_ms(s.p999_ms, 999);
    assert_ms(s.max_ms, 1000);
    assert_ms(s.mean_ms * 10, 5005);
}

static void test_one_and_none(void **state)
{
    uint8_t memory[64];
    struct arena arena;
    struct latencies l;

    (void)state;
    arena_init(&arena, memory, sizeof(memory));
    assert_true(err_is_ok(berth_fleet_stats_init(&l, &arena, 4)));
    assert_int_equal(berth_fleet_stats_summary(&l).n, 0);
    berth_fleet_stats_add(&l, 7000);
    assert_ms(berth_fleet_stats_summary(&l).p50_ms, 7);
    assert_ms(berth_fleet_stats_summary(&l).p999_ms, 7);
    assert_true(err_is(berth_fleet_stats_init(&l, &arena, 1000), ERR_NOMEM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percentiles),
        cmocka_unit_test(test_one_and_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
