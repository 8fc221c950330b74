/* hub/move.h: a device that changes hubs: what it was where it comes from, what of that comes
 * along, and how the old one goes (doc/adr/0024). In the registration's transaction. Inside hub/
 * only. */
#ifndef HUB_MOVE_H
#define HUB_MOVE_H

#include "model/placement.h"
#include "store/store.h"

/* What a device was where it comes from. */
struct hub_origin {
    bool is_known; /* false: it comes from nowhere, or was not there any more */
    bool is_here;  /* on a hub of this store: `device` is its row there */
    /* As it was: sections with their metadata, versions, status, model, edge. */
    struct device device;
};
/* FIELD_INVALID: what it brings from a hub elsewhere is more than a twin holds, or none. */
err hub_move_read(const struct env *env, struct store_tx *tx, const struct placement *p,
                  struct hub_origin *ret_origin, struct verdict *ret_verdict);

/* Whoever is barred where it comes from stays so. True: d has changed. */
bool hub_move_bar(const struct hub_origin *o, struct device *d);
/* Its twin there becomes that of `d`, which is to be put; so do its edge capability and its model.
 * The index of tags is the caller's. */
void hub_move_twin(const struct hub_origin *o, struct device *d);
/* No version of d's twin is lower than one that the device knew, and none that changes stays. */
void hub_move_versions(const struct hub_origin *o, struct device *d);

/* May its modules come along? TOO_MANY_MODULES: with those that p's device has there already. */
err hub_move_check_modules(const struct env *env, struct store_tx *tx, const struct hub_origin *o,
                           const struct placement *p, struct verdict *ret_verdict);
/* They come along, with their twins and credentials; of those of the same ID at p's device nothing
 * stays. */
err hub_move_modules(const struct env *env, struct store_tx *tx, const struct hub_origin *o,
                     const struct placement *p);

/* The device goes, and all that is its own. Who waits to hear of a message to it, or to a module of
 * it, hears that it was purged. */
err hub_move_leave(const struct env *env, struct store_tx *tx, const struct device *d);

#endif
