/* hub/listing.h: lists for the operator: the devices or the modules of a hub in the order of their
 * client IDs, from any place in it, narrowed by what an index or the bus knows. */
#ifndef HUB_LISTING_H
#define HUB_LISTING_H

#include "hub/bus.h"
#include "model/env.h"
#include "store/store.h"

/* What is wanted. The members from `ids` on narrow the walk as far as one index can: no row that
 * satisfies all of them is left out, but others may come along. */
struct hub_listing {
    struct span hub; /* host name, folded */
    bool is_modules;
    const struct span *ids; /* client IDs, sorted, none twice; NULL: any */
    size_t n_ids;
    struct span id_least, id_most; /* client IDs, inclusive; absent: no such end */
    struct span tag_path;          /* as hub/tags.h writes it, with … */
    const struct span *tag_values; /* … a value of these; absent: any tags */
    size_t n_tag_values;
    bool is_connected; /* those that are, as far as the bus knows */
    bool has_status;   /* devices only */
    enum device_status status;
};

/* Hands rows to fn in the order of their client IDs, from behind `after` (absent: from the start),
 * on one snapshot. The row lasts until fn returns, which may read other kinds by `tx` and clears
 * *more to end the walk; secrets are absent. */
typedef err (*hub_listing_fn)(struct store_tx *tx, const struct device *row, void *arg, bool *more);
err hub_listing_walk(const struct env *env, struct bus *bus, const struct hub_listing *listing,
                     struct span after, hub_listing_fn fn, void *arg);
/* Does hub_listing_count know it: is nothing asked for, or a status alone? */
bool hub_listing_is_countable(const struct hub_listing *listing);
/* How many rows, from an index alone. Only if hub_listing_is_countable. */
err hub_listing_count(const struct env *env, const struct hub_listing *listing, int64_t *ret_n);

#endif
