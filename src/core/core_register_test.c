/* core/core_register_test.c: what a registration leaves, from the first to a device that comes
 * back, and what polls and status lookups find. */
#include "core/fixture.h"
#include "store/link.h"
#include "util/base64.h"

static struct fixture f;
static struct node ca, leaf, leaf2;

static int setup(void **state)
{
    (void)state;
    fixture_open(&f);
    ca = fixture_ca(&f, "CA", NULL);
    leaf = fixture_leaf(&f, "dev", &ca);
    leaf2 = fixture_leaf(&f, "dev", &ca);
    fixture_placements = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_free(&leaf2);
    fixture_free(&leaf);
    fixture_free(&ca);
    fixture_close(&f);
    return 0;
}

static struct core_outcome register_with(const struct node *n)
{
    return fixture_register(&f, "dev", &n->cert, 1);
}

static struct span thumbprint(const struct node *n)
{
    uint8_t digest[CRYPTO_SHA256_LEN];
    struct span text = SPAN_NONE;

    assert_ok(crypto_x509_sha256(n->cert, digest));
    for (size_t i = 0; i < sizeof digest; i++) {
        assert_ok(arena_printf(&f.arena, &text, "%.*s%02X", SPAN_FMT(text), digest[i]));
    }
    return text;
}

static err put_link(struct store_tx *tx, void *arg)
{
    struct hub hub = { .host_name = SPAN(TEST_HUB2), .name = SPAN("hub2") };
    struct linked_hub link = {
        .id_scope = f.scope, .host_name = SPAN(TEST_HUB2), .weight = 1, .apply_allocation_policy = 1
    };

    (void)arg;
    TRY(store_put(tx, &KIND_HUB, &hub));
    TRY(store_links_changed(tx, &f.arena, f.scope));
    return store_put(tx, &KIND_LINKED_HUB, &link);
}

static err drop_link(struct store_tx *tx, void *arg)
{
    struct linked_hub link = { .id_scope = f.scope, .host_name = SPAN(TEST_HUB) };

    (void)arg;
    TRY(store_links_changed(tx, &f.arena, f.scope));
    return store_delete(tx, &KIND_LINKED_HUB, &link);
}

static err drop_hub(struct store_tx *tx, void *arg)
{
    struct hub hub = { .host_name = SPAN(TEST_HUB) };

    (void)arg;
    return store_delete(tx, &KIND_HUB, &hub);
}

static void group_with(int64_t update, int64_t migrate)
{
    struct enrollment e = fixture_enrollment(&f, ENROLLMENT_GROUP, "g", X509_SOURCE_SIGNING);

    e.x509_primary = fixture_der(&f, &ca);
    e.initial_twin = SPAN("{\"tags\":{\"a\":1}}");
    e.iot_edge = 1;
    e.update_hub_assignment = update;
    e.migrate_device_data = migrate;
    assert_reason(GRANTED, fixture_put(&f, &e));
}

/* Reference dps-device-api.md 2.3: "5.<16 lower hex>.<guid>"; the etag base64 of a quoted value. */
static void check_names(const struct registration *r)
{
    uint8_t room[128];
    struct buf etag = buf_over(room, sizeof room);
    struct span id = r->operation_id;

    assert_int_equal(id.len, 2 + 16 + 1 + GUID_TEXT_LEN);
    assert_true(span_starts_with(id, SPAN("5.")));
    assert_int_equal(id.data[18], '.');
    for (size_t i = 2; i < 18; i++) {
        assert_non_null(strchr("0123456789abcdef", id.data[i]));
    }
    assert_ok(base64_decode(r->etag, &etag));
    assert_int_equal(etag.len, GUID_TEXT_LEN + 2);
    assert_int_equal(room[0], '"');
    assert_int_equal(room[etag.len - 1], '"');
}

static void a_first_registration(void **state)
{
    struct core_outcome o;
    struct registration r;
    struct verdict v;
    struct decision_row d;
    uint8_t digest[CRYPTO_SHA256_LEN];

    (void)state;
    group_with(1, 1);
    o = register_with(&leaf);
    assert_reason(GRANTED, o.verdict);
    assert_true(o.has_registration);
    r = o.registration;
    assert_int_equal(r.status, REGISTRATION_ASSIGNED);
    assert_int_equal(r.substatus, SUBSTATUS_INITIAL_ASSIGNMENT);
    assert_span("dev", r.id);
    assert_span("dev", r.device_id);
    assert_span(TEST_HUB, r.assigned_hub);
    assert_int_equal(r.enrollment_kind, ENROLLMENT_GROUP);
    assert_span("g", r.enrollment);
    assert_int_equal(r.attestation, ATTESTATION_X509);
    assert_int_equal(r.created_ms, TEST_NOW);
    assert_int_equal(r.error_code, 0);
    check_names(&r);
    assert_ok(crypto_x509_sha256(leaf.cert, digest));
    assert_memory_equal(digest, r.evidence_sha256.data, sizeof digest);

    assert_int_equal(fixture_placements, 1);
    assert_int_equal(fixture_placed.auth, DEVICE_AUTH_SELF_SIGNED);
    assert_true(span_eq(thumbprint(&leaf), fixture_placed.primary_thumbprint));
    assert_true(span_eq(thumbprint(&leaf), fixture_placed.secondary_thumbprint));
    assert_int_equal(fixture_placed.iot_edge, 1);
    assert_span("{\"tags\":{\"a\":1}}", fixture_placed.initial_twin);
    assert_false(fixture_placed.reset_twin);

    d = fixture_decision(&f);
    assert_span("granted", d.reason);
    assert_span(TEST_HUB, d.hub);
    assert_span("dev", d.device_id);
    assert_span("{\"kind\":\"group\",\"id\":\"g\"}", d.enrollment);
    assert_true(fixture_has(d.considered, "[{\"kind\":\"group\",\"id\":\"g\",\"anchor\":{"
                                          "\"subject\":\"CN=CA\",\"sha256Thumbprint\":\""));
    assert_true(fixture_has(d.considered, "\"source\":\"signing certificate\"},"
                                          "\"outcome\":\"granted\"}]"));
    assert_true(fixture_has(d.certificate, "{\"chain\":[{\"subject\":\"CN=dev\",\"issuer\":\"CN=CA"
                                           "\",\"serialNumber\":\""));
    assert_ok(core_registration_get(&f.env, f.scope, SPAN("DEV"), &r, &v));
    assert_reason(GRANTED, v);
    assert_true(span_eq(r.operation_id, o.registration.operation_id));
}

static void a_device_that_comes_back(void **state)
{
    struct core_outcome first, again;

    (void)state;
    group_with(1, 1);
    first = register_with(&leaf);
    assert_ok(store_write(f.store, put_link, NULL)); /* a second hub moves nobody */
    f.env.now_ms += 1000;
    again = register_with(&leaf2);
    assert_reason(GRANTED, again.verdict);
    assert_span(TEST_HUB, again.registration.assigned_hub);
    assert_int_equal(again.registration.substatus, SUBSTATUS_INITIAL_ASSIGNMENT);
    assert_int_equal(again.registration.created_ms, TEST_NOW);
    assert_int_equal(again.registration.updated_ms, TEST_NOW + 1000);
    assert_false(span_eq(first.registration.operation_id, again.registration.operation_id));
    assert_false(span_eq(first.registration.etag, again.registration.etag));
    assert_true(span_eq(thumbprint(&leaf2), fixture_placed.primary_thumbprint));
}

static void the_device_id_of_an_individual_enrollment(void **state)
{
    struct enrollment e = fixture_enrollment(&f, ENROLLMENT_INDIVIDUAL, "Dev", X509_SOURCE_CLIENT);

    (void)state;
    e.x509_primary = fixture_der(&f, &leaf);
    e.x509_secondary = fixture_der(&f, &leaf2);
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_span("Dev", register_with(&leaf).registration.device_id);
    e.device_id = SPAN("boiler 7"); /* a blank is in no device ID */
    assert_reason(FIELD_INVALID, fixture_put(&f, &e));
    e.device_id = SPAN("boiler@7");
    assert_reason(GRANTED, fixture_put(&f, &e));
    /* The registration keeps its device until it is deleted. */
    assert_span("Dev", register_with(&leaf2).registration.device_id);
    assert_true(span_eq(thumbprint(&leaf2), fixture_placed.primary_thumbprint));
    assert_ok(core_registration_delete(&f.env, f.scope, SPAN("dev"), &(struct core_match){ 0 },
                                       &(struct verdict){ 0 }));
    assert_span("boiler@7", register_with(&leaf).registration.device_id);
}

/* Reference dps-device-api.md 7. */
static void what_the_reprovision_policy_says(void **state)
{
    static const struct {
        int64_t update, migrate;
        bool is_unlinked, reset;
        const char *hub;
        enum registration_substatus substatus;
    } cases[] = {
        { 1, 1, false, false, TEST_HUB, SUBSTATUS_INITIAL_ASSIGNMENT },
        { 1, 0, false, true, TEST_HUB, SUBSTATUS_INITIAL_ASSIGNMENT },
        { 0, 0, false, false, TEST_HUB, SUBSTATUS_INITIAL_ASSIGNMENT },
        { 1, 1, true, false, TEST_HUB2, SUBSTATUS_DEVICE_DATA_RESET },
        { 1, 0, true, true, TEST_HUB2, SUBSTATUS_DEVICE_DATA_RESET },
        { 0, 0, true, false, TEST_HUB, SUBSTATUS_INITIAL_ASSIGNMENT },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct core_outcome o;

        (void)teardown(NULL);
        (void)setup(NULL);
        group_with(cases[i].update, cases[i].migrate);
        assert_span(TEST_HUB, register_with(&leaf).registration.assigned_hub);
        assert_ok(store_write(f.store, put_link, NULL));
        if (cases[i].is_unlinked) {
            assert_ok(store_write(f.store, drop_link, NULL));
        }
        o = register_with(&leaf);
        assert_int_equal(o.registration.status, REGISTRATION_ASSIGNED);
        assert_span(cases[i].hub, o.registration.assigned_hub);
        assert_int_equal(o.registration.substatus, cases[i].substatus);
        assert_int_equal(fixture_placed.reset_twin, cases[i].reset);
    }
}

static struct core_outcome ask(const struct node *n, const char *id, enum operation op,
                               struct span operation_id)
{
    struct claim claim = fixture_claim(&f, id, op, &n->cert, n->cert != NULL);
    struct core_outcome o;

    fixture_next(&f);
    claim.operation_id = operation_id;
    assert_ok(op == OPERATION_STATUS ? core_poll(&f.env, &claim, &o)
                                     : core_lookup(&f.env, &claim, &o));
    return o;
}

static void without_a_hub_the_operation_fails(void **state)
{
    struct core_outcome o, polled;

    (void)state;
    group_with(1, 1);
    (void)register_with(&leaf);
    assert_ok(store_write(f.store, drop_link, NULL));
    o = register_with(&leaf);
    assert_reason(GRANTED, o.verdict);
    assert_span("hub-not-found", fixture_decision(&f).reason);
    polled = ask(&leaf, "dev", OPERATION_STATUS, o.registration.operation_id);
    assert_reason(GRANTED, polled.verdict);
    assert_int_equal(polled.registration.status, REGISTRATION_FAILED);
    assert_int_equal(polled.registration.error_code, 401001);
    assert_span("IoTHub not found.", polled.registration.error_message);
    assert_true(span_is_absent(polled.registration.assigned_hub));
    assert_true(span_is_absent(polled.registration.device_id));
    assert_int_equal(polled.registration.created_ms, TEST_NOW);
}

static void a_link_to_a_hub_that_is_gone_fails(void **state)
{
    struct core_outcome o;

    (void)state;
    group_with(1, 1);
    assert_ok(store_write(f.store, drop_hub, NULL));
    o = register_with(&leaf);
    assert_reason(GRANTED, o.verdict);
    assert_int_equal(o.registration.status, REGISTRATION_FAILED);
    assert_int_equal(o.registration.error_code, 401001);
}

static void an_allocation_policy_we_cannot_apply(void **state)
{
    struct enrollment e = fixture_enrollment(&f, ENROLLMENT_GROUP, "g", X509_SOURCE_SIGNING);
    struct core_outcome o;

    (void)state;
    e.x509_primary = fixture_der(&f, &ca);
    e.allocation_policy = ALLOCATION_CUSTOM;
    e.extra = SPAN("{\"customAllocationDefinition\":{}}");
    assert_reason(GRANTED, fixture_put(&f, &e));
    o = register_with(&leaf);
    assert_int_equal(o.registration.status, REGISTRATION_FAILED);
    assert_int_equal(o.registration.error_code, 400207);
}

static void hubs_named_by_the_enrollment(void **state)
{
    struct enrollment e = fixture_enrollment(&f, ENROLLMENT_GROUP, "g", X509_SOURCE_SIGNING);

    (void)state;
    assert_ok(store_write(f.store, put_link, NULL));
    e.x509_primary = fixture_der(&f, &ca);
    e.allocation_policy = ALLOCATION_STATIC;
    e.iot_hubs = SPAN("[\"HUB21.example\"]");
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_span(TEST_HUB2, register_with(&leaf).registration.assigned_hub);
    e.iot_hubs = SPAN("[\"hub.example\"]");
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_span(TEST_HUB, register_with(&leaf).registration.assigned_hub);
}

static void a_disabled_enrollment(void **state)
{
    struct core_outcome o;

    (void)state;
    group_with(1, 1);
    (void)register_with(&leaf);
    fixture_group(&f, "g", &ca, PROVISIONING_DISABLED);
    /* The record stays as it is until the device comes; who asks is told. */
    o = ask(&leaf, "dev", OPERATION_LOOKUP, SPAN_NONE);
    assert_reason(ENROLLMENT_DISABLED, o.verdict);
    assert_int_equal(o.registration.status, REGISTRATION_DISABLED);
    assert_true(span_is_absent(o.registration.assigned_hub));

    o = register_with(&leaf);
    assert_reason(ENROLLMENT_DISABLED, o.verdict);
    assert_true(o.has_registration);
    assert_int_equal(o.registration.status, REGISTRATION_DISABLED);
    assert_true(span_is_absent(o.registration.assigned_hub));
    assert_int_equal(o.registration.created_ms, TEST_NOW);
    assert_int_equal(fixture_placements, 1);
    o = ask(&leaf, "dev", OPERATION_STATUS, o.registration.operation_id);
    assert_reason(GRANTED, o.verdict);
    assert_int_equal(o.registration.status, REGISTRATION_DISABLED);

    fixture_group(&f, "g", &ca, PROVISIONING_ENABLED);
    assert_int_equal(register_with(&leaf).registration.status, REGISTRATION_ASSIGNED);
}

/* ---- polls and lookups ---- */

static void polls(void **state)
{
    struct node stranger = fixture_leaf(&f, "dev", NULL);
    struct node nobody = { 0 };
    struct span old_operation, operation;
    struct claim claim;
    struct core_outcome o;

    (void)state;
    group_with(1, 1);
    /* Nothing is registered: the genuine device learns that, a stranger the same as later. */
    o = ask(&leaf, "dev", OPERATION_STATUS, SPAN("5.x"));
    assert_reason(OPERATION_NOT_FOUND, o.verdict);
    o = ask(&stranger, "dev", OPERATION_STATUS, SPAN("5.x"));
    assert_reason(CERTIFICATE_MISMATCH, o.verdict);
    assert_span("issuer-unknown", fixture_decision(&f).reason);
    old_operation = register_with(&leaf).registration.operation_id;
    operation = register_with(&leaf).registration.operation_id;
    o = ask(&leaf, "DEV", OPERATION_STATUS, operation);
    assert_reason(GRANTED, o.verdict);
    assert_int_equal(o.registration.status, REGISTRATION_ASSIGNED);
    assert_span(TEST_HUB, o.registration.assigned_hub);

    o = ask(&leaf, "dev", OPERATION_STATUS, old_operation);
    assert_reason(OPERATION_NOT_FOUND, o.verdict);
    assert_span("operation-not-found", fixture_decision(&f).reason);
    o = ask(&leaf, "dev", OPERATION_STATUS, SPAN_NONE);
    assert_reason(OPERATION_NOT_FOUND, o.verdict);
    o = ask(&leaf, "dev2", OPERATION_STATUS, operation);
    assert_reason(CERTIFICATE_MISMATCH, o.verdict);
    assert_span("common-name-mismatch", fixture_decision(&f).reason);
    /* Another leaf, even one that could register. */
    o = ask(&leaf2, "dev", OPERATION_STATUS, operation);
    assert_reason(CERTIFICATE_MISMATCH, o.verdict);
    o = ask(&stranger, "dev", OPERATION_STATUS, operation);
    assert_reason(CERTIFICATE_MISMATCH, o.verdict);
    assert_false(o.has_registration);
    assert_span("certificate-mismatch", fixture_decision(&f).reason);
    o = ask(&nobody, "dev", OPERATION_STATUS, operation);
    assert_reason(CLIENT_CERTIFICATE_MISSING, o.verdict);
    o = ask(&leaf, "dev.", OPERATION_STATUS, operation);
    assert_reason(REGISTRATION_ID_INVALID, o.verdict);

    claim = fixture_claim(&f, "dev", OPERATION_STATUS, &leaf.cert, 1);
    claim.id_scope = SPAN("0ne00000002");
    claim.operation_id = operation;
    assert_ok(core_poll(&f.env, &claim, &o));
    assert_reason(SCOPE_UNKNOWN, o.verdict);
    fixture_free(&stranger);
}

static void lookups(void **state)
{
    struct core_outcome o;

    (void)state;
    group_with(1, 1);
    o = ask(&leaf, "dev", OPERATION_LOOKUP, SPAN_NONE);
    assert_reason(REGISTRATION_NOT_FOUND, o.verdict);
    assert_false(o.has_registration);
    assert_span("registration-not-found", fixture_decision(&f).reason);
    (void)register_with(&leaf);
    o = ask(&leaf2, "dev", OPERATION_LOOKUP, SPAN_NONE);
    assert_reason(GRANTED, o.verdict);
    assert_span(TEST_HUB, o.registration.assigned_hub);
    assert_span("granted", fixture_decision(&f).reason);
    assert_int_equal(fixture_decision(&f).operation, OPERATION_LOOKUP);
    assert_int_equal(fixture_placements, 1);
    assert_ok(core_registration_get(&f.env, f.scope, SPAN("dev"), &o.registration, &o.verdict));
    assert_memory_equal(o.registration.evidence_sha256.data,
                        register_with(&leaf).registration.evidence_sha256.data, CRYPTO_SHA256_LEN);
}

/* ---- two at once ---- */

static struct core_outcome overtaker;

/* Between another register's reading and its writing. */
static void overtake(void)
{
    static uint8_t block[1024 * 1024];
    struct arena arena;
    struct env env;
    struct claim claim = fixture_claim(&f, "dev", OPERATION_REGISTER, &leaf2.cert, 1);

    arena_init(&arena, block, sizeof block);
    env = fixture_env(&f, &arena);
    assert_ok(core_register(&env, &claim, &fixture_tools, &overtaker));
}

static void of_two_at_once_the_later_is_refused(void **state)
{
    (void)state;
    group_with(1, 1);
    for (int i = 0; i < 2; i++) { /* a first registration, and one that was there */
        struct claim claim = fixture_claim(&f, "dev", OPERATION_REGISTER, &leaf.cert, 1);
        struct core_outcome o;
        struct registration r;
        struct verdict v;

        fixture_next(&f);
        fixture_placements = 0;
        fixture_interlude = overtake;
        assert_ok(core_register(&f.env, &claim, &fixture_tools, &o));
        assert_reason(GRANTED, overtaker.verdict);
        assert_reason(REGISTRATION_CONFLICT, o.verdict);
        assert_false(o.has_registration);
        assert_int_equal(fixture_placements, 1);
        assert_span("registration-conflict", fixture_decision(&f).reason);
        assert_ok(core_registration_get(&f.env, f.scope, SPAN("dev"), &r, &v));
        assert_true(span_eq(overtaker.registration.operation_id, r.operation_id));
    }
    assert_reason(GRANTED, register_with(&leaf).verdict);
}

/* ---- an enrollment that changes between the look at it and the writing ---- */

static int changes_left; /* how many registers' writings are forestalled, one after another */
static enum provisioning_status changed_to;
static bool is_deleted;

static void change_enrollment(void)
{
    static uint8_t block[1024 * 1024];
    struct core_match any = { .is_given = true, .is_any = true };
    struct core_enrollment_put how = { .match = any };
    struct enrollment e;
    struct arena arena;
    struct env env;
    struct verdict v;

    arena_init(&arena, block, sizeof block);
    env = fixture_env(&f, &arena);
    assert_ok(core_enrollment_get(&env, f.scope, ENROLLMENT_GROUP, SPAN("g"), &e, &v));
    assert_reason(GRANTED, v);
    e.provisioning_status = changed_to;
    if (is_deleted) {
        assert_ok(core_enrollment_delete(&env, f.scope, ENROLLMENT_GROUP, e.id, &any, &v));
    } else {
        assert_ok(core_enrollment_put(&env, &how, &e, &v));
    }
    assert_reason(GRANTED, v);
    fixture_interlude = --changes_left > 0 ? change_enrollment : NULL;
}

static struct core_outcome register_while_it_changes(int n, enum provisioning_status status,
                                                     bool is_to_go)
{
    struct claim claim = fixture_claim(&f, "dev", OPERATION_REGISTER, &leaf.cert, 1);
    struct core_outcome o;

    fixture_next(&f);
    changes_left = n;
    changed_to = status;
    is_deleted = is_to_go;
    fixture_interlude = change_enrollment;
    assert_ok(core_register(&f.env, &claim, &fixture_tools, &o));
    fixture_interlude = NULL;
    return o;
}

static void a_changed_enrollment_is_looked_at_again(void **state)
{
    struct core_outcome o;
    struct registration r;
    struct verdict v;

    (void)state;
    group_with(1, 1);
    fixture_placements = 0;
    o = register_while_it_changes(1, PROVISIONING_DISABLED, false);
    assert_reason(ENROLLMENT_DISABLED, o.verdict);
    assert_int_equal(fixture_placements, 0);
    assert_span("enrollment-disabled", fixture_decision(&f).reason);

    group_with(1, 1);
    o = register_while_it_changes(LIMIT_DECISION_TRIES - 1, PROVISIONING_ENABLED, false);
    assert_reason(GRANTED, o.verdict);
    assert_int_equal(fixture_placements, 1);

    o = register_while_it_changes(LIMIT_DECISION_TRIES, PROVISIONING_ENABLED, false);
    assert_reason(REGISTRATION_CONFLICT, o.verdict);
    assert_false(o.has_registration);
    assert_int_equal(fixture_placements, 1);
    assert_span("registration-conflict", fixture_decision(&f).reason);

    o = register_while_it_changes(1, PROVISIONING_ENABLED, true);
    assert_reason(ISSUER_UNKNOWN, o.verdict);
    assert_int_equal(fixture_placements, 1);
    assert_ok(core_registration_get(&f.env, f.scope, SPAN("dev"), &r, &v));
    assert_reason(GRANTED, v); /* as it was before */
}

static err break_down(const struct env *env, struct store_tx *tx, const struct placement *p,
                      struct placed *ret_placed)
{
    (void)env;
    (void)tx;
    (void)p;
    (void)ret_placed;
    return ERR(IO);
}

static const struct placer breaker = { .place = break_down };
static const struct core_tools broken = { .hubs = &breaker };

static void a_fault_of_the_hub_undoes_everything(void **state)
{
    struct claim claim = fixture_claim(&f, "dev", OPERATION_REGISTER, &leaf.cert, 1);
    struct core_outcome o;
    struct registration r;
    struct decision_row d;
    struct verdict v;

    (void)state;
    group_with(1, 1);
    assert_true(err_is(core_register(&f.env, &claim, &broken, &o), ERR_IO));
    assert_ok(core_registration_get(&f.env, f.scope, SPAN("dev"), &r, &v));
    assert_reason(RESOURCE_NOT_FOUND, v);
    assert_ok(core_decision_get(&f.env, f.scope, span_str(f.env.tracking_id), &d, &v));
    assert_reason(RESOURCE_NOT_FOUND, v);
}

/* However little memory a request has, it ends with ERR_NOMEM or as it should. */
static void every_cap_of_memory(void **state)
{
    struct claim claim = fixture_claim(&f, "dev", OPERATION_REGISTER, &leaf.cert, 1);
    bool is_granted = false;

    (void)state;
    group_with(1, 1);
    for (size_t size = 0; !is_granted; size += 256) {
        static _Alignas(max_align_t) uint8_t block[64 * 1024];
        struct arena arena;
        struct env env;
        struct core_outcome o;
        err e;

        assert_true(size < sizeof block);
        arena_init(&arena, block, size);
        env = fixture_env(&f, &arena);
        e = core_register(&env, &claim, &fixture_tools, &o);
        assert_true(err_is_ok(e) || err_is(e, ERR_NOMEM));
        is_granted = err_is_ok(e) && verdict_is_granted(o.verdict);
        assert_true(is_granted || !err_is_ok(e));
    }
}

static void old_decisions_are_dropped(void **state)
{
    size_t n;
    struct decision_row *rows;

    (void)state;
    group_with(1, 1);
    f.env.now_ms = TEST_NOW - LIMIT_DECISIONS_AGE_MS - 1;
    for (int i = 0; i < 5; i++) {
        (void)fixture_register(&f, "nobody", &leaf.cert, 1);
    }
    f.env.now_ms = TEST_NOW - LIMIT_DECISIONS_AGE_MS;
    (void)fixture_register(&f, "nobody", &leaf.cert, 1);
    f.env.now_ms = TEST_NOW;
    (void)register_with(&leaf);
    assert_ok(core_decision_prune(&f.env, 2, &n));
    assert_int_equal(n, 2);
    assert_ok(core_decision_prune(&f.env, 100, &n));
    assert_int_equal(n, 3);
    assert_ok(core_decision_prune(&f.env, 100, &n));
    assert_int_equal(n, 0);
    assert_ok(core_decision_list(&f.env, f.scope, SPAN("nobody"), 10, &rows, &n));
    assert_int_equal(n, 1);
    assert_span("granted", fixture_decision(&f).reason);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_first_registration),
        CASE(a_device_that_comes_back),
        CASE(the_device_id_of_an_individual_enrollment),
        CASE(what_the_reprovision_policy_says),
        CASE(without_a_hub_the_operation_fails),
        CASE(a_link_to_a_hub_that_is_gone_fails),
        CASE(an_allocation_policy_we_cannot_apply),
        CASE(hubs_named_by_the_enrollment),
        CASE(a_disabled_enrollment),
        CASE(polls),
        CASE(lookups),
        CASE(of_two_at_once_the_later_is_refused),
        CASE(a_changed_enrollment_is_looked_at_again),
        CASE(a_fault_of_the_hub_undoes_everything),
        CASE(every_cap_of_memory),
        CASE(old_decisions_are_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
