/* front/work_test.c: the queue before the workers: order, limits, what the refused are told. */
#include "front/work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "model/limits.h"

struct numbered {
    struct front_job job; /* first */
    int number;
};

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_int n_run;
static int order[LIMIT_WORK_QUEUE + 16];

static void note_order(struct front_job *job, struct front_worker *w)
{
    assert_non_null(w->crypto);
    assert_non_null(w->certs);
    (void)pthread_mutex_lock(&gate); /* closed by the test while it fills the queue */
    order[atomic_fetch_add(&n_run, 1)] = ((struct numbered *)job)->number;
    (void)pthread_mutex_unlock(&gate);
}

static void test_queue(void **state)
{
    enum { JOBS = LIMIT_WORK_QUEUE + 1 }; /* one is taken by the worker */
    struct numbered *jobs = calloc(JOBS, sizeof(*jobs));
    struct front_work *w = NULL;

    (void)state;
    assert_non_null(jobs);
    atomic_store(&n_run, 0);
    assert_true(err_is_ok(front_work_open(1, &w)));
    assert_false(front_work_is_strained(w));
    assert_int_equal(front_work_retry_after_s(w) <= 2, 1);
    (void)pthread_mutex_lock(&gate);
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct numbered){ .job.run = note_order, .number = i };
        assert_false(front_work_is_full(w, 0) && i < LIMIT_WORK_LANE);
        assert_false(front_work_is_full(w, 1) && i < LIMIT_WORK_QUEUE);
        front_work_submit(w, &jobs[i].job);
    }
    assert_true(front_work_is_strained(w));
    assert_true(front_work_is_full(w, 0));
    assert_true(front_work_is_full(w, 1));
    for (int i = 0; i < 100; i++) { /* 4,096 jobs at the guess of 5 ms take 21 s */
        int s = front_work_retry_after_s(w);

        assert_true(s >= 20 && s <= LIMIT_RETRY_AFTER_MAX_S);
    }
    (void)pthread_mutex_unlock(&gate);
    front_work_close(w); /* runs what is queued */
    assert_int_equal(n_run, JOBS);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(order[i], i);
    }
    free(jobs);
}

/* However many jobs one lane has, each of the others' waits for a few. */
static void test_lanes_take_turns(void **state)
{
    enum { FLOOD = 1000, OTHERS = 3, EACH = 5, JOBS = FLOOD + OTHERS * EACH };
    static struct numbered jobs[JOBS];
    struct front_work *w = NULL;
    int last_of_others = 0;

    (void)state;
    atomic_store(&n_run, 0);
    assert_true(err_is_ok(front_work_open(1, &w)));
    (void)pthread_mutex_lock(&gate);
    for (int i = 0; i < JOBS; i++) {
        bool is_flood = i < FLOOD;

        jobs[i] = (struct numbered){ .job = { .run = note_order,
                                              .lane = is_flood ? 70 : 100 + (unsigned)i % OTHERS },
                                     .number = i };
        front_work_submit(w, &jobs[i].job);
    }
    (void)pthread_mutex_unlock(&gate);
    front_work_close(w);
    assert_int_equal(n_run, JOBS);
    for (int i = 0, flood = 0; i < JOBS; i++) {
        if (order[i] < FLOOD) {
            assert_int_equal(order[i], flood++); /* in their order */
        } else {
            last_of_others = i;
        }
    }
    assert_true(last_of_others <= (OTHERS + 1) * EACH + 1);
}

static void test_many_workers(void **state)
{
    enum { JOBS = 2000 };
    static struct numbered jobs[JOBS];
    struct front_work *w = NULL;

    (void)state;
    atomic_store(&n_run, 0);
    assert_true(err_is_ok(front_work_open(4, &w)));
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct numbered){ .job.run = note_order, .number = i };
        front_work_submit(w, &jobs[i].job);
    }
    front_work_close(w);
    assert_int_equal(n_run, JOBS);
    front_work_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_lanes_take_turns),
        cmocka_unit_test(test_many_workers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
