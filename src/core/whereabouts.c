/* core/whereabouts.c: whose hub is it, and where? A link says so, and a hub's row who made it. */
#include "core/whereabouts.h"

#include "store/store.h"

err core_whereabouts_find(const struct env *env, struct store_tx *tx, struct span id_scope,
                          struct span hub, struct core_whereabouts *ret_whereabouts)
{
    struct core_whereabouts w = { .link = { .id_scope = id_scope, .host_name = hub } };
    struct hub row = { .host_name = hub };
    bool has_hub;

    if (span_is_absent(hub)) {
        *ret_whereabouts = (struct core_whereabouts){ .place = CORE_WHEREABOUTS_NONE };
        return OK;
    }
    TRY(store_find(tx, &KIND_LINKED_HUB, &w.link, env->arena, &w.link, &w.is_linked));
    if (w.is_linked) {
        w.place = w.link.is_remote ? CORE_WHEREABOUTS_ELSEWHERE : CORE_WHEREABOUTS_HERE;
    } else {
        TRY(store_find(tx, &KIND_HUB, &row, env->arena, &row, &has_hub));
        w.place = has_hub && span_eq(row.id_scope, id_scope) ? CORE_WHEREABOUTS_HERE
                                                             : CORE_WHEREABOUTS_NONE;
    }
    *ret_whereabouts = w;
    return OK;
}
