/* hub/limits_hub.h: a hub that is known, between the table that keeps it (limits.c) and what its
 * operations take from it (limits_use.c). Inside hub/ only. */
#ifndef HUB_LIMITS_HUB_H
#define HUB_LIMITS_HUB_H

#include <stdatomic.h>

#include "hub/limits.h"
#include "hub/settings.h"

struct limits_device;

struct pace {
    _Atomic int64_t interval_ns, depth_ns;
};

struct hub_limits_hub {
    struct limits_device *devices; /* of all hubs */
    struct hub_limits_hub *next;   /* of the slot */
    atomic_uint n_held;
    atomic_uint epoch; /* one more with each change of a limit: the buckets are others then */
    atomic_bool is_limited;
    struct pace paces[THROTTLE_OPERATIONS], device_paces[THROTTLE_OPERATIONS];
    struct throttle_bucket buckets[THROTTLE_OPERATIONS];
    _Atomic int64_t quota, meter; /* 0: no quota */
    _Atomic int64_t day, used;    /* of it */
    _Atomic int64_t flushed;      /* of `used`, as the store has it */
    _Atomic uint64_t refused[THROTTLE_OPERATIONS], delayed[THROTTLE_OPERATIONS];
    _Atomic uint64_t quota_refused, quota_delayed;
    /* Under the table's lock, limits.c's alone. */
    int64_t created_ms; /* of its row: another hub may take its name */
    struct hub_settings settings;
    size_t text_len;
    uint8_t *text; /* of hub.settings, as taken up */
    /* Never changed. */
    size_t host_len;
    uint8_t host[];
};

#endif
