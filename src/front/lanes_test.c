/* front/lanes_test.c: turns between lanes, rows, and the two ends of a row, one job after another;
 * who may have how many places. */
#include "front/lanes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { JOBS_MAX = 20000 };

static struct front_lanes lanes;
static struct front_job jobs[JOBS_MAX];
static size_t n_jobs;

static int setup(void **state)
{
    (void)state;
    lanes = (struct front_lanes){ 0 };
    n_jobs = 0;
    return 0;
}

static struct front_lane scope(uint32_t owner, uint32_t group)
{
    return (struct front_lane){ .kind = FRONT_LANE_SCOPE, .owner = owner, .group = group };
}

static struct front_lane of_kind(enum front_lane_kind kind, uint32_t n)
{
    return kind == FRONT_LANE_OTHER ? (struct front_lane){ .kind = kind, .owner = n }
                                    : (struct front_lane){ .kind = kind, .group = n };
}

static struct front_job *put(struct front_lane lane)
{
    struct front_job *job = &jobs[n_jobs++];

    assert_true(n_jobs <= JOBS_MAX);
    *job = (struct front_job){ .lane = lane };
    front_lanes_put(&lanes, job);
    return job;
}

static void put_many(size_t n, struct front_lane lane)
{
    for (size_t i = 0; i < n; i++) {
        (void)put(lane);
    }
}

/* How many of the next n are of this lane. */
static size_t take_of(size_t n, struct front_lane lane)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        struct front_job *job = front_lanes_take(&lanes);

        assert_non_null(job);
        count += front_lane_is_same(&job->lane, &lane);
    }
    return count;
}

static void test_first_come(void **state)
{
    (void)state;
    assert_null(front_lanes_take(&lanes));
    for (int round = 0; round < 3; round++) {
        put_many(5, scope(1, 1));
        for (int i = 0; i < 5; i++) {
            assert_ptr_equal(front_lanes_take(&lanes), &jobs[round * 5 + i]);
        }
        assert_null(front_lanes_take(&lanes));
    }
    assert_int_equal(lanes.n, 0);
}

static void test_finishing_goes_first(void **state)
{
    static const char in[] = "bbfbffbfb"; /* begins, finishes */
    static const int out[] = { 2, 4, 5, 7, 0, 1, 3, 6, 8 };
    struct front_lane lane = scope(1, 1);

    (void)state;
    for (size_t i = 0; in[i] != '\0'; i++) {
        lane.is_finishing = in[i] == 'f';
        (void)put(lane);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(front_lanes_take(&lanes), &jobs[out[i]]);
    }
    lane.is_finishing = true; /* when those that came before are gone */
    (void)put(lane);
    assert_ptr_equal(front_lanes_take(&lanes), &jobs[9]);
    for (size_t i = 4; i < 9; i++) {
        assert_ptr_equal(front_lanes_take(&lanes), &jobs[out[i]]);
    }
    assert_int_equal(lanes.n, 0);
}

/* Whose jobs wait, and what part of the turns a lane then has: one in `every`. */
static const struct {
    struct {
        struct front_lane lane;
        size_t n;
    } waiting[6];
    struct front_lane who;
    size_t every;
} SHARES[] = {
    { { { { FRONT_LANE_SCOPE, false, 1, 1 }, 900 }, { { FRONT_LANE_SCOPE, false, 2, 1 }, 50 } },
      { FRONT_LANE_SCOPE, false, 2, 1 },
      2 },
    { { { { FRONT_LANE_SCOPE, false, 1, 1 }, 900 }, { { FRONT_LANE_SCOPE, false, 1, 2 }, 50 } },
      { FRONT_LANE_SCOPE, false, 1, 2 },
      2 },
    /* Many groups make no more of a scope. */
    { { { { FRONT_LANE_SCOPE, false, 1, 1 }, 900 },
        { { FRONT_LANE_SCOPE, false, 1, 2 }, 900 },
        { { FRONT_LANE_SCOPE, false, 1, 3 }, 900 },
        { { FRONT_LANE_SCOPE, false, 2, 1 }, 50 } },
      { FRONT_LANE_SCOPE, false, 2, 1 },
      2 },
    /* All strangers together are one. */
    { { { { FRONT_LANE_STRANGERS, false, 0, 1 }, 900 },
        { { FRONT_LANE_STRANGERS, false, 0, 2 }, 900 },
        { { FRONT_LANE_STRANGERS, false, 0, 3 }, 900 },
        { { FRONT_LANE_OTHER, false, 9, 0 }, 900 },
        { { FRONT_LANE_SCOPE, false, 2, 1 }, 50 } },
      { FRONT_LANE_SCOPE, false, 2, 1 },
      3 },
    /* The door has three of four turns, and at it one address like another. */
    { { { { FRONT_LANE_DOOR, false, 0, 1 }, 900 }, { { FRONT_LANE_SCOPE, false, 2, 1 }, 50 } },
      { FRONT_LANE_SCOPE, false, 2, 1 },
      4 },
    { { { { FRONT_LANE_DOOR, false, 0, 1 }, 900 }, { { FRONT_LANE_DOOR, false, 0, 2 }, 50 } },
      { FRONT_LANE_DOOR, false, 0, 2 },
      2 },
};

static void test_shares(void **state)
{
    enum { MINE = 20 };

    for (size_t i = 0; i < sizeof(SHARES) / sizeof(SHARES[0]); i++) {
        size_t turns = MINE * SHARES[i].every, had;

        (void)setup(state);
        for (size_t k = 0; SHARES[i].waiting[k].n > 0; k++) {
            put_many(SHARES[i].waiting[k].n, SHARES[i].waiting[k].lane);
        }
        had = take_of(turns, SHARES[i].who);
        if (had + 1 < MINE || had > MINE + 1) {
            fail_msg("case %zu: %zu of %zu turns", i, had, turns);
        }
    }
}

/* More tenants, or groups, than there are lanes: they share, and nobody is forgotten. */
static void test_more_than_lanes(void **state)
{
    enum { OWNERS = 3 * FRONT_LANES, EACH = 5 };
    size_t seen[OWNERS] = { 0 };

    (void)state;
    for (uint32_t i = 0; i < OWNERS * EACH; i++) {
        (void)put(i % 2 == 0 ? scope(i % OWNERS, i) : scope(OWNERS / 2, i));
    }
    for (size_t i = 0; i < n_jobs; i++) {
        struct front_job *job = front_lanes_take(&lanes);

        assert_non_null(job);
        seen[job->lane.owner]++;
    }
    assert_null(front_lanes_take(&lanes));
    assert_int_equal(lanes.n_lanes[FRONT_LANE_SCOPE], 0);
    assert_int_equal(lanes.n_jobs[FRONT_LANE_SCOPE], 0);
    assert_true(seen[OWNERS / 2] >= OWNERS * EACH / 2);
}

/* How many jobs of one lane there may be with these others, of 1,000 places. */
static const struct {
    size_t others;
    struct front_lane other, lane;
    size_t most;
} PLACES[] = {
    { 0, { FRONT_LANE_OTHER, false, 1, 0 }, { FRONT_LANE_OTHER, false, 2, 0 }, 500 },
    { 500, { FRONT_LANE_OTHER, false, 1, 0 }, { FRONT_LANE_OTHER, false, 2, 0 }, 250 },
    { 998, { FRONT_LANE_OTHER, false, 1, 0 }, { FRONT_LANE_OTHER, false, 2, 0 }, 1 },
    { 1000, { FRONT_LANE_OTHER, false, 1, 0 }, { FRONT_LANE_OTHER, false, 2, 0 }, 0 },
    { 0, { FRONT_LANE_SCOPE, false, 1, 1 }, { FRONT_LANE_SCOPE, false, 1, 2 }, 334 },
    { 333, { FRONT_LANE_SCOPE, false, 1, 1 }, { FRONT_LANE_SCOPE, false, 1, 2 }, 112 },
    { 333, { FRONT_LANE_SCOPE, false, 1, 1 }, { FRONT_LANE_SCOPE, false, 2, 1 }, 223 },
    { 333, { FRONT_LANE_DOOR, false, 0, 1 }, { FRONT_LANE_DOOR, false, 0, 2 }, 112 },
    { 700, { FRONT_LANE_OTHER, false, 1, 0 }, { FRONT_LANE_OTHER, true, 1, 0 }, 300 },
};

static void test_places(void **state)
{
    enum { ALL = 1000 };

    for (size_t i = 0; i < sizeof(PLACES) / sizeof(PLACES[0]); i++) {
        size_t n = 0;

        (void)setup(state);
        put_many(PLACES[i].others, PLACES[i].other);
        while (!front_lanes_is_full(&lanes, &PLACES[i].lane, ALL)) {
            (void)put(PLACES[i].lane);
            n++;
        }
        if (n != PLACES[i].most) {
            fail_msg("case %zu: %zu places", i, n);
        }
    }
}

static void test_ahead(void **state)
{
    const struct front_lane mine = scope(2, 1), storm = scope(1, 1);
    size_t shares;

    (void)state;
    assert_int_equal(front_lanes_ahead(&lanes, &mine, &shares), 0);
    assert_int_equal(shares, 1);
    assert_null(front_lanes_line(&lanes, &mine));
    put_many(900, storm);
    assert_int_equal(front_lanes_ahead(&lanes, &mine, &shares), 0);
    assert_int_equal(front_lanes_ahead(&lanes, &storm, &shares), 900);
    put_many(10, mine);
    assert_int_equal(front_lanes_ahead(&lanes, &mine, &shares), 20);
    assert_int_equal(shares, 2);
    assert_int_equal(front_lanes_ahead(&lanes, &storm, &shares), 910); /* never more than wait */
    front_lanes_line(&lanes, &storm)->end_us = 5;
    assert_int_equal(front_lanes_line(&lanes, &mine)->end_us, 0);
    while (front_lanes_take(&lanes) != NULL) {
    }
    put_many(1, storm);
    assert_int_equal(front_lanes_line(&lanes, &storm)->end_us, 0); /* that line is over */
}

/* Who shows a sign that was learned need not go by the door. */
static void test_guess(void **state)
{
    const struct front_lane door = of_kind(FRONT_LANE_DOOR, 1), mine = scope(1, 2);
    static const struct {
        uint64_t sign;
        bool is_guessed;
    } cases[] = {
        { 77, true }, { 0, false }, { 78, false }, { 77 + FRONT_GUESSES, false }, { 77, true },
    };

    (void)state;
    front_lanes_learn(&lanes, 77, &mine);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct front_job *job = &jobs[n_jobs++];

        *job = (struct front_job){ .lane = door, .sign = cases[i].sign };
        job->lane.is_finishing = i % 2 == 0;
        front_lanes_put(&lanes, job);
        assert_ptr_equal(front_lanes_take(&lanes), job);
        assert_int_equal(front_lane_is_same(&job->lane, &mine), cases[i].is_guessed);
        assert_int_equal(job->lane.is_finishing, i % 2 == 0);
    }
    jobs[n_jobs] = (struct front_job){ .lane = of_kind(FRONT_LANE_STRANGERS, 1), .sign = 77 };
    front_lanes_put(&lanes, &jobs[n_jobs]); /* was found out */
    assert_int_equal(front_lanes_take(&lanes)->lane.kind, FRONT_LANE_STRANGERS);
}

/* What is taken is what was put, in any order of the two. */
static void test_nothing_is_lost(void **state)
{
    uint32_t seed = 12345;
    size_t n_taken = 0;

    (void)state;
    while (n_jobs < JOBS_MAX) {
        struct front_lane lane;

        seed = seed * 1664525u + 1013904223u;
        lane = of_kind((enum front_lane_kind)(seed >> 8 & 3), seed >> 10 & 127);
        lane.is_finishing = (seed >> 20 & 1) != 0;
        if (seed >> 31 == 0 || lanes.n < 50) {
            (void)put(lane);
        } else {
            struct front_job *job = front_lanes_take(&lanes);

            assert_non_null(job);
            job->lane.owner = UINT32_MAX; /* seen */
            n_taken++;
        }
        assert_int_equal(lanes.n, n_jobs - n_taken);
    }
    for (struct front_job *job; (job = front_lanes_take(&lanes)) != NULL; n_taken++) {
        job->lane.owner = UINT32_MAX;
    }
    assert_int_equal(n_taken, JOBS_MAX);
    for (size_t i = 0; i < JOBS_MAX; i++) {
        assert_int_equal(jobs[i].lane.owner, UINT32_MAX);
    }
    for (size_t i = 0; i < FRONT_LANE_KINDS; i++) {
        assert_int_equal(lanes.n_lanes[i] + lanes.n_jobs[i], 0);
    }
}

/* Of 100 turns of two lanes, one of whose jobs take 40 ms: it has no more time than the other. */
static void test_long_jobs(void **state)
{
    const struct front_lane slow = scope(1, 0), fast = scope(2, 0);
    size_t n_slow = 0, n_left;

    (void)state;
    put_many(100, slow);
    put_many(200, fast);
    for (int i = 0; i < 90; i++) {
        struct front_job *job = front_lanes_take(&lanes);
        bool is_slow = front_lane_is_same(&job->lane, &slow);

        n_slow += is_slow;
        front_lanes_spent(&lanes, &job->lane, is_slow ? 40 * 1000 : 1000);
    }
    assert_in_range(n_slow, 9, 12); /* 40 ms is one turn and seven more */
    front_lanes_spent(&lanes, &slow, INT64_MAX);
    assert_int_equal(take_of(100, fast), 100); /* what it owes has a bound … */
    assert_true(take_of(100, slow) > 0);
    n_left = lanes.n;
    assert_int_equal(take_of(n_left, slow), n_left); /* … and keeps it from nothing when alone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_first_come, setup),
        cmocka_unit_test_setup(test_finishing_goes_first, setup),
        cmocka_unit_test_setup(test_shares, setup),
        cmocka_unit_test_setup(test_more_than_lanes, setup),
        cmocka_unit_test_setup(test_places, setup),
        cmocka_unit_test_setup(test_ahead, setup),
        cmocka_unit_test_setup(test_guess, setup),
        cmocka_unit_test_setup(test_long_jobs, setup),
        cmocka_unit_test_setup(test_nothing_is_lost, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
