/* core/core_symkey_test.c: registering by symmetric key: which enrollment decides, what the hub is
 * told, who may poll, and what the operator's side does with keys. */
#include "attest/sas.h"
#include "core/fixture.h"

static struct fixture f;
#define KEY_A SPAN("aaaaaaaaaaaaaaaa")
#define KEY_B SPAN("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
#define KEY_C SPAN("cccccccccccccccccccccccc")

static int setup(void **state)
{
    (void)state;
    fixture_open(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

static struct enrollment by_key(enum enrollment_kind kind, const char *id, struct span primary,
                                struct span secondary)
{
    struct enrollment e = fixture_enrollment(&f, kind, id, X509_SOURCE_NONE);

    e.attestation = ATTESTATION_SYMMETRIC_KEY;
    e.primary_key = primary;
    e.secondary_key = secondary;
    return e;
}

static void put_group(const char *id, struct span primary, struct span secondary)
{
    struct enrollment e = by_key(ENROLLMENT_GROUP, id, primary, secondary);

    assert_reason(GRANTED, fixture_put(&f, &e));
}

static struct span derive(struct span group_key, const char *id)
{
    uint8_t *key = arena_alloc(&f.arena, CRYPTO_SHA256_LEN);

    assert_non_null(key);
    assert_ok(attest_symkey_derive(f.crypto, group_key, span_str(id), key));
    return span_of(key, CRYPTO_SHA256_LEN);
}

static struct claim claim_by(const char *id, enum operation op, struct span key)
{
    struct claim c = fixture_claim(&f, id, op, NULL, 0);
    struct span resource;
    struct buf out;

    assert_ok(arena_printf(&f.arena, &resource, "%.*s/registrations/%s", SPAN_FMT(f.scope), id));
    out = arena_buf(&f.arena);
    assert_ok(sas_make(f.crypto, resource, key, SPAN_NONE, TEST_NOW / 1000 + 3600, &out));
    assert_ok(arena_buf_end(&f.arena, &out, &c.token));
    return c;
}

static struct core_outcome ask(const struct claim *c)
{
    struct core_outcome outcome;

    fixture_next(&f);
    if (c->operation == OPERATION_STATUS) {
        assert_ok(core_poll(&f.env, c, &outcome));
    } else if (c->operation == OPERATION_LOOKUP) {
        assert_ok(core_lookup(&f.env, c, &outcome));
    } else {
        assert_ok(core_register(&f.env, c, fixture_place, &outcome));
    }
    return outcome;
}

static struct core_outcome register_by(const char *id, struct span key)
{
    struct claim c = claim_by(id, OPERATION_REGISTER, key);

    return ask(&c);
}

static void a_group_admits_by_either_key(void **state)
{
    struct core_outcome outcome;

    (void)state;
    put_group("keys", KEY_A, KEY_B);
    for (size_t i = 0; i < 2; i++) {
        outcome = register_by("Dev-1", derive(i == 0 ? KEY_A : KEY_B, "Dev-1"));
        assert_reason(GRANTED, outcome.verdict);
        assert_int_equal(REGISTRATION_ASSIGNED, outcome.registration.status);
        assert_int_equal(ATTESTATION_SYMMETRIC_KEY, outcome.registration.attestation);
        assert_true(span_is_absent(outcome.registration.evidence_sha256));
        assert_int_equal(DEVICE_AUTH_SAS, fixture_placed.auth);
        assert_true(span_eq(derive(KEY_A, "Dev-1"), fixture_placed.primary_key));
        assert_true(span_eq(derive(KEY_B, "Dev-1"), fixture_placed.secondary_key));
        assert_true(span_is_absent(fixture_placed.primary_thumbprint));
        assert_true(fixture_has(fixture_decision(&f).considered,
                                i == 0 ? "by the primary key" : "by the secondary key"));
    }
    assert_reason(TOKEN_BAD_SIGNATURE, register_by("Dev-1", KEY_A).verdict); /* the group's own */
    assert_reason(TOKEN_BAD_SIGNATURE, register_by("Dev-2", derive(KEY_A, "Dev-1")).verdict);
}

static void an_individual_enrollment_goes_first(void **state)
{
    struct enrollment e = by_key(ENROLLMENT_INDIVIDUAL, "dev", KEY_B, KEY_C);

    (void)state;
    put_group("keys", KEY_A, KEY_B);
    assert_reason(GRANTED, register_by("dev", derive(KEY_A, "dev")).verdict);
    e.device_id = SPAN("at-the-hub");
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_reason(TOKEN_BAD_SIGNATURE, register_by("dev", derive(KEY_A, "dev")).verdict);
    assert_reason(GRANTED, register_by("DEV", KEY_C).verdict);
    assert_true(span_eq(KEY_B, fixture_placed.primary_key));
    assert_true(span_eq(KEY_C, fixture_placed.secondary_key));
    e.provisioning_status = PROVISIONING_DISABLED;
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_reason(ENROLLMENT_DISABLED, register_by("dev", KEY_B).verdict);
    assert_reason(TOKEN_BAD_SIGNATURE, register_by("dev", KEY_A).verdict);
}

/* More groups than one page of the scan; those that did not sign are one line. */
static void one_of_many_groups(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        char id[16], key[17];

        (void)snprintf(id, sizeof id, "g%02d", i);
        (void)snprintf(key, sizeof key, "key %012d", i);
        put_group(id, span_str(key), span_str(key));
    }
    assert_reason(GRANTED, register_by("dev", derive(SPAN("key 000000000029"), "dev")).verdict);
    assert_true(fixture_has(fixture_decision(&f).enrollment, "\"g29\""));
    assert_false(fixture_has(fixture_decision(&f).considered, "\"g28\""));
    assert_reason(TOKEN_BAD_SIGNATURE, register_by("dev", derive(KEY_A, "dev")).verdict);
    assert_true(fixture_has(fixture_decision(&f).considered, "tried: 30"));
    assert_false(fixture_has(fixture_decision(&f).considered, "\"g28\""));
}

static void what_a_token_is_not_for(void **state)
{
    struct enrollment x509 =
        fixture_enrollment(&f, ENROLLMENT_INDIVIDUAL, "cert", X509_SOURCE_CLIENT);
    struct enrollment by_token = by_key(ENROLLMENT_INDIVIDUAL, "both", KEY_A, KEY_B);
    struct node ca = fixture_ca(&f, "Root", NULL);
    struct node leaf = fixture_leaf(&f, "both", &ca);
    struct claim c;

    (void)state;
    put_group("keys", KEY_A, KEY_B);
    x509.x509_primary = fixture_der(&f, &leaf);
    assert_reason(GRANTED, fixture_put(&f, &x509));
    assert_reason(ATTESTATION_MISMATCH, register_by("cert", derive(KEY_A, "cert")).verdict);

    /* Both: the certificate counts, unless the enrollment is about keys. */
    fixture_group(&f, "ca", &ca, PROVISIONING_ENABLED);
    c = claim_by("both", OPERATION_REGISTER, KEY_C);
    c.chain = &leaf.cert;
    c.n_chain = 1;
    assert_reason(GRANTED, ask(&c).verdict);
    assert_int_equal(DEVICE_AUTH_SELF_SIGNED, fixture_placed.auth);
    assert_reason(GRANTED, fixture_put(&f, &by_token));
    assert_reason(TOKEN_BAD_SIGNATURE, ask(&c).verdict);
    c = claim_by("both", OPERATION_REGISTER, KEY_B);
    c.chain = &leaf.cert;
    c.n_chain = 1;
    assert_reason(GRANTED, ask(&c).verdict);
    assert_int_equal(DEVICE_AUTH_SAS, fixture_placed.auth);
    c.token = SPAN_NONE;
    assert_reason(ATTESTATION_MISMATCH, ask(&c).verdict);
    c.n_chain = 0;
    assert_reason(CLIENT_CERTIFICATE_MISSING, ask(&c).verdict);
    fixture_free(&leaf);
    fixture_free(&ca);
}

static void only_the_devices_keys_may_poll(void **state)
{
    struct core_outcome outcome;
    struct claim c;

    (void)state;
    put_group("keys", KEY_A, KEY_B);
    put_group("other", KEY_C, KEY_C);
    outcome = register_by("dev", derive(KEY_A, "dev"));
    assert_reason(GRANTED, outcome.verdict);

    c = claim_by("dev", OPERATION_STATUS, derive(KEY_B, "dev"));
    c.operation_id = outcome.registration.operation_id;
    assert_reason(GRANTED, ask(&c).verdict);
    c.operation_id = SPAN("5.other");
    assert_reason(OPERATION_NOT_FOUND, ask(&c).verdict);
    c = claim_by("dev", OPERATION_STATUS, derive(KEY_C, "dev")); /* a group, not the one */
    c.operation_id = outcome.registration.operation_id;
    assert_reason(TOKEN_BAD_SIGNATURE, ask(&c).verdict);
    c.token = SPAN_NONE;
    assert_reason(CLIENT_CERTIFICATE_MISSING, ask(&c).verdict);

    c = claim_by("dev", OPERATION_LOOKUP, derive(KEY_A, "dev"));
    assert_reason(GRANTED, ask(&c).verdict);
}

static void keys_are_made_kept_and_checked(void **state)
{
    struct enrollment e = by_key(ENROLLMENT_GROUP, "keys", SPAN_NONE, SPAN_NONE);
    struct enrollment again = e;

    (void)state;
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_int_equal(LIMIT_SYMMETRIC_KEY, e.primary_key.len);
    assert_int_equal(LIMIT_SYMMETRIC_KEY, e.secondary_key.len);
    assert_false(span_eq(e.primary_key, e.secondary_key));
    assert_reason(GRANTED, fixture_put(&f, &again));
    assert_true(span_eq(e.primary_key, again.primary_key));
    assert_true(span_eq(e.secondary_key, again.secondary_key));

    again = by_key(ENROLLMENT_GROUP, "keys", KEY_A, SPAN_NONE);
    assert_reason(FIELD_INVALID, fixture_put(&f, &again));
    again = by_key(ENROLLMENT_GROUP, "keys", KEY_A, SPAN("fifteen bytes !"));
    assert_reason(FIELD_INVALID, fixture_put(&f, &again));
    again = by_key(ENROLLMENT_GROUP, "keys", KEY_A, KEY_B);
    assert_reason(GRANTED, fixture_put(&f, &again));
    assert_true(span_eq(KEY_A, again.primary_key));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_group_admits_by_either_key),
        CASE(an_individual_enrollment_goes_first),
        CASE(one_of_many_groups),
        CASE(what_a_token_is_not_for),
        CASE(only_the_devices_keys_may_poll),
        CASE(keys_are_made_kept_and_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
