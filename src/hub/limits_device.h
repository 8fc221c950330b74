/* hub/limits_device.h: the buckets of devices and modules: a table of fixed size, whatever their
 * number, in which full buckets make room. One that is not there is full. Inside hub/ only. */
#ifndef HUB_LIMITS_DEVICE_H
#define HUB_LIMITS_DEVICE_H

#include <pthread.h>

#include "hub/throttle.h"
#include "util/err.h"

struct limits_device; /* the table */
struct limits_device_place {
    pthread_mutex_t *lock;
};

/* Whose: with another epoch of the hub's limits they are others. */
struct limits_device_key {
    struct span host, client_id;
    unsigned epoch;
};

/* ERR_NOMEM. */
err hub_limits_device_new(struct limits_device **ret_table);
void hub_limits_device_free(struct limits_device *t);

/* The bucket of one of the operations of a device, the caller's until it unlocks: soon. When all
 * places where it may be are taken, the fullest of their buckets counts as full from then on. */
struct throttle_bucket *hub_limits_device_lock(struct limits_device *t,
                                               const struct limits_device_key *whose,
                                               enum throttle_operation op,
                                               struct limits_device_place *ret_place);
void hub_limits_device_unlock(struct limits_device_place *place);

#endif
