/* api/query_random_test.h: for tests: conditions put together at random, each with what it is to
 * find. */
#ifndef API_QUERY_RANDOM_TEST_H
#define API_QUERY_RANDOM_TEST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 60 };

enum truth { NO, YES, UNKNOWN };

struct condition {
    char text[4096];
    enum truth of[ROWS];
};

static uint32_t seed;

static inline int pick(int n)
{
    seed = seed * 1664525u + 1013904223u;
    return (int)((seed >> 16) % (uint32_t)n);
}

static inline enum truth side_truth(int op, int side)
{
    const bool truths[] = { side == 0, side != 0, side<0, side <= 0, side> 0, side >= 0 };

    return truths[op] ? YES : NO;
}

static const char *const OPS[] = { "=", "!=", "<", "<=", ">", ">=" };

static inline int sign_of(double a, double b)
{
    return (a > b) - (a < b);
}

/* NOTs, ANDs and ORs of what the leaves say. */
static inline void make_condition(struct condition *c,
                                  void (*const *leaves)(struct condition *c, int op), int n_leaves,
                                  int depth)
{
    struct condition *a, *b;
    int shape = depth == 0 ? 9 : pick(10);

    if (shape >= 7) {
        leaves[pick(n_leaves)](c, pick(6));
        return;
    }
    a = malloc(sizeof(*a));
    b = malloc(sizeof(*b));
    make_condition(a, leaves, n_leaves, depth - 1);
    make_condition(b, leaves, n_leaves, depth - 1);
    (void)sprintf(c->text, shape == 0 ? "NOT (%.1900s)" : "(%.1900s) %s (%.1900s)", a->text,
                  shape < 5 ? "AND" : "or", b->text);
    for (int i = 0; i < ROWS; i++) {
        enum truth x = a->of[i], y = b->of[i];
        enum truth decides = shape < 5 ? NO : YES;

        c->of[i] = shape == 0                     ? x == UNKNOWN ? UNKNOWN
                                                    : x == YES   ? NO
                                                                 : YES
                   : x == decides || y == decides ? decides
                   : x == UNKNOWN || y == UNKNOWN ? UNKNOWN
                                                  : !decides;
    }
    free(a);
    free(b);
}

#endif
