/* attest/attest_symkey_test.c: one claim with a token and one enrollment. Vectors of reference
 * dps-device-api.md 6.3. Which enrollments are tried is tested with core/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "attest/attest.h"
#include "attest/key_group.h"
#include "attest/sas.h"
#include "model/limits.h"
#include "util/base64.h"

#define SCOPE "0ne00111111"
#define ID    "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"
#define GROUP_KEY                                                                                  \
    "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw=="
#define DEVICE_KEY "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="
#define EXPIRY_S   1893456000LL
#define UPPER_SIG  "4vgT0nSltTOl1Mdo9UH0nk4hIwsK9ExboUU1oeIqY2I%3D"
#define LOWER_SIG  "j%2FhDiV4nC7UmhyS5Sg3pG02hr3jjYK5aEWWnrFKiLLY%3D"
#define RAW_SIG    "3lktnU51iC6A11Y9Q%2FwJfErs23XUO145NYAZoDxmiUE%3D"
#define UPPER_SR   SCOPE "%2Fregistrations%2F" ID
#define LOWER_SR   SCOPE "%2fregistrations%2f" ID
#define RAW_SR     SCOPE "/registrations/" ID

#define assert_ok(call) assert_string_equal(err_name(call), err_name(OK))
#define assert_outcome(expected, v)                                                                \
    assert_string_equal(reason_info(expected)->token, reason_info((v).reason)->token)

static struct crypto *crypto;
static _Alignas(16) uint8_t room[64 * 1024];
static struct arena arena;
static struct env env;
static struct span group_key, other_key;

static struct span key_of(const char *base64)
{
    struct buf out = arena_buf(&arena);
    struct span key;

    assert_ok(base64_decode(span_str(base64), &out));
    assert_ok(arena_buf_end(&arena, &out, &key));
    return key;
}

static int setup(void **state)
{
    (void)state;
    assert_ok(crypto_new(CRYPTO_SERVING, &crypto));
    arena_init(&arena, room, sizeof room);
    env = (struct env){ .crypto = crypto, .arena = &arena, .now_ms = (EXPIRY_S - 60) * 1000 };
    group_key = key_of(GROUP_KEY);
    other_key = SPAN("0123456789abcdef0123456789abcdef");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    crypto_free(crypto);
    return 0;
}

static struct enrollment enrollment(enum enrollment_kind kind, struct span primary,
                                    struct span secondary)
{
    return (struct enrollment){ .kind = kind,
                                .attestation = ATTESTATION_SYMMETRIC_KEY,
                                .primary_key = primary,
                                .secondary_key = secondary };
}

static struct claim claim(const char *id, struct span token)
{
    return (
        struct claim){ .id_scope = SPAN(SCOPE), .registration_id = span_str(id), .token = token };
}

static struct attest_judgement judge(const struct claim *c, const struct enrollment *e)
{
    struct attest_trust none = { 0 };
    struct attest_judgement j;
    size_t used = arena.used;

    assert_ok(attest_judge(&env, c, e, &none, &j));
    if (!j.is_match) {
        assert_int_equal(used, arena.used); /* a search tries many */
    }
    return j;
}

/* What a search would find by keys made ready. */
static bool has_signed(const struct claim *c, const struct enrollment *e)
{
    struct attest_key_group g;
    struct attest_key_trial trial;
    bool has;

    assert_ok(attest_key_trial_init(&env, c, &trial));
    assert_ok(attest_key_group_init(crypto, e, &g));
    assert_ok(attest_key_group_has_signed(crypto, &g, &trial, &has));
    attest_key_group_done(&g);
    assert_null(g.keys[SLOT_PRIMARY]);
    return has;
}

/* A token by `key` for the ID's registration. */
static struct span make_token(const char *resource, struct span key, const char *skn, int64_t se)
{
    struct buf out = arena_buf(&arena);
    struct span text;

    assert_ok(sas_make(crypto, span_str(resource), key, span_str(skn), se, &out));
    assert_ok(arena_buf_end(&arena, &out, &text));
    return text;
}

static void derivation(void **state)
{
    uint8_t key[CRYPTO_SHA256_LEN];
    char text[64];
    struct buf out = buf_over(text, sizeof text);

    (void)state;
    assert_ok(attest_symkey_derive(crypto, group_key, SPAN(ID), key));
    base64_encode(span_of(key, sizeof key), &out);
    assert_true(span_eq(buf_span(&out), SPAN(DEVICE_KEY)));
}

/* How each SDK spells the same token, by the group's key and by the device's own. */
static void every_spelling(void **state)
{
    static const char *const tokens[] = {
        "SharedAccessSignature sr=" LOWER_SR "&sig=" LOWER_SIG "&se=1893456000&skn=registration",
        "SharedAccessSignature sr=" UPPER_SR "&sig=" UPPER_SIG "&se=1893456000",
        "SharedAccessSignature sr=" RAW_SR "&sig=" RAW_SIG "&skn=registration&se=1893456000",
        "SharedAccessSignature sr=" UPPER_SR "&sig=" UPPER_SIG "&se=1893456000&skn=registration",
        "SharedAccessSignature sr=" RAW_SR "&sig=" RAW_SIG "&se=1893456000&skn=",
        "SharedAccessSignature sr=" LOWER_SR "&sig=" LOWER_SIG "&se=1893456000",
        "SharedAccessSignature se=1893456000&sig=" UPPER_SIG "&sr=" UPPER_SR,
    };
    const struct enrollment enrollments[] = {
        enrollment(ENROLLMENT_GROUP, group_key, other_key),
        enrollment(ENROLLMENT_GROUP, other_key, group_key),
        enrollment(ENROLLMENT_INDIVIDUAL, key_of(DEVICE_KEY), other_key),
        enrollment(ENROLLMENT_INDIVIDUAL, other_key, key_of(DEVICE_KEY)),
    };

    (void)state;
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        for (size_t k = 0; k < sizeof enrollments / sizeof enrollments[0]; k++) {
            struct claim c = claim(ID, span_str(tokens[i]));
            struct attest_judgement j = judge(&c, &enrollments[k]);

            assert_outcome(REASON_GRANTED, j.verdict);
            assert_true(j.is_match);
            assert_int_equal(k % 2, attest_identity_proving_slot(&j.identity));
            assert_true(span_eq(key_of(DEVICE_KEY), attest_identity_key(&j.identity, k % 2)));
            assert_true(span_is_absent(attest_identity_evidence(&j.identity)));
            assert_true(enrollments[k].kind == ENROLLMENT_INDIVIDUAL ||
                        has_signed(&c, &enrollments[k]));
        }
    }
}

static void refusals(void **state)
{
    const struct span device_key = key_of(DEVICE_KEY);
    const struct {
        struct span token;
        int64_t late_s;
        enum reason expected;
    } cases[] = {
        { SPAN_NONE, 0, REASON_TOKEN_MISSING },
        { SPAN("x"), 0, REASON_TOKEN_MALFORMED },
        { SPAN("SharedAccessSignature sr=" RAW_SR "&se=1893456000"), 0, REASON_TOKEN_MALFORMED },
        { make_token(RAW_SR, group_key, NULL, EXPIRY_S), 0, REASON_TOKEN_BAD_SIGNATURE },
        { make_token(RAW_SR, other_key, NULL, EXPIRY_S), 0, REASON_TOKEN_BAD_SIGNATURE },
        { make_token(RAW_SR, device_key, "owner", EXPIRY_S), 0, REASON_TOKEN_POLICY_UNKNOWN },
        { make_token(SCOPE "/registrations", device_key, NULL, EXPIRY_S), 0, REASON_TOKEN_SCOPE },
        { make_token(SCOPE "/registrations/other", device_key, NULL, EXPIRY_S), 0,
          REASON_TOKEN_SCOPE },
        { make_token(RAW_SR "/more", device_key, NULL, EXPIRY_S), 0, REASON_TOKEN_SCOPE },
        { make_token("0ne00222222/registrations/" ID, device_key, NULL, EXPIRY_S), 0,
          REASON_TOKEN_SCOPE },
        { make_token(RAW_SR, device_key, NULL, EXPIRY_S), 300, REASON_GRANTED }, /* skew */
        { make_token(RAW_SR, device_key, NULL, EXPIRY_S), 301, REASON_TOKEN_EXPIRED },
        { make_token(RAW_SR, other_key, NULL, EXPIRY_S), 301, REASON_TOKEN_BAD_SIGNATURE },
    };
    const struct enrollment e = enrollment(ENROLLMENT_GROUP, group_key, SPAN_NONE);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct claim c = claim(ID, cases[i].token);
        struct attest_judgement j;

        env.now_ms = (EXPIRY_S + cases[i].late_s) * 1000;
        j = judge(&c, &e);
        assert_outcome(cases[i].expected, j.verdict);
        assert_int_equal(cases[i].expected == REASON_GRANTED ||
                             cases[i].expected == REASON_TOKEN_EXPIRED,
                         j.is_match);
        if (cases[i].expected == REASON_GRANTED || cases[i].expected == REASON_TOKEN_EXPIRED ||
            cases[i].expected == REASON_TOKEN_BAD_SIGNATURE) {
            assert_int_equal(j.is_match, has_signed(&c, &e));
        }
    }
}

/* The ID's case: in sr it does not matter; the key is derived over the spelling as received, or
 * over lower case. */
static void case_of_the_id(void **state)
{
    static const struct {
        const char *received, *derived_over, *resource;
        enum reason expected;
    } cases[] = {
        { "Dev-1", "Dev-1", SCOPE "/registrations/Dev-1", REASON_GRANTED },
        { "Dev-1", "Dev-1", "0NE00111111/REGISTRATIONS/dev-1", REASON_GRANTED },
        { "Dev-1", "dev-1", SCOPE "/registrations/dev-1", REASON_GRANTED },
        { "Dev-1", "DEV-1", SCOPE "/registrations/Dev-1", REASON_TOKEN_BAD_SIGNATURE },
        { "dev-1", "Dev-1", SCOPE "/registrations/dev-1", REASON_TOKEN_BAD_SIGNATURE },
    };
    const struct enrollment e = enrollment(ENROLLMENT_GROUP, group_key, other_key);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t key[CRYPTO_SHA256_LEN];
        struct attest_judgement j;
        struct claim c;

        assert_ok(attest_symkey_derive(crypto, group_key, span_str(cases[i].derived_over), key));
        c = claim(cases[i].received,
                  make_token(cases[i].resource, span_of(key, sizeof key), NULL, EXPIRY_S));
        j = judge(&c, &e);
        assert_outcome(cases[i].expected, j.verdict);
        assert_int_equal(verdict_is_granted(j.verdict), has_signed(&c, &e));
        if (verdict_is_granted(j.verdict)) {
            assert_true(
                span_eq(span_of(key, sizeof key), attest_identity_key(&j.identity, SLOT_PRIMARY)));
        }
    }
}

static void a_disabled_enrollment_is_told_to_its_own_alone(void **state)
{
    struct enrollment e = enrollment(ENROLLMENT_INDIVIDUAL, other_key, group_key);
    struct claim own = claim(ID, make_token(RAW_SR, other_key, NULL, EXPIRY_S));
    struct claim stranger = claim(ID, make_token(RAW_SR, SPAN("fedcba9876543210"), NULL, EXPIRY_S));
    struct attest_judgement j;

    (void)state;
    e.provisioning_status = PROVISIONING_DISABLED;
    j = judge(&own, &e);
    assert_outcome(REASON_ENROLLMENT_DISABLED, j.verdict);
    assert_true(span_is_absent(attest_identity_key(&j.identity, SLOT_PRIMARY)));
    assert_outcome(REASON_TOKEN_BAD_SIGNATURE, judge(&stranger, &e).verdict);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(derivation),
        CASE(every_spelling),
        CASE(refusals),
        CASE(case_of_the_id),
        CASE(a_disabled_enrollment_is_told_to_its_own_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
