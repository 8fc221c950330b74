/* core/errand_fence_test.c: what comes between an errand's steps: another register, a deletion, a
 * changed enrollment or link, another process; and what a webhook answers. Nothing is lost, and
 * nobody is on two hubs for good. */
#include "core/enrollment.h"
#include "core/errand_kit_test.h"
#include "core/link.h"
#include "core/retire.h"

enum { NOWHERE = -1, HERE1, HERE2, FAR1, FAR2 };

static struct core_errand_work work; /* of a thread that is slow */

/* How far the errand has come when something comes between. */
enum stage { CLAIMED, LOOKED, SETTLED, PLACED, STAGES };

static void call(void)
{
    assert_ok(core_errand_call(&kit.f.env, &kit_tools, &work));
}

static enum core_errand_end settle(void)
{
    assert_ok(core_errand_settle(&kit.f.env, &kit_tools, &work));
    return work.end;
}

static void come_to(enum stage stage)
{
    work = (struct core_errand_work){ 0 };
    assert_ok(core_errand_claim(&kit.f.env, kit_assign_errand().lane, &work));
    assert_int_equal(work.end, CORE_ERRAND_GOES_ON);
    if (stage >= LOOKED) {
        call();
    }
    if (stage >= SETTLED) {
        assert_int_equal(settle(), CORE_ERRAND_GOES_ON);
    }
    if (stage >= PLACED) {
        call();
    }
}

/* The slow thread does what it still had to do, in vain. */
static void go_on_late(enum stage stage)
{
    if (stage == CLAIMED || stage == SETTLED) {
        call();
    }
    assert_int_equal(settle(), CORE_ERRAND_LOST);
    assert_false(work.has_assigned);
}

static void wait_on_far1(void)
{
    kit_enroll(FAR1, KIT_MIGRATE);
    (void)kit_register();
}

static void each_stage(void (*run)(enum stage stage, bool is_late))
{
    for (int i = 0; i < 2 * STAGES; i++) {
        assert_int_equal(0, kit_setup(NULL));
        run((enum stage)(i / 2), i % 2 == 1);
        assert_int_equal(0, kit_teardown(NULL));
    }
}

/* ---- another register ---- */

static void the_same_again_joins(void **state)
{
    struct core_outcome first, second;
    struct errand e;

    (void)state;
    kit_enroll(FAR1, KIT_MIGRATE);
    first = kit_register();
    kit.fault[FAR1] = KIT_SILENT;
    kit_run_for(0);
    assert_true(kit_assign_errand().due_ms > kit.f.env.now_ms);
    second = kit_register();
    assert_int_equal(second.registration.status, REGISTRATION_ASSIGNING);
    assert_true(span_eq(first.registration.operation_id, second.registration.operation_id));
    e = kit_assign_errand();
    assert_int_equal(e.due_ms, kit.f.env.now_ms);
    assert_int_equal(e.tries, 1);
    kit.fault[FAR1] = KIT_WELL;
    kit_run();
    kit_assert_assigned(FAR1);
    assert_true(span_eq(first.registration.operation_id, kit_registration().operation_id));
}

/* Somebody works on it: it is not given to another. */
static void joining_takes_it_from_nobody(void **state)
{
    (void)state;
    wait_on_far1();
    come_to(SETTLED);
    (void)kit_register();
    assert_true(kit_assign_errand().lease_ms > kit.f.env.now_ms);
    call();
    assert_int_equal(settle(), CORE_ERRAND_DONE);
    kit_assert_assigned(FAR1);
}

static void other_evidence(enum stage stage, bool is_late)
{
    struct span first;

    wait_on_far1();
    first = kit_registration().operation_id;
    come_to(stage);
    assert_false(span_eq(first, kit_register_with(&kit.leaf2).registration.operation_id));
    if (is_late) {
        go_on_late(stage);
    }
    kit_run();
    kit_assert_assigned(FAR1);
    {
        uint8_t digest[CRYPTO_SHA256_LEN];
        char hex[8];

        assert_ok(crypto_x509_sha256(kit.leaf2.cert, digest));
        (void)snprintf(hex, sizeof hex, "%02X%02X", digest[0], digest[1]);
        assert_memory_equal(hex, kit_device(FAR1).primary_thumbprint.data, 4);
    }
}

static void other_evidence_takes_its_place(void **state)
{
    (void)state;
    each_stage(other_evidence);
}

static void another_hub(enum stage stage, bool is_late, int to)
{
    wait_on_far1();
    come_to(stage);
    kit_enroll(to, KIT_MIGRATE);
    (void)kit_register();
    if (is_late) {
        go_on_late(stage);
    }
    kit_run();
    kit_assert_assigned(to);
}

static void to_far2(enum stage stage, bool is_late)
{
    another_hub(stage, is_late, FAR2);
}

static void to_here(enum stage stage, bool is_late)
{
    another_hub(stage, is_late, HERE1);
}

/* There and back, while the first is still under way. */
static void and_back(enum stage stage, bool is_late)
{
    wait_on_far1();
    come_to(stage);
    kit_enroll(FAR2, KIT_MIGRATE);
    (void)kit_register();
    kit_enroll(FAR1, KIT_MIGRATE);
    (void)kit_register();
    if (is_late) {
        go_on_late(stage);
    }
    kit_run();
    kit_assert_assigned(FAR1);
}

static void another_hub_takes_its_place(void **state)
{
    (void)state;
    each_stage(to_far2);
    each_stage(to_here);
    each_stage(and_back);
}

static void disabled_meanwhile(enum stage stage, bool is_late)
{
    wait_on_far1();
    come_to(stage);
    fixture_group(&kit.f, "g", &kit.ca, PROVISIONING_DISABLED);
    {
        struct claim claim = fixture_claim(&kit.f, "dev", OPERATION_REGISTER, &kit.leaf.cert, 1);
        struct core_outcome o;

        fixture_next(&kit.f);
        assert_ok(core_register(&kit.f.env, &claim, &kit_core_tools, &o));
        assert_reason(ENROLLMENT_DISABLED, o.verdict);
    }
    if (is_late) {
        go_on_late(stage);
    }
    kit_run();
    assert_int_equal(kit_registration().status, REGISTRATION_DISABLED);
    kit_assert_only_at(NOWHERE);
}

static void a_register_of_the_disabled_ends_it(void **state)
{
    (void)state;
    each_stage(disabled_meanwhile);
}

/* ---- the operator ---- */

static void delete_registration(void)
{
    struct core_match any = { 0 };
    struct verdict v;

    assert_ok(core_registration_delete(&kit.f.env, kit.f.scope, SPAN("dev"), &any, &v));
    assert_reason(GRANTED, v);
}

static void deleted(enum stage stage, bool is_late)
{
    wait_on_far1();
    come_to(stage);
    delete_registration();
    if (is_late) {
        go_on_late(stage);
    }
    kit_run();
    kit_assert_only_at(NOWHERE);
    (void)kit_register();
    kit_run();
    kit_assert_assigned(FAR1);
}

static void a_deleted_registration_leaves_nothing(void **state)
{
    (void)state;
    each_stage(deleted);
}

/* It was there before: it is not ours to take away. */
static void was_there(enum stage stage, bool is_late)
{
    (void)kit_far(SPAN(KIT_FAR1), SPAN("dev"), true);
    wait_on_far1();
    come_to(stage);
    delete_registration();
    if (is_late) {
        go_on_late(stage);
    }
    kit_run();
    kit_assert_only_at(FAR1);
}

static void what_was_there_stays(void **state)
{
    (void)state;
    each_stage(was_there);
}

static void delete_enrollment(void)
{
    struct core_match any = { 0 };
    struct verdict v;

    assert_ok(
        core_enrollment_delete(&kit.f.env, kit.f.scope, ENROLLMENT_GROUP, SPAN("g"), &any, &v));
    assert_reason(GRANTED, v);
}

static void enrollment_deleted(enum stage stage, bool is_late)
{
    wait_on_far1();
    come_to(stage);
    delete_enrollment();
    if (is_late) {
        if (stage == CLAIMED || stage == SETTLED) {
            call();
        }
        assert_int_equal(settle(), CORE_ERRAND_FAILED);
    }
    kit_run();
    kit_assert_failed(409204, "register again");
    kit_assert_only_at(NOWHERE);
}

static void enrollment_changed(enum stage stage, bool is_late)
{
    wait_on_far1();
    come_to(stage);
    kit_enroll(FAR1, KIT_RESET);
    if (is_late) {
        if (stage == CLAIMED || stage == SETTLED) {
            call();
        }
        assert_int_equal(settle(), CORE_ERRAND_FAILED);
    }
    kit_run();
    kit_assert_failed(409204, "register again");
    kit_assert_only_at(NOWHERE);
    (void)kit_register();
    kit_run();
    kit_assert_assigned(FAR1);
}

static void enrollment_disabled(enum stage stage, bool is_late)
{
    (void)is_late;
    wait_on_far1();
    come_to(stage);
    fixture_group(&kit.f, "g", &kit.ca, PROVISIONING_DISABLED);
    if (stage == CLAIMED || stage == SETTLED) {
        call();
    }
    assert_int_equal(settle(), CORE_ERRAND_DROPPED);
    kit_run();
    assert_int_equal(kit_registration().status, REGISTRATION_DISABLED);
    kit_assert_only_at(NOWHERE);
}

static void a_changed_enrollment_ends_it(void **state)
{
    (void)state;
    each_stage(enrollment_deleted);
    each_stage(enrollment_changed);
    each_stage(enrollment_disabled);
}

static err drop_link(struct store_tx *tx, void *arg)
{
    struct linked_hub link = { .id_scope = kit.f.scope, .host_name = span_str(arg) };

    return store_delete(tx, &KIND_LINKED_HUB, &link);
}

static void unlink_hub(int hub)
{
    assert_ok(store_write(kit.f.store, drop_link, (void *)(uintptr_t)kit_hubs[hub]));
}

/* What may have been made there is not ours to reach any more. */
static void the_new_hub_is_unlinked(void **state)
{
    (void)state;
    wait_on_far1();
    come_to(SETTLED);
    unlink_hub(FAR1);
    call();
    assert_int_equal(settle(), CORE_ERRAND_FAILED);
    kit_run();
    kit_assert_failed(401001, "IoTHub not found");
}

static void move_far1_to(int hub)
{
    wait_on_far1();
    kit_run();
    kit_enroll(hub, KIT_MIGRATE);
    (void)kit_register();
}

static void the_old_hub_is_unlinked(void **state)
{
    (void)state;
    move_far1_to(FAR2);
    unlink_hub(FAR1);
    kit_run();
    assert_span(KIT_FAR2, kit_registration().assigned_hub);
    assert_int_equal(kit_registration().substatus, SUBSTATUS_DEVICE_DATA_RESET);
    assert_true(kit_has(FAR2));
    assert_true(kit_has(FAR1));
}

static void the_old_hub_is_unlinked_before_it_loses_it(void **state)
{
    (void)state;
    move_far1_to(HERE1);
    kit.fault[FAR1] = KIT_SILENT;
    kit.faults_skip = 1; /* its twin is given */
    kit_run_for(0);
    unlink_hub(FAR1);
    kit_run(); /* the REMOVE errand goes */
    assert_span(TEST_HUB, kit_registration().assigned_hub);
}

static void the_instance_is_deleted(void **state)
{
    struct errand *rows;
    struct instance i;
    struct verdict v;
    bool is_done = false;

    (void)state;
    wait_on_far1();
    come_to(SETTLED);
    assert_ok(core_retire_begin(&kit.f.env, SPAN("test"), true, &i, &v));
    assert_reason(GRANTED, v);
    call();
    assert_int_equal(settle(), CORE_ERRAND_DROPPED);
    assert_int_equal(0, kit_errands(&rows));
    while (!is_done) {
        assert_ok(core_retire_sweep(&kit.f.env, kit.f.scope, LIMIT_DELETE_REQUEST, &is_done));
    }
}

/* ---- a device that has to go ---- */

/* It waits to be taken from FAR1, and is on FAR2. */
static void leave_far1_behind(void)
{
    move_far1_to(FAR2);
    kit.fault[FAR1] = KIT_SILENT;
    kit.faults_skip = 1; /* its twin is given */
    kit_run_for(0);
    assert_int_equal(kit_registration().status, REGISTRATION_ASSIGNED);
    assert_true(kit_has(FAR1) && kit_has(FAR2));
    kit.fault[FAR1] = KIT_WELL;
}

static void it_comes_back_before_it_has_gone(void **state)
{
    (void)state;
    leave_far1_behind();
    kit_enroll(FAR1, KIT_MIGRATE);
    (void)kit_register();
    kit_run();
    kit_assert_assigned(FAR1);
}

static void it_comes_back_while_it_goes(void **state)
{
    struct errand *rows;
    struct errand e;

    (void)state;
    leave_far1_behind();
    assert_int_equal(1, kit_errands(&rows));
    kit.f.env.now_ms = rows[0].due_ms;
    work = (struct core_errand_work){ 0 };
    assert_ok(core_errand_claim(&kit.f.env, rows[0].lane, &work));
    assert_int_equal(work.end, CORE_ERRAND_GOES_ON);
    kit_enroll(FAR1, KIT_MIGRATE);
    (void)kit_register();
    e = kit_assign_errand();
    assert_true(e.due_ms > kit.f.env.now_ms); /* the call may take that long */
    kit_run_for(0);
    assert_int_equal(kit_registration().status, REGISTRATION_ASSIGNING);
    call(); /* it goes */
    assert_int_equal(settle(), CORE_ERRAND_LOST);
    assert_false(kit_has(FAR1));
    kit_run();
    kit_assert_assigned(FAR1);
}

static err put_neighbour(struct store_tx *tx, void *arg)
{
    struct registration r = *(const struct registration *)arg;

    r.key = r.id = SPAN("neighbour");
    r.assigned_hub = r.placed_hub = SPAN(KIT_FAR1);
    return store_put(tx, &KIND_REGISTRATION, &r);
}

static void another_registration_has_it(void **state)
{
    struct registration r;

    (void)state;
    leave_far1_behind();
    r = kit_registration();
    assert_ok(store_write(kit.f.store, put_neighbour, &r));
    kit_run();
    assert_true(kit_has(FAR1));
}

/* For as long as it takes. */
static void a_removal_is_never_given_up(void **state)
{
    struct errand *rows;

    (void)state;
    leave_far1_behind();
    kit.fault[FAR1] = KIT_UNAUTHORIZED;
    kit_run_for(24LL * 3600 * 1000);
    assert_int_equal(1, kit_errands(&rows));
    assert_span("Unauthorized", rows[0].last_error);
    assert_in_range(rows[0].tries, 24 * 4, 24 * 4 * 2 + 20);
    kit.fault[FAR1] = KIT_WELL;
    kit_run();
    kit_assert_assigned(FAR2);
}

/* ---- other processes ---- */

static void a_lease_is_one_thread_s(void **state)
{
    struct core_errand_work other = { 0 };
    struct span lane;

    (void)state;
    wait_on_far1();
    lane = kit_assign_errand().lane;
    come_to(LOOKED);
    assert_ok(core_errand_claim(&kit.f.env, lane, &other));
    assert_int_equal(other.end, CORE_ERRAND_NONE);
    assert_int_equal(other.next_due_ms, work.errand.lease_ms);
    kit.f.env.now_ms = other.next_due_ms;
    assert_ok(core_errand_claim(&kit.f.env, lane, &other));
    assert_int_equal(other.end, CORE_ERRAND_GOES_ON);
    assert_int_equal(settle(), CORE_ERRAND_LOST);
    work = other;
    call();
    assert_int_equal(settle(), CORE_ERRAND_GOES_ON);
    call();
    assert_int_equal(settle(), CORE_ERRAND_DONE);
    kit_assert_assigned(FAR1);
}

/* ---- webhooks ---- */

#define URL "https://hook.example:8443/x?code=secret"
#define REQUEST                                                                                    \
    "{\"linkedHubs\":[\"" TEST_HUB "\",\"" TEST_HUB2 "\",\"far1.example\",\"far2.example\"]}"

static err ask_webhook(struct store_tx *tx, void *arg)
{
    const struct env *env = &kit.f.env;
    struct registration was = *(const struct registration *)arg;
    struct registration r = was;
    struct enrollment e = { .id_scope = kit.f.scope, .kind = ENROLLMENT_GROUP, .key = SPAN("g") };
    const struct core_plan plan = { .asks_webhook = true };
    const struct decision_row d = { .tracking_id = span_str(env->tracking_id),
                                    .id_scope = kit.f.scope,
                                    .registration_key = SPAN("dev"),
                                    .reason = SPAN("granted") };
    struct errand order = { .id_scope = kit.f.scope,
                            .type = ERRAND_ASSIGN,
                            .registration_key = SPAN("dev"),
                            .hub = SPAN(""),
                            .device_id = SPAN(""),
                            .registration_id = SPAN("dev"),
                            .operation_id = SPAN("5.webhook"),
                            .tracking_id = span_str(env->tracking_id),
                            .to_device_id = SPAN("dev"),
                            .from_hub = was.placed_hub,
                            .from_device_id = was.placed_device_id,
                            .keeps_twin = 1,
                            .substatus = was.substatus,
                            .auth = DEVICE_AUTH_SELF_SIGNED,
                            .thumbprint = SPAN("AB"),
                            .initial_twin = SPAN("{\"of\":\"the enrollment\"}"),
                            .url = SPAN(URL),
                            .request = SPAN(REQUEST) };
    const struct core_assign_begin how = {
        .hubs = &kit_placer, .order = &order, .plan = &plan, .was = &was
    };
    struct core_assigned a;

    TRY(store_get(tx, &KIND_ENROLLMENT, &e, env->arena, &e));
    order.enrollment_etag = e.etag;
    r.operation_id = order.operation_id;
    r.substatus = SUBSTATUS_NONE;
    r.assigned_hub = r.device_id = r.payload = SPAN_NONE;
    TRY(core_assign_begin(env, tx, &how, &r, &a));
    assert_int_equal(r.status, REGISTRATION_ASSIGNING);
    TRY(store_put(tx, &KIND_DECISION, &d));
    return store_put(tx, &KIND_REGISTRATION, &r);
}

/* The device is on `from`, and the webhook is asked where it goes. */
static void ask_from(int from)
{
    struct registration was;

    kit_enroll(from, KIT_MIGRATE);
    (void)kit_register();
    kit_run();
    kit_mark(from, "{\"m\":1}");
    fixture_next(&kit.f);
    was = kit_registration();
    assert_ok(store_write(kit.f.store, ask_webhook, &was));
}

static void a_webhook_answers(void **state)
{
    static const struct {
        int from, to;
        const char *answer, *desired, *payload;
        enum registration_substatus substatus;
    } cases[] = {
        { HERE1, HERE2, "{\"iotHubHostName\":\"" TEST_HUB2 "\"}", "{\"m\":1}", NULL,
          SUBSTATUS_DEVICE_DATA_MIGRATED },
        { HERE1, FAR1, "{\"iotHubHostName\":\"FAR1.example\",\"payload\":{\"p\":1}}", "{\"m\":1}",
          "{\"p\":1}", SUBSTATUS_DEVICE_DATA_MIGRATED },
        { FAR1, HERE1, "{\"iotHubHostName\":\"" TEST_HUB "\"}", "{\"m\":1}", NULL,
          SUBSTATUS_DEVICE_DATA_MIGRATED },
        { FAR1, FAR2, "{\"iotHubHostName\":\"far2.example\",\"initialTwin\":{\"tags\":{\"t\":1}}}",
          "{\"tags\":{\"t\":1}}", NULL, SUBSTATUS_DEVICE_DATA_RESET },
        { FAR1, FAR1, "{\"iotHubHostName\":\"far1.example\"}", "{\"m\":1}", NULL,
          SUBSTATUS_INITIAL_ASSIGNMENT },
        { HERE1, HERE1, "{\"iotHubHostName\":\"" TEST_HUB "\"}", "{\"m\":1}", NULL,
          SUBSTATUS_INITIAL_ASSIGNMENT },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int at = 0;; at++) { /* 0: nobody dies */
            assert_int_equal(0, kit_setup(NULL));
            kit.answer = cases[i].answer;
            kit_dies_after = kit_points = 0;
            ask_from(cases[i].from);
            kit_dies_after = at;
            kit_run();
            kit_dies_after = 0;
            kit_assert_assigned(cases[i].to);
            assert_int_equal(kit_registration().substatus, cases[i].substatus);
            assert_span(cases[i].desired, kit_device(cases[i].to).desired);
            if (cases[i].payload == NULL) {
                assert_true(span_is_absent(kit_registration().payload));
            } else {
                assert_span(cases[i].payload, kit_registration().payload);
            }
            assert_int_equal(0, kit_teardown(NULL));
            if (at > 0 && kit_points < at) {
                break;
            }
        }
    }
}

static void a_webhook_fails(void **state)
{
    static const struct {
        enum kit_fault fault;
        const char *answer, *message;
        int posts;
    } cases[] = {
        { KIT_REFUSES, NULL, "Custom allocation failed with status code: 400", 1 },
        { KIT_THROTTLES, NULL, "Custom allocation failed with status code: 429",
          LIMIT_WEBHOOK_TRIES },
        { KIT_SILENT, NULL, "Custom allocation failed", LIMIT_WEBHOOK_TRIES },
        { KIT_WELL, "{\"iotHubHostName\":\"stranger.example\"}", "", 1 },
        { KIT_WELL, "not JSON", "", 1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct decision_row d;

        assert_int_equal(0, kit_setup(NULL));
        ask_from(HERE1);
        kit.webhook = cases[i].fault;
        kit.answer = cases[i].answer;
        {
            char tracking_id[GUID_TEXT_LEN + 1];

            memcpy(tracking_id, kit.f.env.tracking_id, sizeof tracking_id);
            kit_run();
            memcpy(kit.f.env.tracking_id, tracking_id, sizeof tracking_id);
        }
        kit_assert_failed(400207, cases[i].message);
        kit_assert_only_at(HERE1);
        assert_int_equal(kit.posts, cases[i].posts);
        d = fixture_decision(&kit.f);
        assert_span("custom-allocation-failed", d.reason);
        assert_true(fixture_has(d.allocation, "hook.example"));
        assert_false(fixture_has(d.allocation, "secret"));
        assert_int_equal(0, kit_teardown(NULL));
    }
}

#define FENCE(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FENCE(the_same_again_joins),
        FENCE(joining_takes_it_from_nobody),
        cmocka_unit_test(other_evidence_takes_its_place),
        cmocka_unit_test(another_hub_takes_its_place),
        cmocka_unit_test(a_register_of_the_disabled_ends_it),
        cmocka_unit_test(a_deleted_registration_leaves_nothing),
        cmocka_unit_test(what_was_there_stays),
        cmocka_unit_test(a_changed_enrollment_ends_it),
        FENCE(the_new_hub_is_unlinked),
        FENCE(the_old_hub_is_unlinked),
        FENCE(the_old_hub_is_unlinked_before_it_loses_it),
        FENCE(the_instance_is_deleted),
        FENCE(it_comes_back_before_it_has_gone),
        FENCE(it_comes_back_while_it_goes),
        FENCE(another_registration_has_it),
        FENCE(a_removal_is_never_given_up),
        FENCE(a_lease_is_one_thread_s),
        cmocka_unit_test(a_webhook_answers),
        cmocka_unit_test(a_webhook_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
