/* store/link.c: the version of an instance's links. What it is for is core/links.c's. */
#include "store/link.h"

err store_links_changed(struct store_tx *tx, struct arena *arena, struct span id_scope)
{
    struct instance instance = { .id_scope = id_scope };
    bool is_found;

    TRY(store_find(tx, &KIND_INSTANCE, &instance, arena, &instance, &is_found));
    if (!is_found) {
        return OK;
    }
    instance.links_version++;
    return store_put(tx, &KIND_INSTANCE, &instance);
}
