/* core/candidates.c: an enrollment's list of hubs as places among the links. Reading a list of
 * 1,000 names is what a registration with 1,000 hubs would cost most by: so a long one is read once
 * per version. */
#include "core/candidates.h"

#include "json/json.h"

enum { SHORT_LIST = 512 }; /* bytes: read each time */

struct building {
    bool is_in[LIMIT_LINKED_HUBS];
    size_t n_named;
};

/* iotHubs was checked when the enrollment was stored; what is no text is passed over. */
static err read_names(const struct env *env, const struct core_links *links, struct span iot_hubs,
                      struct building *b)
{
    AUTO(json) json *names = NULL;
    size_t mark = env->arena->used;

    TRY(json_parse(iot_hubs, LIMIT_JSON_DEPTH, &names));
    for (size_t i = 0; i < json_array_len(names); i++) {
        struct span name = json_text(json_array_at(names, i));
        const struct core_link *link;

        if (span_is_absent(name)) {
            continue;
        }
        b->n_named++;
        TRY(model_fold(env->arena, name, &name));
        link = core_links_find(links, name);
        if (link != NULL) {
            b->is_in[link - links->rows] = true;
        }
        env->arena->used = mark;
    }
    return OK;
}

static size_t collect(const struct core_links *links, const struct building *b, uint16_t *ret_at)
{
    size_t n = 0;

    for (size_t i = 0; i < links->n; i++) {
        if (b->n_named > 0 ? b->is_in[i] : links->rows[i].applies_policy) {
            ret_at[n++] = (uint16_t)i;
        }
    }
    return n;
}

static err build(const struct env *env, const struct core_links *links, struct span iot_hubs,
                 struct core_candidates *ret)
{
    struct building b = { .n_named = 0 };
    uint16_t *at = ARENA_ARRAY(env->arena, links->n + 1, uint16_t);

    if (at == NULL) {
        return ERR(NOMEM);
    }
    if (!span_is_absent(iot_hubs)) {
        TRY(read_names(env, links, iot_hubs, &b));
    }
    *ret = (struct core_candidates){
        .links = links, .at = at, .is_named = b.n_named > 0, .n_named = b.n_named
    };
    ret->n = collect(links, &b, at);
    return OK;
}

static bool is_of(const struct core_candidate_set *set, const struct instance *instance,
                  const struct enrollment *e)
{
    return set->id_scope_len > 0 &&
           span_eq(span_of(set->id_scope, set->id_scope_len), instance->id_scope) &&
           set->version == instance->links_version && set->created_ms == instance->created_ms &&
           span_eq(span_of(set->etag, set->etag_len), e->etag);
}

static void keep(struct core_candidate_set *set, const struct instance *instance,
                 const struct enrollment *e, const struct core_candidates *c)
{
    memcpy(set->id_scope, instance->id_scope.data, instance->id_scope.len);
    set->id_scope_len = instance->id_scope.len;
    set->version = instance->links_version;
    set->created_ms = instance->created_ms;
    memcpy(set->etag, e->etag.data, e->etag.len);
    set->etag_len = e->etag.len;
    memcpy(set->at, c->at, c->n * sizeof *c->at);
    set->n = c->n;
    set->n_named = c->n_named;
}

err core_candidates_get(const struct env *env, const struct instance *instance,
                        const struct core_links *links, const struct enrollment *e,
                        struct core_candidates *ret_candidates)
{
    struct core_candidate_set *set = NULL;

    if (env->links != NULL && e->iot_hubs.len > SHORT_LIST && e->etag.len > 0 &&
        e->etag.len <= LIMIT_ETAG && instance->id_scope.len <= LIMIT_ID_SCOPE) {
        set = core_links_cache_set(env->links, e->etag);
    }
    if (set != NULL && is_of(set, instance, e)) {
        *ret_candidates = (struct core_candidates){ .links = links,
                                                    .at = set->at,
                                                    .n = set->n,
                                                    .is_named = set->n_named > 0,
                                                    .n_named = set->n_named };
        return OK;
    }
    TRY(build(env, links, e->iot_hubs, ret_candidates));
    if (set != NULL) {
        keep(set, instance, e, ret_candidates);
    }
    return OK;
}
