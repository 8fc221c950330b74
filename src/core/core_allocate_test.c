/* core/core_allocate_test.c: shares by weight, and how little a change moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "core/allocate.h"

/* SPAN is no constant expression. */
#define TEXT(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

enum { N_DEVICES = 20000, N_HUBS = 5 };

static const struct linked_hub links[N_HUBS] = {
    { .host_name = TEXT("a.example"), .weight = 1, .apply_allocation_policy = 1 },
    { .host_name = TEXT("b.example"), .weight = 1, .apply_allocation_policy = 1 },
    { .host_name = TEXT("c.example"), .weight = 2, .apply_allocation_policy = 1 },
    { .host_name = TEXT("d.example"), .weight = 6, .apply_allocation_policy = 1 },
    { .host_name = TEXT("e.example"), .weight = 10, .apply_allocation_policy = 0 },
};

/* Which of the first n_links a device gets; -1: none. */
static int place(const struct allocate_query *base, size_t n_links, int device)
{
    struct allocate_query q = *base;
    char id[32];
    struct span hub;

    (void)snprintf(id, sizeof id, "device-%05d", device);
    q.links = links;
    q.n_links = n_links;
    q.registration_key = span_str(id);
    if (core_allocate(&q, &hub) != REASON_GRANTED) {
        return -1;
    }
    for (int i = 0; i < N_HUBS; i++) {
        if (span_eq(links[i].host_name, hub)) {
            return i;
        }
    }
    fail_msg("a hub that is not linked");
    return -1;
}

static void assert_near(double expected, int count)
{
    if (count < expected * 0.95 || count > expected * 1.05) {
        fail_msg("%d where %.0f were expected", count, expected);
    }
}

static void each_hub_gets_its_share(void **state)
{
    static const struct {
        enum allocation_policy policy;
        size_t n_links;
        double total;
    } cases[] = { { ALLOCATION_HASHED, 4, 10 },
                  { ALLOCATION_DEFAULT, 3, 4 },
                  { ALLOCATION_HASHED, 2, 2 },
                  { ALLOCATION_HASHED, 5, 10 },
                  { ALLOCATION_DEFAULT, 1, 1 } };

    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct allocate_query q = { .policy = cases[c].policy };
        int count[N_HUBS] = { 0 };

        for (int i = 0; i < N_DEVICES; i++) {
            int at = place(&q, cases[c].n_links, i);

            assert_in_range(at, 0, N_HUBS - 1);
            count[at]++;
        }
        for (size_t h = 0; h < cases[c].n_links; h++) {
            double weight = links[h].apply_allocation_policy ? (double)links[h].weight : 0;

            assert_near(N_DEVICES * weight / cases[c].total, count[h]);
        }
    }
}

/* A new hub takes its share and moves nobody between the others; without it all are as before. */
static void a_new_hub_moves_only_its_share(void **state)
{
    struct allocate_query q = { .policy = ALLOCATION_HASHED };
    int moved = 0;

    (void)state;
    for (int i = 0; i < N_DEVICES; i++) {
        int before = place(&q, 3, i);
        int after = place(&q, 4, i);

        if (before != after) {
            assert_int_equal(after, 3);
            moved++;
        }
    }
    assert_near(N_DEVICES * 6 / 10.0, moved);
}

static const struct span want_b[] = { TEXT("b.example") };
static const struct span want_e[] = { TEXT("e.example") };
static const struct span want_bc[] = { TEXT("b.example"), TEXT("c.example") };
static const struct span want_x[] = { TEXT("x.example") };

static void single_choices(void **state)
{
    static const struct {
        struct allocate_query q;
        enum reason expected;
        const char *hub; /* NULL: any */
    } cases[] = {
        { { .policy = ALLOCATION_STATIC, .wanted = want_b, .n_wanted = 1 },
          REASON_GRANTED,
          "b.example" },
        { { .policy = ALLOCATION_HASHED, .wanted = want_b, .n_wanted = 1 },
          REASON_GRANTED,
          "b.example" },
        /* Named by the enrollment, a hub need not apply the policy. */
        { { .policy = ALLOCATION_STATIC, .wanted = want_e, .n_wanted = 1 },
          REASON_GRANTED,
          "e.example" },
        { { .policy = ALLOCATION_STATIC, .wanted = want_bc, .n_wanted = 2 },
          REASON_HUB_NOT_FOUND,
          NULL },
        { { .policy = ALLOCATION_STATIC }, REASON_HUB_NOT_FOUND, NULL },
        { { .policy = ALLOCATION_STATIC, .wanted = want_x, .n_wanted = 1 },
          REASON_HUB_NOT_FOUND,
          NULL },
        { { .policy = ALLOCATION_HASHED, .wanted = want_x, .n_wanted = 1 },
          REASON_HUB_NOT_FOUND,
          NULL },
        { { .policy = ALLOCATION_GEO_LATENCY }, REASON_ALLOCATION_UNSUPPORTED, NULL },
        { { .policy = ALLOCATION_CUSTOM }, REASON_ALLOCATION_UNSUPPORTED, NULL },
        /* Where it is counts for nothing … */
        { { .policy = ALLOCATION_HASHED,
            .current_hub = TEXT("a.example"),
            .wanted = want_b,
            .n_wanted = 1 },
          REASON_GRANTED,
          "b.example" },
        { { .policy = ALLOCATION_CUSTOM, .current_hub = TEXT("a.example") },
          REASON_ALLOCATION_UNSUPPORTED,
          NULL },
        /* … unless it is to stay. */
        { { .policy = ALLOCATION_HASHED, .current_hub = TEXT("x.example"), .keep_current = true },
          REASON_GRANTED,
          "x.example" },
        { { .policy = ALLOCATION_CUSTOM, .current_hub = TEXT("x.example"), .keep_current = true },
          REASON_GRANTED,
          "x.example" },
        { { .policy = ALLOCATION_STATIC,
            .current_hub = TEXT("a.example"),
            .keep_current = true,
            .wanted = want_b,
            .n_wanted = 1 },
          REASON_GRANTED,
          "a.example" },
        { { .policy = ALLOCATION_STATIC, .keep_current = true, .wanted = want_b, .n_wanted = 1 },
          REASON_GRANTED,
          "b.example" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct allocate_query q = cases[i].q;
        struct span hub = SPAN_NONE;

        q.links = links;
        q.n_links = N_HUBS;
        q.registration_key = SPAN("dev");
        assert_int_equal(core_allocate(&q, &hub), cases[i].expected);
        if (cases[i].hub != NULL) {
            assert_true(span_eq(hub, span_str(cases[i].hub)));
        }
    }
}

static void without_links_there_is_no_hub(void **state)
{
    struct allocate_query q = { .registration_key = SPAN("dev") };
    struct span hub;

    (void)state;
    assert_int_equal(core_allocate(&q, &hub), REASON_HUB_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_hub_gets_its_share),
        cmocka_unit_test(a_new_hub_moves_only_its_share),
        cmocka_unit_test(single_choices),
        cmocka_unit_test(without_links_there_is_no_hub),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
