/* core/registration.c: the table of a registration's moves, what holds in each status, and the
 * operator's view of the records. Who may make a move is decided in core/register.c. */
#include "core/registration.h"

#include <assert.h>

#include "core/assign.h"
#include "core/match.h"
#include "model/limits.h"
#include "store/store.h"

#define TO(status) (1U << REGISTRATION_##status)
#define TO_ANY     (TO(ASSIGNING) | TO(ASSIGNED) | TO(FAILED) | TO(DISABLED) | TO(UNASSIGNED))

/* A register leads anywhere from anywhere; an errand only from ASSIGNING. */
static const unsigned may_become[] = {
    [REGISTRATION_UNASSIGNED] = TO_ANY, [REGISTRATION_ASSIGNING] = TO_ANY,
    [REGISTRATION_ASSIGNED] = TO_ANY,   [REGISTRATION_FAILED] = TO_ANY,
    [REGISTRATION_DISABLED] = TO_ANY,
};
static const unsigned errand_may_make_it = TO(ASSIGNED) | TO(FAILED) | TO(DISABLED);

static void check_invariant(const struct registration *r)
{
    bool is_assigned = r->status == REGISTRATION_ASSIGNED;
    bool is_failed = r->status == REGISTRATION_FAILED;

    assert(!span_is_empty(r->id_scope) && !span_is_empty(r->key) && !span_is_empty(r->id));
    assert(span_is_empty(r->assigned_hub) == !is_assigned);
    assert(span_is_empty(r->device_id) == !is_assigned);
    assert((r->substatus != SUBSTATUS_NONE) == is_assigned);
    assert((r->error_code != 0) == is_failed);
    assert(span_is_empty(r->error_message) == !is_failed);
    assert(!span_is_empty(r->operation_id) && r->operation_id.len <= LIMIT_OPERATION_ID);
    assert(!span_is_empty(r->etag) && r->etag.len <= LIMIT_ETAG);
    assert(!span_is_empty(r->enrollment) && r->attestation != ATTESTATION_NONE);
    assert(span_is_empty(r->placed_hub) == span_is_empty(r->placed_device_id));
    assert(!is_assigned ||
           (span_eq(r->placed_hub, r->assigned_hub) && span_eq(r->placed_device_id, r->device_id)));
    assert(span_is_empty(r->placed_hub) || !span_is_empty(r->initial_hub));
    assert(r->status != REGISTRATION_ASSIGNING || span_is_empty(r->payload));
}

void core_registration_move(const struct registration *was, const struct registration *is)
{
    assert((size_t)was->status < sizeof may_become / sizeof *may_become);
    assert((may_become[was->status] >> is->status & 1U) != 0);
    check_invariant(is);
}

void core_registration_end_wait(const struct registration *was, const struct registration *is)
{
    assert(was->status == REGISTRATION_ASSIGNING);
    assert((errand_may_make_it >> is->status & 1U) != 0);
    assert(span_eq(was->operation_id, is->operation_id));
    check_invariant(is);
}

/* ---- for the operator ---- */

struct registration_work {
    const struct env *env;
    struct registration registration;
    bool is_found;
    const struct core_match *match;
    struct verdict verdict;
};

static err read_one(struct store_tx *tx, void *arg)
{
    struct registration_work *w = arg;

    return store_find(tx, &KIND_REGISTRATION, &w->registration, w->env->arena, &w->registration,
                      &w->is_found);
}

err core_registration_get(const struct env *env, struct span id_scope, struct span id,
                          struct registration *ret_registration, struct verdict *ret_verdict)
{
    struct registration_work w = { .env = env, .registration.id_scope = id_scope };

    TRY(model_fold(env->arena, id, &w.registration.key));
    TRY(store_read(env->store, read_one, &w));
    if (w.is_found) {
        *ret_registration = w.registration;
    }
    *ret_verdict = w.is_found ? VERDICT(GRANTED) : VERDICT(RESOURCE_NOT_FOUND);
    return OK;
}

static err delete_one(struct store_tx *tx, void *arg)
{
    struct registration_work *w = arg;

    TRY(read_one(tx, w));
    w->verdict.reason = core_match_change(w->match, w->is_found, w->registration.etag);
    if (!verdict_is_granted(w->verdict)) {
        return OK;
    }
    TRY(core_assign_abandon(w->env, tx, &w->registration));
    return store_delete(tx, &KIND_REGISTRATION, &w->registration);
}

err core_registration_delete(const struct env *env, struct span id_scope, struct span id,
                             const struct core_match *match, struct verdict *ret_verdict)
{
    struct registration_work w = { .env = env, .match = match, .registration.id_scope = id_scope };

    TRY(model_fold(env->arena, id, &w.registration.key));
    TRY(store_write(env->store, delete_one, &w));
    *ret_verdict = w.verdict;
    return OK;
}
