/* core/core_enrollment_test.c: the operator's side of enrollments: rules, preconditions, and that
 * the indexes that registration searches by follow every change. */
#include "core/certificate.h"
#include "core/fixture.h"
#include "store/link.h"

static struct fixture f;
static struct node ca, ca2, leaf, leaf2;

static int setup(void **state)
{
    (void)state;
    fixture_open(&f);
    ca = fixture_ca(&f, "CA", NULL);
    ca2 = fixture_ca(&f, "CA 2", NULL);
    leaf = fixture_leaf(&f, "dev", &ca);
    leaf2 = fixture_leaf(&f, "dev", &ca2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_free(&leaf2);
    fixture_free(&leaf);
    fixture_free(&ca2);
    fixture_free(&ca);
    fixture_close(&f);
    return 0;
}

static struct enrollment group_of(const char *id, const struct node *primary,
                                  const struct node *secondary)
{
    struct enrollment e = fixture_enrollment(&f, ENROLLMENT_GROUP, id, X509_SOURCE_SIGNING);

    e.x509_primary = primary != NULL ? fixture_der(&f, primary) : SPAN_NONE;
    e.x509_secondary = secondary != NULL ? fixture_der(&f, secondary) : SPAN_NONE;
    return e;
}

static struct verdict put(struct enrollment *e, const struct core_enrollment_put *how)
{
    struct verdict v;

    assert_ok(core_enrollment_put(&f.env, how, e, &v));
    return v;
}

static enum reason register_with(const struct node *n)
{
    return fixture_register(&f, "dev", &n->cert, 1).verdict.reason;
}

static struct verdict drop(enum enrollment_kind kind, const char *id, const char *etag)
{
    struct core_match match = { .is_given = etag != NULL, .etag = span_str(etag) };
    struct verdict v;

    assert_ok(core_enrollment_delete(&f.env, f.scope, kind, span_str(id), &match, &v));
    return v;
}

/* ---- rules ---- */

static void what_may_be_enrolled(void **state)
{
    static const struct {
        const char *label;
        enum reason expected;
        enum enrollment_kind kind;
        const char *id, *device_id;
        enum attestation_type attestation;
        enum x509_source source;
        const char *iot_hubs, *initial_twin;
        enum allocation_policy policy;
    } cases[] = {
        { "leaf", REASON_GRANTED, ENROLLMENT_INDIVIDUAL, "dev", "d@1", ATTESTATION_X509,
          X509_SOURCE_CLIENT, "[\"hub.example\"]", "{}", ALLOCATION_STATIC },
        { "group", REASON_GRANTED, ENROLLMENT_GROUP, "G:1", NULL, ATTESTATION_X509,
          X509_SOURCE_SIGNING, "[\"HUB.example\"]", NULL, ALLOCATION_HASHED },
        { "TPM without a key", REASON_FIELD_INVALID, ENROLLMENT_INDIVIDUAL, "t", NULL,
          ATTESTATION_TPM, X509_SOURCE_NONE, NULL, NULL, ALLOCATION_DEFAULT },
        { "ID", REASON_FIELD_INVALID, ENROLLMENT_GROUP, "g.", NULL, ATTESTATION_X509,
          X509_SOURCE_SIGNING, NULL, NULL, ALLOCATION_DEFAULT },
        { "device ID", REASON_FIELD_INVALID, ENROLLMENT_INDIVIDUAL, "dev", "a b", ATTESTATION_X509,
          X509_SOURCE_CLIENT, NULL, NULL, ALLOCATION_DEFAULT },
        { "device ID of a group", REASON_FIELD_INVALID, ENROLLMENT_GROUP, "g", "d",
          ATTESTATION_X509, X509_SOURCE_SIGNING, NULL, NULL, ALLOCATION_DEFAULT },
        { "signing for one", REASON_FIELD_INVALID, ENROLLMENT_INDIVIDUAL, "dev", NULL,
          ATTESTATION_X509, X509_SOURCE_SIGNING, NULL, NULL, ALLOCATION_DEFAULT },
        { "client for a group", REASON_FIELD_INVALID, ENROLLMENT_GROUP, "g", NULL, ATTESTATION_X509,
          X509_SOURCE_CLIENT, NULL, NULL, ALLOCATION_DEFAULT },
        { "no source", REASON_FIELD_INVALID, ENROLLMENT_GROUP, "g", NULL, ATTESTATION_X509,
          X509_SOURCE_NONE, NULL, NULL, ALLOCATION_DEFAULT },
        { "no attestation", REASON_FIELD_INVALID, ENROLLMENT_GROUP, "g", NULL, ATTESTATION_NONE,
          X509_SOURCE_NONE, NULL, NULL, ALLOCATION_DEFAULT },
        { "TPM group without a CA", REASON_FIELD_INVALID, ENROLLMENT_GROUP, "g", NULL,
          ATTESTATION_TPM, X509_SOURCE_NONE, NULL, NULL, ALLOCATION_DEFAULT },
        { "static without a hub", REASON_FIELD_INVALID, ENROLLMENT_GROUP, "g", NULL,
          ATTESTATION_X509, X509_SOURCE_SIGNING, NULL, NULL, ALLOCATION_STATIC },
        { "static with two", REASON_FIELD_INVALID, ENROLLMENT_GROUP, "g", NULL, ATTESTATION_X509,
          X509_SOURCE_SIGNING, "[\"hub.example\",\"hub.example\"]", NULL, ALLOCATION_STATIC },
        { "hub not linked", REASON_FIELD_INVALID, ENROLLMENT_GROUP, "g", NULL, ATTESTATION_X509,
          X509_SOURCE_SIGNING, "[\"hub2.example\"]", NULL, ALLOCATION_HASHED },
        { "hubs are no list", REASON_FIELD_INVALID, ENROLLMENT_GROUP, "g", NULL, ATTESTATION_X509,
          X509_SOURCE_SIGNING, "\"hub.example\"", NULL, ALLOCATION_HASHED },
        { "hubs are no names", REASON_FIELD_INVALID, ENROLLMENT_GROUP, "g", NULL, ATTESTATION_X509,
          X509_SOURCE_SIGNING, "[1]", NULL, ALLOCATION_HASHED },
        { "twin is no object", REASON_FIELD_INVALID, ENROLLMENT_GROUP, "g", NULL, ATTESTATION_X509,
          X509_SOURCE_SIGNING, NULL, "[]", ALLOCATION_DEFAULT },
        { "CA is not uploaded", REASON_FIELD_INVALID, ENROLLMENT_GROUP, "g", NULL, ATTESTATION_X509,
          X509_SOURCE_CA_REFERENCE, NULL, NULL, ALLOCATION_DEFAULT },
    };
    struct core_enrollment_put create = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct enrollment e = fixture_enrollment(&f, cases[i].kind, cases[i].id, cases[i].source);
        struct verdict v;

        e.device_id = span_str(cases[i].device_id);
        e.attestation = cases[i].attestation;
        if (cases[i].attestation == ATTESTATION_X509) {
            e.x509_primary = fixture_der(&f, e.kind == ENROLLMENT_GROUP ? &ca : &leaf);
        }
        e.iot_hubs = span_str(cases[i].iot_hubs);
        e.initial_twin = span_str(cases[i].initial_twin);
        e.allocation_policy = cases[i].policy;
        v = put(&e, &create);
        if (v.reason != cases[i].expected) {
            fail_msg("%s: %s", cases[i].label, reason_info(v.reason)->token);
        }
        assert_int_equal(verdict_is_granted(v), span_is_empty(v.detail));
        if (verdict_is_granted(v)) {
            assert_reason(GRANTED, drop(e.kind, cases[i].id, NULL));
        }
    }
}

static void certificates_must_be_usable(void **state)
{
    struct core_enrollment_put create = { 0 };
    struct enrollment e = group_of("g", &leaf, NULL);
    struct enrollment none = group_of("g", NULL, NULL);

    (void)state;
    assert_reason(CERTIFICATE_INVALID, put(&e, &create)); /* no CA */
    e.x509_primary = SPAN("0\x03\x02\x01\x01");
    assert_reason(CERTIFICATE_INVALID, put(&e, &create));
    e = group_of("g", &ca, NULL);
    e.x509_secondary = span_first(e.x509_primary, e.x509_primary.len - 1);
    assert_reason(CERTIFICATE_INVALID, put(&e, &create));
    assert_true(fixture_has(put(&e, &create).detail, "secondary"));
    assert_reason(FIELD_INVALID, put(&none, &create));
}

static void a_signing_certificate_serves_one_group(void **state)
{
    struct core_enrollment_put create = { 0 };
    struct core_enrollment_put replace = { .match = { .is_given = true, .is_any = true } };
    struct enrollment a = group_of("a", &ca, &ca);
    struct enrollment b = group_of("b", &ca2, NULL);
    struct enrollment thief = group_of("b", &ca2, &ca);
    struct verdict v;

    (void)state;
    assert_reason(GRANTED, put(&a, &create));
    assert_reason(GRANTED, put(&b, &create));
    v = put(&thief, &replace);
    assert_reason(CERTIFICATE_IN_USE, v);
    assert_true(fixture_has(v.detail, "group a"));
    assert_reason(GRANTED, drop(ENROLLMENT_GROUP, "a", NULL));
    assert_reason(GRANTED, put(&thief, &replace));
}

/* ---- preconditions ---- */

/* Reference dps-service-api.md 3. */
static void etags(void **state)
{
    struct core_enrollment_put create = { 0 };
    struct core_enrollment_put any = { .match = { .is_given = true, .is_any = true } };
    struct core_enrollment_put stale = { .match = { .is_given = true, .etag = SPAN("x") } };
    struct core_enrollment_put current = stale;
    struct enrollment e = group_of("G", &ca, NULL), got;
    struct verdict v;

    (void)state;
    assert_reason(ETAG_MISMATCH, put(&e, &any));
    assert_reason(GRANTED, put(&e, &create));
    assert_span("g", e.key);
    assert_int_equal(e.created_ms, TEST_NOW);
    assert_int_equal(e.etag.len, GUID_TEXT_LEN);
    current.match.etag = e.etag;
    assert_reason(RESOURCE_EXISTS, put(&e, &create));
    assert_reason(ETAG_MISMATCH, put(&e, &stale));
    f.env.now_ms += 5;
    assert_reason(GRANTED, put(&e, &current));
    assert_int_equal(e.created_ms, TEST_NOW);
    assert_int_equal(e.updated_ms, TEST_NOW + 5);
    assert_reason(ETAG_MISMATCH, put(&e, &current)); /* it is another one now */
    assert_reason(GRANTED, put(&e, &any));

    assert_ok(core_enrollment_get(&f.env, f.scope, ENROLLMENT_GROUP, SPAN("g"), &got, &v));
    assert_reason(GRANTED, v);
    assert_span("G", got.id);
    assert_true(span_eq(got.etag, e.etag));
    assert_ok(core_enrollment_get(&f.env, f.scope, ENROLLMENT_INDIVIDUAL, SPAN("g"), &got, &v));
    assert_reason(RESOURCE_NOT_FOUND, v);

    assert_reason(ETAG_MISMATCH, drop(ENROLLMENT_GROUP, "g", "x"));
    assert_reason(GRANTED, drop(ENROLLMENT_GROUP, "G", NULL));
    assert_reason(RESOURCE_NOT_FOUND, drop(ENROLLMENT_GROUP, "g", NULL));
}

/* ---- the indexes follow ---- */

static void replacing_a_certificate_changes_who_may_register(void **state)
{
    struct core_enrollment_put create = { 0 };
    struct core_enrollment_put replace = { .match = { .is_given = true, .is_any = true } };
    struct enrollment e = group_of("g", &ca, NULL);

    (void)state;
    assert_reason(GRANTED, put(&e, &create));
    assert_int_equal(register_with(&leaf), REASON_GRANTED);
    assert_int_equal(register_with(&leaf2), REASON_ISSUER_UNKNOWN);
    e = group_of("g", &ca, &ca2);
    assert_reason(GRANTED, put(&e, &replace));
    assert_int_equal(register_with(&leaf), REASON_GRANTED);
    assert_int_equal(register_with(&leaf2), REASON_GRANTED);
    e = group_of("g", &ca2, NULL);
    assert_reason(GRANTED, put(&e, &replace));
    assert_int_equal(register_with(&leaf), REASON_ISSUER_UNKNOWN);
    assert_int_equal(register_with(&leaf2), REASON_GRANTED);
    assert_reason(GRANTED, drop(ENROLLMENT_GROUP, "g", NULL));
    assert_int_equal(register_with(&leaf2), REASON_ISSUER_UNKNOWN);
}

/* Reference dps-service-api.md 4.4: an echoed GET has no certificates. */
static void slots_may_be_kept(void **state)
{
    struct core_enrollment_put create = { 0 };
    struct core_enrollment_put keep = { .match = { .is_given = true, .is_any = true },
                                        .keep_slot = { true, false } };
    struct enrollment e = group_of("g", &ca, &ca2);
    struct enrollment echoed = group_of("g", NULL, NULL);
    struct enrollment individual =
        fixture_enrollment(&f, ENROLLMENT_INDIVIDUAL, "dev", X509_SOURCE_CLIENT);
    struct core_enrollment_put keep_new = { .keep_slot = { true, true } };

    (void)state;
    assert_reason(GRANTED, put(&e, &create));
    assert_reason(GRANTED, put(&echoed, &keep));
    assert_true(span_eq(echoed.x509_primary, fixture_der(&f, &ca)));
    assert_true(span_is_absent(echoed.x509_secondary));
    assert_int_equal(register_with(&leaf), REASON_GRANTED);
    assert_int_equal(register_with(&leaf2), REASON_ISSUER_UNKNOWN);
    assert_reason(FIELD_INVALID, put(&individual, &keep_new)); /* nothing to keep */
    keep.keep_slot[SLOT_SECONDARY] = true;                     /* one of two is not there */
    assert_reason(FIELD_INVALID, put(&echoed, &keep));
}

/* An operator can always switch an enrollment off. */
static err unlink_hub(struct store_tx *tx, void *arg)
{
    struct linked_hub link = { .id_scope = f.scope, .host_name = SPAN(TEST_HUB) };

    (void)arg;
    TRY(store_links_changed(tx, &f.arena, f.scope));
    return store_delete(tx, &KIND_LINKED_HUB, &link);
}

static void what_has_gone_since_does_not_stand_in_the_way(void **state)
{
    struct core_enrollment_put create = { 0 };
    struct core_enrollment_put replace = { .match = { .is_given = true, .is_any = true } };
    struct enrollment e = fixture_enrollment(&f, ENROLLMENT_GROUP, "g", X509_SOURCE_CA_REFERENCE);
    struct core_match none = { 0 };
    struct certificate c;
    struct verdict v;

    (void)state;
    assert_ok(core_certificate_put(&f.env, f.scope, SPAN("ca"), fixture_pem(&f, &ca), true, &none,
                                   &c, &v));
    e.x509_primary = SPAN("ca");
    e.iot_hubs = SPAN("[\"hub.example\"]");
    assert_reason(GRANTED, put(&e, &create));
    assert_ok(store_write(f.store, unlink_hub, NULL));
    assert_ok(core_certificate_delete(&f.env, f.scope, SPAN("ca"), true, &none, &v));
    assert_reason(GRANTED, v);
    e.provisioning_status = PROVISIONING_DISABLED;
    assert_reason(GRANTED, put(&e, &replace));
    e.x509_secondary = SPAN("ca2");
    assert_reason(FIELD_INVALID, put(&e, &replace));
    assert_reason(GRANTED, drop(ENROLLMENT_GROUP, "g", NULL));
}

/* ---- registrations ---- */

static void registrations_of_a_group(void **state)
{
    struct core_enrollment_put create = { 0 };
    struct enrollment e = group_of("g", &ca, NULL);
    struct core_match stale = { .is_given = true, .etag = SPAN("x") };
    struct registration row;
    struct verdict v;

    (void)state;
    assert_reason(GRANTED, put(&e, &create));
    for (int i = 0; i < 3; i++) {
        char id[8];
        struct node device;

        (void)snprintf(id, sizeof id, "D%d", i);
        device = fixture_leaf(&f, id, &ca);
        (void)fixture_register(&f, id, &device.cert, 1);
        fixture_free(&device);
    }
    assert_ok(core_registration_get(&f.env, f.scope, SPAN("D1"), &row, &v));
    assert_reason(GRANTED, v);
    assert_span("g", row.enrollment);

    assert_ok(core_registration_delete(&f.env, f.scope, SPAN("d1"), &stale, &v));
    assert_reason(ETAG_MISMATCH, v);
    stale.etag = row.etag;
    assert_ok(core_registration_delete(&f.env, f.scope, SPAN("d1"), &stale, &v));
    assert_reason(GRANTED, v);
    assert_ok(core_registration_delete(&f.env, f.scope, SPAN("d1"), &stale, &v));
    assert_reason(RESOURCE_NOT_FOUND, v);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_may_be_enrolled),
        CASE(certificates_must_be_usable),
        CASE(a_signing_certificate_serves_one_group),
        CASE(etags),
        CASE(replacing_a_certificate_changes_who_may_register),
        CASE(slots_may_be_kept),
        CASE(what_has_gone_since_does_not_stand_in_the_way),
        CASE(registrations_of_a_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
