/* core/core_retire_test.c: what is left of an instance that was taken away, and of a hub that was
 * unlinked. */
#include "core/certificate.h"
#include "core/fixture.h"
#include "core/instance.h"
#include "core/link.h"
#include "core/retire.h"
#include "model/kinds.h"

static struct fixture f;

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

static enum reason create(const char *name, const char *host)
{
    struct instance i;
    struct verdict v;

    assert_ok(core_instance_create(&f.env, span_str(name), span_str(host), &i, &v));
    return v.reason;
}

static err put_row(struct store_tx *tx, void *arg)
{
    return store_put(tx, &KIND_HUB, arg);
}

static void put_hub(const char *host, struct span scope, enum life life)
{
    struct hub hub = {
        .host_name = span_str(host), .name = SPAN("h"), .id_scope = scope, .life = life
    };

    assert_ok(store_write(f.store, put_row, &hub));
}

static enum reason link_hub(struct span scope, const char *host)
{
    struct linked_hub link = { .id_scope = scope, .host_name = span_str(host), .weight = 1 };
    struct verdict v;

    assert_ok(core_link_put(&f.env, &link, CORE_LINK_ASKED, &link, &v));
    return v.reason;
}

/* ---- a hub that is left ---- */

static struct node ca, leaf;

static struct core_outcome register_device(void)
{
    return fixture_register(&f, "dev", &leaf.cert, 1);
}

static void a_hub_that_is_unlinked_is_left_alone(void **state)
{
    struct enrollment e;
    struct core_outcome o;
    struct verdict v;

    (void)state;
    ca = fixture_ca(&f, "ca", NULL);
    leaf = fixture_leaf(&f, "dev", &ca);
    e = fixture_enrollment(&f, ENROLLMENT_GROUP, "g", X509_SOURCE_SIGNING);
    e.x509_primary = fixture_der(&f, &ca);
    e.update_hub_assignment = 0;
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_span(TEST_HUB, register_device().registration.assigned_hub);
    assert_span(TEST_HUB, fixture_placed.hub);

    assert_ok(core_link_delete(&f.env, f.scope, SPAN(TEST_HUB), &v));
    fixture_placed = (struct placement){ 0 };
    o = register_device();
    assert_span(TEST_HUB, o.registration.assigned_hub);
    assert_true(span_is_absent(fixture_placed.hub));
    fixture_free(&leaf);
    fixture_free(&ca);
}

/* ---- taking an instance away ---- */

static err count_rows(struct store_tx *tx, void *arg)
{
    int64_t *ret_n = arg;
    struct store_scan all = { .limit = 1 };

    *ret_n = 0;
    for (size_t i = 0; i < MODEL_KINDS_N; i++) {
        int64_t n;

        TRY(store_count(tx, MODEL_KINDS[i], &all, &n));
        *ret_n += n;
    }
    return OK;
}

static int64_t rows(void)
{
    int64_t n;

    assert_ok(store_read(f.store, count_rows, &n));
    return n;
}

/* One row of every kind that an instance may have, and many registrations. */
static err fill(struct store_tx *tx, void *arg)
{
    struct span scope = *(struct span *)arg;
    struct enrollment e = { .id_scope = scope, .kind = ENROLLMENT_INDIVIDUAL, .key = SPAN("d") };
    struct anchor a = {
        .id_scope = scope, .owner_type = ANCHOR_OF_GROUP, .owner = SPAN("g"), .sha256 = SPAN("x")
    };
    struct ca_reference r = { .id_scope = scope,
                              .certificate = SPAN("c"),
                              .enrollment_kind = ENROLLMENT_GROUP,
                              .enrollment = SPAN("g") };
    struct certificate c = { .id_scope = scope, .name = SPAN("c") };
    struct challenge ch = { .id_scope = scope,
                            .registration_key = SPAN("d"),
                            .evidence_sha256 = SPAN("x") };
    struct errand w = { .id_scope = scope,
                        .type = ERRAND_ASSIGN,
                        .registration_key = SPAN("d"),
                        .hub = SPAN(""),
                        .device_id = SPAN("") };
    struct decision_row d = { .tracking_id = scope, .id_scope = scope, .reason = SPAN("granted") };

    TRY(store_put(tx, &KIND_ENROLLMENT, &e));
    TRY(store_put(tx, &KIND_ANCHOR, &a));
    TRY(store_put(tx, &KIND_CA_REFERENCE, &r));
    TRY(store_put(tx, &KIND_CERTIFICATE, &c));
    TRY(store_put(tx, &KIND_CHALLENGE, &ch));
    TRY(store_put(tx, &KIND_ERRAND, &w));
    TRY(store_put(tx, &KIND_DECISION, &d));
    for (int i = 0; i < 3 * LIMIT_DELETE_BATCH; i++) {
        char key[16];
        struct registration g = { .id_scope = scope };

        (void)snprintf(key, sizeof key, "d%d", i);
        g.key = span_str(key);
        TRY(store_put(tx, &KIND_REGISTRATION, &g));
    }
    return OK;
}

static enum reason begin(const char *name, bool force)
{
    struct instance i;
    struct verdict v;

    assert_ok(core_retire_begin(&f.env, span_str(name), force, &i, &v));
    return v.reason;
}

static void an_instance_goes_with_all_it_had(void **state)
{
    int64_t before;
    struct span two = fixture_instance(&f, "two", "dps2.example").id_scope;
    struct instance found;
    bool is_done, is_found;

    (void)state;
    assert_ok(store_write(f.store, fill, &f.scope)); /* a neighbour's rows stay */
    before = rows() - 2;
    assert_ok(store_write(f.store, fill, &two));
    put_hub("own.example", two, LIFE_ACTIVE);
    assert_int_equal(REASON_GRANTED, link_hub(two, "own.example"));

    assert_int_equal(REASON_RESOURCE_NOT_FOUND, begin("none", true));
    assert_int_equal(REASON_RESOURCE_IN_USE, begin("two", false));
    assert_ok(core_instance_find_by_host(&f.env, SPAN("dps2.example"), &found, &is_found));
    assert_true(is_found);
    assert_int_equal(REASON_GRANTED, begin("two", true));
    /* At once: no operator, no link, nothing new; its name says what is going on. */
    assert_ok(core_instance_find_by_host(&f.env, SPAN("dps2.example"), &found, &is_found));
    assert_false(is_found);
    assert_int_equal(REASON_RESOURCE_NOT_FOUND, link_hub(two, "own.example"));
    assert_ok(core_instance_find_by_name(&f.env, SPAN("two"), &found, &is_found));
    assert_true(is_found && found.life == LIFE_DELETING);
    assert_int_equal(REASON_NAME_TAKEN, create("two", "x.example"));

    /* Cut off half way, and gone on with: also without force. */
    assert_ok(core_retire_sweep(&f.env, two, LIMIT_DELETE_BATCH, &is_done));
    assert_false(is_done);
    assert_int_equal(REASON_GRANTED, begin("two", false));
    assert_ok(core_retire_sweep(&f.env, two, LIMIT_DELETE_REQUEST, &is_done));
    assert_false(is_done); /* its hub is the caller's to remove */
    put_hub("own.example", f.scope, LIFE_ACTIVE);
    assert_ok(core_retire_sweep(&f.env, two, LIMIT_DELETE_REQUEST, &is_done));
    assert_true(is_done);
    assert_ok(core_retire_sweep(&f.env, two, LIMIT_DELETE_REQUEST, &is_done));
    assert_true(is_done);
    assert_int_equal(rows(), before + 1); /* the hub that was given away */
    assert_int_equal(REASON_RESOURCE_NOT_FOUND, begin("two", true));
    assert_int_equal(REASON_GRANTED, create("two", "dps2.example"));
}

static void nothing_is_added_to_what_goes(void **state)
{
    struct enrollment e = fixture_enrollment(&f, ENROLLMENT_GROUP, "g", X509_SOURCE_SIGNING);
    struct core_match none = { 0 };
    struct certificate c;
    struct policy p = { .owner_type = POLICY_OF_INSTANCE,
                        .owner = f.scope,
                        .name = SPAN("p"),
                        .rights = RIGHT_SERVICE_CONFIG };
    struct verdict v;

    (void)state;
    ca = fixture_ca(&f, "ca", NULL);
    leaf = fixture_leaf(&f, "dev", &ca);
    e.x509_primary = fixture_der(&f, &ca);
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_reason(GRANTED, register_device().verdict);
    assert_int_equal(REASON_GRANTED, begin("test", true));

    assert_reason(SCOPE_UNKNOWN, register_device().verdict);
    e.id = SPAN("g2");
    assert_reason(RESOURCE_NOT_FOUND, fixture_put(&f, &e));
    assert_ok(core_certificate_put(&f.env, f.scope, SPAN("c"), fixture_pem(&f, &ca), true, &none,
                                   &c, &v));
    assert_reason(RESOURCE_NOT_FOUND, v);
    assert_ok(core_policy_put(&f.env, &p, &v));
    assert_reason(RESOURCE_NOT_FOUND, v);
    fixture_free(&leaf);
    fixture_free(&ca);
}

/* The instance goes between a device's reading and its writing. */
static void retire_now(void)
{
    struct instance i;
    struct verdict v;
    struct env env = fixture_env(&f, &f.arena);

    assert_ok(core_retire_begin(&env, SPAN("test"), true, &i, &v));
}

static void a_registration_under_way_is_refused(void **state)
{
    struct enrollment e = fixture_enrollment(&f, ENROLLMENT_GROUP, "g", X509_SOURCE_SIGNING);
    struct core_outcome o;
    struct claim claim;
    int64_t n;

    (void)state;
    ca = fixture_ca(&f, "ca", NULL);
    leaf = fixture_leaf(&f, "dev", &ca);
    e.x509_primary = fixture_der(&f, &ca);
    assert_reason(GRANTED, fixture_put(&f, &e));
    fixture_next(&f);
    n = rows();
    claim = fixture_claim(&f, "dev", OPERATION_REGISTER, &leaf.cert, 1);
    fixture_interlude = retire_now;
    assert_ok(core_register(&f.env, &claim, &fixture_tools, &o));
    assert_reason(SCOPE_UNKNOWN, o.verdict);
    assert_false(o.has_registration);
    assert_int_equal(rows(), n); /* one link less, one decision record more */
    fixture_free(&leaf);
    fixture_free(&ca);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_hub_that_is_unlinked_is_left_alone),
        CASE(an_instance_goes_with_all_it_had),
        CASE(nothing_is_added_to_what_goes),
        CASE(a_registration_under_way_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
