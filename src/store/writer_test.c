/* store/writer_test.c: the queue: its order, its bounds, its batches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <unistd.h>

#include "store/writer.h"

struct job {
    void *next;
    int number;
};

/* What the writer's thread did; looked at after it has ended. */
struct log {
    atomic_bool go;
    atomic_int running;
    int numbers[16];
    size_t n, batches[16], n_batches;
};

static void run(void *context, void *first, size_t n)
{
    struct log *log = (struct log *)context;

    (void)atomic_fetch_add(&log->running, 1);
    while (!atomic_load(&log->go)) {
        (void)usleep(100);
    }
    log->batches[log->n_batches++] = n;
    for (void *job = first; job != NULL; job = store_writer_next(job)) {
        log->numbers[log->n++] = ((struct job *)job)->number;
    }
}

static void test_order_bounds_and_batches(void **state)
{
    static struct log log;
    static struct job jobs[8];
    struct store_writer_config config = {
        .queue_limit = 5, .batch_limit = 3, .run = run, .context = &log
    };
    struct store_writer *w;
    uint64_t n_jobs, n_batches;

    (void)state;
    assert_true(err_is_ok(store_writer_open(&config, &w)));
    assert_true(err_is_ok(store_writer_push(w, &jobs[0])));
    while (atomic_load(&log.running) == 0) {
        (void)usleep(100);
    }
    assert_int_equal(store_writer_backlog(w), 0); /* it is being done */
    for (int i = 1; i < 8; i++) {
        jobs[i].number = i;
        assert_int_equal(store_writer_push(w, &jobs[i]).code, i <= 5 ? ERR_NONE : ERR_BUSY);
    }
    assert_int_equal(store_writer_backlog(w), 5);
    atomic_store(&log.go, true);
    while (store_writer_backlog(w) > 0) {
        (void)usleep(100);
    }
    store_writer_totals(w, &n_jobs, &n_batches);
    assert_int_equal(n_jobs, 6);
    assert_int_equal(n_batches, 3);
    store_writer_close(w);
    assert_int_equal(log.n, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(log.numbers[i], i);
    }
    assert_int_equal(log.n_batches, 3);
    assert_int_equal(log.batches[0], 1);
    assert_int_equal(log.batches[1], 3);
    assert_int_equal(log.batches[2], 2);
}

static void test_close_when_idle(void **state)
{
    struct store_writer_config config = { .queue_limit = 1, .batch_limit = 1, .run = run };
    struct store_writer *w;

    (void)state;
    assert_true(err_is_ok(store_writer_open(&config, &w)));
    store_writer_close(w);
    store_writer_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_bounds_and_batches),
        cmocka_unit_test(test_close_when_idle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
