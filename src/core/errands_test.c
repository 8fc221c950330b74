/* core/errands_test.c: turns, caps and breakers of lanes with a clock that is an integer; and the
 * threads over a real store, where a hub that hangs holds nobody else up. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "core/errand_kit_test.h"
#include "core/errand_lanes.h"

static struct core_errand_lanes lanes;

static struct core_errand_lane *lane_of(const char *name)
{
    struct core_errand_lane *lane = core_errand_lanes_get(&lanes, span_str(name));

    assert_non_null(lane);
    return lane;
}

static struct core_errand_lane *pick(int64_t now_ms, int64_t *next_ms)
{
    return core_errand_lanes_pick(&lanes, false, 16, 16, now_ms, next_ms);
}

static enum core_errands_event hear(struct core_errand_lane *lane, bool is_failure, int64_t now_ms)
{
    return core_errand_lanes_heard(&lanes, lane, is_failure, 0, now_ms, 0);
}

static void a_breaker_opens_and_closes(void **state)
{
    struct core_errand_lane *lane;
    int64_t now_ms = 1000;
    int64_t pause_ms = LIMIT_BREAKER_PAUSE_MS;
    int64_t next_ms;

    (void)state;
    memset(&lanes, 0, sizeof lanes);
    lane = lane_of("hub/s/a");
    lane->look_ms = 0;
    for (int i = 1; i < LIMIT_BREAKER_FAILURES; i++) {
        assert_int_equal(0, hear(lane, true, now_ms));
    }
    assert_int_equal(CORE_ERRANDS_OPENED, hear(lane, true, now_ms));
    for (int i = 0; i < 8; i++) {
        assert_int_equal(lane->state, CORE_LANE_OPEN);
        assert_null(pick(now_ms + pause_ms - 1, &next_ms));
        assert_int_equal(next_ms, now_ms + pause_ms);
        now_ms += pause_ms;
        assert_ptr_equal(lane, pick(now_ms, &next_ms));
        assert_int_equal(lane->state, CORE_LANE_TRYING);
        lane->look_ms = 0;
        assert_null(pick(now_ms, &next_ms)); /* one tries, no more */
        assert_int_equal(0, hear(lane, true, now_ms));
        core_errand_lanes_leave(&lanes, lane);
        pause_ms =
            2 * pause_ms < LIMIT_BREAKER_PAUSE_MAX_MS ? 2 * pause_ms : LIMIT_BREAKER_PAUSE_MAX_MS;
    }
    now_ms += pause_ms;
    assert_ptr_equal(lane, pick(now_ms, &next_ms));
    assert_int_equal(CORE_ERRANDS_CLOSED, hear(lane, false, now_ms));
    core_errand_lanes_leave(&lanes, lane);
    for (int i = 0; i < LIMIT_ERRAND_LANE; i++) {
        lane->look_ms = 0;
        assert_ptr_equal(lane, pick(now_ms, &next_ms));
    }
    lane->look_ms = 0;
    assert_null(pick(now_ms, &next_ms)); /* its cap */
}

static void lanes_take_turns(void **state)
{
    int64_t next_ms;

    (void)state;
    memset(&lanes, 0, sizeof lanes);
    for (int i = 0; i < 12; i++) {
        static const char *const names[] = { "hub/s/a", "hub/s/b", "webhook/s/c" };
        struct core_errand_lane *lane;

        for (int k = 0; k < 3; k++) {
            lane_of(names[k])->look_ms = 0;
            lane_of(names[k])->is_proven = true;
        }
        lane = pick(1, &next_ms);
        assert_ptr_equal(lane, lane_of(names[i % 2]));
        core_errand_lanes_leave(&lanes, lane);
    }
}

/* However many are dead: half of the threads are for those that are not. */
static void the_unproven_have_half(void **state)
{
    char name[32];
    int64_t next_ms;
    struct core_errand_lane *well;

    (void)state;
    memset(&lanes, 0, sizeof lanes);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "hub/s/dead%d", i);
        lane_of(name)->look_ms = 0;
    }
    for (int i = 0; i < 8; i++) {
        assert_non_null(pick(1, &next_ms));
    }
    assert_null(pick(1, &next_ms));
    well = lane_of("hub/s/well");
    well->look_ms = 0;
    well->is_proven = true;
    assert_ptr_equal(well, pick(1, &next_ms));
}

/* However many lanes an instance has, and however slow they are: another's is next. */
static void instances_take_turns(void **state)
{
    char name[32];
    int64_t next_ms;

    (void)state;
    memset(&lanes, 0, sizeof lanes);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "hub/many/%d", i);
        lane_of(name)->look_ms = 0;
        lane_of(name)->is_proven = i % 2 == 0;
    }
    for (int i = 0; i < 16; i++) {
        assert_non_null(core_errand_lanes_pick(&lanes, false, 16, 16 - i, 1, &next_ms));
    }
    lane_of("hub/few/new")->look_ms = 0;
    lane_of("hub/few/well")->look_ms = 0;
    lane_of("hub/few/well")->is_proven = true;
    for (size_t i = 0; i < lanes.n; i++) {
        if (lanes.lanes[i].in_flight > 0 && !lanes.lanes[i].is_proven) {
            core_errand_lanes_leave(&lanes, &lanes.lanes[i]);
            break;
        }
    }
    assert_ptr_equal(lane_of("hub/few/new"),
                     core_errand_lanes_pick(&lanes, false, 16, 1, 1, &next_ms));
    core_errand_lanes_leave(&lanes, lane_of("hub/few/new"));
    lane_of("hub/few/new")->look_ms = 0;
    assert_ptr_equal(lane_of("hub/few/well"),
                     core_errand_lanes_pick(&lanes, false, 16, 1, 1, &next_ms));
}

static void fill(const char *scope, int n, enum core_lane_state state, int64_t look_ms)
{
    char name[64];

    for (int i = 0; i < n; i++) {
        (void)snprintf(name, sizeof name, "hub/%s/%d", scope, i);
        lane_of(name)->state = state;
        lane_of(name)->look_ms = look_ms;
    }
}

/* What has broken and is asked for nothing any more keeps nobody out. */
static void lanes_without_work_give_way(void **state)
{
    const int most = LIMIT_ERRAND_LANES_SCOPE;

    (void)state;
    memset(&lanes, 0, sizeof lanes);
    fill("a", most, CORE_LANE_OPEN, INT64_MAX);
    fill("b", most, CORE_LANE_OPEN, INT64_MAX);
    fill("c", most, CORE_LANE_OPEN, INT64_MAX);
    fill("d", most, CORE_LANE_OPEN, INT64_MAX);
    lane_of("hub/e/new")->look_ms = 0;
    lanes.lanes[77].state = CORE_LANE_CLOSED; /* goes first */
    assert_ptr_equal(&lanes.lanes[77], core_errand_lanes_get(&lanes, SPAN("hub/f/new")));
}

static void an_instance_fills_but_its_share(void **state)
{
    (void)state;
    memset(&lanes, 0, sizeof lanes);
    fill("a", LIMIT_ERRAND_LANES_SCOPE, CORE_LANE_CLOSED, 0);
    assert_null(core_errand_lanes_get(&lanes, SPAN("hub/a/more")));
    assert_non_null(core_errand_lanes_get(&lanes, SPAN("hub/b/new")));
    lane_of("hub/a/7")->look_ms = INT64_MAX;
    assert_non_null(core_errand_lanes_get(&lanes, SPAN("hub/a/more")));
}

static void a_throttle_holds_its_lane(void **state)
{
    struct core_errand_lane *lane;
    int64_t next_ms;

    (void)state;
    memset(&lanes, 0, sizeof lanes);
    lane = lane_of("hub/s/a");
    lane->look_ms = 0;
    assert_int_equal(0, core_errand_lanes_heard(&lanes, lane, false, 5000, 1000, 0));
    assert_null(pick(5999, &next_ms));
    assert_int_equal(next_ms, 6000);
    assert_int_equal(lane->state, CORE_LANE_CLOSED);
    assert_int_equal(core_errand_lanes_wait_ms(lane, 2000), 4000);
    assert_ptr_equal(lane, pick(6000, &next_ms));
}

static void lanes_are_bounded(void **state)
{
    char name[32];

    (void)state;
    memset(&lanes, 0, sizeof lanes);
    for (int i = 0; i < LIMIT_ERRAND_LANES; i++) {
        (void)snprintf(name, sizeof name, "hub/%d/%d", i / 1000, i);
        lane_of(name)->look_ms = i == 7 ? INT64_MAX : 0;
    }
    assert_non_null(core_errand_lanes_find(&lanes, SPAN("hub/0/7")));
    lane_of("hub/s/new")->look_ms = 0;
    assert_null(core_errand_lanes_find(&lanes, SPAN("hub/0/7")));
    assert_null(core_errand_lanes_get(&lanes, SPAN("hub/s/newer")));
}

/* ---- threads ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    bool hangs; /* FAR1 does */
    int hanging, most_hanging;
    atomic_int events[8];
} far = { .lock = PTHREAD_MUTEX_INITIALIZER, .freed = PTHREAD_COND_INITIALIZER };

/* FAR1 answers nobody until it is freed, and then with no answer. */
static bool hang(const struct linked_hub *link, struct elsewhere_answer *a)
{
    bool hung = false;

    *a = (struct elsewhere_answer){ .outcome = ELSEWHERE_DONE, .http_status = 200 };
    (void)pthread_mutex_lock(&far.lock);
    if (span_eq(link->host_name, SPAN(KIT_FAR1))) {
        far.hanging++;
        far.most_hanging = far.hanging > far.most_hanging ? far.hanging : far.most_hanging;
        while (far.hangs) {
            hung = true;
            (void)pthread_cond_wait(&far.freed, &far.lock);
        }
        far.hanging--;
    }
    (void)pthread_mutex_unlock(&far.lock);
    if (hung) {
        *a = (struct elsewhere_answer){ .outcome = ELSEWHERE_RETRY, .message = SPAN("cut off") };
    }
    return hung;
}

static err thread_find(void *arg, const struct env *env, const struct linked_hub *link,
                       struct span id, struct device_state *ret_state, bool *ret_found,
                       struct elsewhere_answer *ret_answer)
{
    (void)arg;
    (void)env;
    (void)id;
    (void)ret_state;
    *ret_found = false;
    (void)hang(link, ret_answer);
    return OK;
}

static err thread_place(void *arg, const struct env *env, const struct linked_hub *link,
                        const struct placement *p, struct elsewhere_answer *ret_answer)
{
    (void)arg;
    (void)env;
    (void)p;
    (void)hang(link, ret_answer);
    return OK;
}

static void thread_cancel(void *arg)
{
    (void)arg;
    (void)pthread_mutex_lock(&far.lock);
    far.hangs = false;
    (void)pthread_cond_broadcast(&far.freed);
    (void)pthread_mutex_unlock(&far.lock);
}

static const struct elsewhere thread_elsewhere = { .find = thread_find,
                                                   .place = thread_place,
                                                   .cancel = thread_cancel };

static void on_event(void *arg, enum core_errands_event event, const char *text)
{
    (void)arg;
    (void)text;
    (void)atomic_fetch_add(&far.events[event], 1);
}

static int64_t clock_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void register_many(struct core_errands *errands, const struct node *ca, const char *prefix,
                          int n)
{
    for (int i = 0; i < n; i++) {
        char id[16];
        struct node leaf;
        struct claim claim;
        struct core_outcome o;

        (void)snprintf(id, sizeof id, "%s%d", prefix, i);
        leaf = fixture_leaf(&kit.f, id, ca);
        claim = fixture_claim(&kit.f, id, OPERATION_REGISTER, &leaf.cert, 1);
        fixture_next(&kit.f);
        kit.f.env.errands = errands;
        kit.f.env.now_ms = clock_ms();
        assert_ok(core_register(&kit.f.env, &claim, &kit_core_tools, &o));
        assert_int_equal(o.registration.status, REGISTRATION_ASSIGNING);
        fixture_free(&leaf);
    }
}

struct count {
    struct fixture *f;
    int64_t assigned;
};

static err count_assigned(struct store_tx *tx, void *arg)
{
    struct count *c = arg;
    struct store_scan scan = { .limit = 1000 };
    struct registration *rows;
    size_t n;

    TRY(store_scan(tx, &KIND_REGISTRATION, &scan, c->f->env.arena, &rows, &n));
    c->assigned = 0;
    for (size_t i = 0; i < n; i++) {
        c->assigned += rows[i].status == REGISTRATION_ASSIGNED;
    }
    return OK;
}

static int64_t assigned(void)
{
    struct count c = { .f = &kit.f };
    size_t mark = kit.f.arena.used;

    assert_ok(store_read(kit.f.store, count_assigned, &c));
    kit.f.arena.used = mark;
    return c.assigned;
}

static void wait_for(int64_t n)
{
    int64_t end_ms = clock_ms() + 20000;

    while (assigned() != n) {
        struct timespec t = { .tv_nsec = 2000000 };

        assert_true(clock_ms() < end_ms);
        (void)nanosleep(&t, NULL);
    }
}

static void a_dead_hub_holds_nobody_up(void **state)
{
    const struct core_errands_config config = { .store = kit.f.store,
                                                .elsewhere = &thread_elsewhere,
                                                .hubs = &kit_placer,
                                                .is_alone = true,
                                                .on_event = on_event };
    struct node ca = fixture_ca(&kit.f, "CA2", NULL);
    struct core_errands *errands = NULL;
    struct core_errands_stats stats;
    struct errand *rows;
    size_t n;

    (void)state;
    far.hangs = true;
    assert_ok(core_errands_start(&config, &errands));
    kit.f.env.now_ms = clock_ms();
    kit_enroll_group("g", &kit.ca, 2, KIT_MIGRATE);
    kit_enroll_group("h", &ca, 3, KIT_MIGRATE);
    register_many(errands, &kit.ca, "dead", 20);
    register_many(errands, &ca, "well", 40);
    wait_for(40);
    core_errands_stats(errands, &stats);
    assert_int_equal(stats.done, 40);
    assert_int_equal(far.most_hanging, 1); /* it was never heard of: one asks */
    assert_false(core_errands_is_down(errands, kit.f.scope, SPAN(KIT_FAR2)));
    core_errands_stop(errands); /* with a call under way */
    core_errands_stats(errands, &stats);
    core_errands_free(errands);
    assert_int_equal(atomic_load(&far.events[CORE_ERRANDS_ENDED]), 40);
    assert_ok(core_errand_list(&kit.f.env, kit.f.scope, NULL, 100, &rows, &n));
    assert_int_equal(n, 20);

    /* Another process finds what is left, and the hub is well. */
    assert_ok(core_errands_start(&config, &errands));
    wait_for(60);
    core_errands_stop(errands);
    core_errands_free(errands);
    fixture_free(&ca);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_breaker_opens_and_closes),
        cmocka_unit_test(lanes_take_turns),
        cmocka_unit_test(the_unproven_have_half),
        cmocka_unit_test(instances_take_turns),
        cmocka_unit_test(lanes_without_work_give_way),
        cmocka_unit_test(an_instance_fills_but_its_share),
        cmocka_unit_test(a_throttle_holds_its_lane),
        cmocka_unit_test(lanes_are_bounded),
        cmocka_unit_test_setup_teardown(a_dead_hub_holds_nobody_up, kit_setup, kit_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
