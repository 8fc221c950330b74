/* hub/throttle_test.c: buckets under a clock that is an integer, and the presets against the table
 * of reference iothub-service-api.md 13. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hub/throttle.h"
#include "model/limits.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define NOON        INT64_C(1800000000000) /* ms; any time will do */

static struct throttle_pace pace(int64_t count, int64_t per_ms, int64_t burst)
{
    const struct throttle_rate rate = { .count = count, .per_ms = per_ms, .burst = burst };

    return throttle_pace_of(&rate);
}

static void test_takes_and_refills(void **state)
{
    static const struct {
        const char *what;
        int64_t count, per_ms, burst;
        struct {
            int64_t at_ms, tokens, wait_ms;
        } steps[8]; /* ended by tokens 0 */
    } cases[] = {
        { "a burst, then the pace",
          10,
          1000,
          3,
          { { 0, 1, 0 },
            { 0, 1, 0 },
            { 0, 1, 0 },
            { 0, 1, 100 },
            { 99, 1, 1 },
            { 100, 1, 0 },
            { 100, 1, 100 } } },
        { "a minute's",
          6,
          60000,
          1,
          { { 0, 1, 0 }, { 1, 1, 9999 }, { 10000, 1, 0 }, { 10000, 1, 10000 } } },
        { "never more than the burst",
          10,
          1000,
          2,
          { { 0, 2, 0 }, { 100000, 2, 0 }, { 100000, 1, 100 } } },
        { "several at once",
          10,
          1000,
          10,
          { { 0, 7, 0 }, { 0, 4, 100 }, { 0, 3, 0 }, { 0, 5, 500 } } },
        { "more than there ever are: all",
          10,
          1000,
          4,
          { { 0, 400, 0 }, { 0, 1, 100 }, { 400, 400, 0 } } },
        { "a refusal takes nothing",
          1,
          1000,
          1,
          { { 0, 1, 0 }, { 500, 1, 500 }, { 600, 1, 400 }, { 1000, 1, 0 } } },
        { "the clock goes back a little",
          10,
          1000,
          1,
          { { 0, 1, 0 }, { -50, 1, 150 }, { 100, 1, 0 } } },
        { "the clock goes back by hours: empty from then on",
          10,
          1000,
          10,
          { { 0, 1, 0 },
            { -7200000, 1, 100 },
            { -7200000 + 100, 1, 0 },
            { -7200000 + 100, 1, 100 },
            { -7200000 + 1100, 10, 0 } } },
        { "the clock leaps on",
          10,
          1000,
          10,
          { { 0, 10, 0 }, { 86400000, 10, 0 }, { 86400000, 1, 100 } } },
        { "fast",
          1000000,
          1000,
          1000000,
          { { 0, 999999, 0 }, { 0, 2, 1 }, { 0, 1, 0 }, { 1, 1000, 0 }, { 1, 1, 1 } } },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct throttle_pace p = pace(cases[i].count, cases[i].per_ms, cases[i].burst);
        struct throttle_bucket b = { 0 };

        for (size_t s = 0; s < COUNT_OF(cases[i].steps) && cases[i].steps[s].tokens > 0; s++) {
            int64_t wait =
                throttle_take(&b, &p, cases[i].steps[s].tokens, NOON + cases[i].steps[s].at_ms);

            if (wait != cases[i].steps[s].wait_ms) {
                fail_msg("%s: step %zu: %lld ms", cases[i].what, s, (long long)wait);
            }
        }
    }
}

static void test_no_limit(void **state)
{
    struct throttle_pace p = pace(0, 1000, 0);
    struct throttle_bucket b = { 0 };

    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(throttle_take(&b, &p, 1000, NOON), 0);
    }
    assert_int_equal(b.full_ns, 0);
}

/* Who comes first is served first, each an interval behind the one before. */
static void test_reservations_are_a_line(void **state)
{
    struct throttle_pace p = pace(10, 1000, 1);
    struct throttle_bucket b = { 0 };
    int64_t most = LIMIT_SHAPED_MS / 100;

    (void)state;
    for (int64_t i = 0; i <= most; i++) {
        assert_int_equal(throttle_reserve(&b, &p, 1, NOON), i * 100);
    }
    assert_true(throttle_reserve(&b, &p, 1, NOON) > LIMIT_SHAPED_MS); /* the line is full */
    assert_true(throttle_take(&b, &p, 1, NOON) > LIMIT_SHAPED_MS);
    assert_int_equal(throttle_reserve(&b, &p, 1, NOON + 100), LIMIT_SHAPED_MS);
    throttle_give_back(&b, &p, 1);
    assert_int_equal(throttle_reserve(&b, &p, 1, NOON + 100), LIMIT_SHAPED_MS);
}

static void test_debt_is_bounded(void **state)
{
    struct throttle_pace p = pace(10, 1000, 5);
    struct throttle_bucket b = { 0 };

    (void)state;
    for (int i = 0; i < 100; i++) {
        throttle_charge(&b, &p, 1, NOON);
    }
    assert_int_equal(throttle_take(&b, &p, 1, NOON), 600);
}

static void test_bursts_are_cut_to_a_day(void **state)
{
    struct throttle_pace p = pace(1, 3600 * 1000, THROTTLE_BURST_MAX);
    struct throttle_bucket b = { 0 };

    (void)state;
    assert_int_equal(throttle_take(&b, &p, THROTTLE_BURST_MAX, NOON), 0);
    assert_int_equal(throttle_take(&b, &p, 1, NOON), 3600 * 1000);
    assert_int_equal(throttle_take(&b, &p, 24, NOON + 24 * 3600 * 1000), 0);
}

/* The table, for 1, 2 and 20 units; a second's or a minute's. */
static void test_presets(void **state)
{
    static const struct {
        enum throttle_operation op;
        int64_t per_ms;
        int64_t of[3][3]; /* F1, B1, S1; B2, S2; B3, S3: for 1, 2, 20 units */
    } cases[] = {
        { THROTTLE_REGISTRY,
          60000,
          { { 100, 200, 2000 }, { 100, 200, 2000 }, { 5000, 10000, 100000 } } },
        { THROTTLE_CONNECTS,
          1000,
          { { 100, 100, 240 }, { 120, 240, 2400 }, { 6000, 12000, 120000 } } },
        { THROTTLE_D2C_SENDS,
          1000,
          { { 100, 100, 240 }, { 120, 240, 2400 }, { 6000, 12000, 120000 } } },
        { THROTTLE_C2D_SENDS,
          60000,
          { { 100, 200, 2000 }, { 100, 200, 2000 }, { 5000, 10000, 100000 } } },
        { THROTTLE_C2D_RECEIVES,
          60000,
          { { 1000, 2000, 20000 }, { 1000, 2000, 20000 }, { 50000, 100000, 1000000 } } },
        { THROTTLE_METHODS,
          1000,
          { { 40, 80, 800 }, { 120, 240, 2400 }, { 6144, 12288, 122880 } } },
        { THROTTLE_QUERIES, 60000, { { 20, 40, 400 }, { 20, 40, 400 }, { 1000, 2000, 20000 } } },
        { THROTTLE_TWIN_READS,
          1000,
          { { 100, 100, 100 }, { 100, 100, 200 }, { 500, 1000, 10000 } } },
        { THROTTLE_TWIN_UPDATES, 1000, { { 50, 50, 50 }, { 50, 50, 100 }, { 250, 500, 5000 } } },
    };
    static const enum throttle_tier tiers[3][3] = {
        { THROTTLE_TIER_F1, THROTTLE_TIER_B1, THROTTLE_TIER_S1 },
        { THROTTLE_TIER_B2, THROTTLE_TIER_S2, THROTTLE_TIER_S2 },
        { THROTTLE_TIER_B3, THROTTLE_TIER_S3, THROTTLE_TIER_S3 },
    };
    static const int64_t units[3] = { 1, 2, 20 };

    (void)state;
    assert_int_equal(COUNT_OF(cases), THROTTLE_OPERATIONS - 1);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (int n = 0; n < 27; n++) {
            int size = n / 9, tier = n / 3 % 3, u = n % 3;
            struct throttle_rate r = throttle_preset(tiers[size][tier], units[u], cases[i].op);

            if (r.count != cases[i].of[size][u] || r.per_ms != cases[i].per_ms ||
                r.burst != r.count) {
                fail_msg("%s of %lld %s: %lld every %lld ms", throttle_word(cases[i].op),
                         (long long)units[u], throttle_tier_word(tiers[size][tier]),
                         (long long)r.count, (long long)r.per_ms);
            }
        }
        assert_int_equal(throttle_preset(THROTTLE_TIER_NONE, 1, cases[i].op).count, 0);
    }
}

static void test_quotas(void **state)
{
    static const struct {
        enum throttle_tier tier;
        int64_t units, messages, meter;
    } cases[] = {
        { THROTTLE_TIER_NONE, 1, 0, 4096 },         { THROTTLE_TIER_F1, 1, 8000, 512 },
        { THROTTLE_TIER_S1, 2, 800000, 4096 },      { THROTTLE_TIER_B2, 1, 6000000, 4096 },
        { THROTTLE_TIER_S3, 10, 3000000000, 4096 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct throttle_quota q = throttle_preset_quota(cases[i].tier, cases[i].units);

        assert_int_equal(q.messages, cases[i].messages);
        assert_int_equal(q.meter, cases[i].meter);
    }
}

static void test_words(void **state)
{
    enum throttle_operation op;
    enum throttle_tier tier;

    (void)state;
    for (int i = 1; i < THROTTLE_OPERATIONS; i++) {
        assert_true(throttle_parse(span_str(throttle_word((enum throttle_operation)i)), &op));
        assert_int_equal(op, i);
    }
    assert_false(throttle_parse(SPAN("nothing"), &op));
    assert_null(throttle_word(THROTTLE_NOTHING));
    assert_true(throttle_parse_tier(SPAN("s3"), &tier));
    assert_int_equal(tier, THROTTLE_TIER_S3);
    assert_false(throttle_parse_tier(SPAN("S4"), &tier));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_and_refills),
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_reservations_are_a_line),
        cmocka_unit_test(test_debt_is_bounded),
        cmocka_unit_test(test_bursts_are_cut_to_a_day),
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_quotas),
        cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
