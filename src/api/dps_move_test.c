/* api/dps_move_test.c: every move of a device between two hubs of the store, provisioning and hubs
 * together: what it was before, where its enrollment sends it now, and by which reprovision policy;
 * then where it is, what it is told, which twin it has, and whether the old hub still knows it. */
#include "core/fixture.h"
#include "core/link.h"
#include "hub/hub.h"
#include "hub/twin.h"

#define A SPAN(TEST_HUB)
#define B SPAN(TEST_HUB2)

static struct fixture f;
static struct bus *bus;
static struct node ca, leaf;

/* What it was. */
enum before {
    NEVER_SEEN,   /* unassigned */
    NEVER_PLACED, /* it failed, and was nowhere before */
    ASSIGNED,     /* to A, as in all that follow; its twin was used there */
    FAILED,       /* later */
    DISABLED,     /* the enrollment was; no more */
    DELETED,      /* the record, not the device */
    BEFORES,
};
#define NOWHERE (1 << NEVER_SEEN | 1 << NEVER_PLACED)
#define PLACED  (1 << ASSIGNED | 1 << FAILED | 1 << DISABLED)
#define FORGOT  (1 << DELETED)
#define ALL     (NOWHERE | PLACED | FORGOT)

/* What is different now. */
enum now {
    SAME,      /* nothing: static to A */
    STATIC_B,  /* the enrollment is static to B */
    HASHED_B,  /* the same by hashed: A no longer is among its hubs */
    UNLINKED,  /* A is no longer linked, B is; the instance made A */
    ALIEN,     /* the same, and somebody else made A */
    TO_NOBODY, /* no hub is linked any more */
    NOWS,
};

enum policy_of_move { MIGRATE, RESET, NEVER, POLICIES };

enum twin { NO_TWIN, INITIAL, USED };

/* ---- the stage ---- */

struct stage {
    enum now now;
    const char *maker; /* of A */
};

static err set_up(struct store_tx *tx, void *arg)
{
    const struct stage *s = arg;
    struct hub a = { .host_name = A, .name = SPAN("a"), .id_scope = span_str(s->maker) };
    struct hub b = { .host_name = B, .name = SPAN("b"), .id_scope = f.scope };
    struct linked_hub link = {
        .id_scope = f.scope, .host_name = B, .weight = 1, .apply_allocation_policy = 1
    };

    TRY(store_put(tx, &KIND_HUB, &a));
    TRY(store_put(tx, &KIND_HUB, &b));
    return store_put(tx, &KIND_LINKED_HUB, &link);
}

static void open_stage(enum now now)
{
    struct stage s = { now, now == ALIEN ? "0neAAAAAAAA" : "0ne00000001" };

    fixture_open(&f);
    assert_ok(bus_new(&bus));
    ca = fixture_ca(&f, "CA", NULL);
    leaf = fixture_leaf(&f, "dev", &ca);
    assert_ok(store_write(f.store, set_up, &s));
}

static void close_stage(void)
{
    fixture_free(&leaf);
    fixture_free(&ca);
    bus_free(bus);
    fixture_close(&f);
}

struct order {
    enum policy_of_move policy;
    enum allocation_policy allocation;
    const char *hubs; /* JSON array */
    bool is_disabled;
};

static void enroll(const struct order *o)
{
    struct enrollment e = fixture_enrollment(&f, ENROLLMENT_GROUP, "g", X509_SOURCE_SIGNING);

    e.x509_primary = fixture_der(&f, &ca);
    e.allocation_policy = o->allocation;
    e.iot_hubs = span_str(o->hubs);
    e.initial_twin = SPAN("{\"properties\":{\"desired\":{\"begin\":1}}}");
    e.update_hub_assignment = o->policy != NEVER;
    e.migrate_device_data = o->policy == MIGRATE;
    e.provisioning_status = o->is_disabled ? PROVISIONING_DISABLED : PROVISIONING_ENABLED;
    assert_reason(GRANTED, fixture_put(&f, &e));
}

static struct core_outcome do_register(void)
{
    static const struct core_tools tools = { .hubs = &HUB_PLACER };
    struct claim claim = fixture_claim(&f, "dev", OPERATION_REGISTER, &leaf.cert, 1);
    struct core_outcome o;

    fixture_next(&f);
    assert_ok(core_register(&f.env, &claim, &tools, &o));
    return o;
}

static void use_twin(struct span hub)
{
    struct hub_twin_report report = { .patch = SPAN("{\"seen\":true}"), .if_version = -1 };
    struct device d;
    struct verdict v;
    int64_t version;

    assert_ok(hub_device_get(&f.env, hub, SPAN("dev"), &d, &v));
    assert_reason(GRANTED, v);
    report.generation_id = d.generation_id;
    assert_ok(hub_twin_report(&f.env, hub, SPAN("dev"), &report, &version, &v));
    assert_reason(GRANTED, v);
}

static void link_hub(struct span host, bool is_to_be)
{
    struct linked_hub link = {
        .id_scope = f.scope, .host_name = host, .weight = 1, .apply_allocation_policy = 1
    };
    struct verdict v;

    if (is_to_be) {
        assert_ok(core_link_put(&f.env, &link, CORE_LINK_VOUCHED, &link, &v));
    } else {
        assert_ok(core_link_delete(&f.env, f.scope, host, &v));
    }
    assert_reason(GRANTED, v);
}

static void link_both(bool are_to_be)
{
    link_hub(A, are_to_be);
    link_hub(B, are_to_be);
}

static void make_before(enum before before, enum policy_of_move policy)
{
    struct order o = { policy, ALLOCATION_STATIC, "[\"" TEST_HUB "\"]", false };
    struct core_match any = { .is_given = true, .is_any = true };
    struct verdict v;

    if (before == NEVER_SEEN) {
        return;
    }
    enroll(&o);
    if (before != NEVER_PLACED) {
        assert_int_equal(do_register().registration.status, REGISTRATION_ASSIGNED);
        use_twin(A);
    }
    if (before == NEVER_PLACED || before == FAILED) {
        o.policy = MIGRATE; /* by which it may fail, and which leaves its twin alone */
        enroll(&o);
        link_both(false);
        assert_int_equal(do_register().registration.status, REGISTRATION_FAILED);
        link_both(true);
    } else if (before == DISABLED) {
        o.is_disabled = true;
        enroll(&o);
        assert_int_equal(do_register().registration.status, REGISTRATION_DISABLED);
    } else if (before == DELETED) {
        assert_ok(core_registration_delete(&f.env, f.scope, SPAN("dev"), &any, &v));
        assert_reason(GRANTED, v);
    }
}

static void make_now(enum now now, enum policy_of_move policy)
{
    static const struct {
        enum allocation_policy allocation;
        const char *hubs;
    } orders[NOWS] = {
        [SAME] = { ALLOCATION_STATIC, "[\"" TEST_HUB "\"]" },
        [STATIC_B] = { ALLOCATION_STATIC, "[\"" TEST_HUB2 "\"]" },
        [HASHED_B] = { ALLOCATION_HASHED, "[\"" TEST_HUB2 "\"]" },
        [UNLINKED] = { ALLOCATION_HASHED, NULL },
        [ALIEN] = { ALLOCATION_HASHED, NULL },
        [TO_NOBODY] = { ALLOCATION_HASHED, NULL },
    };
    const struct order o = { policy, orders[now].allocation, orders[now].hubs, false };

    enroll(&o);
    if (now == TO_NOBODY) {
        link_both(false);
    } else if (now == UNLINKED || now == ALIEN) {
        link_hub(A, false);
    }
}

/* ---- what is expected ---- */

static enum twin twin_at(struct span hub)
{
    struct device d;
    struct verdict v;

    assert_ok(hub_device_get(&f.env, hub, SPAN("dev"), &d, &v));
    if (!verdict_is_granted(v)) {
        return NO_TWIN;
    }
    assert_span("{\"begin\":1}", d.desired);
    return span_is_absent(d.reported) ? INITIAL : USED;
}

struct row {
    unsigned before;
    unsigned now;
    unsigned policies;
    char hub; /* 'A', 'B'; 0: it fails */
    enum registration_substatus substatus;
    enum twin at_a, at_b;
};
#define FOR(x) (1U << (x))
#define ANY_B  (FOR(STATIC_B) | FOR(HASHED_B) | FOR(UNLINKED) | FOR(ALIEN))
#define LINKED (FOR(STATIC_B) | FOR(HASHED_B) | FOR(UNLINKED))
#define ANYHOW (FOR(MIGRATE) | FOR(RESET) | FOR(NEVER))

static const struct row rows[] = {
    /* The first time, and for who is unknown again: whatever the policy. What a former record left
     * on the hub is taken over, or (reset) put back. */
    { NOWHERE, FOR(SAME), ANYHOW, 'A', SUBSTATUS_INITIAL_ASSIGNMENT, INITIAL, NO_TWIN },
    { NOWHERE, ANY_B, ANYHOW, 'B', SUBSTATUS_INITIAL_ASSIGNMENT, NO_TWIN, INITIAL },
    { NOWHERE, FOR(TO_NOBODY), ANYHOW, 0, SUBSTATUS_NONE, NO_TWIN, NO_TWIN },
    { FORGOT, FOR(SAME), FOR(MIGRATE) | FOR(NEVER), 'A', SUBSTATUS_INITIAL_ASSIGNMENT, USED,
      NO_TWIN },
    { FORGOT, FOR(SAME), FOR(RESET), 'A', SUBSTATUS_INITIAL_ASSIGNMENT, INITIAL, NO_TWIN },
    { FORGOT, ANY_B, ANYHOW, 'B', SUBSTATUS_INITIAL_ASSIGNMENT, USED, INITIAL },
    { FORGOT, FOR(TO_NOBODY), ANYHOW, 0, SUBSTATUS_NONE, USED, NO_TWIN },
    /* It is on A and belongs there. */
    { PLACED, FOR(SAME), FOR(MIGRATE) | FOR(NEVER), 'A', SUBSTATUS_INITIAL_ASSIGNMENT, USED,
      NO_TWIN },
    { PLACED, FOR(SAME), FOR(RESET), 'A', SUBSTATUS_INITIAL_ASSIGNMENT, INITIAL, NO_TWIN },
    /* It is on A and belongs on B. A hub that is linked no longer, and somebody else's, is not
     * touched. */
    { PLACED, LINKED, FOR(MIGRATE), 'B', SUBSTATUS_DEVICE_DATA_MIGRATED, NO_TWIN, USED },
    { PLACED, LINKED, FOR(RESET), 'B', SUBSTATUS_DEVICE_DATA_RESET, NO_TWIN, INITIAL },
    { PLACED, FOR(ALIEN), FOR(MIGRATE) | FOR(RESET), 'B', SUBSTATUS_DEVICE_DATA_RESET, USED,
      INITIAL },
    { PLACED, ANY_B | FOR(TO_NOBODY), FOR(NEVER), 'A', SUBSTATUS_INITIAL_ASSIGNMENT, USED,
      NO_TWIN },
    /* It belongs nowhere: it stays where it is, and comes from there when it moves next. */
    { PLACED, FOR(TO_NOBODY), FOR(MIGRATE) | FOR(RESET), 0, SUBSTATUS_NONE, USED, NO_TWIN },
};

static const struct row *find_row(unsigned before, unsigned now, unsigned policy)
{
    const struct row *found = NULL;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if ((rows[i].before & before) != 0 && (rows[i].now & now) != 0 &&
            (rows[i].policies & policy) != 0) {
            assert_null(found); /* one row for each case */
            found = &rows[i];
        }
    }
    assert_non_null(found);
    return found;
}

static void check_record(const struct core_outcome *o, const struct row *row)
{
    const struct registration *r = &o->registration;
    struct registration stored;
    struct verdict v;

    assert_ok(core_registration_get(&f.env, f.scope, SPAN("dev"), &stored, &v));
    assert_reason(GRANTED, v);
    assert_int_equal(stored.substatus, r->substatus);
    assert_true(span_eq(stored.assigned_hub, r->assigned_hub));
    assert_int_equal(r->substatus, row->substatus);
    if (row->hub == 0) {
        assert_int_equal(r->status, REGISTRATION_FAILED);
        assert_int_equal(r->error_code, 401001);
        return;
    }
    assert_int_equal(r->status, REGISTRATION_ASSIGNED);
    assert_span(row->hub == 'A' ? TEST_HUB : TEST_HUB2, r->assigned_hub);
    assert_span("dev", r->device_id);
    assert_int_equal(o->placed.has_left, row->hub == 'B' && row->at_a == NO_TWIN &&
                                             r->substatus != SUBSTATUS_INITIAL_ASSIGNMENT);
}

static void every_move(void **state)
{
    (void)state;
    for (unsigned before = 0; before < BEFORES; before++) {
        for (unsigned now = 0; now < NOWS; now++) {
            for (unsigned policy = 0; policy < POLICIES; policy++) {
                const struct row *row = find_row(FOR(before), FOR(now), FOR(policy));
                struct core_outcome o;

                open_stage((enum now)now);
                make_before((enum before)before, (enum policy_of_move)policy);
                make_now((enum now)now, (enum policy_of_move)policy);
                o = do_register();
                print_message("before %u, now %u, policy %u\n", before, now, policy);
                check_record(&o, row);
                assert_int_equal(twin_at(A), row->at_a);
                assert_int_equal(twin_at(B), row->at_b);
                close_stage();
            }
        }
    }
}

/* ---- there and back ---- */

static void to_and_fro(void **state)
{
    static const struct {
        enum policy_of_move policy;
        const char *hubs;
        enum registration_substatus substatus;
        enum twin at_a, at_b;
    } steps[] = {
        { MIGRATE, "[\"" TEST_HUB "\"]", SUBSTATUS_INITIAL_ASSIGNMENT, INITIAL, NO_TWIN },
        { MIGRATE, "[\"" TEST_HUB2 "\"]", SUBSTATUS_DEVICE_DATA_MIGRATED, NO_TWIN, USED },
        { MIGRATE, "[\"" TEST_HUB2 "\"]", SUBSTATUS_DEVICE_DATA_MIGRATED, NO_TWIN, USED },
        { MIGRATE, "[\"" TEST_HUB "\"]", SUBSTATUS_REPROVISIONED_TO_INITIAL_ASSIGNMENT, USED,
          NO_TWIN },
        { RESET, "[\"" TEST_HUB2 "\"]", SUBSTATUS_DEVICE_DATA_RESET, NO_TWIN, INITIAL },
        { RESET, "[\"" TEST_HUB "\"]", SUBSTATUS_REPROVISIONED_TO_INITIAL_ASSIGNMENT, INITIAL,
          NO_TWIN },
        { NEVER, "[\"" TEST_HUB2 "\"]", SUBSTATUS_REPROVISIONED_TO_INITIAL_ASSIGNMENT, INITIAL,
          NO_TWIN },
    };
    int64_t version = 0;

    (void)state;
    open_stage(SAME);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const struct order o = { steps[i].policy, ALLOCATION_STATIC, steps[i].hubs, false };
        struct core_outcome outcome;
        struct device d;
        struct verdict v;

        enroll(&o);
        outcome = do_register();
        assert_int_equal(outcome.registration.substatus, steps[i].substatus);
        assert_int_equal(twin_at(A), steps[i].at_a);
        assert_int_equal(twin_at(B), steps[i].at_b);
        assert_ok(hub_device_get(&f.env, outcome.registration.assigned_hub, SPAN("dev"), &d, &v));
        assert_true(d.version >= version); /* it never goes back */
        version = d.version;
        if (i == 0) {
            use_twin(A);
        }
    }
    close_stage();
}

/* An individual enrollment may name the device: on its hub it keeps the name that it has. */
static void another_device_id(void **state)
{
    struct enrollment e;
    struct core_outcome o;
    struct device d;
    struct verdict v;

    (void)state;
    open_stage(SAME);
    e = fixture_enrollment(&f, ENROLLMENT_INDIVIDUAL, "dev", X509_SOURCE_CLIENT);
    e.x509_primary = fixture_der(&f, &leaf);
    e.allocation_policy = ALLOCATION_STATIC;
    e.iot_hubs = SPAN("[\"" TEST_HUB "\"]");
    e.device_id = SPAN("first");
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_span("first", do_register().registration.device_id);
    e.device_id = SPAN("second");
    assert_reason(GRANTED, fixture_put(&f, &e));
    assert_span("first", do_register().registration.device_id);
    e.iot_hubs = SPAN("[\"" TEST_HUB2 "\"]");
    assert_reason(GRANTED, fixture_put(&f, &e));
    o = do_register();
    assert_span("second", o.registration.device_id);
    assert_int_equal(o.registration.substatus, SUBSTATUS_DEVICE_DATA_MIGRATED);
    assert_span("first", o.placed.left.device_id);
    assert_ok(hub_device_get(&f.env, A, SPAN("first"), &d, &v));
    assert_reason(DEVICE_NOT_FOUND, v);
    close_stage();
}

/* The new hub would not have it so: it is told why, and stays where it is. */
static err overfill(struct store_tx *tx, void *arg)
{
    struct device d = { .device_id = SPAN("dev"), .hub = B };
    struct device m = { .generation_id = SPAN("g") };
    char id[32];

    (void)arg;
    TRY(store_put(tx, &KIND_DEVICE, &d));
    for (int i = 0; i <= LIMIT_MODULES; i++) {
        (void)snprintf(id, sizeof id, "dev/m%d", i);
        m.device_id = span_str(id);
        m.hub = i < LIMIT_MODULES ? B : A;
        TRY(store_put(tx, &KIND_MODULE, &m));
    }
    return OK;
}

static void a_refused_move(void **state)
{
    const struct order to_b = { MIGRATE, ALLOCATION_STATIC, "[\"" TEST_HUB2 "\"]", false };
    struct core_outcome o;

    (void)state;
    open_stage(SAME);
    make_before(ASSIGNED, MIGRATE);
    enroll(&to_b);
    assert_ok(store_write(f.store, overfill, NULL));
    o = do_register();
    assert_int_equal(o.registration.status, REGISTRATION_FAILED);
    assert_int_equal(o.registration.error_code, reason_info(REASON_TOO_MANY_MODULES)->error_code);
    assert_span(TEST_HUB, o.registration.placed_hub);
    assert_int_equal(twin_at(A), USED);
    close_stage();
}

/* Another instance that is linked to A has a device of that ID there, which is the same one. */
static err share(struct store_tx *tx, void *arg)
{
    const struct registration r = { .id_scope = SPAN("0ne00000009"),
                                    .key = SPAN("its"),
                                    .id = SPAN("its"),
                                    .placed_hub = A,
                                    .placed_device_id = SPAN("dev"),
                                    .initial_hub = A };
    const struct linked_hub link = { .id_scope = r.id_scope, .host_name = A, .weight = 1 };

    (void)arg;
    TRY(store_put(tx, &KIND_LINKED_HUB, &link));
    return store_put(tx, &KIND_REGISTRATION, &r);
}

static void a_shared_device_stays(void **state)
{
    const struct order to_b = { MIGRATE, ALLOCATION_STATIC, "[\"" TEST_HUB2 "\"]", false };
    struct core_outcome o;

    (void)state;
    open_stage(SAME);
    make_before(ASSIGNED, MIGRATE);
    enroll(&to_b);
    assert_ok(store_write(f.store, share, NULL));
    o = do_register();
    assert_span(TEST_HUB2, o.registration.assigned_hub);
    assert_int_equal(o.registration.substatus, SUBSTATUS_DEVICE_DATA_MIGRATED);
    assert_false(o.placed.has_left);
    assert_int_equal(twin_at(A), USED);
    assert_int_equal(twin_at(B), USED);
    close_stage();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_move),
        cmocka_unit_test(to_and_fro),
        cmocka_unit_test(another_device_id),
        cmocka_unit_test(a_refused_move),
        cmocka_unit_test(a_shared_device_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
