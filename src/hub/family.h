/* hub/family.h: a device, its modules, and the rows of other kinds that are theirs: what comes and
 * goes with an identity. All in a transaction of the caller's; nothing stays in the arena. Inside
 * hub/ only. */
#ifndef HUB_FAMILY_H
#define HUB_FAMILY_H

#include "model/env.h"
#include "store/store.h"

/* Takes away a device with its modules, or a module, as it was read: identity, twin, waiting
 * messages, what it subscribed to, when it was heard of. What became of messages before (feedback)
 * stays for their sender. */
err hub_family_erase(const struct env *env, struct store_tx *tx, const struct device *d);

err hub_family_count_modules(const struct env *env, struct store_tx *tx, const struct device *d,
                             size_t *ret_n);

/* Makes the modules that each edge device has ($edgeAgent, $edgeHub), or takes them away; those
 * that are there already stay. To be called when d->iot_edge changed. */
enum { HUB_FAMILY_EDGE_MODULES = 2 };
err hub_family_set_edge(const struct env *env, struct store_tx *tx, const struct device *d);

/* The next rows behind `after` (a client ID; absent: the first) of the device's modules, at most
 * `limit`, in the arena. */
struct hub_family_page {
    struct span hub, device_id;
    struct span after;
    size_t limit;
    bool without_secrets;
};
err hub_family_scan(struct store_tx *tx, const struct hub_family_page *page, struct arena *arena,
                    struct device **ret_rows, size_t *ret_n);

#endif
