/* core/errand_lanes.c: turns, caps and breakers. A pool has some dozen threads and some thousand
 * lanes: a walk over all of them for each call costs less than the call's first packet. */
#include "core/errand_lanes.h"

#include <string.h>

#include "core/errand_lane.h"

static struct span name_of(const struct core_errand_lane *lane)
{
    return span_of(lane->text, lane->len);
}

struct core_errand_lane *core_errand_lanes_find(struct core_errand_lanes *l, struct span name)
{
    uint32_t hash = span_hash(name);

    for (size_t i = 0; i < l->n; i++) {
        if (l->lanes[i].hash == hash && span_eq(name_of(&l->lanes[i]), name)) {
            return &l->lanes[i];
        }
    }
    return NULL;
}

static uint32_t scope_of(struct span name)
{
    (void)span_cut(&name, '/');
    return span_hash(span_cut(&name, '/'));
}

/* Without work. An open breaker is worth more than none, but not a place that another needs. */
static bool is_better_gone(const struct core_errand_lane *lane, const struct core_errand_lane *than)
{
    return lane->in_flight == 0 && lane->look_ms == INT64_MAX &&
           (than == NULL || (lane->state == CORE_LANE_CLOSED && than->state != CORE_LANE_CLOSED));
}

/* A place for another of the instance; NULL: all are of use. */
static struct core_errand_lane *take_place(struct core_errand_lanes *l, uint32_t scope)
{
    struct core_errand_lane *any = NULL, *own = NULL;
    size_t n_own = 0;

    for (size_t i = 0; i < l->n; i++) {
        struct core_errand_lane *lane = &l->lanes[i];
        bool is_own = lane->scope == scope;

        n_own += is_own;
        any = is_better_gone(lane, any) ? lane : any;
        own = is_own && is_better_gone(lane, own) ? lane : own;
    }
    if (n_own >= LIMIT_ERRAND_LANES_SCOPE) {
        return own;
    }
    return l->n < LIMIT_ERRAND_LANES ? &l->lanes[l->n++] : any;
}

struct core_errand_lane *core_errand_lanes_get(struct core_errand_lanes *l, struct span name)
{
    struct core_errand_lane *lane = core_errand_lanes_find(l, name);

    if (lane != NULL || name.len == 0 || name.len > sizeof lane->text) {
        return lane;
    }
    lane = take_place(l, scope_of(name));
    if (lane != NULL) {
        *lane = (struct core_errand_lane){ .len = name.len,
                                           .hash = span_hash(name),
                                           .scope = scope_of(name),
                                           .turn = ++l->turns,
                                           .is_webhook = core_errand_lane_is_webhook(name),
                                           .look_ms = INT64_MAX };
        memcpy(lane->text, name.data, name.len);
    }
    return lane;
}

/* How many calls it may have under way now. */
static int room_of(const struct core_errand_lanes *l, const struct core_errand_lane *lane,
                   int threads, int idle)
{
    if (lane->state != CORE_LANE_CLOSED || !lane->is_proven) {
        return l->unproven_in_flight[lane->is_webhook] < (threads + 1) / 2;
    }
    /* At most as many as are left for others: whoever is slow never has them all. */
    return idle - 1 < LIMIT_ERRAND_LANE ? (idle - 1 > 1 ? idle - 1 : 1) : LIMIT_ERRAND_LANE;
}

static bool is_unproven(const struct core_errand_lane *lane)
{
    return lane->state != CORE_LANE_CLOSED || !lane->is_proven;
}

static void take(struct core_errand_lanes *l, struct core_errand_lane *lane)
{
    if (lane->state == CORE_LANE_OPEN) {
        lane->state = CORE_LANE_TRYING;
    }
    l->unproven_in_flight[lane->is_webhook] += is_unproven(lane);
    lane->in_flight++;
    lane->look_ms = INT64_MAX;
    lane->turn = ++l->turns;
}

/* Instances with calls under way. */
struct shares {
    struct {
        uint32_t scope;
        int in_flight;
    } of[LIMIT_ERRAND_THREADS_HUB + LIMIT_ERRAND_THREADS_WEBHOOK];
    size_t n;
};

static int share_of(const struct shares *s, uint32_t scope)
{
    int in_flight = 0;

    for (size_t i = 0; i < s->n; i++) {
        in_flight += s->of[i].scope == scope ? s->of[i].in_flight : 0;
    }
    return in_flight;
}

static void count_shares(const struct core_errand_lanes *l, bool webhooks, struct shares *s)
{
    s->n = 0;
    for (size_t i = 0; i < l->n && s->n < sizeof s->of / sizeof *s->of; i++) {
        const struct core_errand_lane *lane = &l->lanes[i];

        if (lane->is_webhook == webhooks && lane->in_flight > 0) {
            s->of[s->n].scope = lane->scope;
            s->of[s->n++].in_flight = lane->in_flight;
        }
    }
}

/* `than` may be NULL. */
static bool is_before(const struct shares *s, const struct core_errand_lane *lane,
                      const struct core_errand_lane *than)
{
    int by = than == NULL ? -1 : share_of(s, lane->scope) - share_of(s, than->scope);

    return by < 0 || (by == 0 && lane->turn < than->turn);
}

struct core_errand_lane *core_errand_lanes_pick(struct core_errand_lanes *l, bool webhooks,
                                                int threads, int idle, int64_t now_ms,
                                                int64_t *ret_next_ms)
{
    struct core_errand_lane *next = NULL;
    int64_t next_ms = INT64_MAX;
    struct shares shares;

    count_shares(l, webhooks, &shares);
    for (size_t i = 0; i < l->n; i++) {
        struct core_errand_lane *lane = &l->lanes[i];
        int64_t from_ms = lane->look_ms > lane->until_ms ? lane->look_ms : lane->until_ms;

        if (lane->is_webhook != webhooks || lane->look_ms == INT64_MAX) {
            continue;
        }
        if (from_ms > now_ms) {
            next_ms = from_ms < next_ms ? from_ms : next_ms;
        } else if (lane->in_flight < room_of(l, lane, threads, idle) &&
                   is_before(&shares, lane, next)) {
            next = lane;
        }
    }
    if (next != NULL) {
        take(l, next);
    }
    *ret_next_ms = next_ms;
    return next;
}

/* Proven lanes go unproven with calls under way, and the other way round: counted anew. */
static void count_unproven(struct core_errand_lanes *l, bool webhooks)
{
    int n = 0;

    for (size_t i = 0; i < l->n; i++) {
        if (l->lanes[i].is_webhook == webhooks && is_unproven(&l->lanes[i])) {
            n += l->lanes[i].in_flight;
        }
    }
    l->unproven_in_flight[webhooks] = n;
}

void core_errand_lanes_leave(struct core_errand_lanes *l, struct core_errand_lane *lane)
{
    lane->in_flight--;
    count_unproven(l, lane->is_webhook);
}

static void open_breaker(struct core_errand_lane *lane, int64_t now_ms, uint32_t draw)
{
    int64_t pause_ms = lane->state == CORE_LANE_TRYING ? 2 * lane->pause_ms : 0;

    pause_ms = pause_ms > LIMIT_BREAKER_PAUSE_MS ? pause_ms : LIMIT_BREAKER_PAUSE_MS;
    lane->pause_ms = pause_ms < LIMIT_BREAKER_PAUSE_MAX_MS ? pause_ms : LIMIT_BREAKER_PAUSE_MAX_MS;
    lane->until_ms = now_ms + lane->pause_ms - draw % (uint32_t)(lane->pause_ms / 4);
    lane->state = CORE_LANE_OPEN;
}

enum core_errands_event core_errand_lanes_heard(struct core_errand_lanes *l,
                                                struct core_errand_lane *lane, bool is_failure,
                                                int64_t retry_after_ms, int64_t now_ms,
                                                uint32_t draw)
{
    int64_t asked_ms =
        retry_after_ms < LIMIT_ERRAND_RETRY_AFTER_MS ? retry_after_ms : LIMIT_ERRAND_RETRY_AFTER_MS;
    enum core_errands_event event = 0;

    lane->is_proven = !is_failure;
    if (!is_failure) {
        event = lane->state != CORE_LANE_CLOSED ? CORE_ERRANDS_CLOSED : 0;
        lane->state = CORE_LANE_CLOSED;
        lane->failures = 0;
        lane->until_ms = event != 0 ? 0 : lane->until_ms;
    } else if (lane->state != CORE_LANE_OPEN) { /* else: a call from before it opened */
        lane->failures++;
        if (lane->state == CORE_LANE_TRYING || lane->failures >= LIMIT_BREAKER_FAILURES) {
            event = lane->state == CORE_LANE_TRYING ? 0 : CORE_ERRANDS_OPENED;
            open_breaker(lane, now_ms, draw);
        }
    }
    if (asked_ms > 0 && lane->until_ms < now_ms + asked_ms) {
        lane->until_ms = now_ms + asked_ms;
    }
    count_unproven(l, lane->is_webhook);
    return event;
}

int64_t core_errand_lanes_wait_ms(const struct core_errand_lane *lane, int64_t now_ms)
{
    int64_t wait_ms = lane->waiting * lane->mean_ms / LIMIT_ERRAND_LANE;

    return wait_ms + (lane->until_ms > now_ms ? lane->until_ms - now_ms : 0);
}
