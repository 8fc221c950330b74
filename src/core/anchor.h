/* core/anchor.h: the rows that a search climbs by (anchors, ca_references), kept in step with
 * enrollments and uploaded certificates in their transactions. Inside core/ only. */
#ifndef CORE_ANCHOR_H
#define CORE_ANCHOR_H

#include "model/env.h"
#include "model/records.h"
#include "store/store.h"

struct core_anchor_owner {
    struct span id_scope;
    enum anchor_owner type;
    struct span owner;
    int64_t slot;
};

/* Adds the row of a CA certificate. ERR_MALFORMED when it cannot be parsed. */
err core_anchor_add(const struct env *env, struct store_tx *tx,
                    const struct core_anchor_owner *owner, struct span der);
/* Drops it; harmless when there is none. */
err core_anchor_drop(const struct env *env, struct store_tx *tx,
                     const struct core_anchor_owner *owner, struct span der);
/* A group other than `group` whose signing certificate this is; absent: none. */
err core_anchor_other_group(const struct env *env, struct store_tx *tx, struct span id_scope,
                            struct span der, struct span group, struct span *ret_other);

#endif
