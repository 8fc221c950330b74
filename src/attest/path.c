/* attest/path.c: whether a certificate leads to one of an enrollment's CA certificates. Path
 * building and checking are OpenSSL's (crypto/x509.h); what a failed path means for the search is
 * decided here.
 *
 * A path that fails is a match only if it is genuine, that is, every signature up to the anchor
 * verifies. OpenSSL looks at purpose, lengths and the anchor's dates before signatures, so a
 * failure of those alone says nothing about where the leaf comes from. */
#include "attest/path.h"

#include <assert.h>

#include "model/limits.h"

static struct verdict refuse(enum reason reason)
{
    return (struct verdict){ .reason = reason };
}

enum reason attest_path_reason(enum crypto_path path)
{
    switch (path) {
    case CRYPTO_PATH_OK:
        return REASON_GRANTED;
    case CRYPTO_PATH_NONE:
        return REASON_ISSUER_UNKNOWN;
    case CRYPTO_PATH_BAD_SIGNATURE:
        return REASON_CERTIFICATE_BAD_SIGNATURE;
    case CRYPTO_PATH_LEAF_EXPIRED:
        return REASON_CERTIFICATE_EXPIRED;
    case CRYPTO_PATH_LEAF_NOT_YET_VALID:
        return REASON_CERTIFICATE_NOT_YET_VALID;
    case CRYPTO_PATH_ISSUER_EXPIRED:
        return REASON_ISSUER_EXPIRED;
    case CRYPTO_PATH_WRONG_PURPOSE:
        return REASON_CERTIFICATE_WRONG_PURPOSE;
    case CRYPTO_PATH_TOO_LONG:
        return REASON_PATH_TOO_LONG;
    case CRYPTO_PATH_INVALID:
        break;
    }
    return REASON_PATH_INVALID;
}

enum crypto_path attest_path_check(const struct env *env, const struct attest_leaf *leaf,
                                   const struct crypto_cert *anchor,
                                   const struct attest_trust *trust, const char **ret_why)
{
    struct crypto_path_query q = {
        .leaf = leaf->cert,
        .purpose = leaf->purpose,
        .anchor = anchor,
        .intermediates = trust->intermediates,
        .n_intermediates = trust->n_intermediates,
        .now_ms = env->now_ms,
        .max_depth = LIMIT_PATH_DEPTH,
    };

    return crypto_x509_check_path(env->crypto, &q, ret_why);
}

static bool has_issued(const struct env *env, const struct crypto_cert *issuer,
                       const struct crypto_cert *cert)
{
    return crypto_x509_may_have_issued(issuer, cert) &&
           crypto_x509_is_signed_by(env->crypto, cert, issuer);
}

/* Marks whatever of the trust a line of signatures joins to `from`: upward who issued it, downward
 * what it issued. */
static void mark_line(const struct env *env, const struct crypto_cert *from, bool is_upward,
                      const struct attest_trust *trust, bool ret_is[LIMIT_TRUST_CERTIFICATES])
{
    const struct crypto_cert *reached[1 + LIMIT_TRUST_CERTIFICATES] = { from };
    size_t n = 1;

    assert(trust->n_intermediates <= LIMIT_TRUST_CERTIFICATES);
    for (size_t at = 0; at < n; at++) {
        for (size_t i = 0; i < trust->n_intermediates; i++) {
            const struct crypto_cert *next = trust->intermediates[i];

            if (!ret_is[i] &&
                has_issued(env, is_upward ? next : reached[at], is_upward ? reached[at] : next)) {
                ret_is[i] = true;
                reached[n++] = next;
            }
        }
    }
}

/* Does an unbroken line of signatures lead from the leaf to the anchor? *ret_line: the certificates
 * on such lines alone. */
static bool is_genuine(const struct env *env, const struct attest_leaf *leaf,
                       const struct crypto_cert *anchor, const struct attest_trust *trust,
                       struct crypto_cert *ret_line[LIMIT_TRUST_CERTIFICATES], size_t *ret_n)
{
    bool is_above_leaf[LIMIT_TRUST_CERTIFICATES] = { false };
    bool is_below_anchor[LIMIT_TRUST_CERTIFICATES] = { false };
    size_t n = 0;

    mark_line(env, leaf->cert, true, trust, is_above_leaf);
    mark_line(env, anchor, false, trust, is_below_anchor);
    for (size_t i = 0; i < trust->n_intermediates; i++) {
        if (is_above_leaf[i] && is_below_anchor[i]) {
            ret_line[n++] = trust->intermediates[i];
        }
    }
    *ret_n = n;
    return n > 0 || has_issued(env, anchor, leaf->cert);
}

/* Judges by one anchor. Sets all but the identity. OpenSSL follows one issuer a step and does not
 * come back, so what leads elsewhere (a cross-certified issuer, a forgery of its names) may keep it
 * from a path that is there; a failure counts only if it stays without these. */
static void judge_by_anchor(const struct env *env, const struct attest_leaf *leaf,
                            const struct attest_anchor *anchor, const struct attest_trust *trust,
                            struct attest_judgement *ret)
{
    struct crypto_cert *line[LIMIT_TRUST_CERTIFICATES];
    struct attest_trust genuine = { .intermediates = line };
    const char *why = NULL;
    enum crypto_path path = attest_path_check(env, leaf, anchor->cert, trust, &why);
    bool is_match = path == CRYPTO_PATH_OK;

    if (!is_match) {
        is_match = is_genuine(env, leaf, anchor->cert, trust, line, &genuine.n_intermediates);
        if (is_match) {
            path = attest_path_check(env, leaf, anchor->cert, &genuine, &why);
        } else if (path != CRYPTO_PATH_NONE) {
            path = CRYPTO_PATH_BAD_SIGNATURE;
        }
    }
    *ret = (struct attest_judgement){
        .verdict = path == CRYPTO_PATH_OK && !anchor->usable ? VERDICT(CA_NOT_VERIFIED)
                                                             : refuse(attest_path_reason(path)),
        .is_match = is_match,
        .anchor = anchor,
        .why = path == CRYPTO_PATH_OK ? NULL : why,
    };
}

/* Granted, then a match, then a forgery, then nothing at all. */
static int rank(const struct attest_judgement *j)
{
    if (j->is_match) {
        return verdict_is_granted(j->verdict) ? 3 : 2;
    }
    return j->verdict.reason == REASON_CERTIFICATE_BAD_SIGNATURE ? 1 : 0;
}

/* The best of the anchors decides. */
void attest_path_judge(const struct env *env, const struct attest_leaf *leaf,
                       const struct attest_trust *trust, struct attest_judgement *ret)
{
    *ret = (struct attest_judgement){ .verdict = VERDICT(ISSUER_UNKNOWN) };
    for (size_t i = 0; i < trust->n_anchors && rank(ret) < 3; i++) {
        struct attest_judgement j;

        judge_by_anchor(env, leaf, &trust->anchors[i], trust, &j);
        if (i == 0 || rank(&j) > rank(ret)) {
            *ret = j;
        }
    }
}
