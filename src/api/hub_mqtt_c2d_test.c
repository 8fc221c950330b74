/* api/hub_mqtt_c2d_test.c: a queue over MQTT: what is sent when, and what an acknowledgement does.
 */
#include "api/mqtt_wire_test.h"
#include "hub/c2d.h"
#include "hub/hub.h"

#define USER   WIRE_HUB "/dev1/?" WIRE_VERSION
#define FILTER "devices/dev1/messages/devicebound/#"

static struct wire_world world;
static uint8_t block[1024 * 1024];

static int set_up(void **state)
{
    struct hub hub = { .host_name = SPAN(WIRE_HUB), .name = SPAN("hub") };
    struct device device = { .hub = SPAN(WIRE_HUB),
                             .device_id = SPAN("dev1"),
                             .generation_id = SPAN("1"),
                             .auth = DEVICE_AUTH_SELF_SIGNED };

    (void)state;
    wire_world_init(&world);
    wire_put(&world, &KIND_HUB, &hub);
    device.primary_thumbprint = world.thumbprint;
    wire_put(&world, &KIND_DEVICE, &device);
    device.device_id = SPAN("dev1/mod");
    wire_put(&world, &KIND_MODULE, &device);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(bus_sessions(world.bus), 0);
    wire_world_done(&world);
    return 0;
}

static void open_as(struct wire *w, const char *user, const char *client_id, bool is_clean)
{
    struct mqtt_connect c = wire_connect_of(user, client_id);

    c.clean_session = is_clean;
    wire_open(w, &world);
    wire_connect(w, &c);
    assert_int_equal(wire_expect(w, MQTT_CONNACK).connack.code, MQTT_ACCEPTED);
}

static void open(struct wire *w)
{
    open_as(w, USER, "dev1", false);
}

static void subscribe(struct wire *w, const char *filter, uint8_t qos)
{
    wire_subscribe(w, filter, qos);
    assert_int_equal(wire_expect_suback(w), qos);
}

static void close_wire(struct wire *w)
{
    wire_hang_up(w);
    wire_done(w);
}

static void enqueue_for(const char *client_id, int number)
{
    struct arena arena;
    struct env env = { .store = world.store, .arena = &arena, .now_ms = WIRE_NOW_MS };
    struct hub_c2d_order order = {
        .message = { .hub = SPAN(WIRE_HUB), .client_id = span_str(client_id), .target = SPAN("t") }
    };
    char text[16];
    struct verdict v;
    int64_t sequence;

    arena_init(&arena, block, sizeof(block));
    (void)snprintf(text, sizeof(text), "%d", number);
    order.message.body = span_str(text);
    assert_true(err_is_ok(hub_c2d_enqueue(&env, world.bus, &order, &sequence, &v)));
    assert_true(verdict_is_granted(v));
}

static void enqueue(int from, int to)
{
    for (int i = from; i <= to; i++) {
        enqueue_for("dev1", i);
    }
}

/* What was told arrives. */
static void listen(struct wire *w)
{
    wire_pass_signals(w);
    wire_pump(w);
}

/* Its packet ID; 0: QoS 0. */
static uint16_t expect_message(struct wire *w, int number, bool is_dup)
{
    struct mqtt_packet p = wire_expect(w, MQTT_PUBLISH);
    char text[16];

    (void)snprintf(text, sizeof(text), "%d", number);
    wire_expect_text(p.publish.payload, text);
    wire_expect_text(p.publish.topic, "devices/dev1/messages/devicebound/%24.to=t");
    assert_int_equal(p.publish.dup, is_dup);
    assert_false(p.publish.retain);
    return p.publish.packet_id;
}

/* Not yet read. */
static void add_puback(struct wire *w, uint16_t id)
{
    buf_add_u16(&w->in, 0x4002);
    buf_add_u16(&w->in, id);
}

static err count_rows(struct store_tx *tx, void *arg)
{
    const struct c2d_message prefix = { .hub = SPAN(WIRE_HUB) };
    struct store_scan scan = { .prefix = &prefix, .n_prefix = 1 };

    return store_count(tx, &KIND_C2D_MESSAGE, &scan, arg);
}

static int waiting(void)
{
    int64_t n = -1;

    assert_true(err_is_ok(store_read(world.store, count_rows, &n)));
    return (int)n;
}

static void a_window_in_order(void **state)
{
    uint16_t ids[LIMIT_C2D_QUEUE + 1] = { 0 };
    struct wire w;
    int sent = LIMIT_C2D_IN_FLIGHT, acked = 0;

    (void)state;
    enqueue(1, LIMIT_C2D_QUEUE);
    open(&w);
    wire_expect_nothing(&w); /* did not subscribe */
    subscribe(&w, FILTER, 1);
    for (int i = 1; i <= sent; i++) {
        ids[i] = expect_message(&w, i, false);
        assert_int_not_equal(ids[i], 0);
        for (int k = 1; k < i; k++) {
            assert_int_not_equal(ids[i], ids[k]);
        }
    }
    wire_expect_nothing(&w);
    while (acked < LIMIT_C2D_QUEUE) {
        int tasks = (int)w.n_notes;

        for (int i = 0; i < 4 && acked < LIMIT_C2D_QUEUE; i++) {
            add_puback(&w, ids[++acked]);
        }
        wire_pump(&w);
        assert_int_equal(w.n_notes, tasks + 1); /* one turn for all that was there */
        w.n_notes = 0;
        while (sent < LIMIT_C2D_QUEUE && sent < acked + LIMIT_C2D_IN_FLIGHT) {
            sent++;
            ids[sent] = expect_message(&w, sent, false);
        }
        wire_expect_nothing(&w);
        assert_int_equal(waiting(), LIMIT_C2D_QUEUE - acked);
    }
    close_wire(&w);
}

static void acknowledgements_that_mean_nothing(void **state)
{
    struct wire w;
    uint16_t one, two;

    (void)state;
    open(&w);
    subscribe(&w, FILTER, 1);
    enqueue(1, 2);
    listen(&w);
    one = expect_message(&w, 1, false);
    two = expect_message(&w, 2, false);
    add_puback(&w, 0);
    add_puback(&w, two + 1);
    wire_pump(&w);
    assert_int_equal(waiting(), 2);
    add_puback(&w, two); /* any order */
    add_puback(&w, two);
    wire_pump(&w);
    assert_int_equal(waiting(), 1);
    add_puback(&w, two); /* is nobody's any more */
    wire_pump(&w);
    assert_int_equal(waiting(), 1);
    add_puback(&w, one);
    wire_pump(&w);
    assert_int_equal(waiting(), 0);
    close_wire(&w);
}

static void packet_ids_go_round_what_is_in_flight(void **state)
{
    const struct bus_letter letter = { .kind = BUS_LETTER_DESIRED,
                                       .number = 2,
                                       .payload = SPAN("{}") };
    struct wire w;
    uint16_t held;

    (void)state;
    open(&w);
    subscribe(&w, FILTER, 1);
    subscribe(&w, "$iothub/twin/PATCH/properties/desired/#", 1);
    enqueue(1, 1);
    listen(&w);
    held = expect_message(&w, 1, false);
    for (int i = 0; i < UINT16_MAX; i++) {
        uint16_t id;

        assert_true(bus_post(world.bus, SPAN(WIRE_HUB), SPAN("dev1"), &letter));
        listen(&w);
        id = wire_expect(&w, MQTT_PUBLISH).publish.packet_id;
        assert_int_not_equal(id, held);
        assert_int_not_equal(id, 0);
    }
    close_wire(&w);
}

static void again_with_dup(void **state)
{
    struct wire first, second;

    (void)state;
    enqueue(1, 3);
    open(&first);
    subscribe(&first, FILTER, 1);
    add_puback(&first, expect_message(&first, 1, false));
    wire_pump(&first);
    expect_message(&first, 2, false);
    expect_message(&first, 3, false);
    open(&second); /* takes over, with the filter that was kept */
    expect_message(&second, 2, true);
    add_puback(&second, expect_message(&second, 3, true));
    wire_pump(&second);
    wire_expect_nothing(&second);
    listen(&first);
    assert_true(first.is_closed);
    close_wire(&first);
    close_wire(&second);
    open_as(&second, USER, "dev1", true); /* its queue is the hub's, its filters are gone */
    wire_expect_nothing(&second);
    enqueue(4, 4);
    subscribe(&second, "#", 1);
    expect_message(&second, 2, true);
    expect_message(&second, 4, false);
    close_wire(&second);
}

/* The old session's turn is late: the new one has claimed the device. */
static void who_was_taken_over_gets_nothing(void **state)
{
    struct wire first, second;

    (void)state;
    open(&first);
    subscribe(&first, FILTER, 1);
    open(&second);
    enqueue(1, 1);
    first.signals = BUS_C2D; /* came before */
    {
        struct surface_io io = wire_io(&first);

        (void)API_MQTT_SURFACE.on_signal(first.surface, BUS_C2D, &io);
        first.signals = 0;
    }
    wire_pump(&first);
    wire_expect_nothing(&first);
    listen(&second);
    expect_message(&second, 1, false);
    close_wire(&first);
    close_wire(&second);
}

static void qos_0(void **state)
{
    struct wire w;

    (void)state;
    enqueue(1, 20);
    open(&w);
    subscribe(&w, "#", 0);
    for (int i = 1; i <= 20; i++) {
        assert_int_equal(expect_message(&w, i, false), 0);
    }
    assert_int_equal(waiting(), 0);
    subscribe(&w, "devices/+/messages/devicebound/#", 1); /* the higher of both */
    enqueue(21, 21);
    listen(&w);
    assert_int_not_equal(expect_message(&w, 21, false), 0);
    assert_int_equal(waiting(), 1);
    close_wire(&w);
}

static void filters_that_match_and_do_not(void **state)
{
    static const struct {
        const char *filter;
        bool matches;
    } cases[] = {
        { "devices/dev1/messages/devicebound/#", true },
        { "devices/+/messages/devicebound/#", true },
        { "devices/dev1/messages/devicebound/+", true },
        { "devices/dev1/#", true },
        { "+/+/messages/+/+", true },
        { "#", true },
        { "devices/dev1/messages/devicebound", false },
        { "devices/dev2/messages/devicebound/#", false },
        { "devices/dev1/messages/deviceBound/#", false },
        { "devices/dev1/modules/+/messages/devicebound/#", false },
        { "$iothub/#", false },
    };

    (void)state;
    enqueue(1, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire w;

        open_as(&w, USER, "dev1", true);
        subscribe(&w, cases[i].filter, 1);
        if (cases[i].matches != (w.out.len > 0)) {
            fail_msg("%s", cases[i].filter);
        }
        close_wire(&w);
    }
}

static void a_module_has_its_own(void **state)
{
    struct wire w;
    struct mqtt_packet p;

    (void)state;
    enqueue(1, 1);
    enqueue_for("dev1/mod", 2);
    open_as(&w, WIRE_HUB "/dev1/mod/?" WIRE_VERSION, "dev1/mod", false);
    subscribe(&w, "devices/dev1/modules/mod/#", 1);
    p = wire_expect(&w, MQTT_PUBLISH);
    wire_expect_text(p.publish.topic, "devices/dev1/modules/mod/messages/devicebound/%24.to=t");
    wire_expect_text(p.publish.payload, "2");
    wire_expect_nothing(&w);
    close_wire(&w);
}

static void tries_again_when_the_server_was_busy(void **state)
{
    struct wire w;
    struct surface_io io;

    (void)state;
    open(&w);
    subscribe(&w, FILTER, 1);
    enqueue(1, 1);
    w.is_full = true;
    listen(&w);
    wire_expect_nothing(&w);
    assert_false(w.is_closed);
    w.is_full = false;
    wire_pump(&w);
    wire_expect_nothing(&w); /* not at once */
    w.now_ms = API_MQTT_SURFACE.deadline(w.surface);
    assert_int_equal(w.now_ms, WIRE_NOW_MS + LIMIT_C2D_RETRY_MS);
    io = wire_io(&w);
    assert_int_equal(API_MQTT_SURFACE.on_deadline(w.surface, &io), SURFACE_AGAIN);
    wire_pump(&w);
    expect_message(&w, 1, false);
    close_wire(&w);
}

static void telemetry_does_not_hold_up_acknowledgements(void **state)
{
    struct wire w;
    uint16_t id;

    (void)state;
    open(&w);
    subscribe(&w, FILTER, 1);
    enqueue(1, 1);
    listen(&w);
    id = expect_message(&w, 1, false);
    add_puback(&w, id);
    for (int i = 0; i < 40; i++) { /* there is always more to read */
        const struct mqtt_publish p = { .topic = SPAN("devices/dev1/messages/events/"),
                                        .payload = SPAN("x") };

        mqtt_codec_encode_publish(&p, &w.in);
    }
    for (int i = 0; i < 40; i++) {
        struct surface_io io = wire_io(&w);
        enum surface_step step = API_MQTT_SURFACE.step(w.surface, &io);

        wire_take(&w, &io, step);
        wire_drop_input(&w, io.consumed);
    }
    assert_true(w.in.len > 0);
    assert_int_equal(waiting(), 0);
    w.in.len = 0;
    close_wire(&w);
}

/* The moment to try again was an hour away all of a sudden. */
static void tries_again_when_the_clock_went_back(void **state)
{
    struct wire w;

    (void)state;
    open(&w);
    subscribe(&w, FILTER, 1);
    enqueue(1, 1);
    w.is_full = true;
    listen(&w);
    w.is_full = false;
    w.now_ms -= 3600 * 1000;
    wire_pump(&w);
    expect_message(&w, 1, false);
    close_wire(&w);
}

/* Its last acknowledgements and DISCONNECT arrive together. */
static void what_was_acknowledged_before_a_goodbye(void **state)
{
    struct wire w;

    (void)state;
    open(&w);
    subscribe(&w, FILTER, 1);
    enqueue(1, 3);
    listen(&w);
    add_puback(&w, expect_message(&w, 1, false));
    add_puback(&w, expect_message(&w, 2, false));
    expect_message(&w, 3, false);
    buf_add_u16(&w.in, 0xe000);
    wire_pump(&w);
    assert_int_equal(waiting(), 1);
    wire_expect_nothing(&w);
    assert_true(w.is_closed);
    close_wire(&w);
    open(&w);
    add_puback(&w, expect_message(&w, 3, true));
    w.is_full = true; /* nobody is there to do it: no reason to stay */
    buf_add_u16(&w.in, 0xe000);
    wire_pump(&w);
    assert_true(w.is_closed);
    assert_int_equal(waiting(), 1);
    close_wire(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_window_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(acknowledgements_that_mean_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(packet_ids_go_round_what_is_in_flight, set_up, tear_down),
        cmocka_unit_test_setup_teardown(again_with_dup, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_was_taken_over_gets_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(qos_0, set_up, tear_down),
        cmocka_unit_test_setup_teardown(filters_that_match_and_do_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_module_has_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tries_again_when_the_server_was_busy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_acknowledged_before_a_goodbye, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tries_again_when_the_clock_went_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(telemetry_does_not_hold_up_acknowledgements, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
