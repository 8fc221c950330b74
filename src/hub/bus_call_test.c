/* hub/bus_call_test.c: a call's way over the bus: who has its letter when, who may answer it, what
 * becomes of it when a session goes, and what bounds it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "hub/bus_call.h"
#include "model/limits.h"

struct session {
    struct bus_member member; /* first: tell gets it */
    atomic_uint told;
};

struct call {
    struct bus_call call; /* first: tell gets it */
    atomic_int n_told;
    char rid[24];
};

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
    assert_int_equal(bus_calls(bus), 0);
    bus_free(bus);
    return 0;
}

static void tell_session(struct bus_member *m, unsigned signals)
{
    atomic_fetch_or(&((struct session *)m)->told, signals);
}

static void tell_call(struct bus_call *c)
{
    atomic_fetch_add(&((struct call *)c)->n_told, 1);
}

static void join(struct session *s, const char *client_id)
{
    s->member = (struct bus_member){ .hub = SPAN("hub"),
                                     .client_id = span_str(client_id),
                                     .tell = tell_session };
    bus_join(bus, &s->member);
}

static void claim(struct session *s, const char *client_id)
{
    join(s, client_id);
    bus_claim(bus, &s->member);
}

static struct span hub = SPAN_INIT("hub"); /* that is called */

static bool begin_with(struct call *c, const char *client_id, const char *rid, struct span payload)
{
    struct bus_letter letter = { .kind = BUS_LETTER_METHOD, .name = SPAN("m"), .payload = payload };
    struct bus_letter *copy;

    *c = (struct call){ 0 };
    (void)snprintf(c->rid, sizeof(c->rid), "%s", rid);
    c->call.hub = hub;
    c->call.client_id = span_str(client_id);
    c->call.rid = letter.rid = span_str(c->rid);
    c->call.tell = tell_call;
    copy = bus_letter_new(&letter);
    assert_non_null(copy);
    if (bus_call_begin(bus, &c->call, copy)) {
        return true;
    }
    bus_letter_free(copy);
    return false;
}

static void begin(struct call *c, const char *client_id, const char *rid)
{
    assert_true(begin_with(c, client_id, rid, SPAN("1")));
}

static void expect(struct call *c, enum bus_call_state state, int n_told)
{
    assert_int_equal(bus_call_state(bus, &c->call), state);
    assert_int_equal(atomic_exchange(&c->n_told, 0), n_told);
}

static void take(struct session *s, const char *rid)
{
    struct bus_letter *letter = bus_take(bus, &s->member);

    if (rid == NULL) {
        assert_null(letter);
        return;
    }
    assert_non_null(letter);
    assert_int_equal(letter->kind, BUS_LETTER_METHOD);
    assert_true(span_eq(letter->rid, span_str(rid)));
    assert_true(span_eq(letter->name, SPAN("m")));
    bus_letter_free(letter);
}

static bool answer(struct session *s, const char *rid, const char *payload)
{
    struct bus_letter letter = { .number = 200, .payload = span_str(payload) };

    return bus_call_answer(bus, &s->member, span_str(rid), &letter);
}

static void there_and_back(void **state)
{
    struct session s = { 0 };
    struct call c;
    char text[] = "answer";

    (void)state;
    claim(&s, "dev");
    begin(&c, "dev", "a");
    assert_int_equal(atomic_exchange(&s.told, 0), BUS_LETTERS);
    expect(&c, BUS_CALL_POSTED, 0);
    assert_true(bus_call_is_awaited(bus, &s.member));
    assert_false(answer(&s, "a", "before it was asked"));
    take(&s, "a");
    expect(&c, BUS_CALL_TAKEN, 0);
    assert_false(answer(&s, "b", "another"));
    assert_true(answer(&s, "a", text));
    memset(text, 'x', sizeof(text) - 1); /* it was copied */
    expect(&c, BUS_CALL_ANSWERED, 1);
    assert_false(bus_call_is_awaited(bus, &s.member));
    assert_false(answer(&s, "a", "twice"));
    assert_int_equal(bus_call_answer_of(&c.call)->number, 200);
    assert_true(span_eq(bus_call_answer_of(&c.call)->payload, SPAN("answer")));
    bus_call_end(bus, &c.call);
    bus_call_end(bus, &c.call);
    assert_false(answer(&s, "a", "late"));
    bus_leave(bus, &s.member);
}

/* Of a device its modules', too; wherever the call is on its way. */
static void whom_it_was_for_is_gone(void **state)
{
    struct session s = { 0 }, module = { 0 };
    struct call taken, posted, offline, other, answered;

    (void)state;
    claim(&s, "dev");
    claim(&module, "dev/mod");
    begin(&answered, "dev", "d");
    take(&s, "d");
    assert_true(answer(&s, "d", "before"));
    begin(&taken, "dev", "a");
    take(&s, "a");
    begin(&posted, "dev/mod", "b");
    begin(&offline, "dev/away", "c");
    begin(&other, "dev2", "a");
    bus_forget(bus, SPAN("hub2"), SPAN("dev"));
    expect(&taken, BUS_CALL_TAKEN, 0);
    bus_forget(bus, SPAN("hub"), SPAN("dev"));
    assert_false(bus_is_connected(bus, SPAN("hub"), SPAN("dev/mod")));
    expect(&taken, BUS_CALL_GONE, 1);
    expect(&posted, BUS_CALL_GONE, 1);
    expect(&offline, BUS_CALL_GONE, 1);
    expect(&other, BUS_CALL_OFFLINE, 0);
    expect(&answered, BUS_CALL_ANSWERED, 1);
    assert_false(answer(&s, "a", "late"));
    assert_false(bus_call_is_awaited(bus, &s.member));
    take(&module, NULL);
    bus_leave(bus, &s.member);
    bus_leave(bus, &module.member);
    claim(&s, "dev"); /* a later one of its ID is not it */
    take(&s, NULL);
    bus_leave(bus, &s.member);
    expect(&taken, BUS_CALL_GONE, 0);
    bus_call_end(bus, &taken.call);
    bus_call_end(bus, &posted.call);
    bus_call_end(bus, &offline.call);
    bus_call_end(bus, &other.call);
    bus_call_end(bus, &answered.call);
    assert_int_equal(bus_calls(bus), 0);
}

static void nobody_answers_for_another(void **state)
{
    static const char *const others[] = { "dev2", "dev/mod", "DEV", "de" };
    struct session s = { 0 }, other = { 0 };
    struct call c;

    (void)state;
    claim(&s, "dev");
    begin(&c, "dev", "a");
    take(&s, "a");
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        claim(&other, others[i]);
        assert_false(answer(&other, "a", "lie"));
        bus_leave(bus, &other.member);
    }
    claim(&other, "dev");
    other.member.hub = SPAN("hub2"); /* the name alone is not enough */
    assert_false(answer(&other, "a", "lie"));
    other.member.hub = SPAN("hub");
    expect(&c, BUS_CALL_TAKEN, 0);
    bus_leave(bus, &other.member);
    bus_call_end(bus, &c.call);
    bus_leave(bus, &s.member);
}

static void one_that_waits_is_posted_at_claim_and_at_subscribe(void **state)
{
    struct session s = { 0 };
    struct bus_letter *letter;
    struct call c, second;

    (void)state;
    begin(&c, "dev", "a");
    begin(&second, "dev", "b");
    expect(&c, BUS_CALL_OFFLINE, 0);
    join(&s, "dev");
    expect(&c, BUS_CALL_OFFLINE, 0);
    bus_call_ready(bus, &s.member); /* not a session yet */
    expect(&c, BUS_CALL_OFFLINE, 0);
    bus_claim(bus, &s.member);
    expect(&c, BUS_CALL_POSTED, 1);
    letter = bus_take(bus, &s.member);
    bus_call_decline(bus, &s.member, letter);
    expect(&c, BUS_CALL_OFFLINE, 1);
    assert_true(bus_call_is_awaited(bus, &s.member)); /* the second */
    take(&s, "b");
    take(&s, NULL); /* a declined one does not come back by itself */
    bus_call_ready(bus, &s.member);
    expect(&c, BUS_CALL_POSTED, 1);
    take(&s, "a");
    bus_call_end(bus, &c.call);
    bus_call_end(bus, &second.call);
    bus_leave(bus, &s.member);
}

static void a_session_gives_back_what_it_did_not_take(void **state)
{
    struct session old = { 0 }, now = { 0 };
    struct bus_letter desired = { .kind = BUS_LETTER_DESIRED, .payload = SPAN("{}") };
    struct bus_letter *letter;
    struct call taken, held, waiting;

    (void)state;
    claim(&old, "dev");
    begin(&taken, "dev", "a");
    begin(&held, "dev", "b");
    assert_true(bus_post(bus, SPAN("hub"), SPAN("dev"), &desired));
    begin(&waiting, "dev", "c");
    take(&old, "a");
    letter = bus_take(bus, &old.member);
    claim(&now, "dev");
    expect(&taken, BUS_CALL_TAKEN, 0);
    expect(&held, BUS_CALL_TAKEN, 0);
    expect(&waiting, BUS_CALL_POSTED, 2); /* given back, posted anew */
    bus_call_decline(bus, &old.member, letter);
    expect(&held, BUS_CALL_POSTED, 2);
    letter = bus_take(bus, &old.member); /* its own are still there */
    assert_int_equal(letter->kind, BUS_LETTER_DESIRED);
    bus_letter_free(letter);
    take(&old, NULL);
    bus_leave(bus, &old.member);
    take(&now, "c");
    take(&now, "b");
    take(&now, NULL);
    assert_true(answer(&now, "a", "taken by the one before"));
    expect(&taken, BUS_CALL_ANSWERED, 1);
    bus_call_end(bus, &held.call);
    begin(&held, "dev", "d");
    bus_leave(bus, &now.member);
    expect(&held, BUS_CALL_OFFLINE, 1);
    expect(&waiting, BUS_CALL_TAKEN, 0); /* its device may come back */
    bus_call_end(bus, &taken.call);
    bus_call_end(bus, &held.call);
    bus_call_end(bus, &waiting.call);
}

static void one_given_up_is_never_taken(void **state)
{
    struct session s = { 0 };
    struct call c[3];

    (void)state;
    claim(&s, "dev");
    begin(&c[0], "dev", "a");
    begin(&c[1], "dev", "b");
    begin(&c[2], "dev", "c");
    (void)atomic_exchange(&s.told, 0);
    bus_call_end(bus, &c[0].call);
    bus_call_end(bus, &c[1].call);
    assert_int_equal(atomic_exchange(&s.told, 0), BUS_LETTERS);
    take(&s, "c");
    take(&s, NULL);
    bus_call_end(bus, &c[2].call);
    assert_false(bus_call_is_awaited(bus, &s.member));
    begin(&c[0], "dev", "d");
    bus_call_end(bus, &c[0].call);
    bus_leave(bus, &s.member); /* gives back to nobody */
}

/* Half of a box is left to others; what finds it full comes as soon as there is room. */
static void a_full_box(void **state)
{
    enum { N = LIMIT_LETTERS };
    static struct call c[N];
    struct bus_letter desired = { .kind = BUS_LETTER_DESIRED, .payload = SPAN("{}") };
    struct session s = { 0 };
    char rid[24];

    (void)state;
    claim(&s, "dev");
    for (int i = 0; i < N; i++) {
        (void)snprintf(rid, sizeof(rid), "%x", i);
        begin(&c[i], "dev", rid);
        expect(&c[i], i < N / 2 ? BUS_CALL_POSTED : BUS_CALL_QUEUED, 0);
    }
    for (int i = 0; i < N / 2; i++) {
        assert_true(bus_post(bus, SPAN("hub"), SPAN("dev"), &desired));
    }
    assert_false(bus_post(bus, SPAN("hub"), SPAN("dev"), &desired));
    for (int i = 0; i < N / 2; i++) {
        (void)snprintf(rid, sizeof(rid), "%x", i);
        take(&s, rid);
    }
    for (int i = 0; i < N / 2; i++) {
        bus_letter_free(bus_take(bus, &s.member)); /* desired */
    }
    for (int i = N / 2; i < N; i++) {
        (void)snprintf(rid, sizeof(rid), "%x", i);
        expect(&c[i], BUS_CALL_POSTED, 1);
        take(&s, rid);
    }
    take(&s, NULL);
    for (int i = 0; i < N; i++) {
        bus_call_end(bus, &c[i].call);
    }
    bus_leave(bus, &s.member);
}

static void bounds(void **state)
{
    static struct call c[LIMIT_CALLS + 1];
    static char large[LIMIT_METHOD_PAYLOAD];
    const struct span payload = span_of(memset(large, '1', sizeof(large)), sizeof(large));
    size_t n = 0;

    (void)state;
    for (n = 0; begin_with(&c[n], "dev", "a", SPAN("1")); n++) {
    }
    assert_int_equal(n, LIMIT_CALLS_DEVICE);
    for (; n < LIMIT_CALLS; n++) {
        static char ids[LIMIT_CALLS][24];

        if (n == LIMIT_CALLS_HUB) { /* there is room left for others */
            assert_false(begin_with(&c[n], "d", "a", SPAN("1")));
            hub = SPAN("other");
        }
        (void)snprintf(ids[n], sizeof(ids[n]), "d%zu", n);
        begin(&c[n], ids[n], "a");
    }
    assert_false(begin_with(&c[n], "d", "a", SPAN("1")));
    for (size_t i = 0; i < n; i++) {
        bus_call_end(bus, &c[i].call);
    }
    assert_int_equal(bus_calls(bus), 0);
    for (n = 0; begin_with(&c[n], n % 2 ? "dev1" : "dev2", "a", payload); n++) {
    }
    assert_int_equal(n, LIMIT_CALL_BYTES_HUB / LIMIT_METHOD_PAYLOAD);
    hub = SPAN("hub");
    for (; begin_with(&c[n], n % 2 ? "dev1" : "dev2", "a", payload); n++) {
    }
    assert_int_equal(n, LIMIT_CALL_BYTES / LIMIT_METHOD_PAYLOAD);
    while (n > 0) {
        bus_call_end(bus, &c[--n].call);
    }
}

/* ---- many threads ---- */

static atomic_bool is_over;

static void *device(void *arg)
{
    (void)arg;
    while (!atomic_load(&is_over)) {
        struct session s = { 0 };

        claim(&s, "dev");
        for (int i = 0; i < 50; i++) {
            struct bus_letter *letter = bus_take(bus, &s.member);
            char rid[24];

            if (letter == NULL) {
                continue;
            }
            if (i % 7 == 0) {
                bus_call_decline(bus, &s.member, letter);
                bus_call_ready(bus, &s.member);
                continue;
            }
            (void)snprintf(rid, sizeof(rid), "%.*s", SPAN_FMT(letter->rid));
            bus_letter_free(letter);
            (void)answer(&s, rid, rid);
        }
        bus_leave(bus, &s.member);
    }
    return NULL;
}

static void *caller(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        struct call c;
        char rid[24];

        (void)snprintf(rid, sizeof(rid), "%s-%x", (const char *)arg, i);
        begin(&c, "dev", rid);
        while (i % 5 != 0 && bus_call_state(bus, &c.call) != BUS_CALL_ANSWERED) {
            (void)sched_yield();
        }
        if (bus_call_state(bus, &c.call) == BUS_CALL_ANSWERED) {
            assert_true(span_eq(bus_call_answer_of(&c.call)->payload, span_str(rid)));
        }
        bus_call_end(bus, &c.call);
    }
    return NULL;
}

static void threads(void **state)
{
    static char names[][2] = { "a", "b", "c" };
    pthread_t callers[3], devices[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&devices[i], NULL, device, NULL), 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&callers[i], NULL, caller, names[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(callers[i], NULL), 0);
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(devices[i], NULL), 0);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(there_and_back),
        CASE(whom_it_was_for_is_gone),
        CASE(nobody_answers_for_another),
        CASE(one_that_waits_is_posted_at_claim_and_at_subscribe),
        CASE(a_session_gives_back_what_it_did_not_take),
        CASE(one_given_up_is_never_taken),
        CASE(a_full_box),
        CASE(bounds),
        CASE(threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
