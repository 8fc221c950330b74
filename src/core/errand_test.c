/* core/errand_test.c: every move that an errand makes, a fault at each of its steps, and a process
 * that dies between any two: the device ends on exactly the hub that its registration says. */
#include "core/errand_kit_test.h"

#define INITIAL "{\"properties\":{\"desired\":{\"i\":1}}}"

enum { NOWHERE = -1, HERE1, HERE2, FAR1, FAR2 };

struct move {
    int from, to;
    enum kit_policy policy;
    bool waits;
    int ends; /* on which hub */
    enum registration_substatus substatus;
    const char *desired; /* there, when it was marked as {"m":1} before */
};

static const struct move moves[] = {
    { NOWHERE, HERE1, KIT_MIGRATE, false, HERE1, SUBSTATUS_INITIAL_ASSIGNMENT, INITIAL },
    { NOWHERE, FAR1, KIT_MIGRATE, true, FAR1, SUBSTATUS_INITIAL_ASSIGNMENT, INITIAL },
    { NOWHERE, FAR1, KIT_RESET, true, FAR1, SUBSTATUS_INITIAL_ASSIGNMENT, INITIAL },
    { NOWHERE, FAR1, KIT_NEVER, true, FAR1, SUBSTATUS_INITIAL_ASSIGNMENT, INITIAL },
    { HERE1, HERE2, KIT_MIGRATE, false, HERE2, SUBSTATUS_DEVICE_DATA_MIGRATED, "{\"m\":1}" },
    { HERE1, HERE2, KIT_RESET, false, HERE2, SUBSTATUS_DEVICE_DATA_RESET, INITIAL },
    { HERE1, HERE2, KIT_NEVER, false, HERE1, SUBSTATUS_INITIAL_ASSIGNMENT, "{\"m\":1}" },
    { HERE1, FAR1, KIT_MIGRATE, true, FAR1, SUBSTATUS_DEVICE_DATA_MIGRATED, "{\"m\":1}" },
    { HERE1, FAR1, KIT_RESET, true, FAR1, SUBSTATUS_DEVICE_DATA_RESET, INITIAL },
    { HERE1, FAR1, KIT_NEVER, false, HERE1, SUBSTATUS_INITIAL_ASSIGNMENT, "{\"m\":1}" },
    { FAR1, HERE1, KIT_MIGRATE, true, HERE1, SUBSTATUS_DEVICE_DATA_MIGRATED, "{\"m\":1}" },
    { FAR1, HERE1, KIT_RESET, true, HERE1, SUBSTATUS_DEVICE_DATA_RESET, INITIAL },
    { FAR1, HERE1, KIT_NEVER, true, FAR1, SUBSTATUS_INITIAL_ASSIGNMENT, "{\"m\":1}" },
    { FAR1, FAR2, KIT_MIGRATE, true, FAR2, SUBSTATUS_DEVICE_DATA_MIGRATED, "{\"m\":1}" },
    { FAR1, FAR2, KIT_RESET, true, FAR2, SUBSTATUS_DEVICE_DATA_RESET, INITIAL },
    { FAR1, FAR2, KIT_NEVER, true, FAR1, SUBSTATUS_INITIAL_ASSIGNMENT, "{\"m\":1}" },
    { FAR1, FAR1, KIT_MIGRATE, true, FAR1, SUBSTATUS_INITIAL_ASSIGNMENT, "{\"m\":1}" },
    { FAR1, FAR1, KIT_RESET, true, FAR1, SUBSTATUS_INITIAL_ASSIGNMENT, INITIAL },
};
enum { MOVES = sizeof moves / sizeof *moves };

/* The device is at m->from, its twin marked, and the enrollment sends it on. */
static void begin(const struct move *m)
{
    kit_dies_after = kit_points = 0;
    if (m->from != NOWHERE) {
        kit_enroll(m->from, m->policy);
        (void)kit_register();
        kit_run();
        kit_assert_assigned(m->from);
        kit_mark(m->from, "{\"m\":1}");
    }
    kit_enroll(m->to, m->policy);
}

static void check(const struct move *m)
{
    struct registration r;

    kit_assert_assigned(m->ends);
    r = kit_registration();
    assert_int_equal(r.substatus, m->substatus);
    assert_span(m->desired, kit_device(m->ends).desired);
    assert_span(kit_hubs[m->from == NOWHERE ? m->ends : m->from], r.initial_hub);
}

static void each_move(void (*run)(const struct move *m))
{
    for (size_t i = 0; i < MOVES; i++) {
        print_message("move %zu: %d to %d, policy %d\n", i, moves[i].from, moves[i].to,
                      (int)moves[i].policy);
        assert_int_equal(0, kit_setup(NULL));
        run(&moves[i]);
        assert_int_equal(0, kit_teardown(NULL));
    }
}

static void move_well(const struct move *m)
{
    struct core_outcome o;
    struct decision_row d;
    char tracking_id[GUID_TEXT_LEN + 1];

    begin(m);
    o = kit_register();
    assert_int_equal(o.registration.status,
                     m->waits ? REGISTRATION_ASSIGNING : REGISTRATION_ASSIGNED);
    memcpy(tracking_id, kit.f.env.tracking_id, sizeof tracking_id);
    if (m->waits && m->from != NOWHERE) { /* it stays where it is until it is there */
        assert_true(kit_has(m->from));
    }
    kit_run();
    check(m);
    memcpy(kit.f.env.tracking_id, tracking_id, sizeof tracking_id);
    d = fixture_decision(&kit.f);
    assert_span("granted", d.reason);
    assert_span(kit_hubs[m->ends], d.hub);
    assert_span("dev", d.device_id);
    assert_true(span_eq(kit_registration().operation_id, o.registration.operation_id));
}

static void every_move(void **state)
{
    (void)state;
    each_move(move_well);
}

/* ---- dying ---- */

static void die_everywhere(const struct move *m)
{
    for (int at = 1;; at++) {
        begin(m);
        kit_dies_after = at;
        (void)kit_register();
        kit_run();
        kit_dies_after = 0;
        check(m);
        if (kit_points < at) {
            break;
        }
        assert_true(at < 20);
        assert_int_equal(0, kit_teardown(NULL));
        assert_int_equal(0, kit_setup(NULL));
    }
}

static void a_process_may_die_anywhere(void **state)
{
    (void)state;
    each_move(die_everywhere);
}

/* ---- faults ---- */

/* Of the calls behind the first `skip`. */
static void set_fault(enum kit_fault fault, int skip, int times)
{
    kit.faults_skip = skip;
    kit.fault[FAR1] = kit.fault[FAR2] = fault;
    kit.faults_left = times;
}

static void recover(const struct move *m)
{
    static const enum kit_fault faults[] = { KIT_SILENT, KIT_SILENT_DONE, KIT_THROTTLES };

    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        for (int n = 0; n < 3 * 6; n++) {
            begin(m);
            set_fault(faults[i], n / 6, 1 + n % 6);
            (void)kit_register();
            kit_run();
            check(m);
            set_fault(KIT_WELL, 0, 0);
            assert_int_equal(0, kit_teardown(NULL));
            assert_int_equal(0, kit_setup(NULL));
        }
    }
}

static void a_hub_recovers(void **state)
{
    (void)state;
    each_move(recover);
}

/* A hub that does not answer, in every way, for longer than anybody waits. */
static void stay_down(const struct move *m)
{
    static const enum kit_fault faults[] = { KIT_SILENT, KIT_SILENT_DONE };

    for (size_t i = 0; m->waits && i < 3 * sizeof faults / sizeof *faults; i++) {
        begin(m);
        set_fault(faults[i / 3], (int)(i % 3), 0);
        (void)kit_register();
        kit_run_for(LIMIT_ERRAND_MS + LIMIT_ERRAND_RETRY_MAX_MS);
        if (kit_registration().status == REGISTRATION_FAILED) {
            kit_assert_failed(503001, "no answer");
        } else { /* it had no more to ask of it but to remove the device */
            assert_true(i % 3 > 0);
        }
        set_fault(KIT_WELL, 0, 0);
        kit_run(); /* what was made in vain goes */
        kit_assert_only_at(kit_registration().status == REGISTRATION_FAILED ? m->from : m->ends);
        (void)kit_register(); /* and the next one gets there */
        kit_run();
        check(m);
        assert_int_equal(0, kit_teardown(NULL));
        assert_int_equal(0, kit_setup(NULL));
    }
}

static void a_hub_stays_down(void **state)
{
    (void)state;
    each_move(stay_down);
}

static void refuse(const struct move *m)
{
    static const struct {
        enum kit_fault fault;
        int64_t code;
        const char *words;
    } cases[] = { { KIT_REFUSES, 400005, "not so" }, { KIT_UNAUTHORIZED, 401002, "Unauthorized" } };

    for (size_t i = 0; m->waits && i < 3 * sizeof cases / sizeof *cases; i++) {
        bool has_failed;

        begin(m);
        set_fault(cases[i / 3].fault, (int)(i % 3), 0);
        (void)kit_register();
        kit_run_for(0);
        has_failed = kit_registration().status == REGISTRATION_FAILED;
        if (has_failed) {
            kit_assert_failed(cases[i / 3].code, cases[i / 3].words);
        } else {
            assert_true(i % 3 > 0);
        }
        set_fault(KIT_WELL, 0, 0);
        kit_run();
        kit_assert_only_at(has_failed ? m->from : m->ends);
        (void)kit_register();
        kit_run();
        check(m);
        assert_int_equal(0, kit_teardown(NULL));
        assert_int_equal(0, kit_setup(NULL));
    }
}

static void a_hub_refuses(void **state)
{
    (void)state;
    each_move(refuse);
}

static void a_throttle_is_honoured(void **state)
{
    struct errand e;

    (void)state;
    kit_enroll(FAR1, KIT_MIGRATE);
    set_fault(KIT_THROTTLES, 0, 1);
    (void)kit_register();
    kit_run_for(0);
    e = kit_assign_errand();
    assert_int_equal(e.tries, 1);
    assert_int_equal(e.lease_ms, 0);
    assert_true(e.due_ms >= TEST_NOW + 7000);
    assert_span("too many", e.last_error);
}

/* The pauses grow, have a draw in them, and end. */
static void pauses_grow(void **state)
{
    int64_t at_ms = TEST_NOW;
    int64_t most = LIMIT_ERRAND_RETRY_MS;

    (void)state;
    kit_enroll(FAR1, KIT_MIGRATE);
    set_fault(KIT_SILENT, 0, 0);
    (void)kit_register();
    for (int i = 0; i < 10; i++) {
        int64_t next_ms;

        kit.f.env.now_ms = at_ms;
        kit_run_due(&next_ms);
        assert_in_range(next_ms - at_ms, most / 2, most);
        most = 2 * most < LIMIT_ERRAND_RETRY_MAX_MS ? 2 * most : LIMIT_ERRAND_RETRY_MAX_MS;
        at_ms = next_ms;
    }
}

/* What a back end changes while the twin is on its way comes along. */
static void the_twin_changes_on_its_way(void **state)
{
    struct core_errand_work w = { 0 };
    struct span lane;

    (void)state;
    begin(&(struct move){ HERE1, FAR1, KIT_MIGRATE, true, FAR1, 0, NULL });
    (void)kit_register();
    lane = kit_assign_errand().lane;
    assert_ok(core_errand_claim(&kit.f.env, lane, &w));
    assert_ok(core_errand_call(&kit.f.env, &kit_tools, &w)); /* LOOK */
    assert_ok(core_errand_settle(&kit.f.env, &kit_tools, &w));
    assert_ok(core_errand_call(&kit.f.env, &kit_tools, &w)); /* PLACE */
    kit_mark(HERE1, "{\"m\":2}");
    assert_ok(core_errand_settle(&kit.f.env, &kit_tools, &w));
    assert_int_equal(w.end, CORE_ERRAND_GOES_ON);
    assert_ok(core_errand_call(&kit.f.env, &kit_tools, &w));
    assert_ok(core_errand_settle(&kit.f.env, &kit_tools, &w));
    assert_int_equal(w.end, CORE_ERRAND_DONE);
    assert_true(w.has_assigned && w.assigned.placed.has_left);
    kit_assert_assigned(FAR1);
    assert_span("{\"m\":2}", kit_device(FAR1).desired);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_move),
        cmocka_unit_test(a_process_may_die_anywhere),
        cmocka_unit_test(a_hub_recovers),
        cmocka_unit_test(a_hub_stays_down),
        cmocka_unit_test(a_hub_refuses),
        cmocka_unit_test_setup_teardown(a_throttle_is_honoured, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(pauses_grow, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(the_twin_changes_on_its_way, kit_setup, kit_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
