/* core/register.c: registering. Reading and judging run on the caller's thread over one snapshot;
 * what changes is one short write transaction, begun again when the enrollment that decided has
 * changed meanwhile. Names, keys and digests are made before it. Which enrollment decides is
 * core/search.c's, which hub core/allocate.c's, which moves a record may make
 * core/registration.c's, whether a TPM's key was used before core/challenge.c's. */
#include "core/register.h"

#include <assert.h>

#include "core/challenge.h"
#include "core/decision.h"
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
    struct placed placed;
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

static err is_linked(const struct registering *g, struct store_tx *tx, struct span hub,
                     bool *ret_is)
{
    struct linked_hub link = { .id_scope = g->reading->id_scope, .host_name = hub };

    return store_find(tx, &KIND_LINKED_HUB, &link, g->env->arena, &link, ret_is);
}

/* May the instance touch devices on the hub? One that is linked no longer is another's business,
 * unless the instance made it. */
static err is_ours(const struct registering *g, struct store_tx *tx, struct span host_name,
                   bool *ret_is)
{
    struct hub hub = { .host_name = host_name };
    bool is_found;

    TRY(is_linked(g, tx, host_name, ret_is));
    if (*ret_is) {
        return OK;
    }
    TRY(store_find(tx, &KIND_HUB, &hub, g->env->arena, &hub, &is_found));
    *ret_is = is_found && span_eq(hub.id_scope, g->reading->id_scope);
    return OK;
}

/* Where it comes from, if it moves. */
static err set_origin(struct registering *g, struct store_tx *tx, const struct registration *was,
                      struct placement *p)
{
    const struct enrollment *e = attest_identity_enrollment(&g->reading->found.identity);
    bool is_known = false;

    if (!span_is_absent(was->placed_hub) && !span_eq(was->placed_hub, p->hub)) {
        TRY(is_ours(g, tx, was->placed_hub, &is_known));
    }
    if (is_known) {
        p->from_hub = was->placed_hub;
        p->from_device_id = was->placed_device_id;
        p->keeps_twin = e->migrate_device_data && !g->plan.overrides_twin;
    }
    return OK;
}

static err place_device(struct registering *g, struct store_tx *tx, const struct registration *was,
                        const struct registration *r, enum reason *ret_reason)
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
        .initial_twin = g->plan.initial_twin,
        /* Reference iothub-service-api.md 12: also when the hub stays the same. */
        .reset_twin = e->update_hub_assignment && !e->migrate_device_data,
    };
    err result;

    TRY(set_origin(g, tx, was, &p));
    result = g->tools->hubs->place(g->env, tx, &p, &g->placed);
    /* A link or a record may outlive the hub. */
    if (err_is(result, ERR_NOT_FOUND)) {
        *ret_reason = REASON_HUB_NOT_FOUND;
        return OK;
    }
    *ret_reason = g->placed.verdict.reason;
    return result;
}

static void fail(struct registration *r, enum reason reason, struct span message)
{
    r->status = REGISTRATION_FAILED;
    r->substatus = SUBSTATUS_NONE;
    r->assigned_hub = r->device_id = r->authentication_key = r->payload = SPAN_NONE;
    r->error_code = reason_info(reason)->error_code;
    r->error_message = span_is_absent(message) ? span_str(reason_info(reason)->message) : message;
}

/* A hub that is linked no longer may be anybody's: a device that stays there is left alone, with
 * the credential it has. */
static err place_or_leave(struct registering *g, struct store_tx *tx,
                          const struct registration *was, struct registration *r,
                          enum reason *ret_reason)
{
    bool stays = span_eq(was->placed_hub, r->assigned_hub);
    bool is_there;

    TRY(is_linked(g, tx, r->assigned_hub, &is_there));
    if (is_there) {
        r->authentication_key = g->authentication_key;
        return place_device(g, tx, was, r, ret_reason);
    }
    *ret_reason = stays ? REASON_GRANTED : REASON_HUB_NOT_FOUND;
    r->authentication_key = stays ? was->authentication_key : SPAN_NONE;
    return OK;
}

/* What the device is told of how it came to its hub (reference dps-device-api.md 2.3). */
static enum registration_substatus substatus(const struct registering *g,
                                             const struct registration *was, struct span hub)
{
    if (span_is_absent(was->placed_hub)) {
        return SUBSTATUS_INITIAL_ASSIGNMENT;
    }
    if (span_eq(was->placed_hub, hub)) {
        return was->substatus != SUBSTATUS_NONE ? was->substatus : SUBSTATUS_INITIAL_ASSIGNMENT;
    }
    if (span_eq(was->initial_hub, hub)) {
        return SUBSTATUS_REPROVISIONED_TO_INITIAL_ASSIGNMENT;
    }
    return g->placed.has_twin ? SUBSTATUS_DEVICE_DATA_MIGRATED : SUBSTATUS_DEVICE_DATA_RESET;
}

/* Gives the device its hub. On the hub where it is it keeps the device ID that it has there. */
static err assign(struct registering *g, struct store_tx *tx, const struct registration *was,
                  struct registration *r, enum reason *ret_reason)
{
    enum reason reason = g->plan.reason;

    if (reason == REASON_GRANTED) {
        bool stays = span_eq(was->placed_hub, g->plan.hub);

        r->status = REGISTRATION_ASSIGNED;
        r->assigned_hub = g->plan.hub;
        r->device_id = stays ? was->placed_device_id : core_reading_device_id(g->reading, g->claim);
        r->payload = g->plan.payload;
        TRY(place_or_leave(g, tx, was, r, &reason));
    }
    if (reason == REASON_GRANTED) {
        r->substatus = substatus(g, was, r->assigned_hub);
        r->placed_hub = r->assigned_hub;
        r->placed_device_id = r->device_id;
        r->initial_hub = span_is_absent(was->initial_hub) ? r->assigned_hub : was->initial_hub;
    } else {
        fail(r, reason,
             reason == g->plan.reason ? g->plan.error_message : g->placed.verdict.detail);
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
    g->placed = (struct placed){ 0 };
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
        .placed = g.placed,
    };
    return OK;
}
