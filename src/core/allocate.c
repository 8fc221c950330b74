/* core/allocate.c: the choice of a hub: weighted rendezvous hashing, over all candidates or the
 * nearest. Each candidate draws a number from (device, hub), the highest score weight / -log(draw)
 * wins; so a hub gets its share by weight, and whatever changes about one hub moves only what that
 * hub wins or loses.
 *
 * The logarithm is taken in whole numbers, and rarely: -log2(x) is at least (1 - x) / ln 2, so who
 * would lose with that already, loses. With 1,000 candidates some ten logarithms are left,
 * whatever the weights. */
#include "core/allocate.h"

#include <assert.h>

#include "model/limits.h"

enum { LOG_FRACTION_BITS = 40 };

/* ---- draws: frozen ---- */

/* splitmix64's finisher. */
static uint64_t mix(uint64_t h)
{
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9U;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebU;
    return h ^ (h >> 31);
}

/* FNV-1a, mixed. */
uint64_t core_allocate_hash(struct span text)
{
    uint64_t h = 0xcbf29ce484222325U;

    for (size_t i = 0; i < text.len; i++) {
        h = (h ^ text.data[i]) * 0x100000001b3U;
    }
    return mix(h);
}

/* As a fraction of 2^64, 1 at least. */
static uint64_t draw(uint64_t device, const struct core_link *link)
{
    uint64_t h = mix(device ^ link->hash);

    return h != 0 ? h : 1;
}

/* The upper half of x * x. */
static uint64_t square_high(uint64_t x)
{
    uint64_t high = x >> 32;
    uint64_t low = x & 0xffffffffU;
    uint64_t cross = high * low; /* counts twice, 2^32 up */
    uint64_t lows = low * low;
    uint64_t carry = (cross << 33) + lows < lows;

    return high * high + (cross >> 31) + carry;
}

/* -log2(h / 2^64) in units of 2^-LOG_FRACTION_BITS, rounded up: 1 to 64 * 2^40. The fraction comes
 * bit by bit: squaring the mantissa doubles its logarithm. Never less for a smaller h. */
static uint64_t minus_log2(uint64_t h)
{
    unsigned zeros = (unsigned)__builtin_clzll(h);
    uint64_t mantissa = h << zeros; /* of [1, 2), in units of 2^-63 */
    uint64_t log = 63 - zeros;

    for (int i = 0; i < LOG_FRACTION_BITS; i++) {
        uint64_t square = square_high(mantissa); /* of [1, 4), in units of 2^-62 */
        uint64_t bit = square >> 63;

        log = log << 1 | bit;
        mantissa = bit != 0 ? square : square << 1;
    }
    return ((uint64_t)64 << LOG_FRACTION_BITS) - log;
}

/* No more than minus_log2: (1 - x) / ln 2, and 23/16 is a little less than 1 / ln 2. */
static uint64_t least_log2(uint64_t h)
{
    return ((0 - h) >> (64 - LOG_FRACTION_BITS)) / 16 * 23;
}

/* ---- the contest ---- */

struct entrant {
    const struct core_link *link; /* NULL: nobody yet */
    uint64_t draw, log;
};

/* The smaller log / weight wins, crosswise: 1000 * (64 << 40) fits. Then the greater draw and the
 * greater hash, so that the order of the candidates decides nothing. */
static bool beats(const struct entrant *a, const struct entrant *b)
{
    uint64_t left = a->log * b->link->weight;
    uint64_t right = b->log * a->link->weight;

    if (left != right) {
        return left < right;
    }
    return a->draw != b->draw ? a->draw > b->draw : a->link->hash > b->link->hash;
}

static void enter(struct entrant *best, uint64_t device, const struct core_link *link)
{
    struct entrant e = { .link = link, .draw = draw(device, link) };

    if (best->link != NULL && least_log2(e.draw) * best->link->weight > best->log * link->weight) {
        return;
    }
    e.log = minus_log2(e.draw);
    if (best->link == NULL || beats(&e, best)) {
        *best = e;
    }
}

/* ---- who takes part ---- */

struct round {
    bool is_by_distance;
    struct geo_vector from;
    int64_t nearest, farthest; /* chords */
};

static bool has_place(const struct round *r, const struct core_link *link)
{
    return !link->is_draining && (!r->is_by_distance || link->has_coordinates);
}

static void find_nearest(const struct core_candidates *c, struct round *r)
{
    r->nearest = INT64_MAX;
    for (size_t i = 0; i < c->n; i++) {
        const struct core_link *link = core_candidate(c, i);

        if (has_place(r, link)) {
            int64_t chord2 = geo_chord2(&r->from, &link->at);

            r->nearest = chord2 < r->nearest ? chord2 : r->nearest;
        }
    }
}

/* By distance, if there is anything to measure. */
static struct round round_of(const struct allocate_query *q, struct allocation *a)
{
    struct round r = { .is_by_distance = true };

    if (q->policy != ALLOCATION_GEO_LATENCY) {
        return (struct round){ 0 };
    }
    if (q->coordinates == NULL) {
        a->fallback = ALLOCATE_DEVICE_UNKNOWN;
        return (struct round){ 0 };
    }
    r.from = geo_vector_of(*q->coordinates);
    find_nearest(q->candidates, &r);
    if (r.nearest == INT64_MAX) {
        a->fallback = ALLOCATE_HUBS_UNKNOWN;
        return (struct round){ 0 };
    }
    r.farthest = geo_chord2_plus_km(r.nearest, LIMIT_GEO_TIE_KM);
    return r;
}

static const struct core_link *pick(const struct allocate_query *q, struct allocation *a)
{
    const struct core_candidates *c = q->candidates;
    uint64_t device = core_allocate_hash(q->registration_key);
    struct round r = round_of(q, a);
    struct entrant best = { 0 };

    for (size_t i = 0; i < c->n; i++) {
        const struct core_link *link = core_candidate(c, i);

        if (has_place(&r, link) &&
            (!r.is_by_distance || geo_chord2(&r.from, &link->at) <= r.farthest)) {
            enter(&best, device, link);
        }
    }
    assert(best.link != NULL); /* not all drain */
    return best.link;
}

static void measure(const struct allocate_query *q, const struct core_link *link,
                    struct allocation *a)
{
    struct geo_vector from;

    a->has_distance = q->policy == ALLOCATION_GEO_LATENCY && q->coordinates != NULL &&
                      link != NULL && link->has_coordinates;
    if (a->has_distance) {
        from = geo_vector_of(*q->coordinates);
        a->distance_km = geo_km(geo_chord2(&from, &link->at));
    }
}

/* ---- the rules ---- */

static size_t count_draining(const struct core_candidates *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n; i++) {
        n += core_candidate(c, i)->is_draining;
    }
    return n;
}

static void refuse(struct allocation *a, enum reason reason, enum allocate_why why)
{
    a->reason = reason;
    a->why = why;
}

static void stay(const struct allocate_query *q, struct allocation *a, enum allocate_why why)
{
    a->reason = REASON_GRANTED;
    a->hub = q->current_hub;
    a->why = why;
}

static void choose(const struct allocate_query *q, struct allocation *a)
{
    const struct core_candidates *c = q->candidates;
    bool may_stay = !span_is_absent(q->current_hub) && core_candidates_has(c, q->current_hub);
    const struct core_link *link;

    if (a->n_draining == c->n) {
        if (may_stay) {
            stay(q, a, ALLOCATE_ALL_DRAINING);
        } else {
            refuse(a, REASON_HUB_DRAINING, ALLOCATE_ALL_DRAINING);
        }
        return;
    }
    link = pick(q, a);
    if (may_stay && !span_eq(link->host_name, q->current_hub) && q->is_down != NULL &&
        q->is_down(q->arg, link)) {
        stay(q, a, ALLOCATE_HUB_DOWN);
        link = core_links_find(c->links, q->current_hub);
    } else {
        a->reason = REASON_GRANTED;
        a->hub = link->host_name;
    }
    measure(q, link, a);
}

struct allocation core_allocate(const struct allocate_query *q)
{
    const struct core_candidates *c = q->candidates;
    struct allocation a = { .n_draining = count_draining(c) };

    if (q->keep_current && !span_is_absent(q->current_hub)) {
        stay(q, &a, ALLOCATE_NEVER_MOVES);
    } else if (q->policy == ALLOCATION_CUSTOM && a.n_draining < c->n) {
        refuse(&a, REASON_CUSTOM_ALLOCATION_FAILED, ALLOCATE_PLAIN); /* somebody could be asked */
    } else if (q->policy == ALLOCATION_STATIC && c->n_named != 1) {
        refuse(&a, REASON_HUB_NOT_FOUND, ALLOCATE_NOT_ONE_NAMED);
    } else if (c->n == 0) {
        refuse(&a, REASON_HUB_NOT_FOUND, ALLOCATE_NONE_LINKED);
    } else {
        choose(q, &a);
    }
    return a;
}

const char *core_allocate_why_word(enum allocate_why why)
{
    static const char *const words[] = {
        [ALLOCATE_NEVER_MOVES] = "never-moves",     [ALLOCATE_ALL_DRAINING] = "all-draining",
        [ALLOCATE_HUB_DOWN] = "hub-down",           [ALLOCATE_NONE_LINKED] = "none-linked",
        [ALLOCATE_NOT_ONE_NAMED] = "not-one-named",
    };

    return words[why];
}
