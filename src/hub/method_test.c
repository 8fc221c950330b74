/* hub/method_test.c: which names methods have, who may be called, and when a call is over, by a
 * clock that is an integer. */
#include "hub/kit_test.h"

#include "hub/method.h"
#include "model/limits.h"

#define assert_reason_is(expected, got)                                                            \
    assert_string_equal(reason_info(REASON_##expected)->token, reason_info(got)->token)

static struct bus_member session;
static bool is_told;

static void draw(void *ret_bytes, size_t len)
{
    static uint8_t next;

    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)ret_bytes)[i] = next++;
    }
}

static err put_rows(struct store_tx *tx, void *arg)
{
    struct device d = { .hub = HUB, .generation_id = SPAN("1"), .status = DEVICE_ENABLED };

    (void)arg;
    d.device_id = SPAN("d1");
    TRY(store_put(tx, &KIND_DEVICE, &d));
    d.device_id = SPAN("d1/m1");
    TRY(store_put(tx, &KIND_MODULE, &d));
    d.device_id = SPAN("off");
    d.status = DEVICE_DISABLED;
    TRY(store_put(tx, &KIND_DEVICE, &d));
    d.device_id = SPAN("off/m1");
    d.status = DEVICE_ENABLED;
    return store_put(tx, &KIND_MODULE, &d);
}

static int setup(void **state)
{
    (void)state;
    kit_open();
    env = (struct env){ .store = store, .arena = &arena, .now_ms = NOW_MS, .random = draw };
    assert_ok(store_write(store, put_rows, NULL));
    session = (struct bus_member){ .hub = HUB, .client_id = SPAN("d1") };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bus_leave(bus, &session);
    assert_int_equal(bus_calls(bus), 0);
    kit_close();
    return 0;
}

static void names(void **state)
{
    static const struct {
        const char *name;
        bool is_good;
    } cases[] = {
        { "a", true },
        { "getMax_Min-1.2", true },
        { "thermostat1*reset", true },
        { "!&'`|~^%", true },
        { "", false },
        { "a b", false },
        { "a/b", false },
        { "a+b", false },
        { "#", false },
        { "$x", false },
        { "{x}", false },
        { "a\tb", false },
        { "a\x7f", false },
        { "\xc3\xa9", false },
        { "a\"", false },
        { "a\\", false },
        { "a?", false },
        { "a=b", false },
    };
    char longest[LIMIT_METHOD_NAME + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (hub_method_is_name(span_str(cases[i].name)) != cases[i].is_good) {
            fail_msg("%s", cases[i].name);
        }
    }
    memset(longest, 'x', sizeof(longest));
    assert_true(hub_method_is_name(span_of(longest, LIMIT_METHOD_NAME)));
    assert_false(hub_method_is_name(span_of(longest, LIMIT_METHOD_NAME + 1)));
}

static void tell_session(struct bus_member *m, unsigned signals)
{
    (void)m;
    (void)signals;
}

static void connect_device(void)
{
    session.tell = tell_session;
    bus_join(bus, &session);
    bus_claim(bus, &session);
}

static void tell(struct hub_call *c)
{
    assert_ptr_equal(c->owner, &is_told);
    is_told = true;
}

static enum reason prepare(const char *client_id, int connect_s, int response_s,
                           struct hub_call **ret_call)
{
    struct hub_method m = { .hub = HUB,
                            .client_id = span_str(client_id),
                            .name = SPAN("reboot"),
                            .payload = SPAN("{}"),
                            .connect_ms = connect_s * 1000,
                            .response_ms = response_s * 1000 };
    struct verdict v;

    assert_ok(hub_method_prepare(&env, bus, &m, ret_call, &v));
    return v.reason;
}

static struct hub_call *begin(int connect_s, int response_s)
{
    struct hub_call *c = NULL;

    assert_reason_is(GRANTED, prepare("d1", connect_s, response_s, &c));
    is_told = false;
    hub_call_begin(c, bus, &is_told, tell, NOW_MS);
    return c;
}

/* The device has it in its hands; its rid. */
static struct span take(void)
{
    static uint8_t kept[64];
    struct bus_letter *letter = bus_take(bus, &session);
    struct buf rid = buf_over(kept, sizeof(kept));

    assert_non_null(letter);
    buf_add(&rid, letter->rid);
    bus_letter_free(letter);
    return buf_span(&rid);
}

static void who_may_be_called(void **state)
{
    static const struct {
        const char *client_id;
        int connect_s;
        enum reason reason;
    } cases[] = {
        { "d1", 0, REASON_DEVICE_NOT_ONLINE },     { "d1", 1, REASON_GRANTED },
        { "d1/m1", 0, REASON_DEVICE_NOT_ONLINE },  { "d1/m1", 1, REASON_GRANTED },
        { "d1/m2", 1, REASON_MODULE_NOT_FOUND },   { "D1", 1, REASON_DEVICE_NOT_FOUND },
        { "d2/m1", 1, REASON_DEVICE_NOT_FOUND },   { "off", 1, REASON_DEVICE_NOT_ONLINE },
        { "off/m1", 1, REASON_DEVICE_NOT_ONLINE }, { "off/m2", 1, REASON_MODULE_NOT_FOUND },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hub_call *c = NULL;
        enum reason got = prepare(cases[i].client_id, cases[i].connect_s, 30, &c);

        assert_string_equal(reason_info(got)->token, reason_info(cases[i].reason)->token);
        assert_int_equal(c != NULL, got == REASON_GRANTED);
        hub_call_free(c); /* never begun */
    }
}

static void rids_are_hex_and_new_each_time(void **state)
{
    struct hub_call *c[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct span rid;

        c[i] = begin(1, 5);
        rid = c[i]->bus_call.rid;
        assert_int_equal(rid.len, 32);
        for (size_t k = 0; k < rid.len; k++) {
            assert_true((rid.data[k] >= '0' && rid.data[k] <= '9') ||
                        (rid.data[k] >= 'a' && rid.data[k] <= 'f'));
        }
    }
    assert_false(span_eq(c[0]->bus_call.rid, c[1]->bus_call.rid));
    hub_call_free(c[0]);
    hub_call_free(c[1]);
}

static void an_answer(void **state)
{
    struct bus_letter answer = { .number = -7, .payload = SPAN(" 1 ") };
    struct hub_call *c;

    (void)state;
    connect_device();
    c = begin(0, 5);
    assert_false(hub_call_look(c, false, NOW_MS));
    assert_true(bus_call_answer(bus, &session, take(), &answer));
    assert_true(is_told);
    assert_true(hub_call_look(c, false, NOW_MS + 1234));
    assert_reason_is(GRANTED, c->end.reason);
    assert_int_equal(c->end.status, -7);
    assert_true(span_eq(c->end.payload, SPAN(" 1 ")));
    assert_int_equal(c->end.waited_ms, 1234);
    assert_true(hub_call_look(c, true, NOW_MS + 999999)); /* that stays */
    assert_reason_is(GRANTED, c->end.reason);
    hub_call_free(c);
}

/* What happens at which second, and when and how the call is over. */
static void times(void **state)
{
    enum { MARGIN = LIMIT_METHOD_MARGIN_MS };
    static const struct {
        int connect_s, response_s;
        int there_ms;  /* the device connects; -1: never */
        bool is_taken; /* and takes it */
        int stops_ms;  /* the server does; -1: never */
        int until_ms;
        enum reason reason;
    } cases[] = {
        { 0, 5, 0, true, -1, 5000 - MARGIN, REASON_DEVICE_TIMEOUT },
        { 0, 5, 0, false, -1, 5000 - MARGIN, REASON_DEVICE_TIMEOUT },
        { 0, 300, 0, true, -1, 300000 - MARGIN, REASON_DEVICE_TIMEOUT },
        { 5, 5, -1, false, -1, 5000, REASON_DEVICE_NOT_ONLINE },
        { 300, 300, -1, false, -1, 300000, REASON_DEVICE_NOT_ONLINE },
        { 20, 30, 0, true, -1, 30000,
          REASON_DEVICE_TIMEOUT }, /* its time runs from when it is there */
        { 20, 30, 10000, true, -1, 40000, REASON_DEVICE_TIMEOUT },
        { 20, 30, 19999, true, -1, 50000 - MARGIN, REASON_DEVICE_TIMEOUT },
        { 0, 300, 0, true, 1000, 1000 + LIMIT_DRAIN_MS - LIMIT_METHOD_DRAIN_MS,
          REASON_UNAVAILABLE },
        { 0, 5, 0, true, 1000, 5000 - MARGIN, REASON_DEVICE_TIMEOUT },
        { 300, 300, -1, false, 1000, 1000, REASON_UNAVAILABLE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool is_there = cases[i].there_ms == 0;
        struct hub_call *c;
        int ms = 0;

        if (is_there) {
            connect_device();
        }
        c = begin(cases[i].connect_s, cases[i].response_s);
        for (bool is_over = false; !is_over; ms++) {
            bool stops = cases[i].stops_ms >= 0 && ms >= cases[i].stops_ms;

            if (!is_there && ms == cases[i].there_ms) {
                connect_device();
                is_there = true;
            }
            if (is_there && cases[i].is_taken && ms == (cases[i].there_ms | 1)) {
                (void)take();
            }
            is_over = hub_call_look(c, stops, NOW_MS + ms);
            if (!is_over && hub_call_deadline(c) < NOW_MS + ms) {
                fail_msg("case %zu: at %d ms its deadline is over, the call is not", i, ms);
            }
        }
        if (ms - 1 != cases[i].until_ms || c->end.reason != cases[i].reason) {
            fail_msg("case %zu: %s at %d ms", i, reason_info(c->end.reason)->token, ms - 1);
        }
        hub_call_free(c);
        bus_leave(bus, &session);
    }
}

/* A clock that goes back gives a call its time once more, and not what it went back by. */
static void a_clock_that_goes_back(void **state)
{
    struct hub_call *c;

    (void)state;
    connect_device();
    c = begin(0, 5);
    (void)take();
    assert_false(hub_call_look(c, false, NOW_MS + 1000));
    assert_false(hub_call_look(c, false, NOW_MS - 3600000));
    assert_true(hub_call_deadline(c) <= NOW_MS - 3600000 + 5000);
    assert_true(hub_call_look(c, false, NOW_MS - 3600000 + 5000));
    assert_reason_is(DEVICE_TIMEOUT, c->end.reason);
    assert_true(c->end.waited_ms <= 5000);
    hub_call_free(c);
}

/* One that went before it took the call is as if it had not been there; one that went after may
 * come back. */
static void a_device_that_goes(void **state)
{
    struct bus_letter answer = { .number = 200, .payload = SPAN("1") };
    struct hub_call *c;
    struct span rid;

    (void)state;
    connect_device();
    c = begin(0, 30);
    bus_leave(bus, &session);
    assert_true(is_told);
    assert_true(hub_call_look(c, false, NOW_MS + 10));
    assert_reason_is(DEVICE_NOT_ONLINE, c->end.reason);
    hub_call_free(c);

    connect_device();
    c = begin(10, 30);
    assert_false(hub_call_look(c, false, NOW_MS));
    bus_leave(bus, &session);
    assert_false(hub_call_look(c, false, NOW_MS + 9999));
    assert_true(hub_call_look(c, false, NOW_MS + 10000));
    assert_reason_is(DEVICE_NOT_ONLINE, c->end.reason);
    hub_call_free(c);

    connect_device();
    c = begin(0, 30);
    rid = take();
    bus_leave(bus, &session);
    assert_false(hub_call_look(c, false, NOW_MS + 10000));
    connect_device();
    assert_true(bus_call_answer(bus, &session, rid, &answer));
    assert_true(hub_call_look(c, false, NOW_MS + 20000));
    assert_reason_is(GRANTED, c->end.reason);
    hub_call_free(c);
}

static void too_many(void **state)
{
    static struct hub_call *c[LIMIT_CALLS_DEVICE + 1];
    size_t n = LIMIT_CALLS_DEVICE;

    (void)state;
    connect_device();
    for (size_t i = 0; i <= n; i++) {
        c[i] = begin(0, 5);
        assert_int_equal(hub_call_look(c[i], false, NOW_MS), i == n);
    }
    assert_int_equal(hub_call_deadline(c[n]), NOW_MS);
    assert_reason_is(THROTTLED, c[n]->end.reason);
    /* What its box never had room for did not time out at the device. */
    assert_true(hub_call_look(c[n - 1], false, NOW_MS + 5000));
    assert_reason_is(THROTTLED, c[n - 1]->end.reason);
    for (size_t i = 0; i <= n; i++) {
        hub_call_free(c[i]);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(names),
        CASE(who_may_be_called),
        CASE(rids_are_hex_and_new_each_time),
        CASE(an_answer),
        CASE(times),
        CASE(a_clock_that_goes_back),
        CASE(a_device_that_goes),
        CASE(too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
