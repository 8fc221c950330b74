/* core/core.c: what a device may ask: register, poll, look up; and explain, which asks for it.
 * Reading and judging run on the caller's thread over one snapshot; what changes is one short write
 * transaction. Whether evidence is good is attest/'s, which enrollment decides core/search.c's,
 * which hub core/allocate.c's. */
#include "core/core.h"

#include <assert.h>

#include "core/challenge.h"
#include "core/decision.h"
#include "core/instance.h"
#include "core/reading.h"
#include "core/registration.h"
#include "model/limits.h"
#include "store/decision.h"
#include "util/base64.h"
#include "util/hex.h"

/* Texts of one registration, made before its transaction. */
struct fresh_names {
    struct span operation_id, etag, thumbprint;
};

struct registering {
    const struct env *env;
    const struct claim *claim;
    placement_fn place;
    const struct core_reading *reading;
    struct fresh_names names;
    struct span evidence_sha256;
    uint8_t hub_key[ATTEST_TPM_KEY_LEN]; /* of a TPM: the hub's, and the same wrapped */
    struct span authentication_key;
    size_t arena_mark; /* what lies behind belongs to one run of the transaction */
    struct decision decision;
    /* Results. */
    struct verdict verdict;
    struct registration registration;
    bool is_rekeyed;
    bool is_outdated; /* nothing was written: what was read has changed since */
};

static bool is_disabled(struct verdict v)
{
    return v.reason == REASON_ENROLLMENT_DISABLED;
}

/* The decision on what was read, complete for a refusal. */
static err describe(const struct env *env, const struct claim *claim,
                    const struct core_reading *reading, struct decision *ret_decision)
{
    core_decision_begin(env, claim, reading->id_scope, reading->registration_key, ret_decision);
    TRY(core_decision_presented(env, claim, ret_decision));
    return core_decision_found(env, &reading->found, ret_decision);
}

/* operation ID "5.<16 hex>.<guid>", ETag base64 of a quoted GUID (reference dps-device-api.md 2.3),
 * thumbprint upper-case hex. */
static err make_names(const struct env *env, struct span leaf_sha256, struct fresh_names *ret)
{
    uint8_t random[8 + 2 * GUID_BYTES];
    uint8_t quoted[GUID_TEXT_LEN + 2];
    struct buf etag = buf_over(quoted, sizeof quoted);
    struct buf out = arena_buf(env->arena);

    env->random(random, sizeof random);
    buf_add_str(&out, "5.");
    hex_encode_lower(span_of(random, 8), &out);
    buf_add_u8(&out, '.');
    guid_format(random + 8, &out);
    TRY(arena_buf_end(env->arena, &out, &ret->operation_id));

    buf_add_u8(&etag, '"');
    guid_format(random + 8 + GUID_BYTES, &etag);
    buf_add_u8(&etag, '"');
    out = arena_buf(env->arena);
    base64_encode(buf_span(&etag), &out);
    TRY(arena_buf_end(env->arena, &out, &ret->etag));

    if (span_is_absent(leaf_sha256)) {
        ret->thumbprint = SPAN_NONE;
        return OK;
    }
    out = arena_buf(env->arena);
    hex_encode_upper(leaf_sha256, &out);
    return arena_buf_end(env->arena, &out, &ret->thumbprint);
}

/* What every outcome of a register has in common. */
static struct registration renewed(const struct registering *g, const struct registration *was,
                                   bool existed)
{
    const struct enrollment *e = &g->reading->found.enrollment;

    return (struct registration){
        .id_scope = g->reading->id_scope,
        .key = g->reading->registration_key,
        .id = existed ? was->id : g->claim->registration_id,
        .enrollment_kind = e->kind,
        .enrollment = e->key,
        .attestation = e->attestation,
        .evidence_sha256 = g->evidence_sha256,
        .operation_id = g->names.operation_id,
        .etag = g->names.etag,
        .created_ms = existed ? was->created_ms : g->env->now_ms,
        .updated_ms = g->env->now_ms,
    };
}

static err is_linked(const struct registering *g, struct store_tx *tx, struct span hub,
                     bool *ret_is)
{
    struct linked_hub link = { .id_scope = g->reading->id_scope, .host_name = hub };

    return store_find(tx, &KIND_LINKED_HUB, &link, g->env->arena, &link, ret_is);
}

static err place_device(struct registering *g, struct store_tx *tx, const struct registration *r,
                        enum reason *ret_reason)
{
    const struct identity *id = &g->reading->found.identity;
    const struct enrollment *e = attest_identity_enrollment(id);
    bool is_tpm = e->attestation == ATTESTATION_TPM;
    struct span hub_key = span_of(g->hub_key, sizeof g->hub_key);
    struct placement p = {
        .hub = r->assigned_hub,
        .device_id = r->device_id,
        .auth = e->attestation == ATTESTATION_X509 ? DEVICE_AUTH_SELF_SIGNED : DEVICE_AUTH_SAS,
        .primary_thumbprint = g->names.thumbprint,
        .secondary_thumbprint = g->names.thumbprint,
        .primary_key = is_tpm ? hub_key : attest_identity_key(id, SLOT_PRIMARY),
        .secondary_key = is_tpm ? hub_key : attest_identity_key(id, SLOT_SECONDARY),
        .iot_edge = e->iot_edge,
        .initial_twin = e->initial_twin,
        /* Reference iothub-service-api.md 12: also when the hub stays the same. */
        .reset_twin = e->update_hub_assignment && !e->migrate_device_data,
    };
    err result = g->place(g->env, tx, &p, &g->is_rekeyed);

    /* A link or a record may outlive the hub. */
    if (err_is(result, ERR_NOT_FOUND)) {
        *ret_reason = REASON_HUB_NOT_FOUND;
        return OK;
    }
    *ret_reason = REASON_GRANTED;
    return result;
}

static void fail(struct registration *r, enum reason reason)
{
    r->status = REGISTRATION_FAILED;
    r->substatus = SUBSTATUS_NONE;
    r->assigned_hub = r->device_id = r->authentication_key = SPAN_NONE;
    r->error_code = reason_info(reason)->error_code;
    r->error_message = span_str(reason_info(reason)->message);
}

/* A hub that is linked no longer may be anybody's: a device that `stays` there (else NULL) is left
 * alone, with the credential it has. */
static err place_or_leave(struct registering *g, struct store_tx *tx,
                          const struct registration *stays, struct registration *r,
                          enum reason *ret_reason)
{
    bool is_there;

    TRY(is_linked(g, tx, r->assigned_hub, &is_there));
    if (is_there) {
        r->authentication_key = g->authentication_key;
        return place_device(g, tx, r, ret_reason);
    }
    *ret_reason = stays != NULL ? REASON_GRANTED : REASON_HUB_NOT_FOUND;
    r->authentication_key = stays != NULL ? stays->authentication_key : SPAN_NONE;
    return OK;
}

/* Gives the device its hub. A hub it has already keeps it, under the device ID it has there; moved
 * to another hub it starts there from the initial twin. */
static err assign(struct registering *g, struct store_tx *tx, const struct registration *was,
                  struct registration *r, enum reason *ret_reason)
{
    bool was_assigned = was->status == REGISTRATION_ASSIGNED;
    enum reason reason;

    reason = core_reading_allocate(g->reading, was_assigned ? was->assigned_hub : SPAN_NONE,
                                   &r->assigned_hub);
    if (reason == REASON_GRANTED) {
        bool is_same = was_assigned && span_eq(was->assigned_hub, r->assigned_hub);

        r->device_id = is_same ? was->device_id : core_reading_device_id(g->reading, g->claim);
        r->status = REGISTRATION_ASSIGNED;
        r->substatus = SUBSTATUS_INITIAL_ASSIGNMENT;
        if (was_assigned) {
            r->substatus = is_same ? was->substatus : SUBSTATUS_DEVICE_DATA_RESET;
        }
        TRY(place_or_leave(g, tx, is_same ? was : NULL, r, &reason));
    }
    if (reason != REASON_GRANTED) {
        fail(r, reason);
    }
    *ret_reason = reason;
    return OK;
}

/* Has another register, or the operator, changed the record since it was read? */
static bool is_overtaken(const struct registering *g, const struct registration *now, bool exists)
{
    const struct core_reading *seen = g->reading;

    return exists != seen->has_registration ||
           (exists && !span_eq(now->operation_id, seen->registration.operation_id));
}

/* Has the enrollment that decided been changed or deleted since? Deleting an instance deletes its
 * enrollments. */
static err is_outdated(const struct registering *g, struct store_tx *tx, bool *ret_is)
{
    const struct enrollment *seen = &g->reading->found.enrollment;
    struct enrollment now = *seen;
    bool exists;

    TRY(store_find(tx, &KIND_ENROLLMENT, seen, g->env->arena, &now, &exists));
    *ret_is = !exists || !span_eq(now.etag, seen->etag);
    return OK;
}

static struct core_challenge_key challenge_key(const struct core_reading *r)
{
    return (struct core_challenge_key){ r->id_scope, r->registration_key,
                                        span_of(r->found.tpm_sha256, CRYPTO_SHA256_LEN) };
}

/* A TPM's challenge registers once. *ret_used false: it did already; true for any other evidence.
 */
static err use_challenge(struct registering *g, struct store_tx *tx, bool *ret_used)
{
    struct core_challenge_key key = challenge_key(g->reading);

    if (g->reading->found.enrollment.attestation != ATTESTATION_TPM) {
        *ret_used = true;
        return OK;
    }
    return core_challenge_use(g->env, tx, &key, g->reading->found.challenges->open.key, ret_used);
}

static err commit(struct store_tx *tx, void *arg)
{
    struct registering *g = arg;
    struct decision d = g->decision;
    struct registration was = { .id_scope = g->reading->id_scope,
                                .key = g->reading->registration_key };
    struct registration r;
    bool existed, is_live, is_ours;

    g->env->arena->used = g->arena_mark;
    g->verdict = g->reading->found.verdict;
    g->is_rekeyed = false;
    TRY(is_outdated(g, tx, &g->is_outdated));
    if (g->is_outdated) {
        return OK;
    }
    TRY(core_instance_is_live(g->env, tx, g->reading->id_scope, &is_live));
    TRY(store_find(tx, &KIND_REGISTRATION, &was, g->env->arena, &was, &existed));
    is_ours = is_live && !is_overtaken(g, &was, existed);
    if (is_ours) {
        TRY(use_challenge(g, tx, &is_ours));
    }
    if (!is_ours) {
        g->verdict = is_live ? VERDICT(REGISTRATION_CONFLICT) : VERDICT(SCOPE_UNKNOWN);
        d.reason = g->verdict.reason;
        return store_decision_put(tx, &d);
    }
    r = renewed(g, &was, existed);
    if (is_disabled(g->verdict)) {
        r.status = REGISTRATION_DISABLED;
    } else {
        TRY(assign(g, tx, &was, &r, &d.reason));
    }
    core_registration_move(&was, &r);
    TRY(store_put(tx, &KIND_REGISTRATION, &r));
    d.hub = r.assigned_hub;
    d.device_id = r.device_id;
    g->registration = r;
    return store_decision_put(tx, &d);
}

/* What proved genuine, for an identity or for a disabled enrollment's record. */
static err genuine_evidence(const struct env *env, const struct claim *claim,
                            const struct core_found *found, struct span *ret_sha256)
{
    uint8_t *digest;

    if (verdict_is_granted(found->verdict)) {
        *ret_sha256 = attest_identity_evidence(&found->identity);
        return OK;
    }
    *ret_sha256 = SPAN_NONE;
    if (found->enrollment.attestation == ATTESTATION_TPM) {
        *ret_sha256 = span_of(found->tpm_sha256, sizeof found->tpm_sha256);
    } else if (claim->n_chain > 0 && found->enrollment.attestation == ATTESTATION_X509) {
        digest = arena_alloc(env->arena, CRYPTO_SHA256_LEN);
        if (digest == NULL) {
            return ERR(NOMEM);
        }
        TRY(crypto_x509_sha256(claim->chain[0], digest));
        *ret_sha256 = span_of(digest, CRYPTO_SHA256_LEN);
    }
    return OK;
}

/* The key that a TPM will use on the hub: fresh for each registration. */
static err make_hub_key(struct registering *g)
{
    const struct core_found *found = &g->reading->found;

    if (!verdict_is_granted(found->verdict) || found->enrollment.attestation != ATTESTATION_TPM) {
        return OK;
    }
    g->env->random(g->hub_key, sizeof g->hub_key);
    return attest_tpm_wrap(g->env, g->claim, g->hub_key, &g->authentication_key);
}

err core_refuse(const struct env *env, const struct claim *claim, struct verdict verdict)
{
    struct core_reading names;
    struct decision d;

    TRY(core_reading_names(env, claim, &names));
    core_decision_begin(env, claim, names.id_scope, names.registration_key, &d);
    TRY(core_decision_presented(env, claim, &d));
    d.reason = verdict.reason;
    return store_decision_write(env->store, &d);
}

/* A refusal is a decision record; one that asks a TPM to prove itself a challenge besides. */
static err refuse(const struct registering *g, struct core_outcome *ret_outcome)
{
    struct core_outcome outcome = { .verdict = g->verdict };

    if (outcome.verdict.reason == REASON_TPM_CHALLENGED) {
        struct core_challenge_key key = challenge_key(g->reading);

        TRY(core_challenge_issue(g->env, g->claim, &key, &g->decision, &outcome.challenge));
    } else {
        TRY(store_decision_write(g->env->store, &g->decision));
    }
    *ret_outcome = outcome;
    return OK;
}

/* Reads, judges and writes once. What is refused is not written yet: g->verdict. */
static err try_register(struct registering *g, struct core_reading *reading)
{
    bool is_x509;

    TRY(core_reading_run(g->env, g->claim, reading));
    TRY(describe(g->env, g->claim, reading, &g->decision));
    g->verdict = reading->found.verdict;
    g->is_outdated = false;
    if (!verdict_is_granted(g->verdict) && !is_disabled(g->verdict)) {
        return OK;
    }
    TRY(genuine_evidence(g->env, g->claim, &reading->found, &g->evidence_sha256));
    is_x509 = reading->found.enrollment.attestation == ATTESTATION_X509;
    TRY(make_names(g->env, is_x509 ? g->evidence_sha256 : SPAN_NONE, &g->names));
    TRY(make_hub_key(g));
    g->arena_mark = g->env->arena->used;
    return store_write(g->env->store, commit, g);
}

/* Again while the enrollment that decides changes under the decision. */
static err try_often(struct registering *g, struct core_reading *reading)
{
    size_t mark = g->env->arena->used;
    int tries = 0;
    err e;

    do {
        g->env->arena->used = mark;
        e = try_register(g, reading);
    } while (err_is_ok(e) && g->is_outdated && ++tries < LIMIT_DECISION_TRIES);
    crypto_wipe(g->hub_key, sizeof g->hub_key);
    if (g->is_outdated) {
        g->verdict = VERDICT(REGISTRATION_CONFLICT);
        g->decision.reason = g->verdict.reason;
    }
    return e;
}

err core_register(const struct env *env, const struct claim *claim, placement_fn place,
                  struct core_outcome *ret_outcome)
{
    struct core_reading *reading = ARENA_NEW(env->arena, struct core_reading);
    struct registering g = { .env = env, .claim = claim, .place = place, .reading = reading };

    assert(claim->operation == OPERATION_REGISTER);
    if (reading == NULL) {
        return ERR(NOMEM);
    }
    TRY(try_often(&g, reading));
    if (g.is_outdated ||
        (!verdict_is_granted(reading->found.verdict) && !is_disabled(reading->found.verdict))) {
        return refuse(&g, ret_outcome);
    }
    *ret_outcome = (struct core_outcome){
        .verdict = g.verdict,
        .has_registration = verdict_is_granted(g.verdict) || is_disabled(g.verdict),
        .registration = g.registration,
        .is_rekeyed = g.is_rekeyed,
    };
    return OK;
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
    *ret_outcome = (struct core_outcome){ .verdict = verdict,
                                          .has_registration = true,
                                          .registration = reading->registration };
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
    outcome.verdict = reading->found.verdict;
    outcome.has_registration = reading->has_registration;
    outcome.registration = reading->registration;
    if (verdict_is_granted(outcome.verdict) && !reading->has_registration) {
        outcome.verdict = VERDICT(REGISTRATION_NOT_FOUND);
    }
    if (is_disabled(outcome.verdict)) {
        show_disabled(&outcome.registration);
    }
    TRY(describe(env, claim, reading, &d));
    if (outcome.verdict.reason == REASON_TPM_CHALLENGED) {
        struct registering g = { .env = env,
                                 .claim = claim,
                                 .reading = reading,
                                 .decision = d,
                                 .verdict = outcome.verdict };

        return refuse(&g, ret_outcome);
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

err core_explain(const struct env *env, struct span id_scope, struct crypto_cert *const *chain,
                 size_t n_chain, struct decision *ret_decision)
{
    struct core_reading *reading = ARENA_NEW(env->arena, struct core_reading);
    struct claim claim = { .id_scope = id_scope,
                           .operation = OPERATION_REGISTER,
                           .transport = TRANSPORT_HTTP,
                           .chain = chain,
                           .n_chain = n_chain };
    struct span current = SPAN_NONE;

    if (reading == NULL) {
        return ERR(NOMEM);
    }
    if (n_chain > 0) {
        TRY(common_name(env, chain[0], &claim.registration_id));
    }
    TRY(core_reading_run(env, &claim, reading));
    TRY(describe(env, &claim, reading, ret_decision));
    ret_decision->tracking_id = SPAN_NONE;
    if (verdict_is_granted(reading->found.verdict)) {
        if (reading->has_registration && reading->registration.status == REGISTRATION_ASSIGNED) {
            current = reading->registration.assigned_hub;
        }
        ret_decision->reason = core_reading_allocate(reading, current, &ret_decision->hub);
    }
    if (!span_is_absent(ret_decision->hub)) {
        ret_decision->device_id = span_eq(ret_decision->hub, current)
                                      ? reading->registration.device_id
                                      : core_reading_device_id(reading, &claim);
    }
    return OK;
}
