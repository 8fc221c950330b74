/* core/core_allocate_test.c: shares by weight, how little a change moves, the nearest hub, draining
 * hubs and hubs that are down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/allocate.h"

/* SPAN is no constant expression. */
#define TEXT(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }
#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

enum { HUBS_MAX = 1001, DEVICES = 100000 };

/* ---- many hubs, many devices ---- */

static struct hubs {
    char names[HUBS_MAX][24];
    struct core_link rows[HUBS_MAX];
    uint16_t at[HUBS_MAX];
    struct core_links links;
    struct core_candidates candidates;
} hubs;

static int64_t one(size_t i)
{
    (void)i;
    return 1;
}

static int64_t one_to_ten(size_t i)
{
    return (int64_t)(i % 10) + 1;
}

/* As different as they may be, within reach of a test's numbers. */
static int64_t one_or_twenty(size_t i)
{
    return i % 2 == 0 ? 1 : 20;
}

static void set_weight(size_t i, int64_t weight)
{
    struct linked_hub link = { .host_name = span_str(hubs.names[i]),
                               .weight = weight,
                               .apply_allocation_policy = 1 };

    hubs.rows[i] = core_link_of(&link);
}

static void make_hubs(size_t n, int64_t (*weight)(size_t))
{
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(hubs.names[i], sizeof hubs.names[i], "hub-%04zu.example", i);
        set_weight(i, weight(i));
        hubs.at[i] = (uint16_t)i;
    }
    hubs.links = (struct core_links){ hubs.rows, n };
    hubs.candidates = (struct core_candidates){ .links = &hubs.links, .at = hubs.at, .n = n };
}

/* The first n devices: which hub each gets. */
static void place_all(size_t n, uint16_t *ret_places)
{
    for (size_t i = 0; i < n; i++) {
        char id[32];
        struct allocate_query q = { .policy = ALLOCATION_HASHED, .candidates = &hubs.candidates };
        struct allocation a;

        (void)snprintf(id, sizeof id, "device-%06zu", i);
        q.registration_key = span_str(id);
        a = core_allocate(&q);
        assert_int_equal(a.reason, REASON_GRANTED);
        ret_places[i] = (uint16_t)(core_links_find(&hubs.links, a.hub) - hubs.rows);
    }
}

/* As many as chance allows: five standard deviations, which happens to one in two million. */
static double chance(double expected)
{
    return 5 * sqrt(expected);
}

static void assert_about(double expected, double count)
{
    if (fabs(count - expected) > chance(expected) + 1) {
        fail_msg("%.0f where %.0f were expected", count, expected);
    }
}

static double total_weight(void)
{
    double total = 0;

    for (size_t i = 0; i < hubs.links.n; i++) {
        total += hubs.rows[i].weight;
    }
    return total;
}

static const struct {
    size_t n_hubs;
    int64_t (*weight)(size_t);
    size_t n_devices;
} worlds[] = {
    { 1, one, DEVICES },           { 2, one, DEVICES },
    { 2, one_or_twenty, DEVICES }, { 10, one, DEVICES },
    { 10, one_to_ten, DEVICES },   { 10, one_or_twenty, DEVICES },
    { 100, one, DEVICES },         { 100, one_to_ten, DEVICES },
    { 1000, one, DEVICES },        { 1000, one_to_ten, DEVICES / 5 }, /* it takes its time */
};

static uint16_t before[DEVICES], after[DEVICES];

/* A hub that expects 10,000 devices gets them within 5 %. One that expects 100 cannot: dice that
 * are perfectly fair miss it by 10 % as a rule. So each hub is held to what chance allows it, and
 * all together to what chance allows a sum of squares (chi-square: n - 1, give or take 5 times
 * sqrt(2 (n - 1))): a choice that favours anybody fails the one or the other. */
static void each_hub_gets_its_share(void **state)
{
    (void)state;
    for (size_t w = 0; w < COUNT_OF(worlds); w++) {
        size_t n = worlds[w].n_hubs, n_devices = worlds[w].n_devices;
        double count[HUBS_MAX] = { 0 };
        double freedom = (double)n - 1;
        double total, squares = 0;

        make_hubs(n, worlds[w].weight);
        total = total_weight();
        place_all(n_devices, before);
        for (size_t i = 0; i < n_devices; i++) {
            count[before[i]]++;
        }
        for (size_t h = 0; h < n; h++) {
            double expected = (double)n_devices * hubs.rows[h].weight / total;

            assert_about(expected, count[h]);
            if (expected >= 10000) {
                assert_true(fabs(count[h] - expected) <= 0.05 * expected);
            }
            squares += (count[h] - expected) * (count[h] - expected) / expected;
        }
        if (fabs(squares - freedom) > 5 * sqrt(2 * freedom) + 1) {
            fail_msg("%zu hubs, world %zu: chi-square %.0f", n, w, squares);
        }
    }
}

enum change { ADD, REMOVE, HEAVIER, LIGHTER, CHANGES };

/* Changes one hub of a world of n. *ret_hub: whose devices alone may come or go. */
static void apply(enum change change, size_t n, size_t *ret_hub)
{
    size_t hub = n / 2;

    switch (change) {
    case ADD:
        hub = n;
        make_hubs(n + 1, one_to_ten);
        break;
    case REMOVE: /* the candidates are the others */
        memmove(&hubs.at[hub], &hubs.at[hub + 1], (n - hub - 1) * sizeof hubs.at[0]);
        hubs.candidates.n = n - 1;
        break;
    case HEAVIER:
        set_weight(hub, 2 * hubs.rows[hub].weight);
        break;
    default:
        set_weight(hub, hubs.rows[hub].weight / 2 + 1);
    }
    *ret_hub = hub;
}

static void a_change_moves_only_what_it_must(void **state)
{
    static const struct {
        size_t n_hubs, n_devices;
    } sizes[] = { { 2, DEVICES }, { 10, DEVICES }, { 100, DEVICES / 4 }, { 1000, DEVICES / 25 } };

    (void)state;
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        for (enum change change = ADD; change < CHANGES; change++) {
            size_t n = sizes[s].n_hubs, n_devices = sizes[s].n_devices, moved = 0, hub;
            double was, is;

            make_hubs(n, one_to_ten);
            was = hubs.rows[n / 2].weight / total_weight();
            place_all(n_devices, before);
            apply(change, n, &hub);
            is = hubs.rows[hub].weight / total_weight();
            place_all(n_devices, after);
            for (size_t i = 0; i < n_devices; i++) {
                bool comes = after[i] == hub && before[i] != hub;
                bool goes = before[i] == hub && after[i] != hub;

                assert_true(before[i] == after[i] || comes || goes);
                assert_false(comes && (change == REMOVE || change == LIGHTER));
                assert_false(goes && (change == ADD || change == HEAVIER));
                assert_false(change == REMOVE && after[i] == hub);
                moved += before[i] != after[i];
            }
            assert_about((double)n_devices * (change == ADD      ? is
                                              : change == REMOVE ? was
                                                                 : fabs(is - was)),
                         (double)moved);
        }
    }
}

static void the_order_of_links_counts_for_nothing(void **state)
{
    enum { N_HUBS = 100, N_DEVICES = 10000 };

    (void)state;
    make_hubs(N_HUBS, one_to_ten);
    place_all(N_DEVICES, before);
    srand(1);
    for (size_t i = N_HUBS - 1; i > 0; i--) {
        size_t other = (size_t)rand() % (i + 1);
        uint16_t at = hubs.at[i];

        hubs.at[i] = hubs.at[other];
        hubs.at[other] = at;
    }
    place_all(N_DEVICES, after);
    assert_memory_equal(before, after, N_DEVICES * sizeof *before);
}

/* ---- what is frozen: printed by tools/mkallocation ---- */

static void known_answers(void **state)
{
    static const struct {
        const char *text;
        uint64_t hash;
    } hashes[] = {
        { "", 0xf52a15e9a9b5e89b },
        { "a", 0x02c0bdbf481420f8 },
        { "berlin.example", 0xdab576d39a6a34ea },
        { "device-000001", 0x6bff77246bed888d },
    };
    static const struct {
        const char *device;
        const char *of_two, *of_four, *of_five;
    } devices[] = {
        { "device-000000", "berlin.example", "berlin.example", "berlin.example" },
        { "device-000001", "berlin.example", "dakar.example", "essen.example" },
        { "device-000002", "amsterdam.example", "dakar.example", "dakar.example" },
        { "device-000003", "amsterdam.example", "dakar.example", "dakar.example" },
        { "device-000004", "berlin.example", "dakar.example", "essen.example" },
        { "device-000005", "berlin.example", "chicago.example", "essen.example" },
        { "device-000006", "berlin.example", "chicago.example", "essen.example" },
        { "device-000007", "berlin.example", "dakar.example", "dakar.example" },
        { "device-000008", "berlin.example", "berlin.example", "berlin.example" },
        { "device-000009", "amsterdam.example", "dakar.example", "dakar.example" },
        { "device-000010", "berlin.example", "chicago.example", "chicago.example" },
        { "device-000011", "berlin.example", "dakar.example", "dakar.example" },
        { "device-000012", "berlin.example", "dakar.example", "essen.example" },
        { "device-000013", "amsterdam.example", "dakar.example", "dakar.example" },
        { "device-000014", "amsterdam.example", "amsterdam.example", "essen.example" },
        { "device-000015", "berlin.example", "chicago.example", "chicago.example" },
    };
    static const struct linked_hub rows[] = {
        { .host_name = TEXT("amsterdam.example"), .weight = 1 },
        { .host_name = TEXT("berlin.example"), .weight = 1 },
        { .host_name = TEXT("chicago.example"), .weight = 5 },
        { .host_name = TEXT("dakar.example"), .weight = 7 },
        { .host_name = TEXT("essen.example"), .weight = 12 },
    };
    static const uint16_t at[] = { 0, 1, 2, 3, 4 };
    struct core_link linked[COUNT_OF(rows)];
    struct core_links links = { linked, COUNT_OF(rows) };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(hashes); i++) {
        assert_int_equal(core_allocate_hash(span_str(hashes[i].text)), hashes[i].hash);
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        linked[i] = core_link_of(&rows[i]);
    }
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        const char *expected[] = { devices[i].of_two, devices[i].of_four, devices[i].of_five };
        const size_t n[] = { 2, 4, 5 };

        for (size_t k = 0; k < COUNT_OF(n); k++) {
            struct core_candidates c = { .links = &links, .at = at, .n = n[k] };
            struct allocate_query q = { .policy = ALLOCATION_HASHED,
                                        .candidates = &c,
                                        .registration_key = span_str(devices[i].device) };

            assert_true(span_eq(core_allocate(&q).hub, span_str(expected[k])));
        }
    }
}

/* ---- single choices ---- */

enum { A = 1 << 0, B = 1 << 1, C = 1 << 2, D = 1 << 3 };

/* a: Berlin, b: Potsdam, 27 km from there, c: New York, d: nobody knows. */
static const struct linked_hub four[] = {
    { .host_name = TEXT("a.example"),
      .weight = 1,
      .has_coordinates = 1,
      .latitude_udeg = 52520000,
      .longitude_udeg = 13405000 },
    { .host_name = TEXT("b.example"),
      .weight = 1,
      .has_coordinates = 1,
      .latitude_udeg = 52391000,
      .longitude_udeg = 13065000 },
    { .host_name = TEXT("c.example"),
      .weight = 10,
      .has_coordinates = 1,
      .latitude_udeg = 40713000,
      .longitude_udeg = -74006000 },
    { .host_name = TEXT("d.example"), .weight = 10 },
};
static const struct geo_point HAMBURG = { 53551000, 9994000 }, BOSTON = { 42360000, -71059000 };

struct choice {
    enum allocation_policy policy;
    unsigned candidates, draining, down, without_coordinates;
    size_t n_named;
    const char *current;
    bool keep_current;
    const struct geo_point *coordinates;
    /* Expected. */
    enum reason reason;
    unsigned hubs; /* one of them */
    enum allocate_why why;
    enum allocate_fallback fallback;
    int km; /* 0: no distance */
};

static const struct choice choices[] = {
    { .policy = ALLOCATION_HASHED, .candidates = B, .hubs = B },
    { .policy = ALLOCATION_HASHED, .candidates = A | B | C | D, .hubs = A | B | C | D },
    { .policy = ALLOCATION_HASHED, .reason = REASON_HUB_NOT_FOUND, .why = ALLOCATE_NONE_LINKED },
    { .policy = ALLOCATION_CUSTOM, .candidates = A, .reason = REASON_CUSTOM_ALLOCATION_FAILED },
    /* static takes exactly one name, of a hub that is linked. */
    { .policy = ALLOCATION_STATIC, .candidates = B, .n_named = 1, .hubs = B },
    { .policy = ALLOCATION_STATIC,
      .candidates = B | C,
      .n_named = 2,
      .reason = REASON_HUB_NOT_FOUND,
      .why = ALLOCATE_NOT_ONE_NAMED },
    { .policy = ALLOCATION_STATIC,
      .candidates = B,
      .n_named = 2,
      .reason = REASON_HUB_NOT_FOUND,
      .why = ALLOCATE_NOT_ONE_NAMED },
    { .policy = ALLOCATION_STATIC,
      .candidates = A,
      .reason = REASON_HUB_NOT_FOUND,
      .why = ALLOCATE_NOT_ONE_NAMED },
    { .policy = ALLOCATION_STATIC,
      .n_named = 1,
      .reason = REASON_HUB_NOT_FOUND,
      .why = ALLOCATE_NONE_LINKED },
    /* Where it is counts for nothing … */
    { .policy = ALLOCATION_HASHED, .candidates = B, .current = "a.example", .hubs = B },
    { .policy = ALLOCATION_CUSTOM,
      .candidates = A,
      .current = "a.example",
      .reason = REASON_CUSTOM_ALLOCATION_FAILED },
    /* … unless it is to stay, even where nobody may go any more. */
    { .policy = ALLOCATION_HASHED,
      .candidates = B,
      .current = "a.example",
      .keep_current = true,
      .hubs = A,
      .why = ALLOCATE_NEVER_MOVES },
    { .policy = ALLOCATION_CUSTOM,
      .current = "a.example",
      .keep_current = true,
      .hubs = A,
      .why = ALLOCATE_NEVER_MOVES },
    { .policy = ALLOCATION_STATIC,
      .candidates = B,
      .n_named = 1,
      .draining = A,
      .current = "a.example",
      .keep_current = true,
      .hubs = A,
      .why = ALLOCATE_NEVER_MOVES },
    { .policy = ALLOCATION_STATIC, .candidates = B, .n_named = 1, .keep_current = true, .hubs = B },
    /* Draining: nobody comes, who is there goes, while there is another. */
    { .policy = ALLOCATION_HASHED, .candidates = A | B, .draining = A, .hubs = B },
    { .policy = ALLOCATION_HASHED,
      .candidates = A | B,
      .draining = A,
      .current = "a.example",
      .hubs = B },
    { .policy = ALLOCATION_HASHED,
      .candidates = A | B,
      .draining = A | B,
      .current = "b.example",
      .hubs = B,
      .why = ALLOCATE_ALL_DRAINING },
    { .policy = ALLOCATION_HASHED,
      .candidates = A | B,
      .draining = A | B,
      .reason = REASON_HUB_DRAINING,
      .why = ALLOCATE_ALL_DRAINING },
    { .policy = ALLOCATION_HASHED,
      .candidates = A | B,
      .draining = A | B,
      .current = "c.example",
      .reason = REASON_HUB_DRAINING,
      .why = ALLOCATE_ALL_DRAINING },
    { .policy = ALLOCATION_STATIC,
      .candidates = B,
      .n_named = 1,
      .draining = B,
      .reason = REASON_HUB_DRAINING,
      .why = ALLOCATE_ALL_DRAINING },
    { .policy = ALLOCATION_STATIC,
      .candidates = B,
      .n_named = 1,
      .draining = B,
      .current = "b.example",
      .hubs = B,
      .why = ALLOCATE_ALL_DRAINING },
    /* A hub that is down: nobody is moved there; who has no other goes there all the same. */
    { .policy = ALLOCATION_STATIC, .candidates = B, .n_named = 1, .down = B, .hubs = B },
    { .policy = ALLOCATION_STATIC,
      .candidates = B,
      .n_named = 1,
      .down = B,
      .current = "a.example",
      .hubs = B },
    { .policy = ALLOCATION_GEO_LATENCY,
      .candidates = A | C,
      .down = A,
      .current = "c.example",
      .coordinates = &HAMBURG,
      .hubs = C,
      .why = ALLOCATE_HUB_DOWN,
      .km = 6130 },
    { .policy = ALLOCATION_HASHED,
      .candidates = A | B,
      .draining = A,
      .down = B,
      .current = "a.example",
      .hubs = A,
      .why = ALLOCATE_HUB_DOWN },
    { .policy = ALLOCATION_HASHED, .candidates = B, .down = B, .current = "b.example", .hubs = B },
    /* geoLatency. */
    { .policy = ALLOCATION_GEO_LATENCY,
      .candidates = A | C | D,
      .coordinates = &HAMBURG,
      .hubs = A,
      .km = 255 },
    { .policy = ALLOCATION_GEO_LATENCY,
      .candidates = A | B | C | D,
      .coordinates = &BOSTON,
      .hubs = C,
      .km = 306 },
    { .policy = ALLOCATION_GEO_LATENCY,
      .candidates = A | C | D,
      .draining = A,
      .coordinates = &HAMBURG,
      .hubs = C,
      .km = 6130 },
    { .policy = ALLOCATION_GEO_LATENCY,
      .candidates = A | C,
      .hubs = A | C,
      .fallback = ALLOCATE_DEVICE_UNKNOWN },
    { .policy = ALLOCATION_GEO_LATENCY,
      .candidates = A | C,
      .without_coordinates = A | C,
      .coordinates = &HAMBURG,
      .hubs = A | C,
      .fallback = ALLOCATE_HUBS_UNKNOWN },
    /* Of the nearest two, one drains and has coordinates: the other way of being passed over. */
    { .policy = ALLOCATION_GEO_LATENCY,
      .candidates = A | D,
      .draining = A,
      .coordinates = &HAMBURG,
      .hubs = D,
      .fallback = ALLOCATE_HUBS_UNKNOWN },
};

static bool is_down(void *arg, const struct core_link *link)
{
    const unsigned *down = arg;

    return (*down >> (link->host_name.data[0] - 'a') & 1) != 0;
}

/* What a device is told under a choice. */
static struct allocation ask(const struct choice *c, const char *device)
{
    static struct core_link linked[COUNT_OF(four)];
    static struct core_links links = { linked, COUNT_OF(four) };
    static uint16_t at[COUNT_OF(four)];
    static unsigned down;
    struct core_candidates candidates = { .links = &links, .at = at, .n_named = c->n_named };
    struct allocate_query q = { .policy = c->policy,
                                .candidates = &candidates,
                                .registration_key = span_str(device),
                                .current_hub = span_str(c->current),
                                .keep_current = c->keep_current,
                                .coordinates = c->coordinates,
                                .is_down = is_down,
                                .arg = &down };

    down = c->down;
    for (unsigned i = 0; i < COUNT_OF(four); i++) {
        linked[i] = core_link_of(&four[i]);
        linked[i].is_draining = (c->draining >> i & 1) != 0;
        linked[i].has_coordinates =
            linked[i].has_coordinates && (c->without_coordinates >> i & 1) == 0;
        if ((c->candidates >> i & 1) != 0) {
            at[candidates.n++] = (uint16_t)i;
        }
    }
    return core_allocate(&q);
}

static void single_choices(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(choices); i++) {
        const struct choice *c = &choices[i];
        enum reason expected = c->hubs != 0 ? REASON_GRANTED : c->reason;
        unsigned seen = 0;

        for (int d = 0; d < 2000; d++) {
            char id[16];
            struct allocation a;

            (void)snprintf(id, sizeof id, "dev%d", d);
            a = ask(c, id);
            if (a.reason != expected || a.why != c->why || a.fallback != c->fallback ||
                a.has_distance != (c->km != 0) || (int)(a.distance_km + 0.5) != c->km) {
                fail_msg("choice %zu: %s, why %d, fallback %d, %f km", i,
                         reason_info(a.reason)->token, (int)a.why, (int)a.fallback, a.distance_km);
            }
            if (a.reason == REASON_GRANTED) {
                seen |= 1U << (a.hub.data[0] - 'a');
            } else {
                assert_true(span_is_absent(a.hub));
            }
        }
        if (seen != c->hubs) {
            fail_msg("choice %zu: hubs %x", i, seen);
        }
    }
}

/* Hubs about as near as the nearest share by weight. */
static void ties_are_hashed(void **state)
{
    struct choice c = { .policy = ALLOCATION_GEO_LATENCY,
                        .candidates = A | B | C,
                        .coordinates = &HAMBURG };
    int count[3] = { 0 };

    (void)state;
    for (int d = 0; d < 10000; d++) {
        char id[16];

        (void)snprintf(id, sizeof id, "dev%d", d);
        count[ask(&c, id).hub.data[0] - 'a']++;
    }
    assert_about(5000, count[0]);
    assert_about(5000, count[1]);
    assert_int_equal(count[2], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers),
        cmocka_unit_test(each_hub_gets_its_share),
        cmocka_unit_test(a_change_moves_only_what_it_must),
        cmocka_unit_test(the_order_of_links_counts_for_nothing),
        cmocka_unit_test(single_choices),
        cmocka_unit_test(ties_are_hashed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
