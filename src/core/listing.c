/* core/listing.c: which order of the store serves a listing, and where in it to begin and to end.
 * There are no statistics: what usually leaves fewer rows goes first. What a query says is api/'s.
 */
#include "core/listing.h"

#include <assert.h>

#include "store/store.h"

union record {
    struct enrollment enrollment;
    struct registration registration;
};

/* The order of the store that was chosen, and the records that mark prefix and beginning. */
struct choice {
    const struct kind *kind;
    struct store_scan scan;
    union record prefix, start;
    bool by_updated;
};

struct listing_work {
    const struct env *env;
    const struct core_listing *listing;
    struct choice choice;
    core_listing_fn fn;
    void *arg;
    int64_t n;
};

static bool has_one_id(const struct core_listing *l)
{
    return !span_is_absent(l->id_least) && !span_is_absent(l->id_most) &&
           span_eq(l->id_least, l->id_most);
}

static bool has_id_range(const struct core_listing *l)
{
    return !span_is_absent(l->id_least) && !span_is_absent(l->id_most);
}

bool core_listing_is_by_updated(const struct core_listing *l)
{
    if (l->of == CORE_LISTING_REGISTRATIONS || has_one_id(l)) {
        return false;
    }
    return l->order == CORE_LISTING_BY_UPDATED ||
           (l->order == CORE_LISTING_ANY && l->has_updated && !has_id_range(l));
}

bool core_listing_is_countable(const struct core_listing *l)
{
    bool has_ends = !span_is_absent(l->id_least) || !span_is_absent(l->id_most);

    return !l->has_updated && (!has_ends || has_one_id(l)) &&
           l->has_status + l->has_attestation + has_one_id(l) <= 1;
}

static void choose_of_registrations(const struct core_listing *l, struct choice *c)
{
    bool is_of_group = !span_is_absent(l->group);

    c->kind = &KIND_REGISTRATION;
    c->scan.index = is_of_group ? REGISTRATION_BY_ENROLLMENT : 0;
    c->scan.n_prefix = (is_of_group ? 3 : 1) + has_one_id(l);
    c->prefix.registration = (struct registration){ .id_scope = l->id_scope,
                                                    .enrollment_kind = ENROLLMENT_GROUP,
                                                    .enrollment = l->group,
                                                    .key = l->id_least };
}

static void choose_of_enrollments(const struct core_listing *l, struct choice *c)
{
    c->kind = &KIND_ENROLLMENT;
    c->by_updated = core_listing_is_by_updated(l);
    c->scan.n_prefix = 2;
    if (has_one_id(l)) {
        c->scan.n_prefix = 3;
    } else if (c->by_updated) {
        c->scan.index = ENROLLMENT_BY_UPDATED;
    } else if (l->has_status) {
        c->scan.index = ENROLLMENT_BY_STATUS;
        c->scan.n_prefix = 3;
    } else if (l->has_attestation) {
        c->scan.index = ENROLLMENT_BY_ATTESTATION;
        c->scan.n_prefix = 3;
    }
    c->prefix.enrollment = (struct enrollment){
        .id_scope = l->id_scope,
        .kind = l->of == CORE_LISTING_GROUPS ? ENROLLMENT_GROUP : ENROLLMENT_INDIVIDUAL,
        .key = l->id_least,
        .provisioning_status = l->status,
        .attestation = l->attestation,
    };
}

/* Behind `after`, or at the nearer end of the range. */
static void choose_start(const struct core_listing *l, const struct core_place *after,
                         struct choice *c)
{
    struct core_place place = { .key = l->descending ? l->id_most : l->id_least };
    bool has_end = !span_is_absent(place.key);

    if (c->by_updated) {
        /* No ID is empty, and none has such a byte. */
        place.key = l->descending ? SPAN("\xff") : SPAN("");
        place.updated_ms = l->descending ? l->updated_most : l->updated_least;
        has_end = l->has_updated;
    }
    if (after != NULL) {
        place = *after;
    } else if (!has_end || has_one_id(l)) {
        return;
    }
    c->scan.is_inclusive = after == NULL;
    c->scan.after = &c->start;
    c->start = c->prefix;
    if (c->kind == &KIND_REGISTRATION) {
        c->start.registration.key = place.key;
    } else {
        c->start.enrollment.key = place.key;
        c->start.enrollment.updated_ms = place.updated_ms;
    }
}

static void choose(const struct core_listing *l, const struct core_place *after, struct choice *c)
{
    *c = (struct choice){ 0 };
    if (l->of == CORE_LISTING_REGISTRATIONS) {
        choose_of_registrations(l, c);
    } else {
        choose_of_enrollments(l, c);
    }
    c->scan.prefix = &c->prefix;
    c->scan.descending = l->descending;
    c->scan.without_secrets = true;
    choose_start(l, after, c);
}

static struct core_place place_of(const struct choice *c, const void *row)
{
    if (c->kind == &KIND_REGISTRATION) {
        return (struct core_place){ .key = ((const struct registration *)row)->key };
    }
    return (struct core_place){ .key = ((const struct enrollment *)row)->key,
                                .updated_ms = ((const struct enrollment *)row)->updated_ms };
}

static bool is_beyond(const struct core_listing *l, bool by_updated, struct core_place place)
{
    struct span end = l->descending ? l->id_least : l->id_most;
    int side;

    if (by_updated) {
        return l->has_updated && (l->descending ? place.updated_ms < l->updated_least
                                                : place.updated_ms > l->updated_most);
    }
    if (span_is_absent(end)) {
        return false;
    }
    side = span_compare(place.key, end);
    return l->descending ? side < 0 : side > 0;
}

static err take_row(const void *row, void *arg, bool *more)
{
    struct listing_work *w = arg;
    struct core_place place = place_of(&w->choice, row);

    if (is_beyond(w->listing, w->choice.by_updated, place)) {
        *more = false;
        return OK;
    }
    return w->fn(row, place, w->arg, more);
}

static err walk(struct store_tx *tx, void *arg)
{
    struct listing_work *w = arg;

    return store_walk(tx, w->choice.kind, &w->choice.scan, w->env->arena, take_row, w);
}

err core_listing_walk(const struct env *env, const struct core_listing *listing,
                      const struct core_place *after, core_listing_fn fn, void *arg)
{
    struct listing_work w = { .env = env, .listing = listing, .fn = fn, .arg = arg };

    choose(listing, after, &w.choice);
    return store_read(env->store, walk, &w);
}

static err count(struct store_tx *tx, void *arg)
{
    struct listing_work *w = arg;

    return store_count(tx, w->choice.kind, &w->choice.scan, &w->n);
}

err core_listing_count(const struct env *env, const struct core_listing *listing, int64_t *ret_n)
{
    struct listing_work w = { .env = env, .listing = listing };

    assert(core_listing_is_countable(listing));
    choose(listing, NULL, &w.choice);
    TRY(store_read(env->store, count, &w));
    *ret_n = w.n;
    return OK;
}
