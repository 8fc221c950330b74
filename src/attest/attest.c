/* attest/attest.c: from a claim and one enrollment to an identity or a refusal. Knows which file
 * judges which kind of evidence, and that a disabled enrollment refuses only who it would have
 * served; what the evidence is worth is the method's, which enrollment is asked core/'s. */
#include "attest/attest.h"

#include "attest/method.h"

static const attest_method_fn methods[] = {
    [ATTESTATION_NONE] = NULL,
    [ATTESTATION_TPM] = attest_tpm_judge,
    [ATTESTATION_X509] = attest_x509_judge,
    [ATTESTATION_SYMMETRIC_KEY] = attest_symkey_judge,
};

static attest_method_fn method_of(enum attestation_type type)
{
    return (size_t)type < sizeof methods / sizeof *methods ? methods[type] : NULL;
}

err attest_judge(const struct env *env, const struct claim *claim,
                 const struct enrollment *enrollment, const struct attest_trust *trust,
                 struct attest_judgement *ret_judgement)
{
    struct attest_judgement j = { .verdict = VERDICT(ATTESTATION_MISMATCH), .is_match = true };
    attest_method_fn judge = method_of(enrollment->attestation);

    if (judge != NULL) {
        TRY(judge(env, claim, enrollment, trust, &j));
    }
    if (verdict_is_granted(j.verdict) && enrollment->provisioning_status == PROVISIONING_DISABLED) {
        j.verdict = VERDICT(ENROLLMENT_DISABLED);
    }
    if (verdict_is_granted(j.verdict)) {
        j.identity.enrollment_ = *enrollment;
        j.identity.registration_id_ = claim->registration_id;
    } else {
        j.identity = (struct identity){ 0 };
    }
    *ret_judgement = j;
    return OK;
}

const struct enrollment *attest_identity_enrollment(const struct identity *id)
{
    return &id->enrollment_;
}

struct span attest_identity_registration_id(const struct identity *id)
{
    return id->registration_id_;
}

struct span attest_identity_evidence(const struct identity *id)
{
    return id->has_evidence_ ? span_of(id->evidence_sha256_, sizeof id->evidence_sha256_)
                             : SPAN_NONE;
}

struct span attest_identity_key(const struct identity *id, size_t slot)
{
    return id->keys_[slot];
}

size_t attest_identity_proving_slot(const struct identity *id)
{
    return id->proving_slot_;
}
