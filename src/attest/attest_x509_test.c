/* attest/attest_x509_test.c: one claim, one enrollment, one trust: what attest_judge makes of them.
 * Which enrollment is judged is tested with core/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attest/attest.h"
#include "crypto/key.h"
#include "model/limits.h"

#define DAY_MS 86400000LL
static const int64_t now_ms = 1750000000000;

enum name {
    ROOT,
    SUB,
    TWIN_ROOT,
    LEAF,
    LEAF_SUB,
    LEAF_LATE,
    LEAF_SERVER,
    FORGED,
    FORGED_SERVER,
    NO_NAME,
    N_CERTS,
    NO_CERT = -1
};

static struct crypto *crypto;
static struct crypto_key *keys[N_CERTS];
static struct crypto_cert *certs[N_CERTS];

static const struct {
    const char *cn;
    enum name issuer, issuer_key; /* itself: self-signed */
    bool is_ca, is_late;
    const char *usage;
} plan[N_CERTS] = {
    [ROOT] = { "Root", ROOT, ROOT, true, false, NULL },
    [SUB] = { "Sub", ROOT, ROOT, true, false, NULL },
    [TWIN_ROOT] = { "Root", TWIN_ROOT, TWIN_ROOT, true, false, NULL },
    [LEAF] = { "dev-1", ROOT, ROOT, false, false, NULL },
    [LEAF_SUB] = { "dev-1", SUB, SUB, false, false, NULL },
    [LEAF_LATE] = { "dev-1", ROOT, ROOT, false, true, NULL },
    [LEAF_SERVER] = { "dev-1", ROOT, ROOT, false, false, "serverAuth" },
    /* They name the root and its key, but another key signed. */
    [FORGED] = { "dev-1", ROOT, TWIN_ROOT, false, false, NULL },
    [FORGED_SERVER] = { "dev-1", ROOT, TWIN_ROOT, false, false, "serverAuth" },
    [NO_NAME] = { "somebody else", ROOT, ROOT, false, false, NULL },
};

static int make_certs(void **state)
{
    (void)state;
    assert_true(err_is_ok(crypto_new(CRYPTO_SERVING, &crypto)));
    for (int i = 0; i < N_CERTS; i++) {
        struct crypto_cert_spec spec = {
            .common_name = plan[i].cn,
            .not_before_ms = now_ms - 100 * DAY_MS,
            .not_after_ms = plan[i].is_late ? now_ms - DAY_MS : now_ms + 100 * DAY_MS,
            .is_ca = plan[i].is_ca,
            .path_len = -1,
            .key_usage = plan[i].is_ca ? "critical,keyCertSign" : "critical,digitalSignature",
            .extended_usage = plan[i].usage,
            .serial = { 1, (uint8_t)i },
        };
        bool is_self_signed = (int)plan[i].issuer == i;

        assert_true(err_is_ok(crypto_key_generate(crypto, CRYPTO_KEY_EC_P256, &keys[i])));
        assert_true(err_is_ok(crypto_key_issue(crypto, &spec, keys[i],
                                               is_self_signed ? NULL : certs[plan[i].issuer],
                                               keys[plan[i].issuer_key], &certs[i])));
    }
    return 0;
}

static int free_certs(void **state)
{
    (void)state;
    for (int i = 0; i < N_CERTS; i++) {
        crypto_x509_free(certs[i]);
        crypto_key_free(keys[i]);
    }
    crypto_free(crypto);
    return 0;
}

static struct env test_env(void)
{
    return (struct env){ .crypto = crypto, .now_ms = now_ms };
}

static struct claim claim_of(const char *id, struct crypto_cert *const *chain, size_t n)
{
    return (struct claim){ .registration_id = span_str(id), .chain = chain, .n_chain = n };
}

static const struct {
    const char *id, *token;
    int cert;
    enum reason expected;
} early_cases[] = {
    { "dev-1", NULL, LEAF, REASON_GRANTED },
    { "DEV-1", NULL, LEAF, REASON_GRANTED },
    { "dev-2", NULL, LEAF, REASON_COMMON_NAME_MISMATCH },
    { "dev-", NULL, LEAF, REASON_COMMON_NAME_MISMATCH },
    { "dev-11", NULL, LEAF, REASON_COMMON_NAME_MISMATCH },
    { "dev-1", NULL, NO_NAME, REASON_COMMON_NAME_MISMATCH },
    { "dev-1", NULL, NO_CERT, REASON_CLIENT_CERTIFICATE_MISSING },
    { "dev-1", "SharedAccessSignature sr=", NO_CERT, REASON_ATTESTATION_MISMATCH },
    { "dev-1", "SharedAccessSignature sr=", LEAF, REASON_GRANTED },
};

static void before_any_enrollment(void **state)
{
    struct crypto_cert *many[LIMIT_CHAIN_CERTIFICATES + 1];
    struct env env = test_env();
    struct claim claim;
    struct verdict v;

    (void)state;
    for (size_t i = 0; i < sizeof early_cases / sizeof *early_cases; i++) {
        bool has_cert = early_cases[i].cert != NO_CERT;

        claim =
            claim_of(early_cases[i].id, has_cert ? &certs[early_cases[i].cert] : NULL, has_cert);
        claim.token = span_str(early_cases[i].token);
        assert_true(err_is_ok(attest_x509_precheck(&env, &claim, &v)));
        assert_int_equal(v.reason, early_cases[i].expected);
    }
    for (size_t i = 0; i <= LIMIT_CHAIN_CERTIFICATES; i++) {
        many[i] = certs[LEAF];
    }
    claim = claim_of("dev-1", many, LIMIT_CHAIN_CERTIFICATES + 1);
    assert_true(err_is_ok(attest_x509_precheck(&env, &claim, &v)));
    assert_int_equal(v.reason, REASON_CERTIFICATE_UNREADABLE);
}

static const struct {
    const char *label;
    int leaf, sent;
    int anchors[2];
    bool usable[2];
    bool is_disabled;
    enum reason expected;
    bool is_match;
    int by; /* which anchor decided; -1: none */
} anchor_cases[] = {
    { "primary", LEAF, NO_CERT, { ROOT, NO_CERT }, { true }, false, REASON_GRANTED, true, 0 },
    { "secondary",
      LEAF,
      NO_CERT,
      { TWIN_ROOT, ROOT },
      { true, true },
      false,
      REASON_GRANTED,
      true,
      1 },
    { "chain", LEAF_SUB, SUB, { ROOT, NO_CERT }, { true }, false, REASON_GRANTED, true, 0 },
    { "no chain",
      LEAF_SUB,
      NO_CERT,
      { ROOT, NO_CERT },
      { true },
      false,
      REASON_ISSUER_UNKNOWN,
      false,
      0 },
    { "no anchor",
      LEAF,
      NO_CERT,
      { NO_CERT, NO_CERT },
      { false },
      false,
      REASON_ISSUER_UNKNOWN,
      false,
      -1 },
    { "not verified",
      LEAF,
      NO_CERT,
      { ROOT, NO_CERT },
      { false },
      false,
      REASON_CA_NOT_VERIFIED,
      true,
      0 },
    { "one of two verified",
      LEAF,
      NO_CERT,
      { ROOT, ROOT },
      { false, true },
      false,
      REASON_GRANTED,
      true,
      1 },
    { "expired",
      LEAF_LATE,
      NO_CERT,
      { ROOT, NO_CERT },
      { true },
      false,
      REASON_CERTIFICATE_EXPIRED,
      true,
      0 },
    { "purpose",
      LEAF_SERVER,
      NO_CERT,
      { ROOT, NO_CERT },
      { true },
      false,
      REASON_CERTIFICATE_WRONG_PURPOSE,
      true,
      0 },
    { "forged",
      FORGED,
      NO_CERT,
      { ROOT, NO_CERT },
      { true },
      false,
      REASON_CERTIFICATE_BAD_SIGNATURE,
      false,
      0 },
    { "forged, wrong purpose",
      FORGED_SERVER,
      NO_CERT,
      { ROOT, NO_CERT },
      { true },
      false,
      REASON_CERTIFICATE_BAD_SIGNATURE,
      false,
      0 },
    { "disabled",
      LEAF,
      NO_CERT,
      { ROOT, NO_CERT },
      { true },
      true,
      REASON_ENROLLMENT_DISABLED,
      true,
      0 },
    { "disabled, expired",
      LEAF_LATE,
      NO_CERT,
      { ROOT, NO_CERT },
      { true },
      true,
      REASON_CERTIFICATE_EXPIRED,
      true,
      0 },
    { "disabled, forged",
      FORGED,
      NO_CERT,
      { ROOT, NO_CERT },
      { true },
      true,
      REASON_CERTIFICATE_BAD_SIGNATURE,
      false,
      0 },
};

static void by_anchors(void **state)
{
    struct env env = test_env();

    (void)state;
    for (size_t i = 0; i < sizeof anchor_cases / sizeof *anchor_cases; i++) {
        struct attest_anchor anchors[2];
        struct attest_trust trust = { .anchors = anchors };
        struct enrollment e = { .kind = ENROLLMENT_GROUP,
                                .attestation = ATTESTATION_X509,
                                .x509_source = X509_SOURCE_SIGNING,
                                .provisioning_status = anchor_cases[i].is_disabled
                                                           ? PROVISIONING_DISABLED
                                                           : PROVISIONING_ENABLED };
        struct claim claim = claim_of("dev-1", &certs[anchor_cases[i].leaf], 1);
        struct attest_judgement j;
        uint8_t digest[CRYPTO_SHA256_LEN];

        for (size_t k = 0; k < 2 && anchor_cases[i].anchors[k] != NO_CERT; k++) {
            anchors[trust.n_anchors++] =
                (struct attest_anchor){ .cert = certs[anchor_cases[i].anchors[k]],
                                        .usable = anchor_cases[i].usable[k],
                                        .source = "test" };
        }
        if (anchor_cases[i].sent != NO_CERT) {
            trust.intermediates = &certs[anchor_cases[i].sent];
            trust.n_intermediates = 1;
        }
        assert_true(err_is_ok(attest_judge(&env, &claim, &e, &trust, &j)));
        if (j.verdict.reason != anchor_cases[i].expected ||
            j.is_match != anchor_cases[i].is_match) {
            fail_msg("%s: %s", anchor_cases[i].label, reason_info(j.verdict.reason)->token);
        }
        assert_ptr_equal(j.anchor, anchor_cases[i].by < 0 ? NULL : &anchors[anchor_cases[i].by]);
        if (anchor_cases[i].expected == REASON_GRANTED) {
            assert_int_equal(attest_identity_enrollment(&j.identity)->kind, ENROLLMENT_GROUP);
            assert_true(span_eq(attest_identity_registration_id(&j.identity), SPAN("dev-1")));
            assert_true(err_is_ok(crypto_x509_sha256(claim.chain[0], digest)));
            assert_true(
                span_eq(attest_identity_evidence(&j.identity), span_of(digest, sizeof digest)));
        } else {
            assert_true(span_is_absent(attest_identity_evidence(&j.identity)));
        }
    }
}

static const struct {
    int leaf, primary, secondary;
    enum reason expected;
} leaf_cases[] = {
    { LEAF, LEAF, NO_CERT, REASON_GRANTED },
    { LEAF, NO_CERT, LEAF, REASON_GRANTED },
    { LEAF, LEAF_SUB, LEAF, REASON_GRANTED },
    { LEAF, LEAF_SUB, LEAF_LATE, REASON_CERTIFICATE_MISMATCH },
    { LEAF, NO_CERT, NO_CERT, REASON_CERTIFICATE_MISMATCH },
    { LEAF, ROOT, NO_CERT, REASON_CERTIFICATE_MISMATCH }, /* not as an issuer */
    { LEAF_LATE, LEAF_LATE, NO_CERT, REASON_CERTIFICATE_EXPIRED },
    { LEAF_SERVER, NO_CERT, LEAF_SERVER, REASON_CERTIFICATE_WRONG_PURPOSE },
    { FORGED, FORGED, NO_CERT, REASON_GRANTED }, /* who signed it does not matter */
    { NO_CERT, LEAF, NO_CERT, REASON_CLIENT_CERTIFICATE_MISSING },
};

static void by_enrolled_leaf(void **state)
{
    struct env env = test_env();

    (void)state;
    for (size_t i = 0; i < sizeof leaf_cases / sizeof *leaf_cases; i++) {
        uint8_t room[2][4096];
        struct span slots[2] = { SPAN_NONE, SPAN_NONE };
        const int enrolled[2] = { leaf_cases[i].primary, leaf_cases[i].secondary };
        struct enrollment e = { .kind = ENROLLMENT_INDIVIDUAL,
                                .attestation = ATTESTATION_X509,
                                .x509_source = X509_SOURCE_CLIENT };
        bool has_leaf = leaf_cases[i].leaf != NO_CERT;
        struct claim claim =
            claim_of("dev-1", has_leaf ? &certs[leaf_cases[i].leaf] : NULL, has_leaf);
        struct attest_judgement j;

        for (size_t k = 0; k < 2; k++) {
            struct buf der = buf_over(room[k], sizeof room[k]);

            if (enrolled[k] != NO_CERT) {
                assert_true(err_is_ok(crypto_x509_encode(certs[enrolled[k]], &der)));
                slots[k] = buf_span(&der);
            }
        }
        e.x509_primary = slots[0];
        e.x509_secondary = slots[1];
        assert_true(err_is_ok(attest_judge(&env, &claim, &e, &(struct attest_trust){ 0 }, &j)));
        assert_int_equal(j.verdict.reason, leaf_cases[i].expected);
        assert_true(j.is_match);
    }
}

static void other_kinds_of_proof(void **state)
{
    static const struct {
        enum attestation_type type;
        enum reason expected;
    } cases[] = {
        { ATTESTATION_NONE, REASON_ATTESTATION_MISMATCH },
        { ATTESTATION_TPM, REASON_TPM_EVIDENCE_MISSING },
    };
    struct env env = test_env();
    struct claim claim = claim_of("dev-1", &certs[LEAF], 1);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct enrollment e = { .kind = ENROLLMENT_INDIVIDUAL, .attestation = cases[i].type };
        struct attest_judgement j;

        assert_true(err_is_ok(attest_judge(&env, &claim, &e, &(struct attest_trust){ 0 }, &j)));
        assert_int_equal(j.verdict.reason, cases[i].expected);
        assert_true(j.is_match);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(before_any_enrollment),
        cmocka_unit_test(by_anchors),
        cmocka_unit_test(by_enrolled_leaf),
        cmocka_unit_test(other_kinds_of_proof),
    };

    return cmocka_run_group_tests(tests, make_certs, free_certs);
}
