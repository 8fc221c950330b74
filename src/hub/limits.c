/* hub/limits.c: a table of hubs under a lock that workers take for reading; what a hub's sessions
 * need is atomics in its entry, which they hold, so that a loop takes no lock but that of one
 * device's buckets (limits_device.c), and that only where devices have limits.
 *
 * What the entries say is taken up from a row by one thread at a time, which reads the row anew:
 * so nobody who read it earlier puts back what was changed since. */
#include "hub/limits.h"

#include <pthread.h>
#include <stdlib.h>

#include "hub/limits_device.h"
#include "model/limits.h"
#include "store/store.h"

enum { TABLE_SLOTS = 1024, DAY_MS = 24 * 3600 * 1000 };

struct pace {
    _Atomic int64_t interval_ns, depth_ns;
};

struct hub_limits_hub {
    struct hub_limits *all;
    struct hub_limits_hub *next; /* of the slot */
    atomic_uint n_held;
    atomic_uint epoch; /* one more with each change of a limit: the buckets are others then */
    atomic_bool is_limited;
    struct pace paces[THROTTLE_OPERATIONS], device_paces[THROTTLE_OPERATIONS];
    struct throttle_bucket buckets[THROTTLE_OPERATIONS];
    _Atomic int64_t quota, meter; /* 0: no quota */
    _Atomic int64_t day, used;    /* of it */
    _Atomic int64_t flushed;      /* of `used`, as the store has it */
    _Atomic uint64_t refused[THROTTLE_OPERATIONS], delayed[THROTTLE_OPERATIONS];
    _Atomic uint64_t quota_refused, quota_delayed;
    /* Under the table's lock. */
    int64_t created_ms; /* of its row: another hub may take its name */
    struct hub_settings settings;
    size_t host_len, text_len;
    uint8_t *text; /* of hub.settings, as taken up */
    uint8_t host[];
};

struct hub_limits {
    pthread_rwlock_t lock;   /* of the table, and of what is said to be under it */
    pthread_mutex_t take_up; /* held by who changes an entry; before `lock` */
    struct hub_limits_hub *slots[TABLE_SLOTS];
    size_t n;
    struct limits_device *devices;
};

static struct hub_limits_hub **slot_of(struct hub_limits *l, struct span host)
{
    uint32_t hash = 2166136261u; /* FNV-1a: only operators choose hosts that are kept */

    for (size_t i = 0; i < host.len; i++) {
        hash = (hash ^ host.data[i]) * 16777619u;
    }
    return &l->slots[hash % TABLE_SLOTS];
}

/* The lock is held. */
static struct hub_limits_hub *find(struct hub_limits *l, struct span host)
{
    struct hub_limits_hub *h = *slot_of(l, host);

    while (h != NULL && !span_eq(span_of(h->host, h->host_len), host)) {
        h = h->next;
    }
    return h;
}

err hub_limits_new(struct hub_limits **ret_limits)
{
    struct hub_limits *l = calloc(1, sizeof *l);
    err e;

    if (l == NULL) {
        return ERR(NOMEM);
    }
    e = hub_limits_device_new(&l->devices);
    if (!err_is_ok(e)) {
        free(l);
        return e;
    }
    (void)pthread_rwlock_init(&l->lock, NULL);
    (void)pthread_mutex_init(&l->take_up, NULL);
    *ret_limits = l;
    return OK;
}

static void free_hub(struct hub_limits_hub *h)
{
    free(h->text);
    free(h);
}

void hub_limits_free(struct hub_limits *l)
{
    if (l == NULL) {
        return;
    }
    for (size_t i = 0; i < TABLE_SLOTS; i++) {
        for (struct hub_limits_hub *h; (h = l->slots[i]) != NULL;) {
            l->slots[i] = h->next;
            free_hub(h);
        }
    }
    hub_limits_device_free(l->devices);
    (void)pthread_mutex_destroy(&l->take_up);
    (void)pthread_rwlock_destroy(&l->lock);
    free(l);
}

/* ---- what rows say ---- */

bool hub_limits_find(struct hub_limits *l, struct span host, struct hub_settings *ret_settings)
{
    const struct hub_limits_hub *h;

    (void)pthread_rwlock_rdlock(&l->lock);
    h = find(l, host);
    if (h != NULL) {
        *ret_settings = h->settings;
    }
    (void)pthread_rwlock_unlock(&l->lock);
    return h != NULL;
}

static bool is_known(struct hub_limits *l, const struct hub *hub, struct hub_settings *ret_settings)
{
    const struct hub_limits_hub *h;
    bool is;

    (void)pthread_rwlock_rdlock(&l->lock);
    h = find(l, hub->host_name);
    is = h != NULL && h->created_ms == hub->created_ms &&
         span_eq(span_of(h->text, h->text_len), hub->settings);
    if (is) {
        *ret_settings = h->settings;
    }
    (void)pthread_rwlock_unlock(&l->lock);
    return is;
}

static void set_pace(struct pace *to, const struct throttle_rate *rate, bool *is_any)
{
    struct throttle_pace pace = throttle_pace_of(rate);

    atomic_store_explicit(&to->interval_ns, pace.interval_ns, memory_order_relaxed);
    atomic_store_explicit(&to->depth_ns, pace.depth_ns, memory_order_relaxed);
    *is_any = *is_any || pace.interval_ns != 0;
}

static bool is_same_limits(const struct hub_settings *a, const struct hub_settings *b)
{
    return memcmp(a->limits, b->limits, sizeof a->limits) == 0 &&
           memcmp(a->device_limits, b->device_limits, sizeof a->device_limits) == 0;
}

/* With other limits buckets begin full: what was taken ahead at a slow pace is no debt at a fast
 * one. */
static void put_to_use(struct hub_limits_hub *h, const struct hub_settings *s)
{
    bool is_limited = s->quota.messages > 0;

    if (!is_same_limits(&h->settings, s)) {
        (void)atomic_fetch_add(&h->epoch, 1);
        for (int op = 1; op < THROTTLE_OPERATIONS; op++) {
            atomic_store(&h->buckets[op].full_ns, 0);
        }
    }
    for (int op = 1; op < THROTTLE_OPERATIONS; op++) {
        set_pace(&h->paces[op], &s->limits[op], &is_limited);
        set_pace(&h->device_paces[op], &s->device_limits[op], &is_limited);
    }
    atomic_store(&h->meter, s->quota.meter);
    atomic_store(&h->quota, s->quota.messages);
    atomic_store(&h->is_limited, is_limited);
    h->settings = *s;
}

/* A table at its limit loses one that nobody holds, with what its buckets held; the lock is held
 * for writing. */
static void make_room(struct hub_limits *l)
{
    for (size_t i = 0; i < TABLE_SLOTS && l->n >= LIMIT_HUBS_KNOWN; i++) {
        for (struct hub_limits_hub **at = &l->slots[i]; *at != NULL;) {
            struct hub_limits_hub *h = *at;

            if (atomic_load(&h->n_held) > 0 || atomic_load(&h->used) != atomic_load(&h->flushed)) {
                at = &h->next;
                continue;
            }
            *at = h->next;
            free_hub(h);
            l->n--;
        }
    }
}

static struct hub_limits_hub *new_hub(struct hub_limits *l, struct span host)
{
    struct hub_limits_hub *h = calloc(1, sizeof *h + host.len);

    if (h != NULL) {
        h->all = l;
        h->host_len = host.len;
        if (host.len > 0) {
            memcpy(h->host, host.data, host.len);
        }
    }
    return h;
}

static void count_from(struct hub_limits_hub *h, const struct hub_usage *usage)
{
    atomic_store(&h->day, usage->day);
    atomic_store(&h->used, usage->messages);
    atomic_store(&h->flushed, usage->messages);
}

static err put_in(struct hub_limits *l, const struct hub *hub, const struct hub_usage *usage,
                  const struct hub_settings *s)
{
    size_t len = hub->settings.len;
    uint8_t *text = malloc(len + 1);
    struct hub_limits_hub *h;
    err e = OK;

    if (text == NULL) {
        return ERR(NOMEM);
    }
    if (len > 0) {
        memcpy(text, hub->settings.data, len);
    }
    (void)pthread_rwlock_wrlock(&l->lock);
    h = find(l, hub->host_name);
    if (h == NULL) {
        struct hub_limits_hub **slot = slot_of(l, hub->host_name);

        make_room(l);
        h = new_hub(l, hub->host_name);
        if (h != NULL) {
            h->created_ms = -1;
            h->next = *slot;
            *slot = h;
            l->n++;
        }
    }
    if (h != NULL) {
        if (h->created_ms != hub->created_ms) {
            count_from(h, usage);
            h->created_ms = hub->created_ms;
        }
        free(h->text);
        h->text = text;
        h->text_len = len;
        put_to_use(h, s);
    } else {
        free(text);
        e = ERR(NOMEM);
    }
    (void)pthread_rwlock_unlock(&l->lock);
    return e;
}

struct reading {
    const struct env *env;
    struct hub hub;
    struct hub_usage usage;
    bool is_found;
};

static err read_anew(struct store_tx *tx, void *arg)
{
    struct reading *r = arg;
    bool has_usage;

    TRY(store_find(tx, &KIND_HUB, &r->hub, r->env->arena, &r->hub, &r->is_found));
    r->usage = (struct hub_usage){ .hub = r->hub.host_name };
    return store_find(tx, &KIND_HUB_USAGE, &r->usage, r->env->arena, &r->usage, &has_usage);
}

static err take_up(const struct env *env, struct span host, struct hub_settings *ret_settings)
{
    struct reading r = { .env = env, .hub = { .host_name = host } };
    struct hub_settings s;

    TRY(store_read(env->store, read_anew, &r));
    if (!r.is_found) { /* gone since */
        *ret_settings = hub_settings_default();
        return OK;
    }
    TRY(hub_settings_parse(r.hub.settings, &s));
    TRY(put_in(env->limits, &r.hub, &r.usage, &s));
    *ret_settings = s;
    return OK;
}

err hub_limits_know(const struct env *env, const struct hub *hub, struct hub_settings *ret_settings)
{
    struct hub_limits *l = env->limits;
    err e = OK;

    if (is_known(l, hub, ret_settings)) {
        return OK;
    }
    (void)pthread_mutex_lock(&l->take_up);
    if (!is_known(l, hub, ret_settings)) {
        e = take_up(env, hub->host_name, ret_settings);
    }
    (void)pthread_mutex_unlock(&l->take_up);
    return e;
}

struct hub_limits_hub *hub_limits_hold(struct hub_limits *l, struct span host)
{
    struct hub_limits_hub *h = NULL;

    if (l != NULL) {
        (void)pthread_rwlock_rdlock(&l->lock);
        h = find(l, host);
        if (h != NULL) {
            (void)atomic_fetch_add(&h->n_held, 1);
        }
        (void)pthread_rwlock_unlock(&l->lock);
    }
    return h;
}

void hub_limits_release(struct hub_limits_hub *h)
{
    if (h != NULL) {
        (void)atomic_fetch_sub(&h->n_held, 1);
    }
}

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
            hub_limits_device_lock(h->all->devices, &key, use->operation, &place);

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

/* ---- the rest ---- */

static void tell_counts(const struct hub_limits_hub *h, hub_limits_fn fn, void *arg)
{
    struct hub_limits_count c = { .host = span_of(h->host, h->host_len) };

    for (int op = 1; op < THROTTLE_OPERATIONS; op++) {
        c.operation = throttle_word((enum throttle_operation)op);
        c.refused = atomic_load(&h->refused[op]);
        c.delayed = atomic_load(&h->delayed[op]);
        if (c.refused + c.delayed > 0) {
            fn(arg, &c);
        }
    }
    c.operation = "dailyMessages";
    c.refused = atomic_load(&h->quota_refused);
    c.delayed = atomic_load(&h->quota_delayed);
    if (c.refused + c.delayed > 0) {
        fn(arg, &c);
    }
}

void hub_limits_each(struct hub_limits *l, hub_limits_fn fn, void *arg)
{
    (void)pthread_rwlock_rdlock(&l->lock);
    for (size_t i = 0; i < TABLE_SLOTS; i++) {
        for (const struct hub_limits_hub *h = l->slots[i]; h != NULL; h = h->next) {
            tell_counts(h, fn, arg);
        }
    }
    (void)pthread_rwlock_unlock(&l->lock);
}

struct flush {
    const struct env *env;
    size_t n;
    struct {
        struct hub_limits_hub *hub; /* held */
        int64_t created_ms;
        struct hub_usage usage;
    } of[LIMIT_HUBS_FLUSHED];
};

static void gather(struct hub_limits *l, struct flush *f)
{
    (void)pthread_rwlock_rdlock(&l->lock);
    for (size_t i = 0; i < TABLE_SLOTS; i++) {
        for (struct hub_limits_hub *h = l->slots[i]; h != NULL; h = h->next) {
            int64_t used = atomic_load(&h->used);

            if (used != atomic_load(&h->flushed) && f->n < LIMIT_HUBS_FLUSHED) {
                (void)atomic_fetch_add(&h->n_held, 1);
                f->of[f->n].hub = h;
                f->of[f->n].created_ms = h->created_ms;
                f->of[f->n++].usage = (struct hub_usage){ .hub = span_of(h->host, h->host_len),
                                                          .day = atomic_load(&h->day),
                                                          .messages = used };
            }
        }
    }
    (void)pthread_rwlock_unlock(&l->lock);
}

static err write_usage(struct store_tx *tx, void *arg)
{
    const struct flush *f = arg;
    size_t mark = f->env->arena->used;

    for (size_t i = 0; i < f->n; i++) {
        struct hub hub = { .host_name = f->of[i].usage.hub };
        bool is_there;

        TRY(store_find(tx, &KIND_HUB, &hub, f->env->arena, &hub, &is_there));
        f->env->arena->used = mark;
        if (is_there && hub.created_ms == f->of[i].created_ms) {
            TRY(store_put(tx, &KIND_HUB_USAGE, &f->of[i].usage));
        }
    }
    return OK;
}

err hub_limits_flush(const struct env *env, struct bus *bus, void *arg, bool *again)
{
    struct flush *f;
    err e = OK;

    (void)bus;
    (void)arg;
    if (env->limits == NULL) {
        return OK;
    }
    f = ARENA_NEW(env->arena, struct flush);
    if (f == NULL) {
        return ERR(NOMEM);
    }
    f->env = env;
    f->n = 0;
    gather(env->limits, f);
    if (f->n > 0) {
        e = store_write(env->store, write_usage, f);
    }
    for (size_t i = 0; i < f->n; i++) {
        if (err_is_ok(e)) {
            atomic_store(&f->of[i].hub->flushed, f->of[i].usage.messages);
        }
        hub_limits_release(f->of[i].hub);
    }
    *again = err_is_ok(e) && f->n == LIMIT_HUBS_FLUSHED;
    return e;
}
