/* core/core.c: what a device may ask besides registering (core/register.c): poll, look up; explain,
 * which asks for it; and what is refused before anything is looked up. Reading and judging run on
 * the caller's thread over one snapshot. Whether evidence is good is attest/'s, which enrollment
 * decides core/search.c's. */
#include "core/core.h"

#include <assert.h>

#include "core/challenge.h"
#include "core/decision.h"
#include "core/errands.h"
#include "core/plan.h"
#include "core/register.h"
#include "core/turn.h"
#include "store/decision.h"

static bool is_disabled(struct verdict v)
{
    return v.reason == REASON_ENROLLMENT_DISABLED;
}

err core_refuse(const struct env *env, const struct claim *claim, struct verdict verdict)
{
    struct core_reading names;
    struct decision d;

    TRY(core_turn_take_stranger(env));
    TRY(core_reading_names(env, claim, &names));
    core_decision_begin(env, claim, names.id_scope, names.registration_key, &d);
    TRY(core_decision_presented(env, claim, &d));
    d.reason = verdict.reason;
    return store_decision_write(env->store, &d);
}

/* Is this the evidence that registered? */
static err is_registered_leaf(const struct claim *claim, const struct registration *r, bool *ret_is)
{
    uint8_t leaf[CRYPTO_SHA256_LEN];

    *ret_is = false;
    if (claim->n_chain > 0 && !span_is_absent(r->evidence_sha256)) {
        TRY(crypto_x509_sha256(claim->chain[0], leaf));
        *ret_is = span_eq(span_of(leaf, sizeof leaf), r->evidence_sha256);
    }
    return OK;
}

/* Does the token prove what the registration was granted for? That the enrollment was disabled
 * since does not change what became of the registration. */
static err judge_token(const struct env *env, const struct claim *claim,
                       const struct core_reading *reading, struct verdict *ret_verdict)
{
    struct attest_trust none = { 0 };
    struct attest_judgement j = { .verdict = VERDICT(TOKEN_BAD_SIGNATURE) };

    if (span_is_empty(claim->token)) {
        j.verdict = VERDICT(ATTESTATION_MISMATCH);
    } else if (reading->found.has_enrollment) {
        TRY(attest_judge(env, claim, &reading->found.enrollment, &none, &j));
    }
    *ret_verdict = is_disabled(j.verdict) ? VERDICT(GRANTED) : j.verdict;
    return OK;
}

/* Is the token signed by the key that registered the TPM? */
static err judge_tpm_token(const struct env *env, const struct claim *claim,
                           const struct core_reading *reading, struct verdict *ret_verdict)
{
    struct attest_challenges challenges = core_challenge_trust(reading->found.challenges);

    if (span_is_empty(claim->token)) {
        *ret_verdict = VERDICT(ATTESTATION_MISMATCH);
        return OK;
    }
    return attest_tpm_judge_token(env, claim, &challenges, ret_verdict);
}

/* Is the evidence that of the registration? */
static err judge_evidence(const struct env *env, const struct claim *claim,
                          const struct core_reading *reading, struct verdict *ret_verdict)
{
    bool is_same_leaf;

    if (reading->registration.attestation == ATTESTATION_SYMMETRIC_KEY) {
        return judge_token(env, claim, reading, ret_verdict);
    }
    if (reading->registration.attestation == ATTESTATION_TPM) {
        return judge_tpm_token(env, claim, reading, ret_verdict);
    }
    TRY(is_registered_leaf(claim, &reading->registration, &is_same_leaf));
    *ret_verdict = is_same_leaf          ? VERDICT(GRANTED)
                   : claim->n_chain == 0 ? VERDICT(ATTESTATION_MISMATCH)
                                         : VERDICT(CERTIFICATE_MISMATCH);
    return OK;
}

/* Without a registration: might this device register? */
static err judge_unregistered(const struct env *env, const struct claim *claim,
                              struct verdict *ret_verdict)
{
    struct core_reading *reading = ARENA_NEW(env->arena, struct core_reading);

    if (reading == NULL) {
        return ERR(NOMEM);
    }
    TRY(core_reading_run(env, claim, reading));
    *ret_verdict = is_disabled(reading->found.verdict) ? VERDICT(GRANTED) : reading->found.verdict;
    return OK;
}

/* Reference dps-device-api.md 2: an operation is its registration's latest, or unknown.
 * *ret_is_early: refused before looking for a registration. */
static err judge_poll(const struct env *env, const struct claim *claim,
                      const struct core_reading *reading, bool has_scope,
                      struct verdict *ret_verdict, bool *ret_is_early)
{
    *ret_is_early = true;
    if (!model_is_registration_id(claim->registration_id)) {
        *ret_verdict = VERDICT(REGISTRATION_ID_INVALID);
        return OK;
    }
    if (claim->n_chain == 0 && span_is_empty(claim->token)) {
        *ret_verdict = VERDICT(CLIENT_CERTIFICATE_MISSING);
        return OK;
    }
    if (!has_scope) {
        *ret_verdict = VERDICT(SCOPE_UNKNOWN);
        return OK;
    }
    *ret_is_early = false;
    TRY(reading->has_registration ? judge_evidence(env, claim, reading, ret_verdict)
                                  : judge_unregistered(env, claim, ret_verdict));
    if (verdict_is_granted(*ret_verdict) &&
        !(reading->has_registration &&
          span_eq(claim->operation_id, reading->registration.operation_id))) {
        *ret_verdict = VERDICT(OPERATION_NOT_FOUND);
    }
    return OK;
}

/* A stranger must not learn from the refusal of a poll whether an ID is registered, nor how: only
 * what the device alone can bring about is told apart. */
static struct verdict as_told(const struct claim *claim, struct verdict v)
{
    if (verdict_is_granted(v) || v.reason == REASON_OPERATION_NOT_FOUND ||
        v.reason == REASON_TOKEN_EXPIRED || v.reason == REASON_TPM_CHALLENGE_EXPIRED) {
        return v;
    }
    return claim->n_chain > 0 ? VERDICT(CERTIFICATE_MISMATCH) : VERDICT(TOKEN_BAD_SIGNATURE);
}

err core_poll(const struct env *env, const struct claim *claim, struct core_outcome *ret_outcome)
{
    struct core_reading *reading = ARENA_NEW(env->arena, struct core_reading);
    struct verdict verdict;
    bool has_scope, is_early;

    assert(claim->operation == OPERATION_STATUS);
    if (reading == NULL) {
        return ERR(NOMEM);
    }
    TRY(core_reading_registration(env, claim, reading, &has_scope));
    TRY(judge_poll(env, claim, reading, has_scope, &verdict, &is_early));
    if (!verdict_is_granted(verdict)) {
        TRY(core_refuse(env, claim, verdict));
        *ret_outcome =
            (struct core_outcome){ .verdict = is_early ? verdict : as_told(claim, verdict) };
        return OK;
    }
    *ret_outcome =
        (struct core_outcome){ .verdict = verdict,
                               .has_registration = true,
                               .registration = reading->registration,
                               .wait_ms = core_errands_wait_ms(env->errands, reading->lane) };
    return OK;
}

/* A disabled enrollment's device is told so, whatever it was before. */
static void show_disabled(struct registration *r)
{
    r->status = REGISTRATION_DISABLED;
    r->substatus = SUBSTATUS_NONE;
    r->assigned_hub = r->device_id = r->authentication_key = SPAN_NONE;
    r->error_code = 0;
    r->error_message = SPAN_NONE;
}

err core_lookup(const struct env *env, const struct claim *claim, struct core_outcome *ret_outcome)
{
    struct core_reading *reading = ARENA_NEW(env->arena, struct core_reading);
    struct core_outcome outcome = { 0 };
    struct decision d;

    assert(claim->operation == OPERATION_LOOKUP);
    if (reading == NULL) {
        return ERR(NOMEM);
    }
    TRY(core_reading_run(env, claim, reading));
    TRY(core_turn_take_found(env, reading));
    outcome.verdict = reading->found.verdict;
    outcome.has_registration = reading->has_registration;
    outcome.registration = reading->registration;
    if (verdict_is_granted(outcome.verdict) && !reading->has_registration) {
        outcome.verdict = VERDICT(REGISTRATION_NOT_FOUND);
    }
    if (is_disabled(outcome.verdict)) {
        show_disabled(&outcome.registration);
    }
    TRY(core_decision_describe(env, claim, reading, &d));
    if (outcome.verdict.reason == REASON_TPM_CHALLENGED) {
        return core_register_refuse(env, claim, reading, outcome.verdict, &d, ret_outcome);
    }
    d.reason = outcome.verdict.reason;
    d.hub = outcome.registration.assigned_hub;
    d.device_id = outcome.registration.device_id;
    TRY(store_decision_write(env->store, &d));
    *ret_outcome = outcome;
    return OK;
}

static err common_name(const struct env *env, const struct crypto_cert *cert, struct span *ret_name)
{
    struct buf out = arena_buf(env->arena);
    err e = crypto_x509_common_name(cert, &out);

    if (err_is(e, ERR_NOT_FOUND) || err_is(e, ERR_MALFORMED)) {
        *ret_name = SPAN("");
        return OK;
    }
    TRY(e);
    return arena_buf_end(env->arena, &out, ret_name);
}

err core_explain(const struct env *env, const struct core_tools *tools, struct span id_scope,
                 struct crypto_cert *const *chain, size_t n_chain, struct decision *ret_decision)
{
    struct core_reading *reading = ARENA_NEW(env->arena, struct core_reading);
    struct claim claim = { .id_scope = id_scope,
                           .operation = OPERATION_REGISTER,
                           .transport = TRANSPORT_HTTP,
                           .chain = chain,
                           .n_chain = n_chain };
    struct core_plan plan = { 0 };

    if (reading == NULL) {
        return ERR(NOMEM);
    }
    if (n_chain > 0) {
        TRY(common_name(env, chain[0], &claim.registration_id));
    }
    TRY(core_reading_run(env, &claim, reading));
    TRY(core_decision_describe(env, &claim, reading, ret_decision));
    ret_decision->tracking_id = SPAN_NONE;
    if (verdict_is_granted(reading->found.verdict)) {
        TRY(core_plan_make(env, &claim, reading, tools, &plan));
        ret_decision->reason = plan.reason;
        ret_decision->hub = plan.hub;
        ret_decision->allocation = plan.allocation;
    }
    if (!span_is_absent(plan.hub)) {
        ret_decision->device_id = span_eq(plan.hub, reading->registration.placed_hub)
                                      ? reading->registration.placed_device_id
                                      : core_reading_device_id(reading, &claim);
    }
    return OK;
}
