/* hub/registry_test.c: what comes and goes with an identity, in the store, on the bus and in the
 * log. What identities may look like is tested over the wire (api/hub_identity_http_test.c). */
#include "hub/kit_test.h"

#include "crypto/crypto.h"
#include "hub/hub.h"
#include "hub/registry.h"
#include "model/kinds.h"
#include "model/limits.h"

static struct sink *sink;

static int setup(void **state)
{
    const struct hub_order order = { .name = SPAN("hub"),
                                     .host_name = HUB,
                                     .id_scope = SPAN("0ne1") };
    struct hub hub;
    struct verdict v;

    (void)state;
    kit_open();
    assert_ok(sink_mem_open(&sink));
    env = (struct env){ .store = store,
                        .sink = sink,
                        .arena = &arena,
                        .now_ms = 1750000000000,
                        .random = crypto_random,
                        .tracking_id = "t-1" };
    assert_ok(hub_create(&env, &order, &hub, &v));
    assert_reason(GRANTED, v);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sink_close(sink);
    kit_close();
    return 0;
}

static struct registry_change change_of(enum registry_mode mode, const char *client_id)
{
    return (struct registry_change){ .mode = mode,
                                     .given = { .hub = HUB, .device_id = span_str(client_id) },
                                     .if_etag = -1,
                                     .twin.if_etag = -1 };
}

static struct verdict run(struct registry_change *c)
{
    assert_ok(hub_registry_prepare(&env, c));
    assert_ok(hub_registry_run(&env, bus, c, 1));
    return c->verdict;
}

static void make(const char *client_id, bool is_edge)
{
    struct registry_change c = change_of(REGISTRY_CREATE, client_id);
    AUTO(json) json *tags = NULL;

    assert_ok(json_parse(SPAN("{\"a\":{\"b\":1},\"c\":\"x\"}"), 4, &tags));
    c.given.iot_edge = is_edge;
    c.twin.tags = tags;
    assert_reason(GRANTED, run(&c));
    assert_true(c.is_made);
}

/* ---- rows ---- */

static err put_belongings(struct store_tx *tx, void *arg)
{
    static int64_t sequence;
    const char *const *id = arg;
    const struct session session = {
        .hub = HUB, .client_id = span_str(*id), .generation_id = SPAN("g"), .filters = SPAN("f")
    };
    const struct presence presence = { .hub = HUB, .client_id = span_str(*id) };
    struct c2d_message message = { .hub = HUB, .client_id = span_str(*id), .body = SPAN("x") };
    const struct c2d_queue queue = { .hub = HUB, .client_id = span_str(*id) };
    struct feedback feedback = { .hub = HUB, .client_id = span_str(*id) };

    TRY(store_put(tx, &KIND_SESSION, &session));
    TRY(store_put(tx, &KIND_PRESENCE, &presence));
    TRY(store_put(tx, &KIND_C2D_QUEUE, &queue));
    for (int i = 1; i <= 20; i++) {
        message.sequence = i;
        TRY(store_put(tx, &KIND_C2D_MESSAGE, &message));
    }
    feedback.sequence = ++sequence;
    return store_put(tx, &KIND_FEEDBACK, &feedback);
}

static void give_belongings(const char *client_id)
{
    assert_ok(store_write(store, put_belongings, &client_id));
}

struct rows {
    const struct kind *kind;
    int64_t n;
};

static err count_rows(struct store_tx *tx, void *arg)
{
    struct rows *r = arg;
    const struct store_scan all = { 0 };

    return store_count(tx, r->kind, &all, &r->n);
}

static int64_t rows_of(const struct kind *kind)
{
    struct rows r = { .kind = kind };

    assert_ok(store_read(store, count_rows, &r));
    return r.n;
}

static void assert_rows(int64_t devices, int64_t modules, int64_t feedback)
{
    int64_t both = devices + modules;

    assert_int_equal(rows_of(&KIND_DEVICE), devices);
    assert_int_equal(rows_of(&KIND_MODULE), modules);
    assert_int_equal(rows_of(&KIND_TAG), 2 * both);
    assert_int_equal(rows_of(&KIND_SESSION), both);
    assert_int_equal(rows_of(&KIND_PRESENCE), both);
    assert_int_equal(rows_of(&KIND_C2D_QUEUE), both);
    assert_int_equal(rows_of(&KIND_C2D_MESSAGE), 20 * both);
    assert_int_equal(rows_of(&KIND_FEEDBACK), feedback);
}

static const char *const family[] = { "a", "a/m1", "a/m2", "b", "b/m1", "ab/x", "ab" };

static void make_families(void)
{
    make("a", false);
    make("b", false);
    make("ab", false);
    for (size_t i = 0; i < sizeof family / sizeof *family; i++) {
        if (strchr(family[i], '/') != NULL) {
            make(family[i], false);
        }
        give_belongings(family[i]);
    }
    assert_rows(3, 4, 7);
}

static void what_goes_with_it(void **state)
{
    struct registry_change c;

    (void)state;
    make_families();
    c = change_of(REGISTRY_DELETE, "a/m2");
    assert_reason(GRANTED, run(&c));
    assert_rows(3, 3, 7); /* what became of its messages, their sender is still told */
    c = change_of(REGISTRY_DELETE, "a");
    assert_reason(GRANTED, run(&c));
    assert_rows(2, 2, 7);
    c = change_of(REGISTRY_DELETE, "ab");
    assert_reason(GRANTED, run(&c));
    assert_rows(1, 1, 7);
    c = change_of(REGISTRY_DELETE, "a");
    assert_reason(DEVICE_NOT_FOUND, run(&c));
}

/* In batches, each smaller than what one device has. */
static void what_goes_with_the_hub(void **state)
{
    const struct hub_removal what = {
        .id_scope = SPAN("0ne1"), .name = SPAN("hub"), .is_forced = true, .most = 16
    };
    struct verdict v;
    bool is_done = false;
    int turns = 0;

    (void)state;
    make_families();
    while (!is_done) {
        assert_ok(hub_remove(&env, bus, &what, &is_done, &v));
        assert_reason(GRANTED, v);
        turns++;
        arena_reset(&arena);
    }
    assert_true(turns > 10);
    for (int i = 0; i < MODEL_KINDS_N; i++) {
        assert_int_equal(rows_of(MODEL_KINDS[i]), 0);
    }
}

static void a_hub_that_is_gone_takes_no_devices(void **state)
{
    struct registry_change c = change_of(REGISTRY_CREATE, "a");

    (void)state;
    c.given.hub = SPAN("none.example");
    assert_reason(HUB_UNKNOWN, run(&c));
    assert_int_equal(rows_of(&KIND_DEVICE), 0);
}

static void a_placed_edge_device_has_its_modules(void **state)
{
    struct registry_change c;

    (void)state;
    make("edge", true);
    assert_int_equal(rows_of(&KIND_MODULE), 2);
    c = change_of(REGISTRY_DELETE, "edge");
    assert_reason(GRANTED, run(&c));
    assert_int_equal(rows_of(&KIND_MODULE), 0);
}

/* ---- sessions ---- */

static unsigned told;

static void hear(struct bus_member *m, unsigned signals)
{
    (void)m;
    told |= signals;
}

static void there(const char *client_id)
{
    struct registry_change c = change_of(REGISTRY_CREATE_OR_UPDATE, client_id);

    assert_reason(GRANTED, run(&c));
}

static void whose_session_is_cut_off(void **state)
{
    enum what { KEEP, DISABLE, REKEY, OTHER_AUTH, REASON, DELETE };
    static const struct {
        const char *of;
        enum what what;
        bool device, module;
    } cases[] = {
        { "d", KEEP, false, false },     { "d", REASON, false, false },
        { "d", REKEY, true, true },      { "d", DISABLE, true, true },
        { "d", OTHER_AUTH, true, true }, { "d/m", KEEP, false, false },
        { "d/m", REKEY, false, true },   { "d/m", DELETE, false, true },
        { "d", DELETE, true, true },
    };
    struct bus_member device = { .hub = HUB, .client_id = SPAN("d"), .tell = hear };
    struct bus_member module = { .hub = HUB, .client_id = SPAN("d/m"), .tell = hear };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct registry_change c;

        there("d");
        there("d/m");
        c = change_of(cases[i].what == DELETE ? REGISTRY_DELETE : REGISTRY_UPDATE, cases[i].of);
        if (cases[i].what != DELETE) {
            struct verdict v;

            assert_ok(hub_device_get(&env, HUB, span_str(cases[i].of), &c.given, &v));
        }
        switch (cases[i].what) {
        case DISABLE:
            c.given.status = DEVICE_DISABLED;
            break;
        case REKEY:
            c.given.primary_key = SPAN("0123456789abcdef");
            break;
        case OTHER_AUTH:
            c.given.auth = DEVICE_AUTH_CERTIFICATE_AUTHORITY;
            c.given.primary_key = c.given.secondary_key = SPAN_NONE;
            break;
        case REASON:
            c.given.status_reason = SPAN("x");
            break;
        case KEEP:
        case DELETE:
            break;
        }
        for (int of_module = 0; of_module <= 1; of_module++) {
            struct registry_change again = c;
            struct bus_member *m = of_module ? &module : &device;

            told = 0;
            bus_join(bus, m);
            assert_reason(GRANTED, run(&again));
            bus_leave(bus, m);
            if (told != ((of_module ? cases[i].module : cases[i].device) ? BUS_CUT_OFF : 0U)) {
                fail_msg("case %zu, of_module %d", i, of_module);
            }
            if (cases[i].what == REKEY && !of_module) { /* back, so that it is another again */
                c.given.primary_key = SPAN("fedcba9876543210");
            } else if (cases[i].what == OTHER_AUTH && !of_module) {
                c.given.auth = DEVICE_AUTH_SAS;
            } else if (cases[i].what == DELETE && !of_module) {
                there("d");
                there("d/m");
            }
        }
        arena_reset(&arena);
    }
}

/* ---- events ---- */

static void assert_event(size_t i, const struct sink_event *e, const char *op, const char *client)
{
    char needle[64];

    (void)snprintf(needle, sizeof needle, "\"opType\":\"%s\"", op);
    if (strstr(arena_cstr(&arena, e->properties), needle) == NULL ||
        !span_eq(e->device_id, hub_identity_device(span_str(client))) ||
        !span_eq(e->module_id, hub_identity_module(span_str(client)))) {
        fail_msg("event %zu: %.*s %.*s", i, SPAN_FMT(e->device_id), SPAN_FMT(e->properties));
    }
}

static void lives_are_logged(void **state)
{
    static const struct {
        const char *op, *client;
    } expected[] = {
        { "createDeviceIdentity", "a" },
        { "createDeviceIdentity", "b" },
        { "createModuleIdentity", "b/m" },
        { "deleteDeviceIdentity", "b" },
        { "updateTwin", "a" },
        { "deleteDeviceIdentity", "a" },
    };
    struct sink_query q = { .hub = HUB, .max_events = 100, .max_bytes = 1 << 20 };
    struct registry_change many[] = {
        change_of(REGISTRY_CREATE, "a"),      change_of(REGISTRY_CREATE, "a"),
        change_of(REGISTRY_CREATE, "b"),      change_of(REGISTRY_CREATE, "b/m"),
        change_of(REGISTRY_UPDATE, "a"),      change_of(REGISTRY_DELETE, "b"),
        change_of(REGISTRY_UPDATE_TWIN, "a"), change_of(REGISTRY_DELETE, "a"),
        change_of(REGISTRY_DELETE, "none"),
    };
    AUTO(json) json *tags = NULL;
    struct sink_reading r;

    (void)state;
    assert_ok(json_parse(SPAN("{\"a\":1}"), 4, &tags));
    many[6].twin.tags = tags;
    for (size_t i = 0; i < sizeof many / sizeof *many; i++) {
        assert_ok(hub_registry_prepare(&env, &many[i]));
    }
    assert_ok(hub_registry_run(&env, bus, many, sizeof many / sizeof *many));
    assert_reason(DEVICE_EXISTS, many[1].verdict);
    assert_reason(DEVICE_NOT_FOUND, many[8].verdict);
    assert_ok(sink_read(sink, &q, &arena, &r));
    for (size_t i = 0; i < r.n && i < sizeof expected / sizeof *expected; i++) {
        assert_event(i, &r.events[i], expected[i].op, expected[i].client);
    }
    assert_int_equal(r.n, sizeof expected / sizeof *expected);
}

/* ---- many at once ---- */

static void more_than_fits_into_memory(void **state)
{
    enum { N = 60, VALUE = 4000, ROOM = 128 * 1024 };
    static char ids[N][8], text[VALUE + 32];
    static struct registry_change many[N];
    struct arena whole = arena;
    AUTO(json) json *desired = NULL;

    (void)state;
    (void)snprintf(text, sizeof text, "{\"a\":\"%0*d\"}", VALUE, 0);
    assert_ok(json_parse(span_str(text), 4, &desired));
    arena.size = ROOM;
    for (int i = 0; i < N; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "d%d", i);
        many[i] = change_of(i % 10 == 9 ? REGISTRY_UPDATE : REGISTRY_CREATE, ids[i]);
        many[i].twin.desired = desired;
        assert_ok(hub_registry_prepare(&env, &many[i]));
    }
    assert_ok(hub_registry_run(&env, bus, many, N));
    assert_int_equal(rows_of(&KIND_DEVICE), N - N / 10);
    for (int i = 0; i < N; i++) {
        assert_int_equal(many[i].verdict.reason == REASON_GRANTED, i % 10 != 9);
        many[i] = change_of(REGISTRY_DELETE, ids[i]);
    }
    arena.used = 0;
    assert_ok(hub_registry_run(&env, bus, many, N));
    assert_int_equal(rows_of(&KIND_DEVICE), 0);
    assert_reason(DEVICE_NOT_FOUND, many[9].verdict);
    arena = whole;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_goes_with_it),
        CASE(what_goes_with_the_hub),
        CASE(a_hub_that_is_gone_takes_no_devices),
        CASE(a_placed_edge_device_has_its_modules),
        CASE(whose_session_is_cut_off),
        CASE(lives_are_logged),
        CASE(more_than_fits_into_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
