/* core/key_groups.c: a small table of scopes, each with a chain of its groups, filled a page at a
 * time and dropped as a whole. Knows when it is out of date and what it may cost; in which order
 * they are tried is key_search.c's. */
#include "core/key_groups.h"

#include <assert.h>

#include "model/limits.h"

enum { CAPACITY_MAX = 65536 };

struct group {
    uint8_t id[LIMIT_ENROLLMENT_GROUP_ID]; /* folded */
    size_t id_len;
    struct attest_key_group keys;
    struct group *next; /* of its scope, in the order of IDs; or of those to be used again */
};

struct core_key_scope {
    uint8_t id_scope[LIMIT_ID_SCOPE];
    size_t id_scope_len; /* 0: unused */
    int64_t version, created_ms;
    uint64_t used; /* when, by the cache's count of uses */
    struct group *first, *last;
    struct group *latest; /* the one that matched last; NULL: none yet */
    size_t n;
    bool is_whole;
};

struct core_key_groups {
    struct crypto *crypto;
    uint64_t uses;
    struct core_key_scope scopes[LIMIT_KEY_SCOPES];
    struct group *given_back;
    size_t capacity, n, n_begun; /* in use now; touched at all */
    struct group groups[];
};

size_t core_key_groups_size(size_t capacity)
{
    return sizeof(struct core_key_groups) + capacity * sizeof(struct group);
}

struct core_key_groups *core_key_groups_init(void *memory, struct crypto *c, size_t capacity)
{
    struct core_key_groups *cache = memory;

    assert(capacity >= 2 && capacity <= CAPACITY_MAX);
    cache->crypto = c;
    cache->capacity = capacity;
    return cache;
}

static void empty(struct core_key_groups *cache, struct core_key_scope *s)
{
    for (struct group *g = s->first, *next; g != NULL; g = next) {
        next = g->next;
        attest_key_group_done(&g->keys);
        g->next = cache->given_back;
        cache->given_back = g;
    }
    cache->n -= s->n;
    s->first = s->last = s->latest = NULL;
    s->n = 0;
    s->id_scope_len = 0;
}

void core_key_groups_done(struct core_key_groups *cache)
{
    for (size_t i = 0; cache != NULL && i < LIMIT_KEY_SCOPES; i++) {
        empty(cache, &cache->scopes[i]);
    }
}

/* ---- filling ---- */

static struct span id_of(const struct group *g)
{
    return span_of(g->id, g->id_len);
}

/* NULL: none. */
static struct group *find(const struct core_key_scope *s, struct span id)
{
    struct group *g = s->first;

    while (g != NULL && !span_eq(id_of(g), id)) {
        g = g->next;
    }
    return g;
}

/* The least recently used but `s` gives its room. */
static void make_room(struct core_key_groups *cache, const struct core_key_scope *s)
{
    struct core_key_scope *oldest = NULL;

    for (size_t i = 0; i < LIMIT_KEY_SCOPES; i++) {
        struct core_key_scope *other = &cache->scopes[i];

        if (other != s && other->n > 0 && (oldest == NULL || other->used < oldest->used)) {
            oldest = other;
        }
    }
    assert(oldest != NULL); /* one scope has no more than half */
    empty(cache, oldest);
}

static err add(struct core_key_groups *cache, struct core_key_scope *s, const struct enrollment *e)
{
    struct attest_key_group keys;
    struct group *g;

    assert(e->key.len <= sizeof g->id);
    TRY(attest_key_group_init(cache->crypto, e, &keys));
    if (cache->n == cache->capacity) {
        make_room(cache, s);
    }
    g = cache->given_back;
    if (g != NULL) {
        cache->given_back = g->next;
    } else {
        g = &cache->groups[cache->n_begun++];
    }
    *g = (struct group){ .id_len = e->key.len, .keys = keys };
    memcpy(g->id, e->key.data, e->key.len);
    *(s->last != NULL ? &s->last->next : &s->first) = g;
    s->last = g;
    s->n++;
    cache->n++;
    return OK;
}

static err fill(const struct env *env, struct store_tx *tx, struct core_key_groups *cache,
                struct core_key_scope *s)
{
    size_t mark = env->arena->used;
    struct enrollment *rows;
    size_t n;

    do {
        struct span after = s->last != NULL ? id_of(s->last) : SPAN_NONE;

        TRY(core_key_groups_page(env, tx, span_of(s->id_scope, s->id_scope_len), after, &rows, &n));
        for (size_t i = 0; i < n; i++) {
            if (s->n == cache->capacity / 2) {
                env->arena->used = mark;
                return OK;
            }
            TRY(add(cache, s, &rows[i]));
        }
        env->arena->used = mark;
    } while (n == LIMIT_QUERY_BATCH);
    s->is_whole = true;
    return OK;
}

/* The scope's place, or the one that it will have. */
static struct core_key_scope *place_of(struct core_key_groups *cache, struct span id_scope,
                                       bool *ret_is_there)
{
    struct core_key_scope *oldest = &cache->scopes[0];

    *ret_is_there = true;
    for (size_t i = 0; i < LIMIT_KEY_SCOPES; i++) {
        struct core_key_scope *s = &cache->scopes[i];

        if (s->id_scope_len > 0 && span_eq(id_scope, span_of(s->id_scope, s->id_scope_len))) {
            return s;
        }
        if (s->used < oldest->used) {
            oldest = s;
        }
    }
    *ret_is_there = false;
    return oldest;
}

/* Fills an empty place anew. */
static err read_scope(const struct env *env, struct store_tx *tx, const struct instance *instance,
                      struct core_key_scope *s)
{
    assert(instance->id_scope.len > 0 && instance->id_scope.len <= sizeof s->id_scope);
    memcpy(s->id_scope, instance->id_scope.data, instance->id_scope.len);
    s->id_scope_len = instance->id_scope.len;
    s->version = instance->key_groups_version;
    s->created_ms = instance->created_ms;
    s->is_whole = false;
    return fill(env, tx, env->key_groups, s);
}

err core_key_groups_get(const struct env *env, struct store_tx *tx, const struct instance *instance,
                        struct core_key_scope **ret_scope)
{
    struct core_key_groups *cache = env->key_groups;
    bool is_there;
    struct core_key_scope *s = place_of(cache, instance->id_scope, &is_there);
    struct span latest = SPAN_NONE;
    err e;

    s->used = ++cache->uses;
    if (is_there && s->version == instance->key_groups_version &&
        s->created_ms == instance->created_ms) {
        *ret_scope = s;
        return OK;
    }
    if (is_there && s->latest != NULL) {
        TRY(arena_copy(env->arena, id_of(s->latest), &latest));
    }
    empty(cache, s);
    e = read_scope(env, tx, instance, s);
    if (!err_is_ok(e)) {
        empty(cache, s);
        return e;
    }
    s->latest = span_is_absent(latest) ? NULL : find(s, latest);
    *ret_scope = s;
    return OK;
}

/* ---- trying ---- */

size_t core_key_scope_count(const struct core_key_scope *s)
{
    return s->n;
}

struct span core_key_scope_rest(const struct core_key_scope *s)
{
    return s->is_whole ? SPAN_NONE : id_of(s->last);
}

/* NULL is no group. */
static err try_one(const struct env *env, struct core_key_scope *s, struct group *g,
                   const struct attest_key_trial *trial, struct span *ret_group)
{
    bool has = false;

    if (g != NULL) {
        TRY(attest_key_group_has_signed(env->crypto, &g->keys, trial, &has));
    }
    if (has) {
        s->latest = g;
    }
    *ret_group = has ? id_of(g) : SPAN_NONE;
    return OK;
}

err core_key_scope_try_latest(const struct env *env, struct core_key_scope *s,
                              const struct attest_key_trial *trial, struct span *ret_group)
{
    return try_one(env, s, s->latest, trial, ret_group);
}

err core_key_scope_try(const struct env *env, struct core_key_scope *s,
                       const struct attest_key_trial *trial, struct span first,
                       struct span *ret_group)
{
    struct span group;

    TRY(try_one(env, s, span_is_absent(first) ? NULL : find(s, first), trial, &group));
    for (struct group *g = s->first; g != NULL && span_is_absent(group); g = g->next) {
        TRY(try_one(env, s, g, trial, &group));
    }
    *ret_group = group;
    return OK;
}

/* ---- the store's side ---- */

err core_key_groups_page(const struct env *env, struct store_tx *tx, struct span id_scope,
                         struct span after, struct enrollment **ret_rows, size_t *ret_n)
{
    struct enrollment prefix = { .id_scope = id_scope,
                                 .kind = ENROLLMENT_GROUP,
                                 .attestation = ATTESTATION_SYMMETRIC_KEY };
    struct enrollment behind = prefix;
    struct store_scan scan = { .index = ENROLLMENT_BY_ATTESTATION,
                               .prefix = &prefix,
                               .n_prefix = 3,
                               .after = span_is_absent(after) ? NULL : &behind,
                               .limit = LIMIT_QUERY_BATCH };

    behind.key = after;
    return store_scan(tx, &KIND_ENROLLMENT, &scan, env->arena, ret_rows, ret_n);
}

static bool is_key_group(const struct enrollment *e)
{
    return e != NULL && e->kind == ENROLLMENT_GROUP && e->attestation == ATTESTATION_SYMMETRIC_KEY;
}

static bool has_same_keys(const struct enrollment *a, const struct enrollment *b)
{
    return crypto_equal(a->primary_key, b->primary_key) &&
           crypto_equal(a->secondary_key, b->secondary_key);
}

err core_key_groups_keep(const struct env *env, struct store_tx *tx, const struct enrollment *was,
                         const struct enrollment *now)
{
    struct instance instance = { .id_scope = (now != NULL ? now : was)->id_scope };
    bool is_found;

    if (!is_key_group(was) && !is_key_group(now)) {
        return OK;
    }
    if (is_key_group(was) && is_key_group(now) && has_same_keys(was, now)) {
        return OK;
    }
    TRY(store_find(tx, &KIND_INSTANCE, &instance, env->arena, &instance, &is_found));
    if (!is_found) {
        return OK; /* nobody searches there */
    }
    instance.key_groups_version++;
    return store_put(tx, &KIND_INSTANCE, &instance);
}

static struct span without_zeros(struct span key)
{
    while (key.len > 0 && key.data[key.len - 1] == 0) {
        key.len--;
    }
    return key;
}

static bool has_key(const struct enrollment *e, struct span key)
{
    bool is_primary = crypto_equal(without_zeros(e->primary_key), key);
    bool is_secondary = crypto_equal(without_zeros(e->secondary_key), key);

    return is_primary || is_secondary;
}

err core_key_groups_other(const struct env *env, struct store_tx *tx, struct span id_scope,
                          struct span key, struct span group, struct span *ret_other)
{
    size_t mark = env->arena->used;
    uint8_t id[LIMIT_ENROLLMENT_GROUP_ID];
    struct span after = SPAN_NONE;
    struct enrollment *rows;
    size_t n;

    key = without_zeros(key);
    do {
        env->arena->used = mark;
        TRY(core_key_groups_page(env, tx, id_scope, after, &rows, &n));
        for (size_t i = 0; i < n; i++) {
            if (has_key(&rows[i], key) && !span_eq(rows[i].key, group)) {
                *ret_other = rows[i].id;
                return OK;
            }
        }
        if (n > 0) {
            assert(rows[n - 1].key.len <= sizeof id);
            memcpy(id, rows[n - 1].key.data, rows[n - 1].key.len);
            after = span_of(id, rows[n - 1].key.len);
        }
    } while (n == LIMIT_QUERY_BATCH);
    env->arena->used = mark;
    *ret_other = SPAN_NONE;
    return OK;
}
