/* hub/bus_inside.h: what bus.c and bus_call.c share; for no one else. All but the lock itself and
 * the hash want it held. */
#ifndef HUB_BUS_INSIDE_H
#define HUB_BUS_INSIDE_H

#include <pthread.h>

#include "hub/bus.h"
#include "hub/bus_call.h"

enum { BUS_BUCKETS = 1 << 16, BUS_CALL_BUCKETS = 1 << 12, BUS_ORDERS = 64, BUS_CALL_LANES = 256 };

struct bus {
    pthread_mutex_t lock;
    pthread_mutex_t orders[BUS_ORDERS]; /* one for the devices of many buckets */
    uint64_t seed; /* strangers choose device IDs, so the table's order is not theirs to know */
    size_t sessions;
    bus_saw_fn saw;
    void *saw_arg;
    uint64_t n_seen;
    uint64_t joined;                      /* ever */
    size_t n_calls, call_bytes, n_queued; /* calls; of those BUS_CALL_QUEUED */
    struct {
        size_t n, bytes;
    } call_lanes[BUS_CALL_LANES];             /* of those calls, by hub */
    struct bus_member *listeners;             /* ring of those without a device */
    struct bus_member *buckets[BUS_BUCKETS];  /* rings of the others, by hub and device */
    struct bus_call *calls[BUS_CALL_BUCKETS]; /* rings of calls, by whom they are for */
};

void bus_inside_lock(struct bus *b);
void bus_inside_unlock(struct bus *b);
uint64_t bus_inside_hash(const struct bus *b, struct span hub, struct span client_id);
/* Or NULL. */
struct bus_member *bus_inside_session(struct bus *b, struct span hub, struct span client_id);
/* Into the member's box, which owns it from here on; the member is told. */
void bus_inside_put(struct bus_member *m, struct bus_letter *letter);

/* Is `its_id` that very client ID, or of a module of that device? */
bool bus_inside_is_below(struct span its_hub, struct span its_id, struct span hub,
                         struct span client_id);

/* Calls to it, and of a device to its modules, become BUS_CALL_GONE. */
void bus_call_inside_forget(struct bus *b, struct span hub, struct span client_id);
/* Letters of calls that lie unread in the member's box are their calls' again. */
void bus_call_inside_give_back(struct bus *b, struct bus_member *m);
/* Puts letters of waiting calls into the session's box while there is room: of those that wait for
 * room, or (is_new) of those too that waited for a session. Nothing when m is no session. */
void bus_call_inside_post(struct bus *b, struct bus_member *m, bool is_new);
/* The letter leaves the box for the device. False: nobody waits for it any more. */
bool bus_call_inside_take(struct bus *b, struct bus_member *m, const struct bus_letter *letter);

#endif
