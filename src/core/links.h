/* core/links.h: the linked hubs of an instance, made ready for allocation, of the scopes that a
 * thread saw of late. Inside core/, but for new and free.
 *
 * The cache holds no truth: it is valid for the links_version of the instance row that is read with
 * each request anyway, in the same snapshot (store/link.h counts it). Each link is as it is at that
 * version, so a weight, a drain or a new hub counts from the next registration on. */
#ifndef CORE_LINKS_H
#define CORE_LINKS_H

#include "geo/sphere.h"
#include "model/env.h"
#include "model/limits.h"
#include "model/records.h"

struct store_tx;

struct core_link {
    uint64_t hash;         /* of host_name: core_allocate_hash */
    struct span host_name; /* folded */
    struct span location;  /* the operator's word, for rules; or absent */
    struct geo_vector at;  /* if has_coordinates */
    struct geo_point point;
    uint16_t weight; /* 1 to 1000 */
    bool applies_policy, is_draining, is_remote, has_coordinates;
};

/* By host name; at most LIMIT_LINKED_HUBS. */
struct core_links {
    const struct core_link *rows;
    size_t n;
};

/* From a row. Its texts are borrowed. */
struct core_link core_link_of(const struct linked_hub *link);
/* NULL: it is not linked. host_name folded. */
const struct core_link *core_links_find(const struct core_links *links, struct span host_name);

struct core_links_cache;

/* For one thread, in the caller's zeroed memory of core_links_cache_size bytes. `capacity`: bytes
 * of links, a multiple of 16; what does not fit into it is read each time. Nothing is to be freed
 * within. */
size_t core_links_cache_size(size_t capacity);
struct core_links_cache *core_links_cache_init(void *memory, size_t capacity);

/* Reads them unless they are there and of the instance's version. For a function of store_read, on
 * the thread of env->links (NULL: they are read into the arena); never in a write transaction,
 * whose rows may be undone. Borrowed until the next call on the thread, so what outlives the
 * decision is copied. ERR_NOMEM, and the store's. */
err core_links_get(const struct env *env, struct store_tx *tx, const struct instance *instance,
                   struct core_links *ret_links);

/* ---- for core/candidates.c: which of them a long list of an enrollment names ---- */

struct core_candidate_set {
    uint8_t id_scope[LIMIT_ID_SCOPE];
    size_t id_scope_len;         /* 0: unused */
    int64_t version, created_ms; /* the instance's, as above */
    uint8_t etag[LIMIT_ETAG];    /* the enrollment's */
    size_t etag_len;
    uint16_t at[LIMIT_LINKED_HUBS];
    size_t n, n_named;
};
/* The set of this ETag, or the one whose place it will have. */
struct core_candidate_set *core_links_cache_set(struct core_links_cache *cache, struct span etag);

#endif
