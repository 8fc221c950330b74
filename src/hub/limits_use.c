/* hub/limits_use.c: what operations take from a hub's buckets and quota. All of it is atomics in
 * the hub's entry, which its sessions hold, so that a loop takes no lock but that of one device's
 * buckets (limits_device.c), and that only where devices have limits. */
#include "hub/limits_device.h"
#include "hub/limits_hub.h"
#include "model/limits.h"

enum { DAY_MS = 24 * 3600 * 1000 };

/* ---- quotas ---- */

/* Begins a new day's count. */
static void turn_page(struct hub_limits_hub *h, int64_t now_ms)
{
    int64_t today = now_ms / DAY_MS;
    int64_t day = atomic_load_explicit(&h->day, memory_order_relaxed);

    if (day != today && atomic_compare_exchange_strong(&h->day, &day, today)) {
        atomic_store(&h->used, 0);
    }
}

/* Is this kind of operation a message? The rest is free of charge. */
static bool is_metered(enum throttle_operation op)
{
    switch (op) {
    case THROTTLE_D2C_SENDS:
    case THROTTLE_C2D_SENDS:
    case THROTTLE_METHODS:
    case THROTTLE_TWIN_READS:
    case THROTTLE_TWIN_UPDATES:
        return true;
    default:
        return false;
    }
}

static bool is_used_up(struct hub_limits_hub *h, const struct hub_use *use, int64_t now_ms)
{
    int64_t quota = atomic_load_explicit(&h->quota, memory_order_relaxed);

    if (quota == 0 || !is_metered(use->operation)) {
        return false;
    }
    turn_page(h, now_ms);
    return atomic_load_explicit(&h->used, memory_order_relaxed) >= quota;
}

static void meter(struct hub_limits_hub *h, const struct hub_use *use)
{
    int64_t step = atomic_load_explicit(&h->meter, memory_order_relaxed);
    int64_t bytes = (int64_t)use->bytes;

    if (atomic_load_explicit(&h->quota, memory_order_relaxed) != 0 && is_metered(use->operation)) {
        (void)atomic_fetch_add_explicit(&h->used, bytes > step ? (bytes + step - 1) / step : 1,
                                        memory_order_relaxed);
    }
}

int64_t hub_limits_used_today(struct hub_limits *l, struct span host, int64_t now_ms)
{
    struct hub_limits_hub *h = hub_limits_hold(l, host);
    int64_t used = 0;

    if (h != NULL) {
        turn_page(h, now_ms);
        used = atomic_load(&h->used);
    }
    hub_limits_release(h);
    return used;
}

/* ---- taking ---- */

static struct throttle_pace pace_of(const struct pace *p)
{
    return (struct throttle_pace){ .interval_ns =
                                       atomic_load_explicit(&p->interval_ns, memory_order_relaxed),
                                   .depth_ns =
                                       atomic_load_explicit(&p->depth_ns, memory_order_relaxed) };
}

static int64_t tokens_of(const struct hub_use *use)
{
    return use->operation == THROTTLE_METHODS ? (int64_t)(use->bytes / THROTTLE_METHOD_STEP) + 1
                                              : 1;
}

typedef int64_t (*take_fn)(struct throttle_bucket *b, const struct throttle_pace *pace,
                           int64_t tokens, int64_t now_ms);

/* From the device's bucket and the hub's; 0, or how long to wait, as of take_fn: beyond `patience`
 * nothing was taken. */
static int64_t take(struct hub_limits_hub *h, const struct hub_use *use, take_fn fn,
                    int64_t patience_ms, int64_t now_ms)
{
    struct throttle_pace pace = pace_of(&h->paces[use->operation]);
    struct throttle_pace device_pace = pace_of(&h->device_paces[use->operation]);
    bool has_device = device_pace.interval_ns != 0 && !span_is_absent(use->client_id) &&
                      (int)use->operation <= THROTTLE_OF_DEVICE;
    const struct limits_device_key key = { .host = span_of(h->host, h->host_len),
                                           .client_id = use->client_id,
                                           .epoch = atomic_load(&h->epoch) };
    struct limits_device_place place;
    int64_t tokens = tokens_of(use);
    int64_t wait = 0, device_wait = 0;

    if (has_device) {
        struct throttle_bucket *b =
            hub_limits_device_lock(h->devices, &key, use->operation, &place);

        device_wait = fn(b, &device_pace, tokens, now_ms);
        if (device_wait <= patience_ms) {
            wait = fn(&h->buckets[use->operation], &pace, tokens, now_ms);
            if (wait > patience_ms) {
                throttle_give_back(b, &device_pace, tokens);
            }
        }
        hub_limits_device_unlock(&place);
    } else {
        wait = fn(&h->buckets[use->operation], &pace, tokens, now_ms);
    }
    return wait > device_wait ? wait : device_wait;
}

static bool is_free(struct hub_limits_hub *h, const struct hub_use *use)
{
    return use->operation == THROTTLE_NOTHING ||
           !atomic_load_explicit(&h->is_limited, memory_order_relaxed);
}

static void count(_Atomic uint64_t *counter)
{
    (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static const char *word_of(const struct hub_use *use)
{
    static const char *const types[THROTTLE_OPERATIONS] = {
        [THROTTLE_CONNECTS] = "DeviceConnect",     [THROTTLE_D2C_SENDS] = "D2CSend",
        [THROTTLE_C2D_SENDS] = "C2DSend",          [THROTTLE_C2D_RECEIVES] = "C2DReceive",
        [THROTTLE_METHODS] = "DirectMethod",       [THROTTLE_TWIN_READS] = "TwinRead",
        [THROTTLE_TWIN_UPDATES] = "TwinUpdate",    [THROTTLE_QUERIES] = "Query",
        [THROTTLE_REGISTRY] = "RegistryOperation",
    };

    return use->word != NULL ? use->word : types[use->operation];
}

static err refuse(const struct env *env, struct hub_limits_hub *h, const struct hub_use *use,
                  int64_t wait_ms, int *ret_wait_s, struct verdict *ret_verdict)
{
    int64_t wait_s = (wait_ms + 999) / 1000;

    count(&h->refused[use->operation]);
    *ret_verdict = VERDICT(HUB_THROTTLED);
    *ret_wait_s = (int)(wait_s < LIMIT_RETRY_AFTER_MAX_S ? wait_s : LIMIT_RETRY_AFTER_MAX_S);
    return arena_printf(env->arena, &ret_verdict->detail,
                        "Wait %d seconds and try again. Operation type: %s", *ret_wait_s,
                        word_of(use));
}

static err allow(const struct env *env, struct hub_limits_hub *h, const struct hub_use *use,
                 int *ret_wait_s, struct verdict *ret_verdict)
{
    int64_t wait_ms;

    *ret_verdict = VERDICT(GRANTED);
    if (is_free(h, use)) {
        return OK;
    }
    if (is_used_up(h, use, env->now_ms)) {
        count(&h->quota_refused);
        *ret_verdict = VERDICT(MESSAGE_QUOTA_EXCEEDED);
        return OK;
    }
    wait_ms = take(h, use, throttle_take, 0, env->now_ms);
    if (wait_ms > 0) {
        return refuse(env, h, use, wait_ms, ret_wait_s, ret_verdict);
    }
    meter(h, use);
    return OK;
}

err hub_limits_allow(const struct env *env, struct span host, const struct hub_use *use,
                     int *ret_wait_s, struct verdict *ret_verdict)
{
    struct hub_limits_hub *h = hub_limits_hold(env->limits, host);
    err e = OK;

    *ret_wait_s = 0;
    *ret_verdict = VERDICT(GRANTED);
    if (h != NULL) {
        e = allow(env, h, use, ret_wait_s, ret_verdict);
    }
    hub_limits_release(h);
    return e;
}

/* ---- a session's turn ---- */

/* It asks again soon, though its tokens may come later: limits may have changed. */
static enum hub_turn_state wait_on(struct hub_turn *turn, int64_t now_ms)
{
    turn->until_ms = now_ms + LIMIT_SHAPED_LOOK_MS;
    if (turn->taken_ms != 0 && turn->taken_ms < turn->until_ms) {
        turn->until_ms = turn->taken_ms;
    }
    return HUB_TURN_LATER;
}

/* The first try of a message, and those after it as long as its tokens cannot be reserved. */
static enum hub_turn_state try_turn(struct hub_limits_hub *h, const struct hub_use *use,
                                    int64_t now_ms, struct hub_turn *turn, enum reason *ret_reason)
{
    bool used_up = is_used_up(h, use, now_ms);
    int64_t wait_ms = used_up ? INT64_MAX : take(h, use, throttle_reserve, LIMIT_SHAPED_MS, now_ms);
    bool is_first = turn->until_ms == 0;

    if (wait_ms == 0) {
        meter(h, use);
        *turn = (struct hub_turn){ 0 };
        return HUB_TURN_NOW;
    }
    if (is_first) {
        count(used_up ? &h->quota_delayed : &h->delayed[use->operation]);
    }
    if (is_first || now_ms < turn->since_ms) { /* or the clock went back */
        turn->since_ms = now_ms;
    }
    turn->taken_ms = wait_ms <= LIMIT_SHAPED_MS ? now_ms + wait_ms : 0;
    if (turn->taken_ms == 0 && now_ms - turn->since_ms >= LIMIT_SHAPED_MS) {
        count(used_up ? &h->quota_refused : &h->refused[use->operation]);
        *ret_reason = used_up ? REASON_MESSAGE_QUOTA_EXCEEDED : REASON_HUB_THROTTLED;
        return HUB_TURN_NEVER;
    }
    return wait_on(turn, now_ms);
}

/* Its tokens are there, or there is nothing to wait for any more. */
static bool has_come(struct hub_limits_hub *h, const struct hub_use *use,
                     const struct hub_turn *turn, int64_t now_ms)
{
    return is_free(h, use) || (turn->taken_ms != 0 && (now_ms >= turn->taken_ms ||
                                                       turn->taken_ms - now_ms > LIMIT_SHAPED_MS));
}

enum hub_turn_state hub_limits_turn(struct hub_limits_hub *h, const struct hub_use *use,
                                    int64_t now_ms, struct hub_turn *turn, enum reason *ret_reason)
{
    unsigned epoch;

    if (turn->until_ms == 0 && (h == NULL || is_free(h, use))) {
        return HUB_TURN_NOW;
    }
    if (hub_turn_waits(turn, now_ms)) {
        return HUB_TURN_LATER;
    }
    if (has_come(h, use, turn, now_ms)) {
        meter(h, use);
        *turn = (struct hub_turn){ 0 };
        return HUB_TURN_NOW;
    }
    epoch = atomic_load_explicit(&h->epoch, memory_order_relaxed);
    if (turn->taken_ms != 0 && turn->epoch == epoch) {
        return wait_on(turn, now_ms);
    }
    turn->epoch = epoch;
    return try_turn(h, use, now_ms, turn, ret_reason);
}

static int64_t charge(struct throttle_bucket *b, const struct throttle_pace *pace, int64_t tokens,
                      int64_t now_ms)
{
    throttle_charge(b, pace, tokens, now_ms);
    return 0;
}

void hub_limits_charge(struct hub_limits_hub *h, const struct hub_use *use, int64_t now_ms)
{
    if (h != NULL && !is_free(h, use)) {
        (void)is_used_up(h, use, now_ms); /* begins the day */
        (void)take(h, use, charge, 0, now_ms);
        meter(h, use);
    }
}
