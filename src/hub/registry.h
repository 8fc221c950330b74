/* hub/registry.h: identities of devices and modules as the back end reads and changes them
 * (reference iothub-service-api.md 3, 4). A client ID says which of the two it is about. */
#ifndef HUB_REGISTRY_H
#define HUB_REGISTRY_H

#include "hub/identity.h"
#include "hub/twin.h"

enum registry_mode {
    REGISTRY_CREATE,
    REGISTRY_UPDATE,
    REGISTRY_CREATE_OR_UPDATE,
    REGISTRY_DELETE,
    REGISTRY_UPDATE_TWIN, /* the identity stays as it is */
};

/* One change, first what is asked for, then what became of it. The memory is the caller's. */
struct registry_change {
    enum registry_mode mode;
    /* hub and device_id, which is a client ID that follows the rules of names; to create and update
     * also status, status_reason, auth, keys, thumbprints, iot_edge, managed_by, device_scope
     * (empty: it is to be none; absent: nothing is said) and parent_scopes: all are replaced. */
    struct device given;
    int64_t if_etag; /* of what is there; negative: whatever it is */
    /* Of one that is made: its first sections. Otherwise merged into what there is. if_etag counts
     * for REGISTRY_UPDATE_TWIN alone. */
    struct hub_twin_change twin;

    struct verdict verdict; /* GRANTED before: it is to be done; anything else: passed over */
    struct device device;   /* as it is now, or was when it was deleted: of a single change only */
    bool is_made;           /* by REGISTRY_CREATE_OR_UPDATE, too */
    bool is_cut_off;        /* hub/'s */
};

/* Looks at what is asked for, and makes the keys that are not given. FIELD_INVALID in the verdict.
 * Before hub_registry_run, outside of any transaction; what it makes is in the arena. */
err hub_registry_prepare(const struct env *env, struct registry_change *change);

/* Does them in their order, in as few transactions as can be: one that was refused leaves nothing
 * behind, the others are done all the same. Sessions whose identity is gone, disabled or has
 * another credential are cut off (of a device its modules', too) and changes of desired properties
 * told before it returns. A fault may leave some of them done. HUB_UNKNOWN, DEVICE_EXISTS,
 * MODULE_EXISTS, DEVICE_NOT_FOUND, MODULE_NOT_FOUND, ETAG_MISMATCH, TOO_MANY_MODULES, FIELD_INVALID
 * (a scope that is no edge device's; a twin that grew too large; modules that start with '$' are
 * the hub's). */
err hub_registry_run(const struct env *env, struct bus *bus, struct registry_change *changes,
                     size_t n);

/* The next identities behind `after` (a client ID; absent: the first), at most `limit`. */
struct registry_page {
    struct span hub;
    struct span device_id; /* its modules; absent: the hub's devices */
    struct span after;
    size_t limit;
};
struct registry_row {
    struct device device;
    struct hub_standing standing;
};
/* DEVICE_NOT_FOUND. */
err hub_registry_list(const struct env *env, struct bus *bus, const struct registry_page *page,
                      struct registry_row **ret_rows, size_t *ret_n, struct verdict *ret_verdict);
err hub_registry_get(const struct env *env, struct bus *bus, struct span hub, struct span client_id,
                     struct registry_row *ret_row, struct verdict *ret_verdict);

struct registry_count {
    int64_t devices, disabled;
};
err hub_registry_count(const struct env *env, struct span hub, struct registry_count *ret_count);

#endif
