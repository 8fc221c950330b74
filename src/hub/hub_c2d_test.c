/* hub/hub_c2d_test.c: cloud-to-device messages from their sending to their end, and the feedback
 * they leave. */
#include "hub/kit_test.h"

#include "hub/c2d.h"
#include "hub/feedback.h"

/* Of a hub without settings. */
enum { DELIVERIES = 10, TTL_MS = 3600 * 1000, LOCK_MS = 60 * 1000 };

static unsigned told;
static uint8_t counter;
static const struct hub_c2d_owner D1 = { SPAN_INIT("hub.example"), SPAN_INIT("d1"),
                                         SPAN_INIT("g1") };

static void put_identity(const struct kind *kind, const char *id, const char *generation)
{
    struct device d = { .hub = HUB,
                        .device_id = span_str(id),
                        .generation_id = span_str(generation),
                        .status = DEVICE_DISABLED };

    kit_put(kind, &d);
}

static void fake_random(void *bytes, size_t len)
{
    memset(bytes, ++counter, len);
}

static void on_tell(struct bus_member *m, unsigned signals)
{
    (void)m;
    told |= signals;
}

static int setup(void **state)
{
    (void)state;
    kit_open();
    env = (struct env){ .store = store, .arena = &arena, .now_ms = NOW_MS, .random = fake_random };
    put_identity(&KIND_DEVICE, "d1", "g1");
    put_identity(&KIND_DEVICE, "d2", "g1");
    put_identity(&KIND_MODULE, "d1/m", "g2");
    told = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kit_close();
    return 0;
}

/* ---- what the tests do ---- */

static struct hub_c2d_order order_for(const char *client_id, const char *mid)
{
    return (struct hub_c2d_order){ .message = { .hub = HUB,
                                                .client_id = span_str(client_id),
                                                .message_id = span_str(mid),
                                                .body = SPAN("hello") } };
}

static struct verdict send_order(const struct hub_c2d_order *order)
{
    int64_t sequence;
    struct verdict v;

    arena_reset(&arena);
    assert_ok(hub_c2d_enqueue(&env, bus, order, &sequence, &v));
    return v;
}

static void send_with(const char *client_id, const char *mid, enum c2d_ack ack)
{
    struct hub_c2d_order order = order_for(client_id, mid);

    order.message.ack = ack;
    assert_reason(GRANTED, send_order(&order));
}

static void send(const char *mid)
{
    send_with("d1", mid, C2D_ACK_FULL);
}

/* A session on the bus. */
static void join(struct bus_member *m, const char *session_id)
{
    *m = (struct bus_member){
        .hub = HUB, .client_id = D1.client_id, .session_id = span_str(session_id), .tell = on_tell
    };
    bus_join(bus, m);
    bus_claim(bus, m);
}

static struct hub_c2d_hand *turn_of(const struct hub_c2d_turn *turn)
{
    static struct hub_c2d_hand hand;

    arena_reset(&arena);
    assert_ok(hub_c2d_take_turn(&env, bus, turn, &hand));
    return &hand;
}

/* What session `id` is sent, as "mid(count) …". */
static void assert_turn(const char *session_id, size_t room, const char *expected)
{
    struct hub_c2d_turn turn = { .owner = D1, .session_id = span_str(session_id), .room = room };
    struct hub_c2d_hand *hand = turn_of(&turn);
    uint8_t bytes[512];
    struct buf text = buf_over(bytes, sizeof(bytes));

    for (size_t i = 0; i < hand->n; i++) {
        buf_printf(&text, "%s%.*s(%d)", i > 0 ? " " : "", SPAN_FMT(hand->messages[i].message_id),
                   (int)hand->messages[i].delivery_count);
    }
    assert_text(expected, buf_span(&text));
}

static void complete(int64_t sequence)
{
    struct hub_c2d_turn turn = {
        .owner = D1, .session_id = SPAN("any"), .completed = &sequence, .n_completed = 1
    };

    (void)turn_of(&turn);
}

/* The token; NULL: there was none. */
static const char *receive(const char *mid)
{
    static char token[64];
    struct c2d_message m;
    bool is_found;

    arena_reset(&arena);
    assert_ok(hub_c2d_receive(&env, bus, &D1, LIMIT_C2D_LOCK_MS, &m, &is_found));
    if (mid == NULL) {
        assert_false(is_found);
        return NULL;
    }
    assert_true(is_found);
    assert_text(mid, m.message_id);
    (void)snprintf(token, sizeof(token), "%.*s", SPAN_FMT(m.lock_token));
    return token;
}

static struct verdict settle(const char *token, enum hub_c2d_settlement how)
{
    struct verdict v;

    arena_reset(&arena);
    assert_ok(hub_c2d_settle(&env, bus, &D1, span_str(token), how, &v));
    return v;
}

static err count(struct store_tx *tx, void *arg)
{
    return hub_c2d_count(tx, &D1, &arena, arg);
}

static void assert_count(int64_t expected)
{
    int64_t n;

    assert_ok(store_read(store, count, &n));
    assert_int_equal(n, expected);
}

static void expire(void)
{
    bool again = true;

    while (again) {
        arena_reset(&arena);
        assert_ok(hub_c2d_expire(&env, bus, NULL, &again));
    }
}

/* All of the feedback, as "mid=Status …". */
static void assert_feedback(const char *expected)
{
    struct hub_feedback_batch batch;
    struct verdict v;
    uint8_t bytes[4096];
    struct buf text = buf_over(bytes, sizeof(bytes));

    arena_reset(&arena);
    assert_ok(hub_feedback_receive(&env, HUB, &batch));
    for (size_t i = 0; i < batch.n; i++) {
        buf_printf(&text, "%s%.*s=%s", i > 0 ? " " : "", SPAN_FMT(batch.records[i].message_id),
                   hub_feedback_word(batch.records[i].status));
    }
    assert_text(expected, buf_span(&text));
    if (batch.n > 0) {
        assert_ok(hub_feedback_settle(&env, HUB, batch.lock_token, false, &v));
        assert_reason(GRANTED, v);
    }
}

/* ---- sending ---- */

static void refuses_what_cannot_be_sent(void **state)
{
    static uint8_t big[LIMIT_C2D_MESSAGE + 1];
    static const struct hub_property ok = { SPAN_INIT("k"), SPAN_INIT("v") },
                                     spaced = { SPAN_INIT("a b"), SPAN_INIT("v") },
                                     nameless = { SPAN_INIT(""), SPAN_INIT("v") },
                                     system = { SPAN_INIT("$.mid"), SPAN_INIT("v") },
                                     ack = { SPAN_INIT("Iothub-Ack"), SPAN_INIT("v") },
                                     lined = { SPAN_INIT("k"), SPAN_INIT("a\r\nb") },
                                     ill = { SPAN_INIT("k"), SPAN_INIT("\xff") },
                                     large = { SPAN_INIT("k"), { big, LIMIT_C2D_PROPERTIES } };
    static const struct {
        struct c2d_message message;
        const struct hub_property *property;
        enum reason reason;
    } cases[] = {
        { { .client_id = SPAN_INIT("d1") }, &ok, REASON_GRANTED },
        { { .client_id = SPAN_INIT("d9") }, NULL, REASON_DEVICE_NOT_FOUND },
        { { .client_id = SPAN_INIT("d1/m") }, NULL, REASON_GRANTED },
        { { .client_id = SPAN_INIT("d1/x") }, NULL, REASON_MODULE_NOT_FOUND },
        { { .client_id = SPAN_INIT("d1") }, &spaced, REASON_FIELD_INVALID },
        { { .client_id = SPAN_INIT("d1") }, &nameless, REASON_FIELD_INVALID },
        { { .client_id = SPAN_INIT("d1") }, &system, REASON_FIELD_INVALID },
        { { .client_id = SPAN_INIT("d1") }, &ack, REASON_FIELD_INVALID },
        { { .client_id = SPAN_INIT("d1") }, &lined, REASON_FIELD_INVALID },
        { { .client_id = SPAN_INIT("d1") }, &ill, REASON_FIELD_INVALID },
        { { .client_id = SPAN_INIT("d1") }, &large, REASON_MESSAGE_TOO_LARGE },
        { { .client_id = SPAN_INIT("d1"), .message_id = SPAN_INIT("a\nb") },
          NULL,
          REASON_FIELD_INVALID },
        { { .client_id = SPAN_INIT("d1"), .body = { big, LIMIT_C2D_MESSAGE } },
          NULL,
          REASON_GRANTED },
        { { .client_id = SPAN_INIT("d1"), .body = { big, LIMIT_C2D_MESSAGE - 2 } },
          &ok,
          REASON_GRANTED },
        { { .client_id = SPAN_INIT("d1"), .body = { big, LIMIT_C2D_MESSAGE - 1 } },
          &ok,
          REASON_MESSAGE_TOO_LARGE },
        { { .client_id = SPAN_INIT("d1"), .is_expiry_given = 1, .expires_ms = NOW_MS },
          NULL,
          REASON_FIELD_INVALID },
        { { .client_id = SPAN_INIT("d1"), .is_expiry_given = 1, .expires_ms = NOW_MS + 1 },
          NULL,
          REASON_GRANTED },
        { { .client_id = SPAN_INIT("d1"),
            .is_expiry_given = 1,
            .expires_ms = NOW_MS + LIMIT_C2D_TTL_MS + 1 },
          NULL,
          REASON_FIELD_INVALID },
    };

    (void)state;
    memset(big, 'a', sizeof(big));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hub_c2d_order order = { .message = cases[i].message,
                                       .properties = cases[i].property,
                                       .n_properties = cases[i].property != NULL };
        struct verdict v;

        order.message.hub = HUB;
        v = send_order(&order);
        if (v.reason != cases[i].reason) {
            fail_msg("case %zu: %s", i, reason_info(v.reason)->token);
        }
        assert_true(v.reason == REASON_GRANTED || v.reason != REASON_FIELD_INVALID ||
                    v.detail.len > 0);
    }
}

static void keeps_properties_in_order(void **state)
{
    static const struct hub_property given[] = { { SPAN_INIT("b"), SPAN_INIT("1") },
                                                 { SPAN_INIT("a"), SPAN_INIT("\"2\\") },
                                                 { SPAN_INIT("b"), SPAN_INIT("") },
                                                 { SPAN_INIT("c"), SPAN_INIT("\xc3\xa4") } };
    struct hub_c2d_order order = order_for("d1", "1");
    struct hub_c2d_turn turn = { .owner = D1, .session_id = SPAN("s"), .room = 1 };
    struct hub_property got[HUB_PROPERTIES_MAX];
    struct hub_c2d_hand *hand;
    struct bus_member m;
    size_t n;

    (void)state;
    order.properties = given;
    order.n_properties = 4;
    assert_reason(GRANTED, send_order(&order));
    join(&m, "s");
    hand = turn_of(&turn);
    assert_int_equal(hand->n, 1);
    assert_text("hello", hand->messages[0].body);
    assert_ok(hub_c2d_properties(&hand->messages[0], &arena, got, &n));
    assert_int_equal(n, 3);
    assert_text("a", got[0].name);
    assert_text("\"2\\", got[0].value);
    assert_text("b", got[1].name);
    assert_text("", got[1].value);
    assert_text("\xc3\xa4", got[2].value);
    bus_leave(bus, &m);
}

static void holds_fifty_of_each(void **state)
{
    struct hub_c2d_order order = order_for("d1", "one too many");

    (void)state;
    for (int i = 0; i < LIMIT_C2D_QUEUE; i++) {
        send("m");
    }
    assert_reason(QUEUE_FULL, send_order(&order));
    assert_count(LIMIT_C2D_QUEUE);
    order.message.client_id = SPAN("d1/m");
    assert_reason(GRANTED, send_order(&order)); /* has a queue of its own */
    order.message.client_id = SPAN("d1");
    env.now_ms += TTL_MS; /* nobody swept: the sender finds room all the same */
    assert_reason(GRANTED, send_order(&order));
    assert_count(1);
}

static void a_later_device_of_the_name_gets_nothing(void **state)
{
    struct bus_member m;
    struct hub_c2d_turn turn = { .owner = { HUB, SPAN("d1"), SPAN("g9") },
                                 .session_id = SPAN("s"),
                                 .room = 4 };

    (void)state;
    send("old");
    put_identity(&KIND_DEVICE, "d1", "g9");
    join(&m, "s");
    assert_int_equal(turn_of(&turn)->n, 0);
    send("new");
    assert_int_equal(turn_of(&turn)->n, 1);
    assert_count(0); /* of g1 */
    bus_leave(bus, &m);
}

/* ---- over MQTT ---- */

static void delivers_in_order_and_once(void **state)
{
    struct bus_member m;

    (void)state;
    join(&m, "s1");
    send("1");
    assert_int_equal(told, BUS_C2D);
    send("2");
    send("3");
    assert_turn("s1", 2, "1(1) 2(1)");
    assert_turn("s1", 2, "3(1)");
    assert_turn("s1", 2, "");
    complete(2);
    complete(2); /* twice is once */
    assert_count(2);
    assert_feedback("2=Success");
    bus_leave(bus, &m);
}

static void redelivers_to_the_next_session(void **state)
{
    struct bus_member m, next;

    (void)state;
    send("1");
    send("2");
    assert_turn("s1", 9, ""); /* is no session */
    join(&m, "s1");
    assert_turn("s1", 9, "1(1) 2(1)");
    complete(1);
    join(&next, "s2"); /* takes over */
    assert_turn("s1", 9, "");
    assert_turn("s2", 9, "2(2)");
    bus_leave(bus, &m);
    bus_leave(bus, &next);
    for (int i = 3; i <= DELIVERIES; i++) {
        char session[16], expected[16];

        (void)snprintf(session, sizeof(session), "s%d", i);
        (void)snprintf(expected, sizeof(expected), "2(%d)", i);
        join(&m, session);
        assert_turn(session, 9, expected);
        bus_leave(bus, &m);
    }
    join(&m, "last");
    assert_turn("last", 9, "");
    assert_feedback("1=Success 2=DeliveryCountExceeded");
    assert_count(0);
    bus_leave(bus, &m);
}

static void qos_0_completes_by_delivering(void **state)
{
    struct hub_c2d_turn turn = {
        .owner = D1, .session_id = SPAN("s"), .room = 1, .is_final = true
    };
    struct bus_member m;

    (void)state;
    send("1");
    send("2");
    join(&m, "s");
    assert_int_equal(turn_of(&turn)->n, 1);
    assert_count(1);
    assert_true(turn_of(&turn)->n == 1);
    assert_feedback("1=Success 2=Success");
    bus_leave(bus, &m);
}

/* ---- over HTTPS ---- */

static void locks_and_settles(void **state)
{
    char first[64];

    (void)state;
    receive(NULL);
    send("1");
    send("2");
    (void)snprintf(first, sizeof(first), "%s", receive("1"));
    assert_reason(GRANTED, settle(receive("2"), HUB_C2D_REJECT));
    receive(NULL);
    assert_reason(GRANTED, settle(first, HUB_C2D_ABANDON));
    assert_reason(LOCK_LOST, settle(first, HUB_C2D_COMPLETE));
    (void)snprintf(first, sizeof(first), "%s", receive("1"));
    env.now_ms += LIMIT_C2D_LOCK_MS;
    assert_reason(LOCK_LOST, settle(first, HUB_C2D_COMPLETE));
    (void)snprintf(first, sizeof(first), "%s", receive("1"));
    assert_reason(GRANTED, settle(first, HUB_C2D_COMPLETE));
    assert_reason(LOCK_LOST, settle(first, HUB_C2D_COMPLETE));
    assert_reason(LOCK_LOST, settle("", HUB_C2D_COMPLETE));
    assert_reason(LOCK_LOST, settle("no token at all", HUB_C2D_COMPLETE));
    assert_feedback("2=Rejected 1=Success");
}

/* Time that was set back must not lengthen locks by as much. */
static void a_clock_that_goes_back(void **state)
{
    enum { HOUR_MS = 3600 * 1000 };
    struct hub_feedback_batch batch;
    char first[64];

    (void)state;
    send("1");
    send("2");
    (void)snprintf(first, sizeof(first), "%s", receive("1"));
    env.now_ms -= 1000;
    (void)receive("2"); /* a second does no harm */
    receive(NULL);
    env.now_ms -= HOUR_MS;
    assert_reason(GRANTED, settle(first, HUB_C2D_COMPLETE)); /* nobody else has got it yet */
    assert_reason(GRANTED, settle(receive("2"), HUB_C2D_COMPLETE));
    assert_ok(hub_feedback_receive(&env, HUB, &batch));
    assert_int_equal(batch.n, 2);
    env.now_ms -= HOUR_MS;
    assert_feedback("1=Success 2=Success");
}

static void abandons_so_often(void **state)
{
    (void)state;
    send_with("d1", "1", C2D_ACK_NEGATIVE);
    for (int i = 0; i < DELIVERIES; i++) {
        assert_reason(GRANTED, settle(receive("1"), HUB_C2D_ABANDON));
    }
    receive(NULL);
    assert_count(0);
    assert_feedback("1=DeliveryCountExceeded");
}

static void doors_keep_out_of_each_others_way(void **state)
{
    struct hub_c2d_turn turn = { .owner = D1, .session_id = SPAN("s"), .room = 9 };
    struct hub_c2d_hand *hand;
    struct bus_member m;

    (void)state;
    send("1");
    send("2");
    receive("1");
    join(&m, "s");
    hand = turn_of(&turn);
    assert_int_equal(hand->n, 1); /* 2 */
    assert_true(hand->look_again_ms == NOW_MS + LIMIT_C2D_LOCK_MS);
    env.now_ms += LIMIT_C2D_LOCK_MS;
    assert_turn("s", 9, "1(2)");
    env.now_ms += LIMIT_C2D_LOCK_MS;
    receive(NULL); /* both are the session's, however long */
    bus_leave(bus, &m);
    receive("1");
}

/* ---- the end ---- */

static void expires_with_feedback(void **state)
{
    struct hub_c2d_order order = order_for("d1", "short");
    struct bus_member m;

    (void)state;
    order.message.is_expiry_given = 1;
    order.message.expires_ms = NOW_MS + 5000;
    order.message.ack = C2D_ACK_NEGATIVE;
    assert_reason(GRANTED, send_order(&order));
    send_with("d1", "default", C2D_ACK_FULL);
    send_with("d1/m", "positive", C2D_ACK_POSITIVE);
    send_with("d2", "none", C2D_ACK_NONE);
    env.now_ms += 4999;
    expire();
    assert_count(2);
    receive("short");
    env.now_ms++;
    expire(); /* is locked */
    assert_count(2);
    env.now_ms += LIMIT_C2D_LOCK_MS;
    expire();
    assert_count(1);
    assert_feedback("short=Expired");
    env.now_ms = NOW_MS + TTL_MS;
    join(&m, "s");
    assert_turn("s", 9, ""); /* found dead where it is looked at */
    expire();
    assert_feedback("default=Expired");
    bus_leave(bus, &m);
}

static void purges(void **state)
{
    struct verdict v;
    size_t n;

    (void)state;
    send("1");
    send_with("d1", "2", C2D_ACK_POSITIVE);
    send_with("d2", "other", C2D_ACK_FULL);
    receive("1");
    assert_ok(hub_c2d_purge(&env, HUB, SPAN("d1"), &n, &v));
    assert_reason(GRANTED, v);
    assert_int_equal(n, 2);
    assert_feedback("1=Purged");
    assert_ok(hub_c2d_purge(&env, HUB, SPAN("d1"), &n, &v));
    assert_int_equal(n, 0);
    assert_ok(hub_c2d_purge(&env, HUB, SPAN("d9"), &n, &v));
    assert_reason(DEVICE_NOT_FOUND, v);
    assert_ok(hub_c2d_purge(&env, HUB, SPAN("d1/x"), &n, &v));
    assert_reason(MODULE_NOT_FOUND, v);
    send("3");
    receive("3"); /* and its sequence is a new one: a late PUBACK of 1 does not complete it */
    complete(1);
    assert_count(1);
}

static void feedback_comes_in_batches(void **state)
{
    struct hub_feedback_batch first, second, third;
    struct verdict v;

    (void)state;
    for (int i = 0; i < LIMIT_FEEDBACK_BATCH + 6; i++) {
        send_with("d1", "m", C2D_ACK_POSITIVE);
        assert_reason(GRANTED, settle(receive("m"), HUB_C2D_COMPLETE));
    }
    arena_reset(&arena);
    assert_ok(hub_feedback_receive(&env, HUB, &first));
    assert_int_equal(first.n, LIMIT_FEEDBACK_BATCH);
    assert_text("g1", first.records[0].generation_id);
    assert_ok(hub_feedback_receive(&env, HUB, &second));
    assert_int_equal(second.n, 6);
    assert_ok(hub_feedback_receive(&env, HUB, &third));
    assert_int_equal(third.n, 0);
    assert_ok(hub_feedback_settle(&env, HUB, second.lock_token, true, &v));
    assert_reason(GRANTED, v);
    assert_ok(hub_feedback_settle(&env, HUB, second.lock_token, false, &v));
    assert_reason(LOCK_LOST, v);
    assert_ok(hub_feedback_receive(&env, HUB, &second));
    assert_int_equal(second.n, 6);
    assert_int_equal(second.records[0].delivery_count, 2);
    env.now_ms += LOCK_MS;
    assert_ok(hub_feedback_settle(&env, HUB, first.lock_token, false, &v));
    assert_reason(LOCK_LOST, v);
    assert_ok(hub_feedback_receive(&env, SPAN("other.example"), &third));
    assert_int_equal(third.n, 0);
    env.now_ms = NOW_MS + TTL_MS;
    expire();
    assert_feedback("");
}

static void minds_the_settings_of_its_hub(void **state)
{
    const struct hub hub = {
        .host_name = HUB,
        .name = SPAN("hub"),
        .settings = SPAN("{\"properties\":{\"cloudToDevice\":{\"maxDeliveryCount\":2,"
                         "\"defaultTtlAsIso8601\":\"PT2M\",\"feedback\":{\"maxDeliveryCount\":1,"
                         "\"ttlAsIso8601\":\"PT3M\",\"lockDurationAsIso8601\":\"PT5S\"}}}}")
    };
    struct hub_feedback_batch batch;

    (void)state;
    kit_put(&KIND_HUB, &hub);
    send("1");
    assert_reason(GRANTED, settle(receive("1"), HUB_C2D_ABANDON));
    assert_reason(GRANTED, settle(receive("1"), HUB_C2D_ABANDON));
    receive(NULL);
    send("2");
    env.now_ms += 2 * 60 * 1000;
    expire();
    assert_count(0);
    arena_reset(&arena);
    assert_ok(hub_feedback_receive(&env, HUB, &batch));
    assert_int_equal(batch.n, 2);
    env.now_ms += 5 * 1000; /* its lock is over, and it was given out as often as may be */
    assert_feedback("");
    send("3");
    env.now_ms += 2 * 60 * 1000;
    expire();
    env.now_ms += 3 * 60 * 1000 - 1;
    expire();
    assert_feedback("3=Expired");
}

static err forget(struct store_tx *tx, void *arg)
{
    return hub_c2d_forget_hub(tx, HUB, 4, &arena, arg);
}

static void forgets_a_hub(void **state)
{
    size_t n = 4;
    size_t total = 0;

    (void)state;
    send("1");
    send("2");
    assert_reason(GRANTED, settle(receive("1"), HUB_C2D_COMPLETE));
    send_with("d2", "3", C2D_ACK_NONE);
    while (n == 4) {
        assert_ok(store_write(store, forget, &n));
        total += n;
    }
    assert_int_equal(total, 2 + 2 + 1); /* messages, queues, feedback */
    assert_feedback("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refuses_what_cannot_be_sent, setup, teardown),
        cmocka_unit_test_setup_teardown(keeps_properties_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(holds_fifty_of_each, setup, teardown),
        cmocka_unit_test_setup_teardown(a_later_device_of_the_name_gets_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(delivers_in_order_and_once, setup, teardown),
        cmocka_unit_test_setup_teardown(redelivers_to_the_next_session, setup, teardown),
        cmocka_unit_test_setup_teardown(qos_0_completes_by_delivering, setup, teardown),
        cmocka_unit_test_setup_teardown(locks_and_settles, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_goes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(abandons_so_often, setup, teardown),
        cmocka_unit_test_setup_teardown(doors_keep_out_of_each_others_way, setup, teardown),
        cmocka_unit_test_setup_teardown(expires_with_feedback, setup, teardown),
        cmocka_unit_test_setup_teardown(purges, setup, teardown),
        cmocka_unit_test_setup_teardown(feedback_comes_in_batches, setup, teardown),
        cmocka_unit_test_setup_teardown(minds_the_settings_of_its_hub, setup, teardown),
        cmocka_unit_test_setup_teardown(forgets_a_hub, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
