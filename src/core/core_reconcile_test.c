/* core/core_reconcile_test.c: whose a device on a hub is, and that mending touches nothing but what
 * is still as it was listed. A hub's devices are rows of KIND_DEVICE with no more than their names.
 */
#include "core/fixture.h"
#include "core/reconcile.h"

#define OTHER "0ne0ffffff"

static struct fixture f;

/* ---- a placer that has names alone ---- */

static err read_state(const struct env *env, struct store_tx *tx, struct span hub,
                      struct span device_id, struct device_state *ret_state, bool *ret_found)
{
    struct device d = { .hub = hub, .device_id = device_id };

    *ret_state = (struct device_state){ 0 };
    return store_find(tx, &KIND_DEVICE, &d, env->arena, &d, ret_found);
}

static err take_away(const struct env *env, struct store_tx *tx, struct span hub,
                     struct span device_id, struct placed *ret_placed)
{
    struct device d = { .hub = hub, .device_id = device_id };

    TRY(store_find(tx, &KIND_DEVICE, &d, env->arena, &d, &ret_placed->has_left));
    ret_placed->left = d;
    return ret_placed->has_left ? store_delete(tx, &KIND_DEVICE, &d) : OK;
}

static const struct placer hubs = { .read = read_state, .take_away = take_away };

/* ---- rows ---- */

static struct registration registration_of(const char *scope, const char *id, const char *hub)
{
    bool is_placed = hub != NULL;

    return (struct registration){
        .id_scope = span_str(scope),
        .key = span_str(id),
        .id = span_str(id),
        .status = is_placed ? REGISTRATION_ASSIGNED : REGISTRATION_FAILED,
        .substatus = is_placed ? SUBSTATUS_INITIAL_ASSIGNMENT : SUBSTATUS_NONE,
        .error_code = is_placed ? 0 : 401001,
        .error_message = is_placed ? SPAN_NONE : SPAN("no"),
        .assigned_hub = span_str(hub),
        .device_id = is_placed ? span_str(id) : SPAN_NONE,
        .placed_hub = span_str(hub),
        .placed_device_id = is_placed ? span_str(id) : SPAN_NONE,
        .initial_hub = span_str(hub),
        .enrollment_kind = ENROLLMENT_GROUP,
        .enrollment = SPAN("g"),
        .attestation = ATTESTATION_X509,
        .operation_id = SPAN("5.1"),
        .etag = SPAN("first"),
    };
}

static err put_registration(struct store_tx *tx, const char *scope, const char *id, const char *hub)
{
    const struct registration r = registration_of(scope, id, hub);

    return store_put(tx, &KIND_REGISTRATION, &r);
}

static err put_device(struct store_tx *tx, const char *hub, const char *id)
{
    const struct device d = { .hub = span_str(hub), .device_id = span_str(id) };

    return store_put(tx, &KIND_DEVICE, &d);
}

#define SCOPE "0ne00000001"

static err put_named(struct store_tx *tx)
{
    struct registration r = registration_of(SCOPE, "named", TEST_HUB2);

    r.placed_device_id = r.device_id = SPAN("Pump-1");
    return store_put(tx, &KIND_REGISTRATION, &r);
}

static err put_errands(struct store_tx *tx)
{
    const struct errand coming = { .id_scope = f.scope,
                                   .type = ERRAND_ASSIGN,
                                   .registration_key = SPAN("coming"),
                                   .hub = SPAN(""),
                                   .device_id = SPAN(""),
                                   .to_hub = SPAN(TEST_HUB),
                                   .to_device_id = SPAN("coming"),
                                   .since_ms = 5 };
    const struct errand going = { .id_scope = f.scope,
                                  .type = ERRAND_REMOVE,
                                  .registration_key = SPAN(""),
                                  .hub = SPAN(TEST_HUB),
                                  .device_id = SPAN("going"),
                                  .since_ms = 9 };

    TRY(store_put(tx, &KIND_ERRAND, &coming));
    return store_put(tx, &KIND_ERRAND, &going);
}

static err put_waiting(struct store_tx *tx, const char *id)
{
    struct registration r = registration_of(SCOPE, id, TEST_HUB);

    r.status = REGISTRATION_ASSIGNING;
    r.substatus = SUBSTATUS_NONE;
    r.assigned_hub = r.device_id = SPAN_NONE;
    return store_put(tx, &KIND_REGISTRATION, &r);
}

static err put_decision(struct store_tx *tx, const char *scope, const char *id)
{
    const struct decision_row d = { .tracking_id = span_str(id),
                                    .id_scope = span_str(scope),
                                    .registration_key = span_str(id),
                                    .registration_id = span_str(id),
                                    .operation = OPERATION_REGISTER,
                                    .transport = TRANSPORT_MQTT,
                                    .reason = SPAN("granted") };

    return store_put(tx, &KIND_DECISION, &d);
}

static err put_rows(struct store_tx *tx, void *arg)
{
    static const char *const on_hub[] = { "stray-2",    "once-theirs", "ours",   "theirs",
                                          "their-name", "both",        "Pump-1", "stray",
                                          "failed",     "coming",      "going",  "waits" };
    const struct linked_hub links[] = {
        { .id_scope = f.scope, .host_name = SPAN(TEST_HUB2), .weight = 1 },
        { .id_scope = SPAN(OTHER), .host_name = SPAN(TEST_HUB), .weight = 1 },
    };

    (void)arg;
    TRY(store_put(tx, &KIND_LINKED_HUB, &links[0]));
    TRY(store_put(tx, &KIND_LINKED_HUB, &links[1]));
    for (size_t i = 0; i < sizeof on_hub / sizeof on_hub[0]; i++) {
        TRY(put_device(tx, TEST_HUB, on_hub[i]));
    }
    TRY(put_device(tx, TEST_HUB2, "both"));
    TRY(put_registration(tx, SCOPE, "ours", TEST_HUB));
    TRY(put_registration(tx, SCOPE, "lost", TEST_HUB));
    TRY(put_registration(tx, SCOPE, "dangling", "no.such.example"));
    TRY(put_registration(tx, SCOPE, "both", TEST_HUB2));
    TRY(put_registration(tx, SCOPE, "failed", NULL));
    TRY(put_named(tx));
    TRY(put_waiting(tx, "waits"));
    TRY(put_waiting(tx, "coming"));
    TRY(put_decision(tx, SCOPE, "stray-2"));
    TRY(put_decision(tx, OTHER, "once-theirs"));
    TRY(put_registration(tx, OTHER, "theirs", TEST_HUB));
    TRY(put_registration(tx, OTHER, "their-name", "third.example"));
    return put_errands(tx);
}

static int setup(void **state)
{
    (void)state;
    fixture_open(&f);
    assert_ok(store_write(f.store, put_rows, NULL));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&f);
    return 0;
}

static struct core_reconcile_query query(void)
{
    return (
        struct core_reconcile_query){ .hubs = &hubs, .id_scope = f.scope, .hub = SPAN(TEST_HUB) };
}

/* ---- whose is it? ---- */

static void test_judge(void **state)
{
    static const struct {
        const char *id;
        enum core_finding finding;
        const char *registration, *placed_hub;
        bool was_registered;
    } cases[] = {
        { "ours", CORE_FINDING_NONE, NULL, NULL, false },
        { "waits", CORE_FINDING_NONE, NULL, NULL, false },
        { "theirs", CORE_FINDING_ANOTHERS, NULL, NULL, false },
        { "their-name", CORE_FINDING_ANOTHERS, NULL, NULL, false },
        { "both", CORE_FINDING_DUPLICATE, "both", TEST_HUB2, false },
        { "Pump-1", CORE_FINDING_DUPLICATE, "named", TEST_HUB2, false },
        { "stray", CORE_FINDING_STRAY, NULL, NULL, false },
        { "stray-2", CORE_FINDING_STRAY, NULL, NULL, true },
        { "once-theirs", CORE_FINDING_ANOTHERS, NULL, NULL, false },
        { "failed", CORE_FINDING_STRAY, NULL, NULL, false },
        { "coming", CORE_FINDING_NONE, NULL, NULL, false },
        { "going", CORE_FINDING_NONE, NULL, NULL, false },
        { "gone meanwhile", CORE_FINDING_NONE, NULL, NULL, false },
        { "OURS", CORE_FINDING_NONE, NULL, NULL, false },
    };
    enum { N = sizeof cases / sizeof cases[0] };
    const struct core_reconcile_query q = query();
    struct core_identity ids[N];
    size_t n;

    (void)state;
    for (size_t i = 0; i < N; i++) {
        ids[i] = (struct core_identity){ .device_id = span_str(cases[i].id) };
    }
    assert_ok(core_reconcile_judge(&f.env, &q, ids, N, &n));
    assert_int_equal(n, N);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(ids[i].finding, cases[i].finding);
        assert_true(span_eq(ids[i].registration_id, span_str(cases[i].registration)));
        assert_true(span_eq(ids[i].placed_hub, span_str(cases[i].placed_hub)));
        assert_int_equal(ids[i].was_registered, cases[i].was_registered);
    }
}

/* ---- mending ---- */

struct row_of {
    struct registration registration;
    const char *id, *hub;
    bool is_found;
};

static err read_registration(struct store_tx *tx, void *arg)
{
    struct row_of *r = arg;

    r->registration = (struct registration){ .id_scope = f.scope, .key = span_str(r->id) };
    return store_find(tx, &KIND_REGISTRATION, &r->registration, &f.arena, &r->registration,
                      &r->is_found);
}

static struct registration registered(const char *id)
{
    struct row_of r = { .id = id };

    assert_ok(store_read(f.store, read_registration, &r));
    assert_true(r.is_found);
    return r.registration;
}

static err find_device(struct store_tx *tx, void *arg)
{
    struct row_of *r = arg;
    struct device d = { .hub = span_str(r->hub), .device_id = span_str(r->id) };

    return store_find(tx, &KIND_DEVICE, &d, &f.arena, &d, &r->is_found);
}

static bool has_device(const char *hub, const char *id)
{
    struct row_of r = { .id = id, .hub = hub };

    assert_ok(store_read(f.store, find_device, &r));
    return r.is_found;
}

static struct core_mend mend(struct core_mend m)
{
    struct core_reconcile_query q = query();

    if (!span_is_absent(m.hub)) {
        q.hub = m.hub;
    }
    fixture_next(&f);
    f.env.now_ms++;
    assert_ok(core_reconcile_mend(&f.env, &q, &m));
    return m;
}

static struct core_mend missing(const char *registration, const char *hub, const char *device)
{
    return (struct core_mend){ .kind = CORE_MEND_MISSING,
                               .registration_id = span_str(registration),
                               .hub = span_str(hub),
                               .device_id = span_str(device) };
}

static void test_mend_missing(void **state)
{
    struct core_mend m = missing("LOST", TEST_HUB, "lost");
    struct registration r;

    (void)state;
    m.is_dry = true;
    assert_true(span_is_absent(mend(m).why));
    assert_int_equal(registered("lost").status, REGISTRATION_ASSIGNED);
    m.is_dry = false;
    assert_true(span_is_absent(mend(m).why));
    r = registered("lost");
    assert_int_equal(r.status, REGISTRATION_UNASSIGNED);
    assert_true(span_is_absent(r.placed_hub) && span_is_absent(r.placed_device_id));
    assert_true(span_is_absent(r.assigned_hub) && span_is_absent(r.device_id));
    assert_span(TEST_HUB, r.initial_hub);
    assert_false(span_eq(r.etag, SPAN("first")));
    assert_span("the registration has its device elsewhere by now", mend(m).why);

    assert_true(span_is_absent(mend(missing("dangling", "no.such.example", "dangling")).why));
    assert_span("the hub has the device", mend(missing("ours", TEST_HUB, "ours")).why);
    assert_span("the registration has gone", mend(missing("nobody", TEST_HUB, "ours")).why);
    assert_span("the registration has gone", mend(missing("theirs", TEST_HUB, "theirs")).why);
    assert_span("the device is being assigned", mend(missing("waits", TEST_HUB, "waits")).why);
    assert_int_equal(registered("ours").status, REGISTRATION_ASSIGNED);
}

/* What the latest register came to stays: only where its device was is forgotten. */
static err put_failed(struct store_tx *tx, void *arg)
{
    struct registration r = registration_of(SCOPE, "lost", NULL);

    (void)arg;
    r.placed_hub = r.initial_hub = SPAN(TEST_HUB);
    r.placed_device_id = SPAN("lost");
    return store_put(tx, &KIND_REGISTRATION, &r);
}

static void test_mend_missing_of_a_failed_one(void **state)
{
    struct registration r;

    (void)state;
    assert_ok(store_write(f.store, put_failed, NULL));
    assert_true(span_is_absent(mend(missing("lost", TEST_HUB, "lost")).why));
    r = registered("lost");
    assert_int_equal(r.status, REGISTRATION_FAILED);
    assert_int_equal(r.error_code, 401001);
    assert_true(span_is_absent(r.placed_hub));
}

/* A hub elsewhere was asked in between: its registration must be the one of before. */
static void test_mend_missing_elsewhere(void **state)
{
    struct core_reconcile_query q = query();
    struct core_mend m = missing("lost", TEST_HUB, "lost");

    (void)state;
    q.hubs = NULL;
    m.etag = SPAN("older");
    assert_ok(core_reconcile_mend(&f.env, &q, &m));
    assert_span("the registration was changed meanwhile", m.why);
    m.etag = SPAN("first");
    assert_ok(core_reconcile_mend(&f.env, &q, &m));
    assert_true(span_is_absent(m.why));
}

static struct core_mend away(enum core_mend_kind kind, const char *device)
{
    return (struct core_mend){ .kind = kind, .hub = SPAN(TEST_HUB), .device_id = span_str(device) };
}

static err find_errand(struct store_tx *tx, void *arg)
{
    struct errand *e = arg;

    return store_get(tx, &KIND_ERRAND, e, &f.arena, e);
}

/* It is on its way then, and no difference any more. */
static void test_mend_stray_elsewhere(void **state)
{
    struct core_reconcile_query q = query();
    struct core_mend m = away(CORE_MEND_STRAY, "not here");
    struct errand e = { .id_scope = f.scope,
                        .type = ERRAND_REMOVE,
                        .registration_key = SPAN(""),
                        .hub = SPAN(TEST_HUB),
                        .device_id = SPAN("not here") };

    (void)state;
    q.hubs = NULL;
    assert_ok(core_reconcile_mend(&f.env, &q, &m));
    assert_true(span_is_absent(m.why));
    assert_ok(store_read(f.store, find_errand, &e));
    assert_int_equal(e.step, ERRAND_TAKE_AWAY);
    assert_int_equal(e.due_ms, f.env.now_ms);
    assert_span("hub/" SCOPE "/" TEST_HUB, e.lane);
    assert_ok(core_reconcile_mend(&f.env, &q, &m));
    assert_false(span_is_absent(m.why));
}

static void test_mend_waiting(void **state)
{
    struct core_mend m = { .kind = CORE_MEND_WAITING, .registration_id = SPAN("waits") };
    struct registration r;

    (void)state;
    assert_true(span_is_absent(mend(m).why));
    r = registered("waits");
    assert_int_equal(r.status, REGISTRATION_UNASSIGNED);
    assert_span(TEST_HUB, r.placed_hub);
    assert_span("the registration does not wait any more", mend(m).why);
    m.registration_id = SPAN("coming");
    assert_span("there is an errand for it", mend(m).why);
    assert_int_equal(registered("coming").status, REGISTRATION_ASSIGNING);
}

static void test_mend_devices(void **state)
{
    static const char *const safe[] = { "ours",   "theirs", "their-name", "once-theirs",
                                        "coming", "going",  "waits" };
    struct core_mend m = away(CORE_MEND_STRAY, "stray");

    (void)state;
    for (size_t i = 0; i < sizeof safe / sizeof safe[0]; i++) {
        assert_false(span_is_absent(mend(away(CORE_MEND_STRAY, safe[i])).why));
        assert_false(span_is_absent(mend(away(CORE_MEND_DUPLICATE, safe[i])).why));
        assert_true(has_device(TEST_HUB, safe[i]));
    }
    assert_false(span_is_absent(mend(away(CORE_MEND_STRAY, "both")).why));
    assert_false(span_is_absent(mend(away(CORE_MEND_DUPLICATE, "stray")).why));
    m.is_dry = true;
    assert_true(span_is_absent(mend(m).why));
    assert_true(has_device(TEST_HUB, "stray"));
    m.is_dry = false;
    m = mend(m);
    assert_true(span_is_absent(m.why) && m.placed.has_left);
    assert_false(has_device(TEST_HUB, "stray"));
    assert_false(span_is_absent(mend(away(CORE_MEND_STRAY, "stray")).why));

    assert_true(span_is_absent(mend(away(CORE_MEND_DUPLICATE, "both")).why));
    assert_false(has_device(TEST_HUB, "both"));
    assert_true(has_device(TEST_HUB2, "both"));
}

/* ---- lists ---- */

struct listed {
    char text[256];
    size_t len;
    int most;
};

static void note(struct listed *l, struct span what, bool *more)
{
    l->len += (size_t)snprintf(l->text + l->len, sizeof l->text - l->len, "%.*s ", SPAN_FMT(what));
    *more = --l->most != 0;
}

static err see_registration(const struct registration *r, bool is_lost, void *arg, bool *more)
{
    if (is_lost) {
        note(arg, r->key, more);
    }
    return OK;
}

static err see_errand(const struct errand *e, struct span place, void *arg, bool *more)
{
    (void)e;
    note(arg, place, more);
    return OK;
}

static void test_what_waits(void **state)
{
    struct listed l = { .most = -1 };

    (void)state;
    assert_ok(core_reconcile_waiting(&f.env, f.scope, SPAN_NONE, see_registration, &l));
    assert_string_equal(l.text, "waits ");
    l = (struct listed){ .most = -1 };
    assert_ok(core_reconcile_waiting(&f.env, f.scope, SPAN("waits"), see_registration, &l));
    assert_string_equal(l.text, "");

    l = (struct listed){ .most = 1 };
    assert_ok(core_reconcile_errands(&f.env, f.scope, SPAN_NONE, see_errand, &l));
    assert_string_equal(l.text, "1/coming ");
    l = (struct listed){ .most = -1 };
    assert_ok(core_reconcile_errands(&f.env, f.scope, SPAN("1/coming"), see_errand, &l));
    assert_string_equal(l.text, "2/" TEST_HUB "/going ");
    l = (struct listed){ .most = -1 };
    assert_ok(
        core_reconcile_errands(&f.env, f.scope, SPAN("2/" TEST_HUB "/going"), see_errand, &l));
    assert_string_equal(l.text, "");
}

static void test_hubs(void **state)
{
    struct core_reconcile_hub *rows;
    size_t n;

    (void)state;
    assert_ok(core_reconcile_hubs(&f.env, f.scope, &rows, &n));
    assert_int_equal(n, 3);
    assert_span(TEST_HUB, rows[0].host_name);
    assert_true(rows[0].is_linked && rows[0].is_there && rows[0].is_ours);
    assert_int_equal(rows[0].devices, 4);
    assert_span(TEST_HUB2, rows[1].host_name);
    assert_true(rows[1].is_linked);
    assert_int_equal(rows[1].devices, 2);
    assert_span("no.such.example", rows[2].host_name);
    assert_false(rows[2].is_linked || rows[2].is_there);
    assert_int_equal(rows[2].devices, 1);
    assert_ok(core_reconcile_hubs(&f.env, SPAN(OTHER), &rows, &n));
    assert_int_equal(n, 2);
    assert_span("third.example", rows[1].host_name);
}

/* ---- may it look? ---- */

struct look_case {
    const char *hub_scope; /* whose the hub is; NULL: nobody's */
    int64_t rights;        /* of the connection string's policy; 0: there is no string */
    bool is_old;           /* its key is not the policy's any more */
    bool may;
};

static err put_hub(struct store_tx *tx, void *arg)
{
    const struct look_case *c = arg;
    const struct hub hub = { .host_name = SPAN(TEST_HUB),
                             .name = SPAN("h"),
                             .id_scope = span_str(c->hub_scope) };
    const struct policy p = { .owner_type = POLICY_OF_HUB,
                              .owner = SPAN(TEST_HUB),
                              .name = SPAN("p"),
                              .rights = c->rights,
                              .primary_key = c->is_old ? SPAN("another") : SPAN("0123456789abcdef"),
                              .secondary_key = SPAN("another") };

    TRY(store_put(tx, &KIND_HUB, &hub));
    return store_put(tx, &KIND_POLICY, &p);
}

static void test_may_look(void **state)
{
    static const struct look_case cases[] = {
        { SCOPE, 0, false, true },
        { NULL, 0, false, true },
        { OTHER, 0, false, false },
        { OTHER, RIGHT_REGISTRY_WRITE | RIGHT_SERVICE_CONNECT, false, false },
        { OTHER, RIGHT_REGISTRY_WRITE | RIGHT_REGISTRY_READ, false, true },
        { OTHER, RIGHT_REGISTRY_WRITE | RIGHT_REGISTRY_READ, true, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct linked_hub link = { .id_scope = f.scope, .host_name = SPAN(TEST_HUB) };
        struct span why;

        if (cases[i].rights != 0) {
            link.connection_string = SPAN("HostName=" TEST_HUB ";SharedAccessKeyName=p;"
                                          "SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==");
        }
        assert_ok(store_write(f.store, put_hub, (void *)&cases[i]));
        assert_ok(core_reconcile_may_look(&f.env, &link, &why));
        assert_int_equal(span_is_absent(why), cases[i].may);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_judge, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mend_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mend_missing_of_a_failed_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mend_missing_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mend_stray_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mend_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mend_devices, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hubs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_may_look, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
