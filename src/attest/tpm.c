/* attest/tpm.c: proof by a TPM (reference dps-device-api.md 4.2, 6.5). A TPM is known by its
 * endorsement key: enrolled as it is, or certified by a CA that a group trusts. That the device
 * holds it is proven by a token signed with a key that was wrapped for that TPM alone, the
 * challenge. The wrapped key binds the storage root key too: both are in one TPM.
 *
 * Structures and wrapping are tpm/'s; challenges are made, kept and marked as used by core/. */
#include "attest/method.h"

#include "attest/path.h"
#include "model/limits.h"
#include "tpm/blob.h"
#include "util/base32.h"

_Static_assert((int)ATTEST_TPM_KEY_LEN == (int)TPM_BLOB_KEY_LEN, "one key");

struct keys {
    struct tpm_public ek, srk;
};

/* One of them, or what is wrong with it. */
static err read_key(const struct env *env, struct span bytes, enum tpm_role role,
                    struct tpm_public *ret_key, struct verdict *ret_verdict)
{
    const char *member = role == TPM_ROLE_ENDORSEMENT ? "endorsementKey" : "storageRootKey";
    struct verdict v = VERDICT(TPM_KEY_MALFORMED);

    if (err_is_ok(tpm_public_decode(bytes, role, ret_key))) {
        *ret_verdict = VERDICT(GRANTED);
        return OK;
    }
    TRY(arena_printf(env->arena, &v.detail, "%s: %s.", member,
                     span_is_absent(bytes) ? "it is missing" : err_detail()));
    *ret_verdict = v;
    return OK;
}

static err read_keys(const struct env *env, const struct claim *claim, struct keys *ret_keys,
                     struct verdict *ret_verdict)
{
    const struct claim_tpm *tpm = &claim->tpm;
    struct keys k;

    if (!attest_tpm_is_claimed(claim)) {
        *ret_verdict = VERDICT(TPM_EVIDENCE_MISSING);
        return OK;
    }
    TRY(read_key(env, tpm->endorsement_key, TPM_ROLE_ENDORSEMENT, &k.ek, ret_verdict));
    if (verdict_is_granted(*ret_verdict)) {
        TRY(read_key(env, tpm->storage_root_key, TPM_ROLE_STORAGE, &k.srk, ret_verdict));
    }
    *ret_keys = k;
    return OK;
}

err attest_tpm_check_key(struct span tpm2b_public, bool is_endorsement_key)
{
    struct tpm_public p;

    return tpm_public_decode(tpm2b_public,
                             is_endorsement_key ? TPM_ROLE_ENDORSEMENT : TPM_ROLE_STORAGE, &p);
}

err attest_tpm_precheck(const struct env *env, const struct claim *claim,
                        struct verdict *ret_verdict)
{
    struct keys k;

    TRY(read_keys(env, claim, &k, ret_verdict));
    if (verdict_is_granted(*ret_verdict) && !span_is_empty(claim->token)) {
        return attest_symkey_precheck(env, claim, ret_verdict);
    }
    return OK;
}

/* Is the registration ID the one that the SDKs make of this endorsement key? To the letter: the
 * hub tells device IDs apart by case, and a TPM shall be one device. */
static err is_made_of_key(const struct env *env, const struct claim *claim, bool *ret_is)
{
    uint8_t digest[CRYPTO_SHA256_LEN], room[64];
    struct buf id = buf_over(room, sizeof room);

    TRY(crypto_sha256(env->crypto, claim->tpm.endorsement_key, digest));
    base32_encode_lower(span_of(digest, sizeof digest), &id);
    TRY(buf_ok(&id));
    *ret_is = span_eq(buf_span(&id), claim->registration_id);
    return OK;
}

err attest_tpm_precheck_group(const struct env *env, const struct claim *claim,
                              struct verdict *ret_verdict)
{
    struct keys k;
    bool is_own;

    TRY(read_keys(env, claim, &k, ret_verdict));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    if (claim->tpm.n_certificates == 0) {
        *ret_verdict = VERDICT(ENDORSEMENT_CERTIFICATE_MISSING);
    } else if (claim->tpm.n_certificates > LIMIT_CHAIN_CERTIFICATES) {
        *ret_verdict = VERDICT(CERTIFICATE_UNREADABLE);
    } else if (!crypto_x509_has_rsa_key(claim->tpm.certificates[0], k.ek.key.modulus,
                                        k.ek.key.exponent)) {
        *ret_verdict = VERDICT(ENDORSEMENT_CERTIFICATE_MISMATCH);
    } else {
        TRY(is_made_of_key(env, claim, &is_own));
        *ret_verdict = is_own ? VERDICT(GRANTED) : VERDICT(TPM_REGISTRATION_ID_MISMATCH);
    }
    return OK;
}

err attest_tpm_evidence(const struct env *env, const struct claim *claim,
                        uint8_t ret_sha256[CRYPTO_SHA256_LEN])
{
    uint8_t room[2 * TPM_PUBLIC_MAX];
    struct buf both = buf_over(room, sizeof room);

    buf_add(&both, claim->tpm.endorsement_key);
    buf_add(&both, claim->tpm.storage_root_key);
    TRY(buf_ok(&both));
    return crypto_sha256(env->crypto, buf_span(&both), ret_sha256);
}

err attest_tpm_wrap(const struct env *env, const struct claim *claim,
                    const uint8_t key[ATTEST_TPM_KEY_LEN], struct span *ret_blob)
{
    struct verdict verdict;
    struct keys k;
    struct buf out;

    TRY(read_keys(env, claim, &k, &verdict));
    if (!verdict_is_granted(verdict)) {
        return err_set(ERR_MALFORMED, "wrapping for a TPM whose keys were not checked");
    }
    out = arena_buf(env->arena);
    TRY(tpm_blob_make(env, &k.ek, &k.srk, key, &out));
    return arena_buf_end(env->arena, &out, ret_blob);
}

/* ---- the token ---- */

static bool is_over(const struct env *env, int64_t since_ms)
{
    return env->now_ms - since_ms > LIMIT_TPM_CHALLENGE_MS;
}

/* GRANTED, TOKEN_EXPIRED, or TOKEN_BAD_SIGNATURE when the key is another or there is none. */
static err check_by(const struct env *env, const struct sas_token *token, const struct challenge *c,
                    enum reason *ret_reason)
{
    *ret_reason = REASON_TOKEN_BAD_SIGNATURE;
    return c != NULL ? sas_check(env->crypto, token, &c->key, 1, env->now_ms, ret_reason) : OK;
}

/* A key registers once. By then it may poll and look up, for a while. */
static enum reason reason_by_used(const struct env *env, const struct claim *claim,
                                  const struct challenge *c)
{
    if (claim->operation == OPERATION_REGISTER) {
        return REASON_TPM_CHALLENGE_USED;
    }
    return is_over(env, c->used_ms) ? REASON_TPM_CHALLENGE_EXPIRED : REASON_GRANTED;
}

/* Which challenge signed, and what it is still good for. */
static err judge_signature(const struct env *env, const struct claim *claim,
                           const struct sas_token *token, const struct attest_challenges *has,
                           enum reason *ret_reason)
{
    enum reason reason;

    TRY(check_by(env, token, has->open, &reason));
    if (reason == REASON_GRANTED && is_over(env, has->open->issued_ms)) {
        reason = REASON_TPM_CHALLENGE_EXPIRED;
    }
    if (reason == REASON_TOKEN_BAD_SIGNATURE) {
        TRY(check_by(env, token, has->used, &reason));
        reason = reason == REASON_GRANTED ? reason_by_used(env, claim, has->used) : reason;
    }
    if (reason == REASON_TOKEN_BAD_SIGNATURE) {
        reason = has->open == NULL && has->used == NULL ? REASON_TPM_CHALLENGE_MISSING
                                                        : REASON_TPM_KEY_UNPROVEN;
    }
    *ret_reason = reason;
    return OK;
}

err attest_tpm_judge_token(const struct env *env, const struct claim *claim,
                           const struct attest_challenges *challenges, struct verdict *ret_verdict)
{
    size_t mark = env->arena->used;
    struct sas_token token;
    err e;

    if (span_is_empty(claim->token)) {
        *ret_verdict = VERDICT(TPM_CHALLENGED);
        return OK;
    }
    e = attest_symkey_read_token(env, claim, &token, ret_verdict);
    if (err_is_ok(e) && verdict_is_granted(*ret_verdict)) {
        e = judge_signature(env, claim, &token, challenges, &ret_verdict->reason);
    }
    env->arena->used = mark;
    return e;
}

/* ---- enrollments ---- */

/* An enrolled key is one that decodes, and an endorsement key that does has one spelling. */
static struct verdict judge_individual(const struct keys *k, const struct enrollment *e)
{
    if (!span_eq(k->ek.bytes, e->endorsement_key)) {
        return VERDICT(ENDORSEMENT_KEY_MISMATCH);
    }
    if (!span_is_absent(e->storage_root_key) && !span_eq(k->srk.bytes, e->storage_root_key)) {
        return VERDICT(STORAGE_ROOT_KEY_MISMATCH);
    }
    return VERDICT(GRANTED);
}

static err judge_group(const struct env *env, const struct claim *claim,
                       const struct attest_trust *trust, struct attest_judgement *ret)
{
    struct attest_leaf leaf = { .purpose = CRYPTO_PURPOSE_ENDORSEMENT_KEY };
    struct verdict verdict;

    TRY(attest_tpm_precheck_group(env, claim, &verdict));
    if (!verdict_is_granted(verdict)) {
        *ret = (struct attest_judgement){ .verdict = verdict };
        return OK;
    }
    leaf.cert = claim->tpm.certificates[0];
    attest_path_judge(env, &leaf, trust, ret);
    return OK;
}

err attest_tpm_judge(const struct env *env, const struct claim *claim,
                     const struct enrollment *enrollment, const struct attest_trust *trust,
                     struct attest_judgement *ret)
{
    struct attest_judgement j = { .is_match = enrollment->kind == ENROLLMENT_INDIVIDUAL };
    struct keys k;

    TRY(read_keys(env, claim, &k, &j.verdict));
    if (verdict_is_granted(j.verdict)) {
        if (enrollment->kind == ENROLLMENT_GROUP) {
            TRY(judge_group(env, claim, trust, &j));
        } else {
            j.verdict = judge_individual(&k, enrollment);
        }
    }
    if (verdict_is_granted(j.verdict)) {
        TRY(attest_tpm_judge_token(env, claim, &trust->challenges, &j.verdict));
    }
    if (verdict_is_granted(j.verdict)) {
        TRY(attest_tpm_evidence(env, claim, j.identity.evidence_sha256_));
        j.identity.has_evidence_ = true;
    }
    *ret = j;
    return OK;
}
