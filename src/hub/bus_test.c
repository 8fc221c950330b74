/* hub/bus_test.c: who is told what, and that nobody is told after leaving. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "hub/bus.h"
#include "model/limits.h"

struct listener {
    struct bus_member member; /* first: tell gets it */
    atomic_uint told;
    atomic_bool has_left;
};

static void tell(struct bus_member *m, unsigned signals)
{
    struct listener *l = (struct listener *)m;

    assert_false(atomic_load(&l->has_left));
    atomic_fetch_or(&l->told, signals);
}

static struct bus *bus;

static int setup(void **state)
{
    (void)state;
    assert_true(err_is_ok(bus_new(&bus)));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bus_free(bus);
    return 0;
}

static void join(struct listener *l, const char *hub, const char *client_id)
{
    l->member =
        (struct bus_member){ .hub = span_str(hub), .client_id = span_str(client_id), .tell = tell };
    bus_join(bus, &l->member);
}

static unsigned take(struct listener *l)
{
    return atomic_exchange(&l->told, 0);
}

static void the_newer_session_takes_over(void **state)
{
    struct listener a = { 0 }, b = { 0 }, other = { 0 };

    (void)state;
    join(&a, "hub", "dev");
    join(&b, "hub", "dev");
    join(&other, "hub2", "dev");
    assert_false(bus_is_connected(bus, SPAN("hub"), SPAN("dev")));
    bus_claim(bus, &a.member);
    bus_claim(bus, &other.member);
    assert_int_equal(bus_sessions(bus), 2);
    assert_true(bus_is_connected(bus, SPAN("hub"), SPAN("dev")));
    bus_claim(bus, &a.member); /* again: nothing new */
    assert_int_equal(take(&a), 0);
    bus_claim(bus, &b.member);
    assert_int_equal(take(&a), BUS_TAKEN_OVER);
    assert_int_equal(take(&b), 0);
    assert_int_equal(take(&other), 0);
    assert_int_equal(bus_sessions(bus), 2);
    bus_leave(bus, &a.member);
    bus_leave(bus, &a.member);
    assert_true(bus_is_connected(bus, SPAN("hub"), SPAN("dev")));
    bus_leave(bus, &b.member);
    assert_false(bus_is_connected(bus, SPAN("hub"), SPAN("dev")));
    bus_leave(bus, &other.member);
    assert_int_equal(bus_sessions(bus), 0);
}

static void cutting_off_reaches_all_of_the_device(void **state)
{
    struct listener session = { 0 }, joined = { 0 }, other = { 0 }, events = { 0 };

    (void)state;
    join(&session, "hub", "dev");
    join(&joined, "hub", "dev"); /* its identity is being read just now */
    join(&other, "hub", "DEV");
    join(&events, "hub", NULL);
    bus_claim(bus, &session.member);
    assert_true(bus_is_connected(bus, SPAN("hub"), SPAN("dev")));
    bus_cut_off(bus, SPAN("hub"), SPAN("dev"));
    assert_false(bus_is_connected(bus, SPAN("hub"), SPAN("dev")));
    assert_int_equal(take(&session), BUS_CUT_OFF);
    assert_int_equal(take(&joined), BUS_CUT_OFF);
    assert_int_equal(take(&other), 0);
    assert_int_equal(take(&events), 0);
    bus_cut_off(bus, SPAN("hub2"), SPAN("dev"));
    bus_leave(bus, &joined.member);
    bus_cut_off(bus, SPAN("hub"), SPAN("dev"));
    assert_int_equal(take(&joined), 0);
    assert_int_equal(take(&session), BUS_CUT_OFF);
}

static void cutting_off_a_device_reaches_its_modules(void **state)
{
    struct listener device = { 0 }, module = { 0 }, longer = { 0 }, elsewhere = { 0 };

    (void)state;
    join(&device, "hub", "dev");
    join(&module, "hub", "dev/m1");
    join(&longer, "hub", "dev1/m1");
    join(&elsewhere, "hub2", "dev/m1");
    bus_cut_off(bus, SPAN("hub"), SPAN("dev"));
    assert_int_equal(take(&device), BUS_CUT_OFF);
    assert_int_equal(take(&module), BUS_CUT_OFF);
    assert_int_equal(take(&longer), 0);
    assert_int_equal(take(&elsewhere), 0);
    bus_cut_off(bus, SPAN("hub"), SPAN("dev/m1"));
    assert_int_equal(take(&device), 0);
    assert_int_equal(take(&module), BUS_CUT_OFF);
}

static void devices_are_counted(void **state)
{
    struct listener a = { 0 }, b = { 0 }, module = { 0 }, elsewhere = { 0 }, waits = { 0 };

    (void)state;
    assert_int_equal(bus_count_devices(bus, SPAN("hub")), 0);
    join(&a, "hub", "a");
    join(&b, "hub", "b");
    join(&module, "hub", "a/m1");
    join(&elsewhere, "hub2", "a");
    join(&waits, "hub", "c");
    bus_claim(bus, &a.member);
    bus_claim(bus, &b.member);
    bus_claim(bus, &module.member);
    bus_claim(bus, &elsewhere.member);
    assert_int_equal(bus_count_devices(bus, SPAN("hub")), 2);
    assert_int_equal(bus_count_devices(bus, SPAN("hub2")), 1);
    bus_leave(bus, &b.member);
    assert_int_equal(bus_count_devices(bus, SPAN("hub")), 1);
}

static void events_reach_those_without_a_device(void **state)
{
    struct listener a = { 0 }, b = { 0 }, device = { 0 };

    (void)state;
    bus_events(bus);
    join(&a, "hub", NULL);
    join(&b, "hub2", NULL);
    join(&device, "hub", "dev");
    bus_events(bus);
    assert_int_equal(take(&a), BUS_EVENTS);
    assert_int_equal(take(&b), BUS_EVENTS);
    assert_int_equal(take(&device), 0);
    bus_leave(bus, &a.member);
    bus_events(bus);
    assert_int_equal(take(&a), 0);
    assert_int_equal(take(&b), BUS_EVENTS);
}

static void one_that_never_joined_may_leave(void **state)
{
    struct bus_member m = { .hub = SPAN("hub"), .client_id = SPAN("dev"), .tell = tell };

    (void)state;
    bus_leave(bus, &m);
    assert_int_equal(bus_sessions(bus), 0);
}

/* Many devices, so that rings of the table have several members. */
static void many_members(void **state)
{
    enum { N = 150000 };
    static struct listener l[N];
    static char ids[N][12];

    (void)state;
    for (int i = 0; i < N; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "d%d", i);
        join(&l[i], "hub", ids[i]);
        bus_claim(bus, &l[i].member);
    }
    assert_int_equal(bus_sessions(bus), N);
    for (int i = 0; i < N; i += 3) {
        bus_leave(bus, &l[i].member);
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(bus_is_connected(bus, SPAN("hub"), span_str(ids[i])), i % 3 != 0);
        bus_cut_off(bus, SPAN("hub"), span_str(ids[i]));
        assert_int_equal(take(&l[i]), i % 3 != 0 ? BUS_CUT_OFF : 0);
    }
}

static void *come_and_go(void *arg)
{
    const char *id = arg;

    for (int i = 0; i < 2000; i++) {
        struct listener l = { 0 };

        join(&l, "hub", id);
        if (id != NULL) {
            bus_claim(bus, &l.member);
            bus_cut_off(bus, SPAN("hub"), SPAN("dev"));
        }
        bus_events(bus);
        bus_leave(bus, &l.member);
        atomic_store(&l.has_left, true);
    }
    return NULL;
}

static void threads(void **state)
{
    static char dev[] = "dev";
    pthread_t t[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&t[i], NULL, come_and_go, i < 3 ? dev : NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(t[i], NULL), 0);
    }
    assert_int_equal(bus_sessions(bus), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void post(const char *client_id, int64_t number, const char *payload, bool is_taken)
{
    struct bus_letter letter = { .kind = BUS_LETTER_DESIRED,
                                 .number = number,
                                 .payload = span_str(payload) };

    assert_int_equal(bus_post(bus, SPAN("hub"), span_str(client_id), &letter), is_taken);
}

static void letters_reach_the_session_in_order(void **state)
{
    struct listener old = { 0 }, now = { 0 };
    struct bus_letter *letter;
    char text[] = "first";

    (void)state;
    post("dev", 1, "nobody", false);
    join(&old, "hub", "dev");
    post("dev", 1, "no session yet", false);
    bus_claim(bus, &old.member);
    post("dev", 1, "dropped at leave", true);
    join(&now, "hub", "dev");
    bus_claim(bus, &now.member);
    (void)take(&old);
    post("dev", 2, text, true);
    memset(text, 'x', sizeof(text) - 1); /* it was copied */
    post("dev", 3, "", true);
    post("other", 4, "y", false);
    assert_int_equal(take(&old), 0);
    assert_int_equal(take(&now), BUS_LETTERS);
    letter = bus_take(bus, &now.member);
    assert_int_equal(letter->number, 2);
    assert_true(span_eq(letter->payload, SPAN("first")));
    bus_letter_free(letter);
    letter = bus_take(bus, &now.member);
    assert_int_equal(letter->number, 3);
    assert_int_equal(letter->payload.len, 0);
    bus_letter_free(letter);
    assert_null(bus_take(bus, &now.member));
    post("dev", 5, "after it was empty", true);
    bus_letter_free(bus_take(bus, &now.member));
    bus_leave(bus, &old.member);
    bus_leave(bus, &now.member);
}

/* Who came earlier is superseded, whoever was let in first. */
static void those_before_are_superseded(void **state)
{
    struct listener old = { 0 }, now = { 0 }, other = { 0 };

    (void)state;
    join(&old, "hub", "dev");
    join(&other, "hub", "dev/m");
    assert_false(bus_supersede(bus, &old.member));
    join(&now, "hub", "dev");
    assert_false(bus_supersede(bus, &old.member));
    assert_true(bus_supersede(bus, &now.member));
    assert_true(bus_is_superseded(bus, &old.member));
    assert_false(bus_is_superseded(bus, &now.member));
    assert_false(bus_is_superseded(bus, &other.member));
    bus_leave(bus, &old.member);
    assert_false(bus_supersede(bus, &now.member));
    join(&old, "hub", "dev"); /* anew */
    assert_false(bus_is_superseded(bus, &old.member));
    bus_leave(bus, &old.member);
    bus_leave(bus, &now.member);
    bus_leave(bus, &other.member);
}

static void a_box_is_bounded(void **state)
{
    static char large[LIMIT_LETTER_BYTES + 1];
    struct listener l = { 0 };

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    join(&l, "hub", "dev");
    bus_claim(bus, &l.member);
    for (int i = 0; i < LIMIT_LETTERS; i++) {
        post("dev", i, "x", true);
    }
    post("dev", 99, "x", false);
    bus_letter_free(bus_take(bus, &l.member));
    post("dev", 99, large, true); /* the last may be of any size */
    bus_letter_free(bus_take(bus, &l.member));
    post("dev", 100, "x", false);
    bus_leave(bus, &l.member);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_newer_session_takes_over),
        CASE(letters_reach_the_session_in_order),
        CASE(a_box_is_bounded),
        CASE(those_before_are_superseded),
        CASE(cutting_off_reaches_all_of_the_device),
        CASE(cutting_off_a_device_reaches_its_modules),
        CASE(devices_are_counted),
        CASE(events_reach_those_without_a_device),
        CASE(one_that_never_joined_may_leave),
        CASE(many_members),
        CASE(threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
