/* front/work_test.c: the queue before the workers: order, limits, what the refused are told, and a
 * job that learns only while it runs whose it is. Whose turn it is, is lanes_test.c's. */
#include "front/work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "api/metrics.h"
#include "model/limits.h"

struct numbered {
    struct front_job job; /* first */
    int number;
    struct front_lane proven; /* whose it is */
    int n_looks;
};

static const struct front_lane HUB = { .kind = FRONT_LANE_OTHER, .owner = 1 };

static struct front_work *work;
static struct metrics metrics;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int n_run, n_refused;
static int order[LIMIT_WORK_QUEUE + 16];

static void note_order(struct front_job *job, struct front_worker *w)
{
    assert_non_null(w->crypto);
    assert_non_null(w->certs);
    (void)pthread_mutex_lock(&gate); /* closed by the test while it fills the queue */
    order[atomic_fetch_add(&n_run, 1)] = ((struct numbered *)job)->number;
    (void)pthread_mutex_unlock(&gate);
}

static void open_work(int workers)
{
    atomic_store(&n_run, 0);
    atomic_store(&n_refused, 0);
    assert_true(err_is_ok(front_work_open(workers, &metrics, &work)));
}

static struct numbered *queue_up(size_t n, struct front_lane lane)
{
    struct numbered *jobs = calloc(n, sizeof(*jobs));

    assert_non_null(jobs);
    (void)pthread_mutex_lock(&gate);
    for (size_t i = 0; i < n; i++) {
        jobs[i] = (struct numbered){ .job = { .run = note_order, .lane = lane }, .number = (int)i };
        front_work_submit(work, &jobs[i].job);
    }
    return jobs;
}

static void test_order(void **state)
{
    enum { JOBS = 3000 };
    struct numbered *jobs;

    (void)state;
    open_work(1);
    jobs = queue_up(JOBS, HUB);
    (void)pthread_mutex_unlock(&gate);
    front_work_close(work); /* runs what is queued */
    assert_int_equal(n_run, JOBS);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(order[i], i);
    }
    assert_int_equal(metrics.jobs_waiting[FRONT_LANE_OTHER], 0);
    free(jobs);
}

/* At the guess of 5 ms a job 2,000 are as many as may wait for ten seconds. */
static void test_full(void **state)
{
    enum { JOBS = 2000 + 1 /* the worker has it */ };
    const struct front_lane other = { .kind = FRONT_LANE_OTHER, .owner = 2 };
    struct front_lane finishing = HUB;
    struct numbered *jobs;
    int told[LIMIT_RETRY_AFTER_MAX_S + 1] = { 0 };

    (void)state;
    finishing.is_finishing = true;
    open_work(1);
    assert_false(front_work_is_strained(work));
    assert_int_equal(front_work_retry_after_s(work, &HUB), 1);
    assert_int_equal(front_work_wait_ms(work, &HUB), 0);
    jobs = queue_up(JOBS, HUB);
    assert_true(front_work_is_full(work, &HUB));
    assert_false(front_work_is_full(work, &other));
    assert_false(front_work_is_full(work, &finishing));
    assert_in_range(front_work_wait_ms(work, &HUB), 9900, 10100);
    assert_int_equal(front_work_wait_ms(work, &other), 0);
    assert_true(metrics.jobs_waiting[FRONT_LANE_OTHER] >= JOBS - 1);
    assert_int_equal(metrics.lanes[FRONT_LANE_OTHER], 1);
    for (int i = 0; i < 1000; i++) { /* another ten seconds' work */
        told[front_work_retry_after_s(work, &HUB)]++;
    }
    for (int s = 0; s <= LIMIT_RETRY_AFTER_MAX_S; s++) {
        assert_true(told[s] <= 101); /* no more than that second can bear */
        assert_true(s > 10 || told[s] == 0);
        assert_true(s < 22 || told[s] == 0);
    }
    (void)pthread_mutex_unlock(&gate);
    front_work_close(work);
    free(jobs);
}

static void test_strained(void **state)
{
    struct numbered *jobs;

    (void)state;
    open_work(1);
    jobs = queue_up(LIMIT_WORK_STRAINED + 1, HUB);
    assert_true(front_work_is_strained(work));
    (void)pthread_mutex_unlock(&gate);
    front_work_close(work);
    free(jobs);
}

/* A look, then its turn, then its work. */
static void look_and_work(struct front_job *job, struct front_worker *w)
{
    struct numbered *n = (struct numbered *)job;

    if (n->number == 0) { /* until all are in line */
        (void)pthread_mutex_lock(&gate);
        (void)pthread_mutex_unlock(&gate);
    }
    n->n_looks++;
    switch (front_work_take_turn(work, job, &n->proven)) {
    case FRONT_TURN_LATER:
        front_work_submit(work, job);
        return;
    case FRONT_TURN_REFUSED:
        (void)atomic_fetch_add(&n_refused, 1);
        return;
    case FRONT_TURN_NOW:
        note_order(job, w);
    }
}

/* Of two groups one has a hundred times as many as the other, and was there first. */
static void test_turns_by_proof(void **state)
{
    enum { STORM = 1000, FEW = 10, JOBS = STORM + FEW };
    struct numbered *jobs = calloc(JOBS, sizeof(*jobs));
    int last_of_few = 0;

    (void)state;
    assert_non_null(jobs);
    open_work(1);
    (void)pthread_mutex_lock(&gate);
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct numbered){
            .number = i,
            .proven = { .kind = FRONT_LANE_SCOPE, .owner = 7, .group = i < STORM ? 1 : 2 },
            .job = { .run = look_and_work,
                     .lane = { .kind = FRONT_LANE_DOOR, .group = (uint32_t)i % 50 } },
        };
        front_work_submit(work, &jobs[i].job);
    }
    (void)pthread_mutex_unlock(&gate);
    front_work_close(work);
    assert_int_equal(n_run, JOBS);
    assert_int_equal(n_refused, 0);
    for (int i = 0; i < JOBS; i++) {
        last_of_few = order[i] >= STORM ? i : last_of_few;
        assert_true(jobs[i].n_looks <= 2);
    }
    assert_true(last_of_few <=
                STORM / 2); /* 340 turns until all have had a look, some of them theirs */
    free(jobs);
}

/* Nobody else waits: one look is enough. */
static void test_turn_at_once(void **state)
{
    struct numbered job = { .job = { .run = look_and_work, .lane = { .kind = FRONT_LANE_DOOR } },
                            .proven = { .kind = FRONT_LANE_SCOPE, .owner = 7 } };

    (void)state;
    open_work(2);
    front_work_submit(work, &job.job);
    front_work_close(work);
    assert_int_equal(job.n_looks, 1);
    assert_true(front_lane_is_same(&job.job.lane, &job.proven));
}

static void test_many_workers(void **state)
{
    struct numbered *jobs;

    (void)state;
    open_work(4);
    jobs = queue_up(2000, HUB);
    (void)pthread_mutex_unlock(&gate);
    front_work_close(work);
    assert_int_equal(n_run, 2000);
    front_work_close(NULL);
    free(jobs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),        cmocka_unit_test(test_full),
        cmocka_unit_test(test_strained),     cmocka_unit_test(test_turns_by_proof),
        cmocka_unit_test(test_turn_at_once), cmocka_unit_test(test_many_workers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
