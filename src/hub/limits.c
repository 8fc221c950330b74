/* hub/limits.c: a table of hubs under a lock that workers take for reading, and the chore that
 * writes their quotas down; what an operation takes from an entry is limits_use.c's.
 *
 * What the entries say is taken up from a row by one thread at a time, which reads the row anew:
 * so nobody who read it earlier puts back what was changed since. */
#include "hub/limits.h"

#include <pthread.h>
#include <stdlib.h>

#include "hub/limits_device.h"
#include "hub/limits_hub.h"
#include "model/limits.h"
#include "store/store.h"

enum { TABLE_SLOTS = 1024 };

struct hub_limits {
    pthread_rwlock_t lock;   /* of the table, and of what is said to be under it */
    pthread_mutex_t take_up; /* held by who changes an entry; before `lock` */
    struct hub_limits_hub *slots[TABLE_SLOTS];
    size_t n;
    struct limits_device *devices;
};

static struct hub_limits_hub **slot_of(struct hub_limits *l, struct span host)
{
    return &l->slots[span_hash(host) % TABLE_SLOTS]; /* only operators choose hosts that are kept */
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
        h->devices = l->devices;
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

/* ---- counters, and what is written down ---- */

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
