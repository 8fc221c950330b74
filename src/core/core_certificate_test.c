/* core/core_certificate_test.c: uploaded CA certificates, the proof of possession, instances. */
#include "core/certificate.h"
#include "core/fixture.h"

static struct fixture f;
static struct node ca, ca2, leaf;

static int setup(void **state)
{
    (void)state;
    fixture_open(&f);
    ca = fixture_ca(&f, "CA", NULL);
    ca2 = fixture_ca(&f, "CA", NULL);
    leaf = fixture_leaf(&f, "dev", &ca);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_free(&leaf);
    fixture_free(&ca2);
    fixture_free(&ca);
    fixture_close(&f);
    return 0;
}

static const struct core_match none;

static struct verdict put(const char *name, const struct node *n, bool verified,
                          const struct core_match *match, struct certificate *ret)
{
    struct verdict v;

    assert_ok(core_certificate_put(&f.env, f.scope, span_str(name), fixture_pem(&f, n), verified,
                                   match, ret, &v));
    return v;
}

static void what_may_be_uploaded(void **state)
{
    static const struct fixture_cert old = { .cn = "Old", .is_ca = true, .to_ms = TEST_NOW - 1000 };
    struct node expired = fixture_node(&f, &old, NULL);
    char long_name[LIMIT_CERTIFICATE_NAME + 2] = { 0 };
    struct certificate c;
    struct verdict v;

    (void)state;
    memset(long_name, 'x', sizeof long_name - 1);
    assert_reason(FIELD_INVALID, put("", &ca, false, &none, &c));
    assert_reason(FIELD_INVALID, put("a/b", &ca, false, &none, &c));
    assert_reason(FIELD_INVALID, put(long_name, &ca, false, &none, &c));
    assert_reason(CERTIFICATE_INVALID, put("x", &leaf, false, &none, &c));
    assert_reason(CERTIFICATE_INVALID, put("x", &expired, false, &none, &c));
    assert_ok(
        core_certificate_put(&f.env, f.scope, SPAN("x"), SPAN("-----BEGIN"), false, &none, &c, &v));
    assert_reason(CERTIFICATE_INVALID, v);
    assert_reason(GRANTED, put(long_name + 1, &ca, false, &none, &c));
    fixture_free(&expired);
}

static void an_upload_and_its_etags(void **state)
{
    struct certificate c, got, *rows;
    struct core_match current = { .is_given = true },
                      stale = { .is_given = true, .etag = SPAN("x") };
    struct verdict v;
    size_t n;

    (void)state;
    assert_reason(ETAG_MISMATCH, put("ca", &ca, false, &stale, &c));
    assert_reason(GRANTED, put("ca", &ca, false, &none, &c));
    assert_span("CN=CA", c.subject);
    assert_int_equal(c.is_verified, 0);
    assert_int_equal(c.not_after_ms, TEST_NOW + 1000 * DAY_MS);
    assert_true(span_eq(c.der, fixture_der(&f, &ca)));
    assert_reason(RESOURCE_EXISTS, put("ca", &ca, false, &none, &c));
    assert_reason(ETAG_MISMATCH, put("ca", &ca, false, &stale, &c));
    assert_ok(core_certificate_get(&f.env, f.scope, SPAN("ca"), &got, &v));
    assert_true(span_eq(got.etag, c.etag));
    current.etag = c.etag;
    /* Verified by the upload, and by another upload of the same bytes it stays so. */
    assert_reason(GRANTED, put("ca", &ca, true, &current, &c));
    assert_int_equal(c.is_verified, 1);
    current.etag = c.etag;
    assert_reason(GRANTED, put("ca", &ca, false, &current, &c));
    assert_int_equal(c.is_verified, 1);
    current.etag = c.etag;
    assert_reason(GRANTED, put("ca", &ca2, false, &current, &c));
    assert_int_equal(c.is_verified, 0);
    assert_ok(core_certificate_get(&f.env, f.scope, SPAN("CA"), &got, &v)); /* case matters */
    assert_reason(RESOURCE_NOT_FOUND, v);
    assert_reason(GRANTED, put("b", &ca, false, &none, &c));
    assert_ok(core_certificate_list(&f.env, f.scope, SPAN_NONE, 10, &rows, &n));
    assert_int_equal(n, 2);
    assert_span("b", rows[0].name);
}

static void group_by(const char *id, const char *name)
{
    struct enrollment e = fixture_enrollment(&f, ENROLLMENT_GROUP, id, X509_SOURCE_CA_REFERENCE);

    e.x509_primary = span_str(name);
    assert_reason(GRANTED, fixture_put(&f, &e));
}

static enum reason register_leaf(void)
{
    return fixture_register(&f, "dev", &leaf.cert, 1).verdict.reason;
}

static void a_certificate_in_use_stays(void **state)
{
    struct core_match stale = { .is_given = true, .etag = SPAN("x") };
    struct certificate c;
    struct verdict v;

    (void)state;
    assert_reason(GRANTED, put("ca", &ca, true, &none, &c));
    group_by("g", "ca");
    assert_ok(core_certificate_delete(&f.env, f.scope, SPAN("ca"), false, &stale, &v));
    assert_reason(ETAG_MISMATCH, v);
    assert_ok(core_certificate_delete(&f.env, f.scope, SPAN("ca"), false, &none, &v));
    assert_reason(CERTIFICATE_IN_USE, v);
    assert_true(fixture_has(v.detail, "Enrollment group g"));
    assert_int_equal(register_leaf(), REASON_GRANTED);
    assert_ok(core_certificate_delete(&f.env, f.scope, SPAN("ca"), true, &none, &v));
    assert_reason(GRANTED, v);
    assert_int_equal(register_leaf(), REASON_ISSUER_UNKNOWN);
    assert_ok(core_certificate_delete(&f.env, f.scope, SPAN("ca"), false, &none, &v));
    assert_reason(RESOURCE_NOT_FOUND, v);
    /* Uploaded again under that name, the group refers to it as before. */
    assert_reason(GRANTED, put("ca", &ca, true, &none, &c));
    assert_int_equal(register_leaf(), REASON_GRANTED);
}

/* ---- proof of possession ---- */

static struct verdict verify(const struct node *proof, struct certificate *ret)
{
    struct verdict v;

    assert_ok(core_certificate_verify(&f.env, f.scope, SPAN("ca"), fixture_pem(&f, proof), &none,
                                      ret, &v));
    return v;
}

static struct node proof_of(struct span code, const struct node *issuer, int64_t to_ms)
{
    const struct fixture_cert what = { .cn = arena_cstr(&f.arena, code), .to_ms = to_ms };

    return fixture_node(&f, &what, issuer);
}

static void possession_is_proven_with_the_code(void **state)
{
    struct certificate c, verified;
    struct node proof, wrong_key, wrong_code, late, void_proof;
    struct verdict v;

    (void)state;
    assert_reason(GRANTED, put("ca", &ca, false, &none, &c));
    group_by("g", "ca");
    assert_int_equal(register_leaf(), REASON_CA_NOT_VERIFIED);
    assert_reason(VERIFICATION_FAILED, verify(&leaf, &verified)); /* no code asked for */
    assert_ok(core_certificate_generate_code(&f.env, f.scope, SPAN("ca"), &none, &c, &v));
    void_proof = proof_of(c.verification_code, &ca, 0);
    assert_ok(core_certificate_generate_code(&f.env, f.scope, SPAN("ca"), &none, &c, &v));
    assert_reason(GRANTED, v);
    assert_int_equal(c.verification_code.len, 48);
    for (size_t i = 0; i < 48; i++) {
        assert_non_null(strchr("0123456789ABCDEF", c.verification_code.data[i]));
    }
    wrong_code = proof_of(SPAN("00"), &ca, 0);
    wrong_key = proof_of(c.verification_code, &ca2, 0); /* of the same name */
    late = proof_of(c.verification_code, &ca, TEST_NOW - 1000);
    proof = proof_of(c.verification_code, &ca, 0);
    assert_reason(VERIFICATION_FAILED, verify(&void_proof, &verified));
    assert_reason(VERIFICATION_FAILED, verify(&wrong_code, &verified));
    assert_reason(VERIFICATION_FAILED, verify(&wrong_key, &verified));
    assert_reason(VERIFICATION_FAILED, verify(&late, &verified));
    assert_reason(VERIFICATION_FAILED, verify(&ca, &verified));
    assert_int_equal(register_leaf(), REASON_CA_NOT_VERIFIED);
    assert_reason(GRANTED, verify(&proof, &verified));
    assert_int_equal(verified.is_verified, 1);
    assert_true(span_is_absent(verified.verification_code));
    assert_false(span_eq(verified.etag, c.etag));
    assert_int_equal(register_leaf(), REASON_GRANTED);
    assert_reason(VERIFICATION_FAILED, verify(&proof, &verified)); /* a code serves once */
    assert_ok(core_certificate_generate_code(&f.env, f.scope, SPAN("x"), &none, &c, &v));
    assert_reason(RESOURCE_NOT_FOUND, v);
    fixture_free(&proof);
    fixture_free(&late);
    fixture_free(&wrong_key);
    fixture_free(&wrong_code);
    fixture_free(&void_proof);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_may_be_uploaded),
        CASE(an_upload_and_its_etags),
        CASE(a_certificate_in_use_stays),
        CASE(possession_is_proven_with_the_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
