/* api/dps.c: claim in, answer out. Knows what a device is told at which point of its registration
 * (reference dps-device-api.md 2.4, 3.6); who may register is core's, spelling dps_json.c's. */
#include "api/dps.h"

#include "api/dps_json.h"
#include "api/dps_tpm.h"
#include "api/enrollment_custom.h"
#include "api/pacing.h"
#include "core/core.h"
#include "hub/hub.h"

static struct dps_reply refusal(struct verdict v)
{
    return (struct dps_reply){
        .verdict = v,
        .status = reason_info(v.reason)->http_status,
    };
}

const struct core_tools DPS_TOOLS = { .hubs = &HUB_PLACER,
                                      .write_enrollment = enrollment_custom_write };

/* *outcome: granted, or refused by what was looked at so far. */
static err decide(const struct env *env, const struct claim *claim, struct core_outcome *outcome)
{
    if (!verdict_is_granted(outcome->verdict)) {
        return core_refuse(env, claim, outcome->verdict);
    }
    switch (claim->operation) {
    case OPERATION_REGISTER:
        return core_register(env, claim, &DPS_TOOLS, outcome);
    case OPERATION_STATUS:
        return core_poll(env, claim, outcome);
    default:
        return core_lookup(env, claim, outcome);
    }
}

/* A disabled enrollment answers at once and with a registrationState, whether or not one is stored:
 * C# stops without it. */
static void ensure_disabled_state(const struct env *env, const struct dps_request *request,
                                  struct core_outcome *outcome)
{
    if (outcome->verdict.reason == REASON_ENROLLMENT_DISABLED && !outcome->has_registration) {
        outcome->has_registration = true;
        outcome->registration = (struct registration){
            .id = request->registration_id,
            .status = REGISTRATION_DISABLED,
            .created_ms = env->now_ms,
            .updated_ms = env->now_ms,
        };
    }
}

/* When to ask what became of it. */
static int poll_in_s(const struct env *env, const struct core_outcome *outcome)
{
    const struct registration *r = &outcome->registration;
    int64_t wait_ms = env->turn != NULL ? env->turn->wait_ms(env->turn) : 0;

    return pacing_poll_s(r->status != REGISTRATION_ASSIGNING, wait_ms + outcome->wait_ms,
                         (uint8_t)span_hash(r->operation_id));
}

static err write_body(const struct env *env, const struct dps_request *request,
                      const struct core_outcome *outcome, struct dps_reply *reply)
{
    const struct registration *r = &outcome->registration;
    struct buf out = arena_buf(env->arena);
    struct json_writer w = json_writer_over(&out);
    bool is_disabled = r->status == REGISTRATION_DISABLED;

    switch (request->operation) {
    case OPERATION_REGISTER:
        /* Never straight to "assigned": two SDKs insist on polling first. */
        dps_json_write_operation(is_disabled ? SPAN("") : r->operation_id,
                                 is_disabled ? r->status : REGISTRATION_ASSIGNING,
                                 is_disabled ? r : NULL, &out);
        reply->status = is_disabled ? 200 : 202;
        break;
    case OPERATION_STATUS:
        dps_json_write_operation(request->operation_id, r->status, r, &out);
        reply->status = r->status == REGISTRATION_ASSIGNING ? 202 : 200;
        break;
    default:
        dps_json_write_result(r, NULL, &w);
        reply->status = 200;
    }
    reply->retry_after_s = reply->status == 202 ? poll_in_s(env, outcome) : 0;
    return arena_buf_end(env->arena, &out, &reply->body);
}

/* For the log: why a registration failed, though its request was granted. */
static struct verdict verdict_of(const struct core_outcome *outcome)
{
    static const enum reason reasons[] = { REASON_HUB_NOT_FOUND, REASON_CUSTOM_ALLOCATION_FAILED,
                                           REASON_HUB_UNAVAILABLE, REASON_ENROLLMENT_CHANGED };
    const struct reason_info *draining = reason_info(REASON_HUB_DRAINING);
    const struct registration *r = &outcome->registration;
    bool is_failed = outcome->has_registration && r->status == REGISTRATION_FAILED;

    if (!is_failed || !verdict_is_granted(outcome->verdict)) {
        return outcome->verdict;
    }
    /* The same code as HUB_NOT_FOUND. */
    if (r->error_code == draining->error_code &&
        span_eq(r->error_message, span_str(draining->message))) {
        return VERDICT(HUB_DRAINING);
    }
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (r->error_code == reason_info(reasons[i])->error_code) {
            return (struct verdict){ .reason = reasons[i] };
        }
    }
    return VERDICT(HUB_REFUSED); /* with a code of its own */
}

/* A refusal that the wire knows as a state of the registration (200), not as an error. */
static bool is_state(const struct core_outcome *outcome)
{
    return outcome->has_registration && reason_info(outcome->verdict.reason)->http_status == 200;
}

/* The parsed certificates of a claim's TPM: the only thing of a request that is not in its arena.
 */
struct tpm_certificates {
    struct crypto_cert *certs[LIMIT_CHAIN_CERTIFICATES];
    size_t n;
};

static void auto_tpm_certificates(struct tpm_certificates *t)
{
    for (size_t i = 0; i < t->n; i++) {
        crypto_x509_free(t->certs[i]);
    }
}

/* Over MQTT there is no answer that could carry a challenge: no SDK does it. */
static err claim_tpm(const struct env *env, const struct dps_tpm *tpm, struct claim *claim,
                     struct tpm_certificates *certificates, struct verdict *ret_verdict)
{
    err e;

    if (span_is_absent(tpm->endorsement_key)) {
        return OK;
    }
    if (claim->transport != TRANSPORT_HTTP) {
        *ret_verdict = verdict_invalid("tpm: a TPM registers over HTTPS.");
        return OK;
    }
    e = dps_tpm_parse_certificates(env->crypto, tpm, certificates->certs, &certificates->n);
    if (err_is(e, ERR_MALFORMED)) {
        *ret_verdict = VERDICT(CERTIFICATE_UNREADABLE);
    } else {
        TRY(e);
    }
    claim->tpm = (struct claim_tpm){
        .endorsement_key = tpm->endorsement_key,
        .storage_root_key = tpm->storage_root_key,
        .certificates = certificates->certs,
        .n_certificates = certificates->n,
    };
    return OK;
}

static err reply_to(const struct env *env, const struct dps_request *request,
                    struct core_outcome *outcome, struct dps_reply *ret_reply)
{
    struct dps_reply reply;

    ensure_disabled_state(env, request, outcome);
    reply = refusal(verdict_of(outcome));
    if (is_state(outcome)) {
        TRY(write_body(env, request, outcome, &reply));
    } else if (!span_is_absent(outcome->challenge)) {
        TRY(dps_tpm_write_challenge(env, outcome->challenge, &reply.body));
    }
    *ret_reply = reply;
    return OK;
}

err dps_answer(const struct env *env, const struct service *service, const struct peer *peer,
               const struct dps_request *request, struct dps_reply *ret_reply)
{
    struct claim claim = {
        .id_scope = request->id_scope,
        .registration_id = request->registration_id,
        .operation = request->operation,
        .transport = peer->transport,
        .peer = span_str(peer->address),
        .chain = peer->chain,
        .n_chain = peer->n_chain,
        .token = request->token,
        .operation_id = request->operation_id,
    };
    struct dps_json_body body = { 0 };
    struct core_outcome outcome = { .verdict = VERDICT(GRANTED) };
    AUTO(tpm_certificates) struct tpm_certificates certificates = { 0 };
    err e;

    if (request->operation != OPERATION_STATUS) {
        TRY(dps_json_parse_body(request->body, request->registration_id, env->arena, &body,
                                &outcome.verdict));
        claim.payload = body.payload;
    }
    if (verdict_is_granted(outcome.verdict)) {
        TRY(claim_tpm(env, &body.tpm, &claim, &certificates, &outcome.verdict));
    }
    if (verdict_is_granted(outcome.verdict) && peer->has_unreadable_chain) {
        outcome.verdict = VERDICT(CERTIFICATE_UNREADABLE);
    }
    e = decide(env, &claim, &outcome);
    if (err_is(e, ERR_BUSY)) {
        *ret_reply = refusal(VERDICT(THROTTLED));
        return OK;
    }
    TRY(e);
    HUB_PLACER.tell(env, service->bus, &outcome.placed);
    return reply_to(env, request, &outcome, ret_reply);
}
