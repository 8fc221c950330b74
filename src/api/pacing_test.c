/* api/pacing_test.c: what the formulas say, and what becomes of a herd that heeds them, on a clock
 * that is an integer. */
#include "api/pacing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/limits.h"

enum { MS = 1000, S = 1000 * 1000 };

static const struct {
    int64_t end_us, now_us, ahead_us, each_us;
    uint8_t dice;
    int s;
    int64_t then_us;
} RETURNS[] = {
    { 0, 5 * S, 0, 0, 0, 1, 5 * S }, /* never less */
    { 0, 5 * S, 0, 10 * MS, 0, 1, 5 * S + 10 * MS },
    { 0, 5 * S, 1 * S, 10 * MS, 0, 2, 6 * S + 10 * MS },
    { 9 * S, 5 * S, 1 * S, 10 * MS, 0, 5, 9 * S + 10 * MS }, /* behind who was told before */
    { 4 * S, 5 * S, 1 * S, 10 * MS, 0, 2, 6 * S + 10 * MS }, /* whose time is over */
    { 64 * S, 5 * S, 0, 1 * S, 0, 60, 65 * S },
    { 65 * S, 5 * S, 0, 1 * S, 0, 30, 65 * S }, /* no place left */
    { 65 * S, 5 * S, 0, 1 * S, 255, 60, 65 * S },
    { 0, 5 * S, 1000LL * S, 1 * S, 128, 45, 0 },
};

static void test_return(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(RETURNS) / sizeof(RETURNS[0]); i++) {
        struct pacing_line line = { RETURNS[i].end_us };

        assert_int_equal(pacing_return_s(&line, RETURNS[i].now_us, RETURNS[i].ahead_us,
                                         RETURNS[i].each_us, RETURNS[i].dice),
                         RETURNS[i].s);
        assert_int_equal(line.end_us, RETURNS[i].then_us);
    }
}

static const struct {
    bool is_decided;
    int64_t wait_ms;
    uint8_t dice;
    int s;
} POLLS[] = {
    { true, 0, 255, 1 },
    { true, 999, 255, 1 },
    { true, 4000, 0, 5 },
    { true, -5, 0, 1 },
    { false, 0, 255, 3 },
    { false, 2500, 0, 3 },
    { false, 8000, 0, 9 },
    { false, 8000, 255, 11 },
    { false, 40000, 255, 51 },
    { true, INT64_MAX, 0, LIMIT_RETRY_AFTER_MAX_S },
    { false, INT64_MAX, 255, LIMIT_RETRY_AFTER_MAX_S },
};

static void test_poll(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(POLLS) / sizeof(POLLS[0]); i++) {
        assert_int_equal(pacing_poll_s(POLLS[i].is_decided, POLLS[i].wait_ms, POLLS[i].dice),
                         POLLS[i].s);
    }
}

/* ---- a herd ---- */

enum { TICKS_A_S = 100, TICK_US = S / TICKS_A_S, END_S = 1200 };

struct herd {
    int devices, arrive_ms; /* all within this time */
    int rate, places;       /* served a second; that may wait */
    int leave_percent;      /* of the refused, that never come back */
    bool is_paced;          /* else all are told the same */
};

/* What became of it. */
struct herd_end {
    int served, left, last_s, refusals;
    int idle_s; /* whole seconds in which less than 90 % of what could be served was, before the
                   last tenth */
    int wave;   /* most arrivals in one second after the first two */
};

struct world {
    const struct herd *herd;
    struct pacing_line line;
    int *due; /* arrivals by tick */
    int waiting;
    uint32_t seed;
    struct herd_end end;
};

static uint32_t roll(struct world *w)
{
    w->seed = w->seed * 1664525u + 1013904223u;
    return w->seed >> 16;
}

static void arrive(struct world *w, int tick)
{
    const int64_t each_us = S / w->herd->rate;
    int s = 10;

    if (w->waiting < w->herd->places) {
        w->waiting++;
        return;
    }
    w->end.refusals++;
    if ((int)(roll(w) % 100) < w->herd->leave_percent) {
        w->end.left++;
        return;
    }
    if (w->herd->is_paced) {
        s = pacing_return_s(&w->line, (int64_t)tick * TICK_US, w->waiting * each_us, each_us,
                            (uint8_t)roll(w));
    }
    assert_in_range(s, 1, LIMIT_RETRY_AFTER_MAX_S);
    w->due[tick + s * TICKS_A_S]++;
}

static void run_second(struct world *w, int second)
{
    int served = 0, arrivals = 0;

    for (int tick = second * TICKS_A_S; tick < (second + 1) * TICKS_A_S; tick++) {
        int now = w->herd->rate / TICKS_A_S;

        arrivals += w->due[tick];
        for (int i = 0; i < w->due[tick]; i++) {
            arrive(w, tick);
        }
        now = now < w->waiting ? now : w->waiting;
        w->waiting -= now;
        served += now;
    }
    w->end.served += served;
    w->end.last_s = served > 0 ? second : w->end.last_s;
    w->end.wave = second > 1 && arrivals > w->end.wave ? arrivals : w->end.wave;
    if (w->end.served < (w->herd->devices - w->end.left) / 10 * 9 && second > 0) {
        w->end.idle_s += served < w->herd->rate / 10 * 9;
    }
}

static struct herd_end run(const struct herd *h)
{
    struct world w = { .herd = h, .seed = 1 };

    w.due = calloc((END_S + LIMIT_RETRY_AFTER_MAX_S + 1) * TICKS_A_S, sizeof(*w.due));
    assert_non_null(w.due);
    for (int i = 0; i < h->devices; i++) {
        w.due[roll(&w) % (uint32_t)h->arrive_ms * TICKS_A_S / 1000]++;
    }
    for (int s = 0; s < END_S; s++) {
        run_second(&w, s);
    }
    free(w.due);
    return w.end;
}

static const struct herd HERDS[] = {
    { .devices = 2000, .arrive_ms = 200, .rate = 500, .places = 2700 }, /* none refused */
    { .devices = 20000, .arrive_ms = 200, .rate = 500, .places = 2700 },
    { .devices = 20000, .arrive_ms = 5000, .rate = 500, .places = 500 },
    { .devices = 20000, .arrive_ms = 200, .rate = 500, .places = 2700, .leave_percent = 30 },
    { .devices = 200000, .arrive_ms = 1000, .rate = 1000, .places = 2700 }, /* beyond the line */
    { .devices = 3000, .arrive_ms = 100, .rate = 100, .places = 200 },
};

/* All are served, in little more than what the work takes; the server is not idle meanwhile; they
 * do not come in waves. */
static void test_herd(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(HERDS) / sizeof(HERDS[0]); i++) {
        struct herd h = HERDS[i];
        int work_s, per_line;
        struct herd_end end;

        h.is_paced = true;
        end = run(&h);
        work_s = (h.devices - end.left) / h.rate;
        per_line = h.devices / (LIMIT_RETRY_AFTER_MAX_S / 2); /* who ask again for a place */
        assert_int_equal(end.served + end.left, h.devices);
        assert_true(end.last_s <= work_s + work_s / 4 + LIMIT_RETRY_AFTER_MAX_S);
        assert_true(end.idle_s <= work_s / 10 + 1);
        assert_true(end.wave <= h.rate + h.rate / 5 + per_line || h.arrive_ms > 2000);
    }
}

/* The measure can fail: told the same, they come back together and leave the server idle. */
static void test_herd_unpaced(void **state)
{
    struct herd h = { .devices = 3000, .arrive_ms = 100, .rate = 100, .places = 200 };
    struct herd_end end = run(&h);

    (void)state;
    assert_true(end.wave > 20 * h.rate);
    assert_true(end.idle_s > 10);
    assert_true(end.last_s > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_return),
        cmocka_unit_test(test_poll),
        cmocka_unit_test(test_herd),
        cmocka_unit_test(test_herd_unpaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
