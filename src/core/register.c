/* core/register.c: registering. Reading and judging run on the caller's thread over one snapshot;
 * what changes is one short write transaction, begun again when the enrollment that decided has
 * changed meanwhile. Names, keys and digests are made before it. Which enrollment decides is
 * core/search.c's, which hub core/plan.c's, how it gets there core/assign.c's, which moves a record
 * may make core/registration.c's, whether a TPM's key was used before core/challenge.c's. */
#include "core/register.h"

#include <assert.h>

#include "core/assign.h"
#include "core/challenge.h"
#include "core/decision.h"
#include "core/errands.h"
#include "core/instance.h"
#include "core/loads.h"
#include "core/plan.h"
#include "core/reading.h"
#include "core/registration.h"
#include "core/turn.h"
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
    const struct core_tools *tools;
    struct core_plan plan;
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
    struct core_assigned assigned;
    bool is_outdated; /* nothing was written: what was read has changed since */
};

/* Is there a registration to write? A disabled enrollment's genuine device has one too. */
static bool is_genuine(struct verdict v)
{
    return verdict_is_granted(v) || v.reason == REASON_ENROLLMENT_DISABLED;
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
        .placed_hub = was->placed_hub,
        .placed_device_id = was->placed_device_id,
        .initial_hub = was->initial_hub,
    };
}

/* What a device gets, and where it is (core/assign.h). */
static struct errand order_of(const struct registering *g, const struct registration *was)
{
    const struct identity *id = &g->reading->found.identity;
    const struct enrollment *e = attest_identity_enrollment(id);
    const struct core_plan *plan = &g->plan;
    bool is_tpm = e->attestation == ATTESTATION_TPM;
    bool stays = !span_is_absent(plan->hub) && span_eq(was->placed_hub, plan->hub);
    struct span hub_key = span_of(g->hub_key, sizeof g->hub_key);

    return (struct errand){
        .id_scope = g->reading->id_scope,
        .type = ERRAND_ASSIGN,
        .registration_key = g->reading->registration_key,
        .hub = SPAN(""),
        .device_id = SPAN(""),
        .registration_id = g->claim->registration_id,
        .operation_id = g->names.operation_id,
        .tracking_id = g->decision.tracking_id,
        .enrollment_etag = e->etag,
        .to_hub = plan->hub,
        /* On the hub where it is it keeps the device ID that it has there. */
        .to_device_id =
            stays ? was->placed_device_id : core_reading_device_id(g->reading, g->claim),
        .from_hub = was->placed_hub,
        .from_device_id = was->placed_device_id,
        .keeps_twin = e->migrate_device_data && !plan->overrides_twin,
        /* Reference iothub-service-api.md 12: also when the hub stays the same. */
        .reset_twin = e->update_hub_assignment && !e->migrate_device_data,
        .substatus = was->substatus,
        .auth = e->attestation == ATTESTATION_X509 ? DEVICE_AUTH_SELF_SIGNED : DEVICE_AUTH_SAS,
        .thumbprint = g->names.thumbprint,
        .primary_key = is_tpm ? hub_key : attest_identity_key(id, SLOT_PRIMARY),
        .secondary_key = is_tpm ? hub_key : attest_identity_key(id, SLOT_SECONDARY),
        .iot_edge = e->iot_edge,
        .initial_twin = plan->initial_twin,
        .authentication_key = g->authentication_key,
        .payload = plan->payload,
        .request = plan->asks_webhook ? plan->webhook_request : SPAN_NONE,
        .url = plan->asks_webhook ? plan->webhook_url : SPAN_NONE,
    };
}

/* Gives the device its hub, or sets out to. */
static err assign(struct registering *g, struct store_tx *tx, const struct registration *was,
                  struct registration *r)
{
    struct errand order = order_of(g, was);
    struct core_assign_begin how = {
        .hubs = g->tools->hubs, .order = &order, .plan = &g->plan, .was = was
    };

    r->authentication_key = was->authentication_key;
    return core_assign_begin(g->env, tx, &how, r, &g->assigned);
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

/* The transaction: nothing but the decision record when another was faster. */
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
    g->assigned = (struct core_assigned){ 0 };
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
    if (g->verdict.reason == REASON_ENROLLMENT_DISABLED) {
        r.status = REGISTRATION_DISABLED;
        TRY(core_assign_abandon(g->env, tx, &was));
    } else {
        TRY(assign(g, tx, &was, &r));
        d.reason = g->assigned.reason;
    }
    if (g->assigned.has_joined) {
        g->registration = was;
        return store_decision_put(tx, &d);
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

err core_register_refuse(const struct env *env, const struct claim *claim,
                         const struct core_reading *reading, struct verdict verdict,
                         const struct decision *d, struct core_outcome *ret_outcome)
{
    struct core_outcome outcome = { .verdict = verdict };

    if (verdict.reason == REASON_TPM_CHALLENGED) {
        struct core_challenge_key key = challenge_key(reading);

        TRY(core_challenge_issue(env, claim, &key, d, &outcome.challenge));
    } else {
        TRY(store_decision_write(env->store, d));
    }
    *ret_outcome = outcome;
    return OK;
}

/* Reads, judges and writes once. What is refused is not written yet: g->verdict. */
static err try_register(struct registering *g, struct core_reading *reading)
{
    bool is_x509;

    TRY(core_reading_run(g->env, g->claim, reading));
    TRY(core_turn_take_found(g->env, reading));
    TRY(core_decision_describe(g->env, g->claim, reading, &g->decision));
    g->verdict = reading->found.verdict;
    g->is_outdated = false;
    if (!is_genuine(g->verdict)) {
        return OK;
    }
    TRY(genuine_evidence(g->env, g->claim, &reading->found, &g->evidence_sha256));
    is_x509 = reading->found.enrollment.attestation == ATTESTATION_X509;
    TRY(make_names(g->env, is_x509 ? g->evidence_sha256 : SPAN_NONE, &g->names));
    TRY(make_hub_key(g));
    if (verdict_is_granted(g->verdict)) {
        TRY(core_plan_make(g->env, g->claim, reading, g->tools, &g->plan));
        g->decision.allocation = g->plan.allocation;
    }
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

err core_register(const struct env *env, const struct claim *claim, const struct core_tools *tools,
                  struct core_outcome *ret_outcome)
{
    struct core_reading *reading = ARENA_NEW(env->arena, struct core_reading);
    struct registering g = { .env = env, .claim = claim, .tools = tools, .reading = reading };

    assert(claim->operation == OPERATION_REGISTER);
    if (reading == NULL) {
        return ERR(NOMEM);
    }
    TRY(try_often(&g, reading));
    if (!g.is_outdated && is_genuine(g.verdict)) {
        core_loads_moved(env, reading->id_scope,
                         reading->has_registration ? reading->registration.placed_hub : SPAN_NONE,
                         g.registration.placed_hub);
    }
    if (g.is_outdated || !is_genuine(reading->found.verdict)) {
        return core_register_refuse(env, claim, reading, g.verdict, &g.decision, ret_outcome);
    }
    *ret_outcome = (struct core_outcome){
        .verdict = g.verdict,
        .has_registration = is_genuine(g.verdict),
        .registration = g.registration,
        .placed = g.assigned.placed,
        .wait_ms = core_errands_wait_ms(env->errands, g.assigned.lane),
    };
    core_errands_wake(env->errands, g.assigned.lane);
    return OK;
}
