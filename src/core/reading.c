/* core/reading.c: the reads of one decision, on one snapshot. Few on purpose: a registration costs
 * an instance, an individual enrollment that is not there, the anchors of one issuer, a group and
 * its registration; the linked hubs are at hand (core/links.h). */
#include "core/reading.h"

#include "core/challenge.h"
#include "core/errand_row.h"
#include "core/instance.h"

struct reading_work {
    const struct env *env;
    const struct claim *claim;
    struct core_reading *reading;
    bool has_scope;
};

/* A key is never absent. */
static err fold_key(const struct env *env, struct span text, struct span *ret_key)
{
    return model_fold(env->arena, span_is_absent(text) ? SPAN("") : text, ret_key);
}

err core_reading_names(const struct env *env, const struct claim *claim,
                       struct core_reading *ret_reading)
{
    *ret_reading = (struct core_reading){ 0 };
    TRY(fold_key(env, claim->id_scope, &ret_reading->id_scope));
    return fold_key(env, claim->registration_id, &ret_reading->registration_key);
}

static err read_registration(struct reading_work *w, struct store_tx *tx)
{
    struct core_reading *r = w->reading;

    r->registration = (struct registration){ .id_scope = r->id_scope, .key = r->registration_key };
    return store_find(tx, &KIND_REGISTRATION, &r->registration, w->env->arena, &r->registration,
                      &r->has_registration);
}

static err read_all(struct store_tx *tx, void *arg)
{
    struct reading_work *w = arg;
    struct core_reading *r = w->reading;

    TRY(core_search(w->env, tx, w->claim, r->id_scope, r->registration_key, &r->found));
    if (verdict_is_granted(r->found.verdict)) {
        TRY(core_links_get(w->env, tx, &r->found.instance, &r->links));
        return read_registration(w, tx);
    }
    return r->found.verdict.reason == REASON_ENROLLMENT_DISABLED ? read_registration(w, tx) : OK;
}

err core_reading_run(const struct env *env, const struct claim *claim,
                     struct core_reading *ret_reading)
{
    struct reading_work w = { .env = env, .claim = claim, .reading = ret_reading };

    TRY(core_reading_names(env, claim, ret_reading));
    TRY(store_read(env->store, read_all, &w));
    if (!verdict_is_granted(ret_reading->found.verdict)) {
        return OK;
    }
    return core_candidates_get(env, &ret_reading->found.instance, &ret_reading->links,
                               &ret_reading->found.enrollment, &ret_reading->candidates);
}

/* The enrollment by whose keys the device registered: it may be judged again at little cost. */
static err read_deciding_enrollment(struct reading_work *w, struct store_tx *tx)
{
    struct core_reading *r = w->reading;
    struct enrollment e = { .id_scope = r->id_scope,
                            .kind = r->registration.enrollment_kind,
                            .key = r->registration.enrollment };

    if (!r->has_registration || r->registration.attestation != ATTESTATION_SYMMETRIC_KEY) {
        return OK;
    }
    TRY(store_find(tx, &KIND_ENROLLMENT, &e, w->env->arena, &e, &r->found.has_enrollment));
    r->found.enrollment = e;
    return OK;
}

static err read_lane(struct reading_work *w, struct store_tx *tx)
{
    struct core_reading *r = w->reading;
    struct errand e;
    bool is_found;

    if (!r->has_registration || r->registration.status != REGISTRATION_ASSIGNING) {
        return OK;
    }
    TRY(core_errand_row_find(w->env, tx, r->id_scope, r->registration_key, &e, &is_found));
    r->lane = is_found ? e.lane : SPAN_NONE;
    return OK;
}

/* The challenge by whose key the TPM registered. */
static err read_used_challenge(struct reading_work *w, struct store_tx *tx)
{
    struct core_reading *r = w->reading;
    struct core_challenge_key key = { r->id_scope, r->registration_key,
                                      r->registration.evidence_sha256 };
    struct core_challenge_pair *pair;

    if (!r->has_registration || r->registration.attestation != ATTESTATION_TPM) {
        return OK;
    }
    pair = ARENA_NEW(w->env->arena, struct core_challenge_pair);
    if (pair == NULL) {
        return ERR(NOMEM);
    }
    r->found.challenges = pair;
    return core_challenge_find(w->env, tx, &key, pair);
}

static err read_registration_only(struct store_tx *tx, void *arg)
{
    struct reading_work *w = arg;

    TRY(core_instance_is_live(w->env, tx, w->reading->id_scope, &w->has_scope));
    if (!w->has_scope) {
        return OK;
    }
    TRY(read_registration(w, tx));
    TRY(read_deciding_enrollment(w, tx));
    TRY(read_lane(w, tx));
    return read_used_challenge(w, tx);
}

err core_reading_registration(const struct env *env, const struct claim *claim,
                              struct core_reading *ret_reading, bool *ret_has_scope)
{
    struct reading_work w = { .env = env, .claim = claim, .reading = ret_reading };

    TRY(core_reading_names(env, claim, ret_reading));
    TRY(store_read(env->store, read_registration_only, &w));
    *ret_has_scope = w.has_scope;
    return OK;
}

struct span core_reading_device_id(const struct core_reading *r, const struct claim *claim)
{
    const struct enrollment *e = &r->found.enrollment;

    if (e->kind != ENROLLMENT_INDIVIDUAL) {
        return claim->registration_id;
    }
    return span_is_absent(e->device_id) ? e->id : e->device_id;
}
