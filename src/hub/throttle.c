/* hub/throttle.c: the generic cell rate algorithm (ITU-T I.371 annex A, "virtual scheduling"): of a
 * bucket only the time is kept at which it will be full; each token moves it on by one interval,
 * and it may lie ahead of now by no more than the bucket's depth. Times in nanoseconds, so that
 * fast paces are exact enough; the clock's are milliseconds. */
#include "hub/throttle.h"

#include "model/limits.h"

#define NS_A_MS      INT64_C(1000000)
#define DEPTH_MAX_NS (24 * 3600 * 1000 * NS_A_MS)
enum { SECOND_MS = 1000, MINUTE_MS = 60 * 1000 };

static const char *const words[THROTTLE_OPERATIONS] = {
    [THROTTLE_CONNECTS] = "connects",        [THROTTLE_D2C_SENDS] = "d2cSends",
    [THROTTLE_C2D_SENDS] = "c2dSends",       [THROTTLE_C2D_RECEIVES] = "c2dReceives",
    [THROTTLE_METHODS] = "methods",          [THROTTLE_TWIN_READS] = "twinReads",
    [THROTTLE_TWIN_UPDATES] = "twinUpdates", [THROTTLE_QUERIES] = "queries",
    [THROTTLE_REGISTRY] = "registry",
};

static const char *const tier_words[] = {
    [THROTTLE_TIER_NONE] = NULL, [THROTTLE_TIER_F1] = "F1", [THROTTLE_TIER_B1] = "B1",
    [THROTTLE_TIER_B2] = "B2",   [THROTTLE_TIER_B3] = "B3", [THROTTLE_TIER_S1] = "S1",
    [THROTTLE_TIER_S2] = "S2",   [THROTTLE_TIER_S3] = "S3",
};
enum { TIERS = sizeof tier_words / sizeof *tier_words, SIZES = 3 };

/* The columns of the table in reference iothub-service-api.md 13. */
static const struct {
    int size;                    /* 0: Free, B1, S1; 1: B2, S2; 2: B3, S3 */
    struct throttle_quota quota; /* messages of one unit */
} tiers[TIERS] = {
    [THROTTLE_TIER_F1] = { 0, { 8000, 512 } },
    [THROTTLE_TIER_B1] = { 0, { 400 * 1000, 4096 } },
    [THROTTLE_TIER_B2] = { 1, { 6 * 1000 * 1000, 4096 } },
    [THROTTLE_TIER_B3] = { 2, { 300 * 1000 * 1000, 4096 } },
    [THROTTLE_TIER_S1] = { 0, { 400 * 1000, 4096 } },
    [THROTTLE_TIER_S2] = { 1, { 6 * 1000 * 1000, 4096 } },
    [THROTTLE_TIER_S3] = { 2, { 300 * 1000 * 1000, 4096 } },
};

/* Its rows: the larger of `least` and units times `a_unit`. */
static const struct {
    int64_t per_ms;
    struct {
        int64_t least, a_unit;
    } of[SIZES];
} presets[THROTTLE_OPERATIONS] = {
    [THROTTLE_CONNECTS] = { SECOND_MS, { { 100, 12 }, { 0, 120 }, { 0, 6000 } } },
    [THROTTLE_D2C_SENDS] = { SECOND_MS, { { 100, 12 }, { 0, 120 }, { 0, 6000 } } },
    [THROTTLE_C2D_SENDS] = { MINUTE_MS, { { 0, 100 }, { 0, 100 }, { 0, 5000 } } },
    [THROTTLE_C2D_RECEIVES] = { MINUTE_MS, { { 0, 1000 }, { 0, 1000 }, { 0, 50000 } } },
    /* 160 KB, 480 KB, 24 MB */
    [THROTTLE_METHODS] = { SECOND_MS, { { 0, 40 }, { 0, 120 }, { 0, 6144 } } },
    [THROTTLE_TWIN_READS] = { SECOND_MS, { { 100, 0 }, { 100, 10 }, { 0, 500 } } },
    [THROTTLE_TWIN_UPDATES] = { SECOND_MS, { { 50, 0 }, { 50, 5 }, { 0, 250 } } },
    [THROTTLE_QUERIES] = { MINUTE_MS, { { 0, 20 }, { 0, 20 }, { 0, 1000 } } },
    [THROTTLE_REGISTRY] = { MINUTE_MS, { { 0, 100 }, { 0, 100 }, { 0, 5000 } } },
};

const char *throttle_word(enum throttle_operation op)
{
    return op > THROTTLE_NOTHING && op < THROTTLE_OPERATIONS ? words[op] : NULL;
}

bool throttle_parse(struct span word, enum throttle_operation *ret_op)
{
    for (int op = 1; op < THROTTLE_OPERATIONS; op++) {
        if (span_eq(word, span_str(words[op]))) {
            *ret_op = (enum throttle_operation)op;
            return true;
        }
    }
    return false;
}

const char *throttle_tier_word(enum throttle_tier tier)
{
    return (int)tier >= 0 && (int)tier < TIERS ? tier_words[tier] : NULL;
}

bool throttle_parse_tier(struct span word, enum throttle_tier *ret_tier)
{
    for (int tier = 1; tier < TIERS; tier++) {
        if (span_eq_nocase(word, span_str(tier_words[tier]))) {
            *ret_tier = (enum throttle_tier)tier;
            return true;
        }
    }
    return false;
}

struct throttle_rate throttle_preset(enum throttle_tier tier, int64_t units,
                                     enum throttle_operation op)
{
    struct throttle_rate rate = { 0 };
    int size;

    if (throttle_tier_word(tier) == NULL || throttle_word(op) == NULL) {
        return rate;
    }
    size = tiers[tier].size;
    rate.count = presets[op].of[size].a_unit * units;
    if (rate.count < presets[op].of[size].least) {
        rate.count = presets[op].of[size].least;
    }
    rate.per_ms = presets[op].per_ms;
    rate.burst = rate.count;
    return rate;
}

struct throttle_quota throttle_preset_quota(enum throttle_tier tier, int64_t units)
{
    struct throttle_quota quota = { 0, tiers[THROTTLE_TIER_S1].quota.meter };

    if (throttle_tier_word(tier) != NULL) {
        quota = tiers[tier].quota;
        quota.messages *= units;
    }
    return quota;
}

struct throttle_pace throttle_pace_of(const struct throttle_rate *rate)
{
    struct throttle_pace pace = { 0 };
    int64_t burst, most;

    if (rate->count > 0) {
        pace.interval_ns = rate->per_ms * NS_A_MS / rate->count;
        pace.interval_ns = pace.interval_ns > 0 ? pace.interval_ns : 1;
        most = DEPTH_MAX_NS / pace.interval_ns;
        burst = rate->burst < most ? rate->burst : most;
        pace.depth_ns = (burst > 0 ? burst : 1) * pace.interval_ns;
    }
    return pace;
}

/* ---- buckets ---- */

static int64_t cost_of(const struct throttle_pace *pace, int64_t tokens)
{
    int64_t most = pace->depth_ns / pace->interval_ns;

    return (tokens < most ? tokens : most) * pace->interval_ns;
}

/* When it is full, as seen at `now`: never in the past, nor where only a clock that went back can
 * have put it. */
static int64_t seen_at(int64_t full_ns, const struct throttle_pace *pace, int64_t now_ns)
{
    if (full_ns < now_ns) {
        return now_ns;
    }
    return full_ns - now_ns > pace->depth_ns + LIMIT_SHAPED_MS * NS_A_MS ? now_ns + pace->depth_ns
                                                                         : full_ns;
}

static int64_t take_within(struct throttle_bucket *b, const struct throttle_pace *pace,
                           int64_t tokens, int64_t patience_ns, int64_t now_ns)
{
    int64_t was = atomic_load_explicit(&b->full_ns, memory_order_relaxed);
    int64_t cost, seen, full, wait;

    if (pace->interval_ns == 0 || tokens <= 0) {
        return 0;
    }
    cost = cost_of(pace, tokens);
    do {
        seen = seen_at(was, pace, now_ns);
        full = seen + cost;
        wait = full - now_ns - pace->depth_ns;
        if (wait > patience_ns && seen >= was) {
            return wait;
        }
        if (wait > patience_ns) {
            full = seen; /* the clock went back: from here on it counts anew */
        }
    } while (!atomic_compare_exchange_weak_explicit(&b->full_ns, &was, full, memory_order_relaxed,
                                                    memory_order_relaxed));
    return wait > 0 ? wait : 0; /* beyond patience_ns: not taken */
}

static int64_t ms_up(int64_t ns)
{
    return (ns + NS_A_MS - 1) / NS_A_MS;
}

int64_t throttle_take(struct throttle_bucket *b, const struct throttle_pace *pace, int64_t tokens,
                      int64_t now_ms)
{
    return ms_up(take_within(b, pace, tokens, 0, now_ms * NS_A_MS));
}

int64_t throttle_reserve(struct throttle_bucket *b, const struct throttle_pace *pace,
                         int64_t tokens, int64_t now_ms)
{
    return ms_up(take_within(b, pace, tokens, LIMIT_SHAPED_MS * NS_A_MS, now_ms * NS_A_MS));
}

void throttle_charge(struct throttle_bucket *b, const struct throttle_pace *pace, int64_t tokens,
                     int64_t now_ms)
{
    (void)take_within(b, pace, tokens, pace->depth_ns, now_ms * NS_A_MS);
}

void throttle_give_back(struct throttle_bucket *b, const struct throttle_pace *pace, int64_t tokens)
{
    if (pace->interval_ns != 0 && tokens > 0) {
        (void)atomic_fetch_sub_explicit(&b->full_ns, cost_of(pace, tokens), memory_order_relaxed);
    }
}
