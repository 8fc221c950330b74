/* core/loads.c: counts, kept for a moment in a table of a fixed size in which a newer one takes the
 * place of an older. Losing one costs a count, no more. */
#include "core/loads.h"

#include <pthread.h>

#include "model/limits.h"
#include "store/store.h"

struct load {
    uint8_t id_scope[LIMIT_ID_SCOPE], hub[LIMIT_HOST_NAME];
    uint8_t id_scope_len, hub_len; /* 0: unused */
    int64_t count, counted_ms;
};
_Static_assert(LIMIT_HOST_NAME <= UINT8_MAX, "hub_len");

struct core_loads {
    pthread_mutex_t lock;
    struct load rows[LIMIT_LOADS];
};

size_t core_loads_size(void)
{
    return sizeof(struct core_loads);
}

struct core_loads *core_loads_init(void *memory)
{
    struct core_loads *loads = memory;

    (void)pthread_mutex_init(&loads->lock, NULL);
    return loads;
}

void core_loads_done(struct core_loads *loads)
{
    if (loads != NULL) {
        (void)pthread_mutex_destroy(&loads->lock);
    }
}

/* Its place, whoever is there. */
static struct load *place_of(struct core_loads *loads, struct span id_scope, struct span hub)
{
    uint32_t hash = span_hash(hub) ^ (span_hash(id_scope) * 31U);

    return &loads->rows[hash % LIMIT_LOADS];
}

static bool is_of(const struct load *load, struct span id_scope, struct span hub)
{
    return load->hub_len > 0 && span_eq(span_of(load->id_scope, load->id_scope_len), id_scope) &&
           span_eq(span_of(load->hub, load->hub_len), hub);
}

static bool is_keepable(struct span id_scope, struct span hub)
{
    return id_scope.len <= LIMIT_ID_SCOPE && hub.len > 0 && hub.len <= LIMIT_HOST_NAME;
}

/* Under the lock. */
static bool find_fresh(const struct env *env, struct span id_scope, struct span hub,
                       int64_t *ret_count)
{
    const struct load *load = place_of(env->loads, id_scope, hub);
    int64_t age_ms = env->now_ms - load->counted_ms;

    if (!is_of(load, id_scope, hub) || age_ms < 0 || age_ms >= LIMIT_LOADS_MS) {
        return false;
    }
    *ret_count = load->count;
    return true;
}

/* Under the lock. */
static void keep(const struct env *env, struct span id_scope, struct span hub, int64_t count)
{
    struct load *load = place_of(env->loads, id_scope, hub);

    if (is_keepable(id_scope, hub)) {
        memcpy(load->id_scope, id_scope.data, id_scope.len);
        memcpy(load->hub, hub.data, hub.len);
        load->id_scope_len = (uint8_t)id_scope.len;
        load->hub_len = (uint8_t)hub.len;
        load->count = count;
        load->counted_ms = env->now_ms;
    }
}

struct counting {
    const struct env *env;
    struct span id_scope;
    const struct span *hubs;
    size_t n;
    int64_t *counts; /* below 0: to be counted */
};

static err count_missing(struct store_tx *tx, void *arg)
{
    struct counting *c = arg;

    for (size_t i = 0; i < c->n; i++) {
        struct registration prefix = { .id_scope = c->id_scope, .placed_hub = c->hubs[i] };
        struct store_scan scan = { .index = REGISTRATION_BY_HUB, .prefix = &prefix, .n_prefix = 2 };

        if (c->counts[i] < 0) {
            TRY(store_count(tx, &KIND_REGISTRATION, &scan, &c->counts[i]));
        }
    }
    return OK;
}

/* *ret_known: all of them. */
static void look_up(const struct counting *c, bool *ret_known)
{
    struct core_loads *loads = c->env->loads;

    *ret_known = true;
    if (loads != NULL) {
        (void)pthread_mutex_lock(&loads->lock);
    }
    for (size_t i = 0; i < c->n; i++) {
        c->counts[i] = -1;
        *ret_known = loads != NULL && find_fresh(c->env, c->id_scope, c->hubs[i], &c->counts[i]) &&
                     *ret_known;
    }
    if (loads != NULL) {
        (void)pthread_mutex_unlock(&loads->lock);
    }
}

err core_loads_get(const struct env *env, struct span id_scope, const struct span *hubs, size_t n,
                   int64_t *ret_counts)
{
    struct counting c = { env, id_scope, hubs, n, ret_counts };
    bool is_known;

    look_up(&c, &is_known);
    if (is_known) {
        return OK;
    }
    TRY(store_read(env->store, count_missing, &c));
    if (env->loads == NULL) {
        return OK;
    }
    (void)pthread_mutex_lock(&env->loads->lock);
    for (size_t i = 0; i < n; i++) {
        int64_t known;

        if (!find_fresh(env, id_scope, hubs[i], &known)) {
            keep(env, id_scope, hubs[i], ret_counts[i]);
        }
    }
    (void)pthread_mutex_unlock(&env->loads->lock);
    return OK;
}

/* Under the lock. */
static void add(struct core_loads *loads, struct span id_scope, struct span hub, int64_t n)
{
    struct load *load = place_of(loads, id_scope, hub);

    if (!span_is_absent(hub) && is_of(load, id_scope, hub) && load->count + n >= 0) {
        load->count += n;
    }
}

void core_loads_moved(const struct env *env, struct span id_scope, struct span from, struct span to)
{
    if (env->loads == NULL || span_eq(from, to)) {
        return;
    }
    (void)pthread_mutex_lock(&env->loads->lock);
    add(env->loads, id_scope, from, -1);
    add(env->loads, id_scope, to, 1);
    (void)pthread_mutex_unlock(&env->loads->lock);
}
