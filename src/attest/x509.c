/* attest/x509.c: proof by a client certificate. TLS has proven possession of the leaf's key; here
 * is judged whether the leaf belongs to an enrollment: it is one of the certificates enrolled, or
 * leads to one of the CA certificates enrolled (attest/path.h). */
#include "attest/method.h"

#include "attest/path.h"
#include "model/limits.h"

static struct verdict refuse(enum reason reason)
{
    return (struct verdict){ .reason = reason };
}

/* Reference dps-device-api.md 6.2: the registration ID must equal the subject CN. */
err attest_x509_precheck(const struct env *env, const struct claim *claim,
                         struct verdict *ret_verdict)
{
    uint8_t room[LIMIT_REGISTRATION_ID];
    struct buf cn = buf_over(room, sizeof room);
    err e;

    (void)env;
    if (claim->n_chain == 0) {
        *ret_verdict = span_is_absent(claim->token) ? VERDICT(CLIENT_CERTIFICATE_MISSING)
                                                    : VERDICT(ATTESTATION_MISMATCH);
        return OK;
    }
    if (claim->n_chain > LIMIT_CHAIN_CERTIFICATES) {
        *ret_verdict = VERDICT(CERTIFICATE_UNREADABLE);
        return OK;
    }
    /* No name, several, or one that is longer than any registration ID: not the same name. */
    e = crypto_x509_common_name(claim->chain[0], &cn);
    if (!err_is_ok(e) && !err_is(e, ERR_NOT_FOUND) && !err_is(e, ERR_MALFORMED) &&
        !err_is(e, ERR_NOMEM)) {
        return e;
    }
    *ret_verdict = err_is_ok(e) && span_eq_nocase(buf_span(&cn), claim->registration_id)
                       ? VERDICT(GRANTED)
                       : VERDICT(COMMON_NAME_MISMATCH);
    return OK;
}

static err is_enrolled_leaf(const struct env *env, const uint8_t leaf_sha256[CRYPTO_SHA256_LEN],
                            struct span enrolled_der, bool *ret_is)
{
    uint8_t enrolled[CRYPTO_SHA256_LEN];

    *ret_is = false;
    if (!span_is_absent(enrolled_der)) {
        TRY(crypto_sha256(env->crypto, enrolled_der, enrolled));
        *ret_is = memcmp(enrolled, leaf_sha256, sizeof enrolled) == 0;
    }
    return OK;
}

/* The leaf itself is enrolled: it is its own anchor, so dates and purpose are all that is checked.
 */
static err judge_enrolled_leaf(const struct env *env, const struct claim *claim,
                               const struct enrollment *enrollment, struct attest_judgement *ret)
{
    const struct attest_leaf leaf = { .cert = claim->chain[0] };
    const uint8_t *sha256 = ret->identity.evidence_sha256_;
    bool is_primary, is_secondary = false;
    enum crypto_path path;

    TRY(is_enrolled_leaf(env, sha256, enrollment->x509_primary, &is_primary));
    if (!is_primary) {
        TRY(is_enrolled_leaf(env, sha256, enrollment->x509_secondary, &is_secondary));
    }
    if (!is_primary && !is_secondary) {
        ret->verdict = VERDICT(CERTIFICATE_MISMATCH);
        return OK;
    }
    path = attest_path_check(env, &leaf, leaf.cert, &(struct attest_trust){ 0 }, &ret->why);
    ret->verdict = refuse(attest_path_reason(path));
    return OK;
}

err attest_x509_judge(const struct env *env, const struct claim *claim,
                      const struct enrollment *enrollment, const struct attest_trust *trust,
                      struct attest_judgement *ret)
{
    struct attest_leaf leaf = { .purpose = CRYPTO_PURPOSE_CLIENT };
    uint8_t leaf_sha256[CRYPTO_SHA256_LEN];

    *ret = (struct attest_judgement){ .verdict = VERDICT(CLIENT_CERTIFICATE_MISSING),
                                      .is_match = true };
    if (claim->n_chain == 0) {
        return OK;
    }
    leaf.cert = claim->chain[0];
    TRY(crypto_x509_sha256(leaf.cert, leaf_sha256));
    if (enrollment->x509_source == X509_SOURCE_CLIENT) {
        memcpy(ret->identity.evidence_sha256_, leaf_sha256, sizeof leaf_sha256);
        TRY(judge_enrolled_leaf(env, claim, enrollment, ret));
    } else {
        attest_path_judge(env, &leaf, trust, ret);
        memcpy(ret->identity.evidence_sha256_, leaf_sha256, sizeof leaf_sha256);
    }
    ret->identity.has_evidence_ = true;
    return OK;
}
