/* core/listing.h: lists for the operator: the enrollments or the registrations of an ID scope, in
 * an order that the store keeps, from any place in it at the same cost. */
#ifndef CORE_LISTING_H
#define CORE_LISTING_H

#include "model/env.h"
#include "model/records.h"

enum core_listing_of {
    CORE_LISTING_INDIVIDUALS = 1, /* struct enrollment */
    CORE_LISTING_GROUPS,          /* struct enrollment */
    CORE_LISTING_REGISTRATIONS,   /* struct registration */
};

enum core_listing_order {
    CORE_LISTING_ANY = 0,    /* whichever finds the rows at the least cost */
    CORE_LISTING_BY_ID,      /* folded */
    CORE_LISTING_BY_UPDATED, /* enrollments only; then by ID */
};

/* What is wanted. The members from `has_status` on narrow the walk as far as one order of the store
 * can: no row that satisfies all of them is left out, but others may come along. */
struct core_listing {
    struct span id_scope;
    enum core_listing_of of;
    struct span group; /* registrations: folded ID of their enrollment group; absent: all */
    enum core_listing_order order;
    bool descending;

    bool has_status, has_attestation, has_updated; /* enrollments only */
    enum provisioning_status status;
    enum attestation_type attestation;
    int64_t updated_least, updated_most; /* with has_updated: both inclusive */
    struct span id_least, id_most;       /* folded, inclusive; absent: no such end */
};

/* A row's place in the order of a listing. */
struct core_place {
    int64_t updated_ms; /* counts with core_listing_is_by_updated alone */
    struct span key;
};

/* The order that the listing takes: by time of the last change, else by ID. */
bool core_listing_is_by_updated(const struct core_listing *listing);
/* Does core_listing_count know it: is at most one of status, attestation and one single ID asked
 * for, and nothing else? */
bool core_listing_is_countable(const struct core_listing *listing);

/* Hands rows to fn in their order, from behind `after` (NULL: from the start), on one snapshot. Row
 * and place last until fn returns, which clears *more to end the walk; secrets are absent. */
typedef err (*core_listing_fn)(const void *row, struct core_place place, void *arg, bool *more);
err core_listing_walk(const struct env *env, const struct core_listing *listing,
                      const struct core_place *after, core_listing_fn fn, void *arg);
/* How many rows, from an index alone. Only if core_listing_is_countable. */
err core_listing_count(const struct env *env, const struct core_listing *listing, int64_t *ret_n);

#endif
