/* core/errand_behind_test.c: what an errand that ends early leaves behind on a hub where the device
 * is, or was: calls that are still under way there, and removals that it took over. */
#include "core/enrollment.h"
#include "core/errand_kit_test.h"
#include "core/registration.h"

enum { NOWHERE = -1, FAR1 = 2, FAR2 };

static struct core_errand_work work; /* of a thread that is slow */

static void claim(void)
{
    work = (struct core_errand_work){ 0 };
    assert_ok(core_errand_claim(&kit.f.env, kit_assign_errand().lane, &work));
    assert_int_equal(work.end, CORE_ERRAND_GOES_ON);
}

static void call(void)
{
    assert_ok(core_errand_call(&kit.f.env, &kit_tools, &work));
}

static enum core_errand_end settle(void)
{
    assert_ok(core_errand_settle(&kit.f.env, &kit_tools, &work));
    return work.end;
}

static void register_at(int hub)
{
    kit_enroll(hub, KIT_MIGRATE);
    (void)kit_register();
}

static void be_at(int hub)
{
    register_at(hub);
    kit_run();
    kit_assert_assigned(hub);
}

/* A call that refreshes a device makes it when it has gone meanwhile: the removal waits until no
 * such call can be under way. */
static void a_call_to_the_old_hub_is_under_way(void **state)
{
    (void)state;
    be_at(FAR1);
    (void)kit_register();
    claim();
    assert_int_equal(work.errand.step, ERRAND_PLACE);
    register_at(FAR2);
    kit_run_for(LIMIT_ERRAND_LEASE_MS - 1);
    call();
    assert_int_equal(settle(), CORE_ERRAND_LOST);
    kit_run();
    kit_assert_assigned(FAR2);
}

/* It left FAR1, which keeps the device until it answers again, and is to come back there. */
static void be_on_the_way_back(enum kit_fault fault)
{
    be_at(FAR1);
    register_at(FAR2);
    claim();
    call();
    assert_int_equal(settle(), CORE_ERRAND_GOES_ON);
    call();
    kit.fault[FAR1] = fault;
    assert_int_equal(settle(), CORE_ERRAND_DONE);
    assert_true(kit_has(FAR1) && kit_has(FAR2));
    kit_run_for(60 * 1000);
    register_at(FAR1);
}

static void it_turns_round_again(void **state)
{
    (void)state;
    be_on_the_way_back(KIT_SILENT);
    register_at(FAR2);
    kit.fault[FAR1] = KIT_WELL;
    kit_run();
    kit_assert_assigned(FAR2);
}

static void its_enrollment_changes(void **state)
{
    (void)state;
    be_on_the_way_back(KIT_SILENT);
    kit_enroll(FAR2, KIT_MIGRATE);
    kit.fault[FAR1] = KIT_WELL;
    kit_run();
    assert_int_equal(kit_registration().status, REGISTRATION_FAILED);
    kit_assert_only_at(FAR2);
}

static void its_registration_is_deleted(void **state)
{
    struct core_match any = { 0 };
    struct verdict v;

    (void)state;
    be_on_the_way_back(KIT_SILENT);
    assert_ok(core_registration_delete(&kit.f.env, kit.f.scope, SPAN("dev"), &any, &v));
    assert_reason(GRANTED, v);
    kit.fault[FAR1] = KIT_WELL;
    kit_run();
    kit_assert_only_at(FAR2);
}

/* That it may not write says nothing of what is there already. */
static void the_old_hub_lets_it_in_no_more(void **state)
{
    (void)state;
    be_on_the_way_back(KIT_UNAUTHORIZED);
    kit_run_for(60 * 1000);
    assert_int_equal(kit_registration().status, REGISTRATION_FAILED);
    kit.fault[FAR1] = KIT_WELL;
    kit_run();
    kit_assert_only_at(FAR2);
}

static void assert_fails_without_trace(void)
{
    kit_run_for(60 * 1000);
    assert_int_equal(kit_registration().status, REGISTRATION_FAILED);
    kit.fault[FAR1] = KIT_WELL;
    kit_run();
    kit_assert_only_at(NOWHERE);
}

static void it_is_made_by_half(void **state)
{
    (void)state;
    register_at(FAR1);
    kit.fault[FAR1] = KIT_UNAUTHORIZED_DONE;
    kit.faults_skip = 1; /* the look */
    assert_fails_without_trace();
}

/* A thread made it, and never came back. */
static void it_was_made_in_a_lease_that_is_over(void **state)
{
    (void)state;
    register_at(FAR1);
    claim();
    call();
    assert_int_equal(settle(), CORE_ERRAND_GOES_ON);
    call();
    kit.f.env.now_ms = work.errand.lease_ms;
    kit.fault[FAR1] = KIT_UNAUTHORIZED;
    assert_fails_without_trace();
}

/* Calls that end in a fault of this side are never settled. */
static void what_never_settles_ends_too(void **state)
{
    int64_t end_ms;

    (void)state;
    register_at(FAR1);
    end_ms = kit.f.env.now_ms + LIMIT_ERRAND_MS + LIMIT_ERRAND_LEASE_MS;
    while (kit_registration().status == REGISTRATION_ASSIGNING) {
        work = (struct core_errand_work){ 0 };
        fixture_next(&kit.f);
        assert_ok(core_errand_claim(&kit.f.env, kit_assign_errand().lane, &work));
        if (work.end == CORE_ERRAND_GOES_ON) {
            kit.f.env.now_ms = work.errand.due_ms;
        }
        assert_true(kit.f.env.now_ms <= end_ms);
    }
    assert_int_equal(work.end, CORE_ERRAND_FAILED);
    kit_run();
    kit_assert_only_at(NOWHERE);
}

/* Another instance has a device of that ID on FAR1, which is the same one. */
static err share(struct store_tx *tx, void *arg)
{
    const struct registration *ours = arg;
    const struct registration its = { .id_scope = SPAN("0ne00000009"),
                                      .key = SPAN("its"),
                                      .id = SPAN("its"),
                                      .placed_hub = ours->placed_hub,
                                      .placed_device_id = ours->placed_device_id,
                                      .initial_hub = ours->placed_hub };
    const struct linked_hub link = {
        .id_scope = its.id_scope, .host_name = its.placed_hub, .weight = 1, .is_remote = 1
    };

    TRY(store_put(tx, &KIND_LINKED_HUB, &link));
    return store_put(tx, &KIND_REGISTRATION, &its);
}

static void share_it(void)
{
    struct registration r = kit_registration();

    assert_ok(store_write(kit.f.store, share, &r));
}

static void it_is_shared(void **state)
{
    (void)state;
    be_at(FAR1);
    share_it();
    register_at(FAR2);
    kit_run();
    assert_span(KIT_FAR2, kit_registration().assigned_hub);
    assert_true(kit_has(FAR1) && kit_has(FAR2));
}

/* The removal was left before. */
static void it_comes_to_be_shared(void **state)
{
    struct registration r;

    (void)state;
    be_at(FAR1);
    r = kit_registration();
    register_at(FAR2);
    claim();
    call();
    assert_int_equal(settle(), CORE_ERRAND_GOES_ON);
    call();
    assert_int_equal(settle(), CORE_ERRAND_DONE);
    assert_ok(store_write(kit.f.store, share, &r));
    kit_run();
    assert_true(kit_has(FAR1) && kit_has(FAR2));
}

#define BEHIND(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BEHIND(a_call_to_the_old_hub_is_under_way),
        BEHIND(it_turns_round_again),
        BEHIND(its_enrollment_changes),
        BEHIND(its_registration_is_deleted),
        BEHIND(the_old_hub_lets_it_in_no_more),
        BEHIND(what_never_settles_ends_too),
        BEHIND(it_is_made_by_half),
        BEHIND(it_was_made_in_a_lease_that_is_over),
        BEHIND(it_is_shared),
        BEHIND(it_comes_to_be_shared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
