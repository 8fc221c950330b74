/* hub/presence_test.c: what is noted of sessions is written down, and told in their order. */
#include "hub/kit_test.h"

#include "hub/presence.h"
#include "store/sink.h"

static struct sink *sink;
static struct hub_presence *presence;

struct row {
    const struct kind *kind;
    void *record;
    bool is_found;
};

static err find_row(struct store_tx *tx, void *arg)
{
    struct row *row = arg;

    return store_find(tx, row->kind, row->record, &arena, row->record, &row->is_found);
}

static void put_device(const char *id, const char *generation)
{
    struct device d = { .hub = HUB,
                        .device_id = span_str(id),
                        .generation_id = span_str(generation) };

    kit_put(&KIND_DEVICE, &d);
}

static bool find(const char *id, struct presence *ret_presence)
{
    struct row row = { .kind = &KIND_PRESENCE, .record = ret_presence };

    *ret_presence = (struct presence){ .hub = HUB, .client_id = span_str(id) };
    assert_ok(store_read(store, find_row, &row));
    return row.is_found;
}

static void flush(void)
{
    bool again;

    do {
        again = false;
        arena_reset(&arena);
        assert_ok(hub_presence_flush(&env, bus, presence, &again));
    } while (again);
}

static int setup(void **state)
{
    (void)state;
    kit_open();
    assert_ok(sink_mem_open(&sink));
    assert_ok(hub_presence_new(bus, sink, 0xAB, &presence));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hub_presence_free(presence);
    sink_close(sink);
    kit_close();
    return 0;
}

static void hear_nothing(struct bus_member *m, unsigned signals)
{
    (void)m;
    (void)signals;
}

static void begin(struct bus_member *m, const char *id, int64_t now_ms)
{
    *m = (struct bus_member){ .hub = HUB,
                              .client_id = span_str(id),
                              .generation_id = SPAN("1"),
                              .now_ms = now_ms,
                              .tell = hear_nothing };
    bus_join(bus, m);
    bus_claim(bus, m);
}

static void end(struct bus_member *m, int64_t now_ms)
{
    m->now_ms = now_ms;
    bus_leave(bus, m);
}

static void activity(void **state)
{
    struct presence p;

    (void)state;
    put_device("d1", "1");
    put_device("d2", "2");
    hub_presence_active(NULL, HUB, SPAN("d1"), SPAN("1"), 1);
    hub_presence_active(presence, HUB, SPAN("d1"), SPAN("1"), NOW_MS + 5);
    hub_presence_active(presence, HUB, SPAN("d1"), SPAN("1"), NOW_MS);
    hub_presence_active(presence, HUB, SPAN("d2"), SPAN("1"), NOW_MS); /* an earlier d2's */
    hub_presence_active(presence, HUB, SPAN("gone"), SPAN("1"), NOW_MS);
    assert_false(find("d1", &p));
    flush();
    assert_true(find("d1", &p));
    assert_int_equal(p.last_activity_ms, NOW_MS + 5);
    assert_int_equal(p.state_updated_ms, 0);
    assert_false(find("d2", &p));
    assert_false(find("gone", &p));
    /* Time does not go back; a new device of the same ID begins anew. */
    hub_presence_active(presence, HUB, SPAN("d1"), SPAN("1"), NOW_MS - 7);
    flush();
    assert_true(find("d1", &p));
    assert_int_equal(p.last_activity_ms, NOW_MS + 5);
    put_device("d1", "next");
    hub_presence_active(presence, HUB, SPAN("d1"), SPAN("next"), NOW_MS - 7);
    flush();
    assert_true(find("d1", &p));
    assert_int_equal(p.last_activity_ms, NOW_MS - 7);
}

static void many_in_batches(void **state)
{
    enum { MANY = 1000 };
    struct presence p;
    char id[16];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(id, sizeof(id), "d%d", i);
        put_device(id, "1");
        hub_presence_active(presence, HUB, span_str(id), SPAN("1"), NOW_MS + i);
    }
    flush();
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(id, sizeof(id), "d%d", i);
        arena_reset(&arena);
        assert_true(find(id, &p));
        assert_int_equal(p.last_activity_ms, NOW_MS + i);
    }
}

static void sessions(void **state)
{
    static const struct {
        const char *op, *number;
        int64_t ms;
    } expected[] = {
        { "deviceConnected", "00000000000000AB0000000000000001", NOW_MS },
        { "deviceDisconnected", "00000000000000AB0000000000000002", NOW_MS + 10 }, /* taken over */
        { "deviceConnected", "00000000000000AB0000000000000003", NOW_MS + 10 },
        { "deviceDisconnected", "00000000000000AB0000000000000004", NOW_MS + 30 },
    };
    struct sink_event barrier = { .hub = SPAN("other"), .device_id = SPAN("x") };
    struct sink_query q = { .hub = HUB, .max_events = 10, .max_bytes = 1 << 20 };
    struct bus_member a, b, never = { .hub = HUB, .client_id = SPAN("d1"), .tell = hear_nothing };
    struct sink_reading r;
    struct presence p;

    (void)state;
    put_device("d1", "1");
    begin(&a, "d1", NOW_MS);
    bus_join(bus, &never); /* refused at the door */
    begin(&b, "d1", NOW_MS + 10);
    end(&a, NOW_MS + 20);
    bus_leave(bus, &never);
    end(&b, NOW_MS + 30);
    flush();
    assert_true(find("d1", &p));
    assert_int_equal(p.state_updated_ms, NOW_MS + 30);
    assert_int_equal(p.last_activity_ms, NOW_MS + 10);
    assert_ok(sink_append_wait(sink, &arena, &barrier, 1));
    assert_ok(sink_read(sink, &q, &arena, &r));
    assert_int_equal(r.n, sizeof(expected) / sizeof(expected[0]));
    for (size_t i = 0; i < r.n; i++) {
        const char *properties = (const char *)r.events[i].properties.data;

        assert_int_equal(r.events[i].source, SINK_CONNECTION_STATE);
        assert_non_null(strstr(properties, expected[i].op));
        assert_non_null(strstr((const char *)r.events[i].body.data, expected[i].number));
        assert_int_equal(r.events[i].enqueued_ms, expected[i].ms);
    }
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(activity),
        IN_A_WORLD(many_in_batches),
        IN_A_WORLD(sessions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
