/* core/core_symkey_test.c: registering by symmetric key: which enrollment decides, what the hub is
 * told, who may poll, and what the operator's side does with keys. */
#include "attest/sas.h"
#include "core/fixture.h"
#include "core/instance.h"

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

static struct core_outcome register_by(const char *id, struct span key)
{
    struct claim c = claim_by(id, OPERATION_REGISTER, key);

    return fixture_ask(&f, &c);
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

static void put_groups(int from, int to)
{
    for (int i = from; i < to; i++) {
        char id[16], key[17];

        (void)snprintf(id, sizeof id, "g%03d", i);
        (void)snprintf(key, sizeof key, "key %012d", i);
        put_group(id, span_str(key), span_str(key));
    }
}

static void assert_group_of(const char *device, int key, int group)
{
    char text[17], expected[16];

    (void)snprintf(text, sizeof text, "key %012d", key);
    (void)snprintf(expected, sizeof expected, "\"g%03d\"", group);
    assert_reason(GRANTED, register_by(device, derive(span_str(text), device)).verdict);
    assert_true(fixture_has(fixture_decision(&f).enrollment, expected));
    arena_reset(&f.arena);
}

/* Keys made ready, some of them, or none: the same decisions. */
static void as_many_groups_as_are_kept_and_more(void **state)
{
    const int counts[] = { 1, FIXTURE_KEY_GROUPS / 2 - 1, FIXTURE_KEY_GROUPS / 2,
                           FIXTURE_KEY_GROUPS / 2 + 1, FIXTURE_KEY_GROUPS / 2 + 9 };
    int n = 0;

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        put_groups(n, counts[i]);
        n = counts[i];
        for (int k = 0; k < 2; k++) {
            struct core_key_groups *kept = f.key_groups;
            char tried[32];

            (void)snprintf(tried, sizeof tried, "tried: %d;", n);
            f.key_groups = k == 0 ? kept : NULL;
            assert_group_of("dev", n - 1, n - 1);
            assert_group_of("dev2", n - 1, n - 1); /* the latest */
            assert_group_of("dev3", 0, 0);
            assert_group_of("dev", n - 1, n - 1); /* the one that registered it */
            assert_group_of("Dev4", n / 2, n / 2);
            assert_reason(TOKEN_BAD_SIGNATURE, register_by("dev", derive(KEY_A, "dev")).verdict);
            assert_true(fixture_has(fixture_decision(&f).considered, tried));
            f.key_groups = kept;
        }
    }
}

/* Whatever changes, what is kept of it is never used again: for each change, before and after. */
static void what_is_kept_follows_the_store(void **state)
{
    struct core_match any = { .is_given = true, .is_any = true };
    struct enrollment e = by_key(ENROLLMENT_GROUP, "g001", KEY_A, KEY_B);
    struct node ca = fixture_ca(&f, "Root", NULL);
    struct verdict v;

    (void)state;
    put_groups(0, 3);
    assert_group_of("dev", 1, 1);
    assert_reason(GRANTED, fixture_put(&f, &e)); /* other keys */
    assert_reason(TOKEN_BAD_SIGNATURE,
                  register_by("dev", derive(SPAN("key 000000000001"), "dev")).verdict);
    assert_reason(GRANTED, register_by("dev", derive(KEY_B, "dev")).verdict);

    e.provisioning_status = PROVISIONING_DISABLED; /* the row decides, not what is kept */
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_reason(ENROLLMENT_DISABLED, register_by("dev", derive(KEY_B, "dev")).verdict);
    e.provisioning_status = PROVISIONING_ENABLED;
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_reason(GRANTED, register_by("dev", derive(KEY_B, "dev")).verdict);

    assert_ok(core_enrollment_delete(&f.env, f.scope, ENROLLMENT_GROUP, SPAN("g001"), &any, &v));
    assert_reason(TOKEN_BAD_SIGNATURE, register_by("dev", derive(KEY_B, "dev")).verdict);
    assert_true(fixture_has(fixture_decision(&f).considered, "tried: 2;"));
    assert_reason(GRANTED, fixture_put(&f, &e)); /* there again */
    assert_reason(GRANTED, register_by("dev", derive(KEY_B, "dev")).verdict);

    fixture_group(&f, "g001", &ca, PROVISIONING_ENABLED); /* to another attestation */
    assert_reason(TOKEN_BAD_SIGNATURE, register_by("dev", derive(KEY_B, "dev")).verdict);
    assert_reason(GRANTED, fixture_put(&f, &e)); /* and back */
    assert_reason(GRANTED, register_by("dev", derive(KEY_B, "dev")).verdict);
    fixture_free(&ca);
}

static int64_t version(void)
{
    struct instance instance;
    bool is_found;

    assert_ok(core_instance_find_by_host(&f.env, SPAN("dps.example"), &instance, &is_found));
    assert_true(is_found);
    return instance.key_groups_version;
}

static void only_changed_keys_make_a_new_version(void **state)
{
    struct enrollment e = by_key(ENROLLMENT_GROUP, "keys", KEY_A, KEY_B);
    struct enrollment individual = by_key(ENROLLMENT_INDIVIDUAL, "dev", KEY_A, KEY_B);
    int64_t was = version();

    (void)state;
    assert_reason(GRANTED, fixture_put(&f, &individual));
    assert_int_equal(was, version());
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_int_equal(was + 1, version());
    e.provisioning_status = PROVISIONING_DISABLED;
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_int_equal(was + 1, version());
    e.secondary_key = KEY_C;
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_int_equal(was + 2, version());
}

/* More scopes than are kept, in turn: each has its own keys, which are strangers' in the next. */
static void scopes_take_turns(void **state)
{
    enum { SCOPES = LIMIT_KEY_SCOPES + 2 };
    char names[SCOPES][16];

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < SCOPES; i++) {
            char key[17], other[17];

            (void)snprintf(names[i], sizeof names[i], "0ne1%07d", i);
            (void)snprintf(key, sizeof key, "key %012d", i);
            (void)snprintf(other, sizeof other, "key %012d", i + 1);
            f.scope = span_str(names[i]);
            if (round == 0) {
                assert_ok(store_write(f.store, fixture_put_rows, &f));
                put_group("keys", span_str(key), span_str(key));
            }
            assert_reason(GRANTED, register_by("dev", derive(span_str(key), "dev")).verdict);
            assert_reason(TOKEN_BAD_SIGNATURE,
                          register_by("dev", derive(span_str(other), "dev")).verdict);
            arena_reset(&f.arena);
        }
    }
}

/* A disabled group's devices cannot pass by another with its key. */
static void no_two_groups_have_a_key_in_common(void **state)
{
    struct enrollment e = by_key(ENROLLMENT_GROUP, "other", KEY_C, KEY_B);
    struct enrollment individual = by_key(ENROLLMENT_INDIVIDUAL, "dev", KEY_A, KEY_B);
    struct span long_key = SPAN("aaaaaaaaaaaaaaaa\0\0");
    struct span scope = f.scope;
    struct verdict v;

    (void)state;
    put_groups(0, 10);
    put_group("Keys", KEY_A, KEY_B);
    v = fixture_put(&f, &e);
    assert_reason(KEY_IN_USE, v);
    assert_span("symmetricKey.secondaryKey is a key of enrollment group Keys.", v.detail);
    e.primary_key = KEY_B; /* in the other slot */
    assert_reason(KEY_IN_USE, fixture_put(&f, &e));
    e.primary_key = long_key; /* signs alike */
    e.secondary_key = KEY_C;
    assert_reason(KEY_IN_USE, fixture_put(&f, &e));
    e.primary_key = KEY_C; /* twice its own */
    assert_reason(GRANTED, fixture_put(&f, &e));
    e.secondary_key = KEY_A; /* nor later */
    assert_reason(KEY_IN_USE, fixture_put(&f, &e));
    e.id = SPAN("KEYS"); /* its own again, in turn */
    e.primary_key = KEY_B;
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_reason(GRANTED, fixture_put(&f, &individual));

    f.scope = SPAN("0ne00000002"); /* another scope is a stranger */
    assert_ok(store_write(f.store, fixture_put_rows, &f));
    put_group("keys", KEY_A, KEY_B);
    f.scope = scope;
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
    assert_reason(GRANTED, fixture_ask(&f, &c).verdict);
    assert_int_equal(DEVICE_AUTH_SELF_SIGNED, fixture_placed.auth);
    assert_reason(GRANTED, fixture_put(&f, &by_token));
    assert_reason(TOKEN_BAD_SIGNATURE, fixture_ask(&f, &c).verdict);
    c = claim_by("both", OPERATION_REGISTER, KEY_B);
    c.chain = &leaf.cert;
    c.n_chain = 1;
    assert_reason(GRANTED, fixture_ask(&f, &c).verdict);
    assert_int_equal(DEVICE_AUTH_SAS, fixture_placed.auth);
    c.token = SPAN_NONE;
    assert_reason(ATTESTATION_MISMATCH, fixture_ask(&f, &c).verdict);
    c.n_chain = 0;
    assert_reason(CLIENT_CERTIFICATE_MISSING, fixture_ask(&f, &c).verdict);
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
    assert_reason(GRANTED, fixture_ask(&f, &c).verdict);
    c.operation_id = SPAN("5.other");
    assert_reason(OPERATION_NOT_FOUND, fixture_ask(&f, &c).verdict);
    c = claim_by("dev", OPERATION_STATUS, derive(KEY_C, "dev")); /* a group, not the one */
    c.operation_id = outcome.registration.operation_id;
    assert_reason(TOKEN_BAD_SIGNATURE, fixture_ask(&f, &c).verdict);
    c.token = SPAN_NONE;
    assert_reason(CLIENT_CERTIFICATE_MISSING, fixture_ask(&f, &c).verdict);

    c = claim_by("new", OPERATION_STATUS, derive(KEY_A, "new")); /* the same when not registered */
    c.operation_id = outcome.registration.operation_id;
    assert_reason(OPERATION_NOT_FOUND, fixture_ask(&f, &c).verdict);
    c = claim_by("new", OPERATION_STATUS, SPAN("fedcba9876543210"));
    assert_reason(TOKEN_BAD_SIGNATURE, fixture_ask(&f, &c).verdict);
    c.token = SPAN("nonsense");
    assert_reason(TOKEN_BAD_SIGNATURE, fixture_ask(&f, &c).verdict);
    assert_span("token-malformed", fixture_decision(&f).reason);
    c.registration_id = SPAN("dev");
    assert_reason(TOKEN_BAD_SIGNATURE, fixture_ask(&f, &c).verdict);
    assert_span("token-malformed", fixture_decision(&f).reason);

    c = claim_by("dev", OPERATION_LOOKUP, derive(KEY_A, "dev"));
    assert_reason(GRANTED, fixture_ask(&f, &c).verdict);
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
        CASE(as_many_groups_as_are_kept_and_more),
        CASE(what_is_kept_follows_the_store),
        CASE(only_changed_keys_make_a_new_version),
        CASE(scopes_take_turns),
        CASE(no_two_groups_have_a_key_in_common),
        CASE(what_a_token_is_not_for),
        CASE(only_the_devices_keys_may_poll),
        CASE(keys_are_made_kept_and_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
