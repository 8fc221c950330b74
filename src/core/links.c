/* core/links.c: links as allocation wants them, in a ring of bytes: each scope's have one piece of
 * it, and what a new piece lies over is forgotten. Knows when a piece is out of date; what a change
 * owes it is store/link.h's. */
#include "core/links.h"

#include <assert.h>
#include <stdalign.h>

#include "core/allocate.h"
#include "store/store.h"

enum { WEIGHT_MAX = 1000, PIECE_ALIGN = 16, NAMES_LEN = LIMIT_HOST_NAME + LIMIT_LOCATION };

struct piece {
    uint8_t id_scope[LIMIT_ID_SCOPE];
    size_t id_scope_len; /* 0: unused */
    int64_t version, created_ms;
    size_t begin, end; /* bytes of the ring */
    size_t n;
};

struct core_links_cache {
    size_t capacity;
    size_t next;   /* where the next piece begins, if it fits behind */
    unsigned turn; /* which of `pieces` is given up next when all are used */
    struct piece pieces[LIMIT_LINK_SCOPES];
    struct core_candidate_set sets[LIMIT_CANDIDATE_SETS];
    alignas(PIECE_ALIGN) uint8_t ring[];
};

size_t core_links_cache_size(size_t capacity)
{
    return sizeof(struct core_links_cache) + capacity;
}

struct core_links_cache *core_links_cache_init(void *memory, size_t capacity)
{
    struct core_links_cache *cache = memory;

    assert(capacity % PIECE_ALIGN == 0);
    cache->capacity = capacity;
    return cache;
}

struct core_candidate_set *core_links_cache_set(struct core_links_cache *cache, struct span etag)
{
    return &cache->sets[span_hash(etag) % LIMIT_CANDIDATE_SETS];
}

/* ---- links ---- */

static uint16_t weight_of(const struct linked_hub *link)
{
    return (uint16_t)(link->weight < 1 ? 1 : link->weight > WEIGHT_MAX ? WEIGHT_MAX : link->weight);
}

struct core_link core_link_of(const struct linked_hub *link)
{
    struct core_link l = {
        .hash = core_allocate_hash(link->host_name),
        .host_name = link->host_name,
        .location = link->location,
        .weight = weight_of(link),
        .applies_policy = link->apply_allocation_policy != 0,
        .is_draining = link->is_draining != 0,
        .is_remote = link->is_remote != 0,
        .has_coordinates = link->has_coordinates != 0 &&
                           geo_point_is_valid(link->latitude_udeg, link->longitude_udeg),
    };

    if (l.has_coordinates) {
        l.point = (struct geo_point){ (int32_t)link->latitude_udeg, (int32_t)link->longitude_udeg };
        l.at = geo_vector_of(l.point);
    }
    return l;
}

/* ---- reading ---- */

struct gathering {
    struct core_link *rows;
    size_t n, room;
    struct buf names;
};

/* A copy behind the others, which *names has room for. */
static struct span add_name(struct buf *names, struct span name)
{
    struct span copy = span_of(names->data + names->len, name.len);

    buf_add(names, name);
    return span_is_absent(name) ? SPAN_NONE : copy;
}

static err gather(const void *row, void *arg, bool *more)
{
    struct gathering *g = arg;
    const struct linked_hub *link = row;
    struct core_link *l = &g->rows[g->n];

    *l = core_link_of(link);
    l->host_name = add_name(&g->names, link->host_name);
    l->location = add_name(&g->names, link->location);
    g->n++;
    *more = g->n < g->room;
    return OK;
}

/* Into the arena; a row itself may be large, as it has certificates. */
static err read_all(const struct env *env, struct store_tx *tx, struct span id_scope,
                    struct gathering *ret)
{
    struct linked_hub prefix = { .id_scope = id_scope };
    struct store_scan scan = { .prefix = &prefix, .n_prefix = 1, .without_secrets = true };
    int64_t count;
    size_t room;
    uint8_t *names;

    TRY(store_count(tx, &KIND_LINKED_HUB, &scan, &count));
    room = count < LIMIT_LINKED_HUBS ? (size_t)count : LIMIT_LINKED_HUBS;
    *ret = (struct gathering){ .room = room };
    if (room == 0) {
        return OK;
    }
    ret->rows = ARENA_ARRAY(env->arena, room, struct core_link);
    names = arena_array(env->arena, room, NAMES_LEN);
    if (ret->rows == NULL || names == NULL) {
        return ERR(NOMEM);
    }
    ret->names = buf_over(names, room * NAMES_LEN);
    TRY(store_walk(tx, &KIND_LINKED_HUB, &scan, env->arena, gather, ret));
    return ret->names.failed ? ERR(CORRUPT) : OK;
}

/* ---- the ring ---- */

static void forget(struct piece *p)
{
    p->id_scope_len = 0;
}

static struct piece *find_piece(struct core_links_cache *cache, struct span id_scope)
{
    for (size_t i = 0; i < LIMIT_LINK_SCOPES; i++) {
        struct piece *p = &cache->pieces[i];

        if (p->id_scope_len > 0 && span_eq(id_scope, span_of(p->id_scope, p->id_scope_len))) {
            return p;
        }
    }
    return NULL;
}

/* Room for `size` bytes; what lies there is forgotten. */
static struct piece *take_room(struct core_links_cache *cache, size_t size)
{
    size_t begin = cache->next + size <= cache->capacity ? cache->next : 0;
    struct piece *free = NULL;

    for (size_t i = 0; i < LIMIT_LINK_SCOPES; i++) {
        struct piece *p = &cache->pieces[i];

        if (p->id_scope_len > 0 && p->begin < begin + size && begin < p->end) {
            forget(p);
        }
        free = p->id_scope_len == 0 ? p : free;
    }
    if (free == NULL) {
        free = &cache->pieces[cache->turn++ % LIMIT_LINK_SCOPES];
    }
    *free = (struct piece){ .begin = begin, .end = begin + size };
    cache->next = begin + size;
    return free;
}

static struct core_links links_of(const struct core_links_cache *cache, const struct piece *p)
{
    return (struct core_links){ (const struct core_link *)(const void *)(cache->ring + p->begin),
                                p->n };
}

static size_t size_of(const struct gathering *g)
{
    size_t size = g->n * sizeof(struct core_link) + g->names.len;

    return (size + PIECE_ALIGN - 1) / PIECE_ALIGN * PIECE_ALIGN;
}

/* In the scope's former piece if they fit, so that who changes links often costs nobody else. */
static struct core_links keep(struct core_links_cache *cache, const struct instance *instance,
                              struct piece *former, const struct gathering *g)
{
    size_t rows_size = g->n * sizeof(struct core_link);
    bool fits = former != NULL && size_of(g) <= former->end - former->begin;
    struct piece *p = fits ? former : take_room(cache, size_of(g));
    struct core_link *rows = (struct core_link *)(void *)(cache->ring + p->begin);
    struct buf names = buf_over(cache->ring + p->begin + rows_size, g->names.len);

    assert(instance->id_scope.len > 0 && instance->id_scope.len <= sizeof p->id_scope);
    memcpy(p->id_scope, instance->id_scope.data, instance->id_scope.len);
    p->id_scope_len = instance->id_scope.len;
    p->version = instance->links_version;
    p->created_ms = instance->created_ms;
    p->n = g->n;
    for (size_t i = 0; i < g->n; i++) {
        rows[i] = g->rows[i];
        rows[i].host_name = add_name(&names, rows[i].host_name);
        rows[i].location = add_name(&names, rows[i].location);
    }
    return links_of(cache, p);
}

err core_links_get(const struct env *env, struct store_tx *tx, const struct instance *instance,
                   struct core_links *ret_links)
{
    struct core_links_cache *cache = env->links;
    struct piece *p = cache != NULL ? find_piece(cache, instance->id_scope) : NULL;
    size_t mark = env->arena->used;
    struct gathering g;

    if (p != NULL && p->version == instance->links_version &&
        p->created_ms == instance->created_ms) {
        *ret_links = links_of(cache, p);
        return OK;
    }
    if (p != NULL) {
        forget(p);
    }
    TRY(read_all(env, tx, instance->id_scope, &g));
    if (cache == NULL || size_of(&g) > cache->capacity) {
        *ret_links = (struct core_links){ g.rows, g.n };
        return OK;
    }
    *ret_links = keep(cache, instance, p, &g);
    env->arena->used = mark;
    return OK;
}
