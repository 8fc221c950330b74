/* core/allocate.h: which hub a device goes to, by the policies hashed, static and geoLatency, and
 * by custom when there is nobody to ask about (core/custom_plan.h): a pure function of what is
 * handed in. The same on every machine, whatever the order of the links: several berthd may serve
 * one store. What hashed picks is frozen (doc/adr/0025): a change would move devices. */
#ifndef CORE_ALLOCATE_H
#define CORE_ALLOCATE_H

#include "core/candidates.h"
#include "model/reason.h"

struct allocate_query {
    enum allocation_policy policy; /* the enrollment's, or the instance's when that is DEFAULT */
    const struct core_candidates *candidates;
    struct span registration_key;
    struct span current_hub;             /* where its device is now, or absent */
    bool keep_current;                   /* there it stays: reprovision policy "never" */
    const struct geo_point *coordinates; /* the device's; NULL: nobody knows. geoLatency alone */
    /* Does the hub not answer, so that moving there would have to wait? NULL: all do. */
    bool (*is_down)(void *arg, const struct core_link *link);
    void *arg;
};

/* Why it came out as it did, when that is not what the policy says by itself. */
enum allocate_why {
    ALLOCATE_PLAIN = 0,
    ALLOCATE_NEVER_MOVES,   /* stays: keep_current */
    ALLOCATE_ALL_DRAINING,  /* stays, or has no hub: every candidate drains */
    ALLOCATE_HUB_DOWN,      /* stays where it is: the hub picked does not answer */
    ALLOCATE_NONE_LINKED,   /* no hub: there is no candidate */
    ALLOCATE_NOT_ONE_NAMED, /* no hub: static, and the enrollment does not name exactly one */
};

/* geoLatency went by hash. */
enum allocate_fallback {
    ALLOCATE_NO_FALLBACK = 0,
    ALLOCATE_DEVICE_UNKNOWN, /* coordinates is NULL */
    ALLOCATE_HUBS_UNKNOWN,   /* no candidate has coordinates */
};

struct allocation {
    enum reason reason; /* GRANTED, HUB_NOT_FOUND, HUB_DRAINING, CUSTOM_ALLOCATION_FAILED */
    struct span hub;    /* GRANTED: borrowed from the query */
    enum allocate_why why;
    enum allocate_fallback fallback;
    size_t n_draining; /* of the candidates, who are passed over while there is another */
    bool has_distance; /* geoLatency: to the hub picked */
    double distance_km;
};

/* hashed: weighted rendezvous hashing. A hub gets its weight's share; adding one, removing one or
 * changing its weight moves only devices that it wins or loses. static: the one hub the enrollment
 * names. geoLatency: the nearest hub; those at most LIMIT_GEO_TIE_KM farther are as near, and
 * hashed decides between them; hubs without coordinates are passed over while another has some. */
struct allocation core_allocate(const struct allocate_query *q);

/* A host name or a registration key, folded, as what hashed draws from. */
uint64_t core_allocate_hash(struct span text);

/* "hub-down"; NULL for ALLOCATE_PLAIN. */
const char *core_allocate_why_word(enum allocate_why why);

#endif
