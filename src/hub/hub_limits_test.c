/* hub/hub_limits_test.c: settings as they are given and stored, and what they make of a hub's
 * operations: over the store in memory, with a clock that is an integer. */
#include "hub/kit_test.h"

#include "crypto/crypto.h"
#include "hub/bus.h"
#include "hub/hub.h"
#include "hub/limits.h"
#include "model/limits.h"

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define HOST        SPAN("hub.example")
#define DAY_MS      (24 * 3600 * 1000LL)
#define NOON        (20000 * DAY_MS + DAY_MS / 2)

static struct hub_limits *limits;

static int setup(void **state)
{
    const struct hub_order order = { .name = SPAN("h"),
                                     .host_name = HOST,
                                     .id_scope = SPAN("0ne00000001") };
    struct hub hub;
    struct verdict v;

    (void)state;
    kit_open();
    assert_ok(hub_limits_new(&limits));
    env = (struct env){
        .store = store, .limits = limits, .arena = &arena, .now_ms = NOON, .random = crypto_random
    };
    assert_ok(hub_create(&env, &order, &hub, &v));
    assert_reason(GRANTED, v);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hub_limits_free(limits);
    kit_close();
    return 0;
}

/* The detail is in the arena. */
static struct verdict patch(const char *text)
{
    AUTO(json) json *document = NULL;
    struct hub_settings_patch what = { .id_scope = SPAN("0ne00000001"), .name = SPAN("h") };
    struct hub hub;
    struct verdict v;

    arena_reset(&arena);
    assert_ok(json_parse(span_str(text), LIMIT_JSON_DEPTH, &document));
    what.patch = document;
    assert_ok(hub_settings_change(&env, &what, &hub, &v));
    return v;
}

static struct hub_settings settings(void)
{
    struct hub_settings s;

    assert_ok(hub_settings_get(&env, HOST, &s));
    return s;
}

/* As written, without the braces. */
static void assert_shown(const char *expected)
{
    struct hub_settings s = settings();
    char text[4096];
    struct buf out = buf_over(text, sizeof text);
    struct json_writer w = json_writer_over(&out);

    json_write_begin_object(&w, NULL);
    hub_settings_write(&s, &w);
    json_write_end_object(&w);
    assert_ok(buf_ok(&out));
    if (!span_eq(buf_span(&out), span_str(expected))) {
        fail_msg("%.*s\nis not\n%s", SPAN_FMT(buf_span(&out)), expected);
    }
}

#define C2D                                                                                        \
    "\"cloudToDevice\":{\"maxDeliveryCount\":10,\"defaultTtlAsIso8601\":\"PT1H\",\"feedback\":{"   \
    "\"maxDeliveryCount\":10,\"ttlAsIso8601\":\"PT1H\",\"lockDurationAsIso8601\":\"PT1M\"}}"
#define PROPERTIES "\"properties\":{\"disableDeviceSAS\":false,\"disableModuleSAS\":false," C2D "}"

static void test_defaults(void **state)
{
    (void)state;
    assert_shown("{" PROPERTIES ",\"limits\":{},\"deviceLimits\":{}}");
    assert_int_equal(settings().c2d_ttl_ms, 3600 * 1000);
    assert_int_equal(settings().feedback_lock_ms, 60 * 1000);
    assert_int_equal(settings().quota.messages, 0);
}

static void test_merged(void **state)
{
    (void)state;
    assert_reason(GRANTED, patch("{\"properties\":{\"disableDeviceSAS\":true,\"cloudToDevice\":{"
                                 "\"defaultTtlAsIso8601\":\"P1DT30M\",\"feedback\":{"
                                 "\"lockDurationAsIso8601\":\"PT5S\"}}}}"));
    assert_reason(GRANTED, patch("{\"deviceLimits\":{\"d2cSends\":{\"rate\":10}},"
                                 "\"limits\":{\"queries\":{\"rate\":7,\"per\":\"hour\","
                                 "\"burst\":3},\"dailyMessages\":50}}"));
    assert_reason(GRANTED, patch("{\"properties\":{\"disableDeviceSAS\":null,\"cloudToDevice\":{"
                                 "\"maxDeliveryCount\":3}},"
                                 "\"limits\":{\"queries\":{\"burst\":null}}}"));
    assert_shown(
        "{\"properties\":{\"disableDeviceSAS\":false,\"disableModuleSAS\":false,"
        "\"cloudToDevice\":{\"maxDeliveryCount\":3,\"defaultTtlAsIso8601\":\"P1DT30M\","
        "\"feedback\":{\"maxDeliveryCount\":10,\"ttlAsIso8601\":\"PT1H\","
        "\"lockDurationAsIso8601\":\"PT5S\"}}},"
        "\"limits\":{\"queries\":{\"rate\":7,\"per\":\"hour\",\"burst\":7},\"dailyMessages\":50},"
        "\"deviceLimits\":{\"d2cSends\":{\"rate\":10,\"per\":\"second\",\"burst\":10}}}");
    assert_reason(
        GRANTED, patch("{\"properties\":null,\"limits\":null,\"deviceLimits\":null,\"sku\":null}"));
    assert_shown("{" PROPERTIES ",\"limits\":{},\"deviceLimits\":{}}");
}

static void test_a_size_and_what_differs(void **state)
{
    struct hub_settings s;

    (void)state;
    assert_reason(GRANTED, patch("{\"sku\":{\"name\":\"s1\",\"capacity\":2,\"tier\":\"Standard\"},"
                                 "\"limits\":{\"queries\":\"unlimited\","
                                 "\"d2cSends\":{\"rate\":5}}}"));
    s = settings();
    assert_int_equal(s.tier, THROTTLE_TIER_S1);
    assert_int_equal(s.units, 2);
    assert_int_equal(s.limits[THROTTLE_REGISTRY].count, 200);
    assert_int_equal(s.limits[THROTTLE_REGISTRY].per_ms, 60000);
    assert_int_equal(s.limits[THROTTLE_QUERIES].count, 0);
    assert_int_equal(s.limits[THROTTLE_D2C_SENDS].count, 5);
    assert_int_equal(s.quota.messages, 800000);
    assert_reason(GRANTED, patch("{\"sku\":{\"capacity\":1},\"limits\":{\"queries\":null,"
                                 "\"dailyMessages\":\"unlimited\"}}"));
    s = settings();
    assert_int_equal(s.limits[THROTTLE_QUERIES].count, 20);
    assert_int_equal(s.limits[THROTTLE_D2C_SENDS].count, 5);
    assert_int_equal(s.quota.messages, 0);
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *detail;
    } cases[] = {
        { "{\"colour\":1}", "colour is not a setting of a hub." },
        { "{\"properties\":{\"colour\":1}}", "properties.colour is not a setting of a hub." },
        { "{\"properties\":[]}", "properties is not an object." },
        { "{\"properties\":{\"cloudToDevice\":{\"feedback\":{\"x\":1}}}}",
          "properties.cloudToDevice.feedback.x is not a setting of a hub." },
        { "{\"properties\":{\"disableDeviceSAS\":1}}",
          "properties.disableDeviceSAS is neither true nor false." },
        { "{\"properties\":{\"cloudToDevice\":{\"maxDeliveryCount\":101}}}",
          "properties.cloudToDevice.maxDeliveryCount is not a whole number from 1 to 100." },
        { "{\"properties\":{\"cloudToDevice\":{\"maxDeliveryCount\":1.5}}}",
          "properties.cloudToDevice.maxDeliveryCount is not a whole number from 1 to 100." },
        { "{\"properties\":{\"cloudToDevice\":{\"defaultTtlAsIso8601\":\"1h\"}}}",
          "properties.cloudToDevice.defaultTtlAsIso8601 is not an ISO 8601 duration from PT1M to "
          "P2D." },
        { "{\"properties\":{\"cloudToDevice\":{\"defaultTtlAsIso8601\":\"P2DT1S\"}}}",
          "properties.cloudToDevice.defaultTtlAsIso8601 is not an ISO 8601 duration from PT1M to "
          "P2D." },
        { "{\"properties\":{\"cloudToDevice\":{\"defaultTtlAsIso8601\":\"PT\"}}}",
          "properties.cloudToDevice.defaultTtlAsIso8601 is not an ISO 8601 duration from PT1M to "
          "P2D." },
        { "{\"sku\":{\"name\":\"S9\"}}", "sku.name is none of F1, B1, B2, B3, S1, S2, S3." },
        { "{\"sku\":{\"capacity\":2}}", "sku.name is missing." },
        { "{\"sku\":{\"name\":\"F1\",\"capacity\":2}}", "sku.capacity of F1 is 1." },
        { "{\"sku\":{\"name\":\"S1\",\"capacity\":0}}",
          "sku.capacity is not a whole number from 1 to 200." },
        { "{\"limits\":{\"sends\":{\"rate\":1}}}",
          "limits.sends is not an operation that has a limit." },
        { "{\"deviceLimits\":{\"queries\":{\"rate\":1}}}",
          "deviceLimits.queries is not an operation that has a limit." },
        { "{\"limits\":{\"queries\":5}}",
          "limits.queries is neither \"unlimited\" nor an object with rate, per and burst." },
        { "{\"limits\":{\"queries\":{\"per\":\"hour\"}}}", "limits.queries.rate is missing." },
        { "{\"limits\":{\"queries\":{\"rate\":0}}}",
          "limits.queries.rate is not a whole number from 1 to 1000000000." },
        { "{\"limits\":{\"queries\":{\"rate\":1,\"per\":\"day\"}}}",
          "limits.queries.per is none of second, minute, hour." },
        { "{\"limits\":{\"queries\":{\"rate\":1,\"size\":2}}}",
          "limits.queries.size is not a setting of a hub: rate, per and burst are." },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct verdict v = patch(cases[i].text);

        assert_reason(FIELD_INVALID, v);
        if (!span_eq(v.detail, span_str(cases[i].detail))) {
            fail_msg("%.*s\nis not\n%s", SPAN_FMT(v.detail), cases[i].detail);
        }
    }
    assert_shown("{" PROPERTIES ",\"limits\":{},\"deviceLimits\":{}}");
}

static void test_not_ones_own(void **state)
{
    AUTO(json) json *document = NULL;
    struct hub_settings_patch what = { .id_scope = SPAN("0ne00000002"), .name = SPAN("h") };
    struct hub hub;
    struct verdict v;

    (void)state;
    assert_ok(json_parse(SPAN("{}"), LIMIT_JSON_DEPTH, &document));
    what.patch = document;
    assert_ok(hub_settings_change(&env, &what, &hub, &v));
    assert_reason(RESOURCE_NOT_FOUND, v);
    assert_ok(hub_settings_find(&env, SPAN("0ne00000001"), SPAN("H"), &hub, &v));
    assert_reason(RESOURCE_NOT_FOUND, v);
}

/* A row that somebody else changed is taken up when it is read; one read earlier changes nothing.
 */
static void test_taken_up_from_rows(void **state)
{
    struct hub_limits *others, *ours = limits;
    struct hub_settings s;
    struct hub old, now;
    bool is_found;

    (void)state;
    old = (struct hub){ .host_name = HOST };
    assert_ok(hub_settings_of(&env, &old, &s));
    assert_ok(hub_limits_new(&others));
    env.limits = others;
    assert_reason(GRANTED, patch("{\"properties\":{\"disableModuleSAS\":true}}"));
    env.limits = ours;
    assert_false(settings().is_module_sas_disabled); /* nobody told us */
    assert_ok(hub_find(&env, HOST, &now, &is_found));
    assert_ok(hub_settings_of(&env, &now, &s));
    assert_true(s.is_module_sas_disabled);
    assert_ok(hub_settings_of(&env, &old, &s));
    assert_true(s.is_module_sas_disabled);
    assert_true(settings().is_module_sas_disabled);
    env.limits = NULL;
    assert_true(settings().is_module_sas_disabled);
    env.limits = ours;
    hub_limits_free(others);
}

/* ---- taking ---- */

static struct verdict use_for(enum throttle_operation op, const char *client, size_t bytes,
                              int *ret_wait_s)
{
    const struct hub_use use = { .operation = op, .client_id = span_str(client), .bytes = bytes };
    struct verdict v;

    assert_ok(hub_limits_allow(&env, HOST, &use, ret_wait_s, &v));
    return v;
}

static void test_allowed_until_it_is_not(void **state)
{
    struct verdict v;
    int wait_s;

    (void)state;
    assert_reason(GRANTED, patch("{\"limits\":{\"registry\":{\"rate\":6,\"per\":\"minute\","
                                 "\"burst\":2}}}"));
    assert_reason(GRANTED, use_for(THROTTLE_REGISTRY, NULL, 0, &wait_s));
    assert_reason(GRANTED, use_for(THROTTLE_REGISTRY, NULL, 0, &wait_s));
    v = use_for(THROTTLE_REGISTRY, NULL, 0, &wait_s);
    assert_reason(HUB_THROTTLED, v);
    assert_int_equal(wait_s, 10);
    assert_true(span_eq(v.detail, SPAN("Wait 10 seconds and try again. Operation type: "
                                       "RegistryOperation")));
    assert_reason(GRANTED, use_for(THROTTLE_QUERIES, NULL, 0, &wait_s));
    assert_reason(GRANTED, use_for(THROTTLE_NOTHING, NULL, 0, &wait_s));
    env.now_ms += 10 * 1000;
    assert_reason(GRANTED, use_for(THROTTLE_REGISTRY, NULL, 0, &wait_s));
    assert_reason(GRANTED, patch("{\"limits\":null}"));
    assert_reason(GRANTED, use_for(THROTTLE_REGISTRY, NULL, 0, &wait_s));
}

/* One device's limit is no other's; what the hub refuses costs the device nothing. */
static void test_devices(void **state)
{
    int wait_s;

    (void)state;
    assert_reason(GRANTED, patch("{\"deviceLimits\":{\"twinReads\":{\"rate\":1}},"
                                 "\"limits\":{\"twinReads\":{\"rate\":2}}}"));
    assert_reason(GRANTED, use_for(THROTTLE_TWIN_READS, "a", 0, &wait_s));
    assert_reason(HUB_THROTTLED, use_for(THROTTLE_TWIN_READS, "a", 0, &wait_s));
    assert_reason(GRANTED, use_for(THROTTLE_TWIN_READS, "a/m", 0, &wait_s));
    assert_reason(HUB_THROTTLED, use_for(THROTTLE_TWIN_READS, "b", 0, &wait_s)); /* the hub's */
    env.now_ms += 500;
    assert_reason(HUB_THROTTLED, use_for(THROTTLE_TWIN_READS, "a", 0, &wait_s));
    assert_reason(GRANTED, use_for(THROTTLE_TWIN_READS, "b", 0, &wait_s));
}

/* However many there are, the table is bounded, and who is at its limit stays there. */
static void test_many_devices(void **state)
{
    char name[32];
    int wait_s, refused = 0;

    (void)state;
    assert_reason(GRANTED, patch("{\"deviceLimits\":{\"connects\":{\"rate\":1}}}"));
    for (int i = 0; i < 3 * LIMIT_THROTTLED_DEVICES; i++) {
        (void)snprintf(name, sizeof name, "device-%d", i);
        arena_reset(&arena);
        assert_reason(GRANTED, use_for(THROTTLE_CONNECTS, name, 0, &wait_s));
        env.now_ms += i % 64 == 0; /* a bucket fills while 64,000 others come */
    }
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "device-%d", 3 * LIMIT_THROTTLED_DEVICES - 1 - i);
        arena_reset(&arena);
        refused += use_for(THROTTLE_CONNECTS, name, 0, &wait_s).reason == REASON_HUB_THROTTLED;
    }
    assert_true(refused > 950);
}

static void test_methods_by_bytes(void **state)
{
    int wait_s;

    (void)state;
    assert_reason(GRANTED, patch("{\"limits\":{\"methods\":{\"rate\":4}}}"));
    assert_reason(GRANTED, use_for(THROTTLE_METHODS, "d", 8191, &wait_s));
    assert_reason(HUB_THROTTLED, use_for(THROTTLE_METHODS, "d", 8192, &wait_s));
    assert_reason(GRANTED, use_for(THROTTLE_METHODS, "d", 8191, &wait_s));
    assert_reason(HUB_THROTTLED, use_for(THROTTLE_METHODS, "d", 0, &wait_s));
}

/* ---- quotas ---- */

static void test_a_quota_begins_anew_each_day(void **state)
{
    int wait_s;

    (void)state;
    assert_reason(GRANTED, patch("{\"limits\":{\"dailyMessages\":5}}"));
    assert_reason(GRANTED, use_for(THROTTLE_D2C_SENDS, "d", 0, &wait_s));
    assert_reason(GRANTED, use_for(THROTTLE_D2C_SENDS, "d", 4096, &wait_s));
    assert_reason(GRANTED, use_for(THROTTLE_TWIN_READS, "d", 0, &wait_s));
    assert_int_equal(hub_limits_used_today(limits, HOST, env.now_ms), 3);
    assert_reason(GRANTED, use_for(THROTTLE_C2D_SENDS, "d", 4097, &wait_s));
    assert_reason(MESSAGE_QUOTA_EXCEEDED, use_for(THROTTLE_D2C_SENDS, "d", 0, &wait_s));
    assert_reason(GRANTED, use_for(THROTTLE_REGISTRY, NULL, 0, &wait_s)); /* no message */
    env.now_ms = 20001 * DAY_MS - 1;
    assert_reason(MESSAGE_QUOTA_EXCEEDED, use_for(THROTTLE_D2C_SENDS, "d", 0, &wait_s));
    env.now_ms++;
    assert_reason(GRANTED, use_for(THROTTLE_D2C_SENDS, "d", 0, &wait_s));
    assert_int_equal(hub_limits_used_today(limits, HOST, env.now_ms), 1);
}

static void test_a_quota_outlives_a_restart(void **state)
{
    bool again;
    int wait_s;

    (void)state;
    assert_reason(GRANTED, patch("{\"limits\":{\"dailyMessages\":2}}"));
    assert_reason(GRANTED, use_for(THROTTLE_D2C_SENDS, "d", 0, &wait_s));
    assert_reason(GRANTED, use_for(THROTTLE_D2C_SENDS, "d", 0, &wait_s));
    arena_reset(&arena);
    assert_ok(hub_limits_flush(&env, NULL, NULL, &again));
    assert_false(again);
    hub_limits_free(limits);
    assert_ok(hub_limits_new(&limits));
    env.limits = limits;
    (void)settings();
    assert_int_equal(hub_limits_used_today(limits, HOST, env.now_ms), 2);
    assert_reason(MESSAGE_QUOTA_EXCEEDED, use_for(THROTTLE_D2C_SENDS, "d", 0, &wait_s));
}

static err find_usage(struct store_tx *tx, void *arg)
{
    struct hub_usage row = { .hub = HOST };

    return store_find(tx, &KIND_HUB_USAGE, &row, &arena, &row, arg);
}

/* A hub that took a deleted one's name has neither its settings nor what it had used. */
static void test_a_new_hub_of_the_name(void **state)
{
    const struct hub_order order = { .name = SPAN("h"),
                                     .host_name = HOST,
                                     .id_scope = SPAN("0ne00000001") };
    const struct hub_removal removal = {
        .id_scope = order.id_scope, .name = order.name, .is_forced = true, .most = 1000
    };
    struct hub hub;
    struct verdict v;
    bool again, is_done, has_usage = true;
    int wait_s;

    (void)state;
    assert_reason(GRANTED, patch("{\"properties\":{\"disableDeviceSAS\":true},"
                                 "\"limits\":{\"dailyMessages\":2}}"));
    assert_reason(GRANTED, use_for(THROTTLE_D2C_SENDS, "d", 0, &wait_s));
    assert_reason(GRANTED, use_for(THROTTLE_D2C_SENDS, "d", 0, &wait_s));
    assert_ok(hub_remove(&env, bus, &removal, &is_done, &v));
    assert_reason(GRANTED, v);
    assert_true(is_done);
    assert_ok(hub_limits_flush(&env, NULL, NULL, &again));
    assert_ok(store_read(store, find_usage, &has_usage));
    assert_false(has_usage);
    env.now_ms++;
    assert_ok(hub_create(&env, &order, &hub, &v));
    assert_reason(GRANTED, v);
    assert_false(settings().is_device_sas_disabled);
    assert_reason(GRANTED, patch("{\"limits\":{\"dailyMessages\":2}}"));
    assert_int_equal(hub_limits_used_today(limits, HOST, env.now_ms), 0);
    assert_reason(GRANTED, use_for(THROTTLE_D2C_SENDS, "d", 0, &wait_s));
    assert_ok(hub_limits_flush(&env, NULL, NULL, &again));
    assert_ok(store_read(store, find_usage, &has_usage));
    assert_true(has_usage);
}

/* ---- a session's turn ---- */

static const struct hub_use send = { .operation = THROTTLE_D2C_SENDS,
                                     .client_id = SPAN_INIT("d"),
                                     .bytes = 10 };

static enum hub_turn_state turn(struct hub_limits_hub *h, int64_t at_ms, struct hub_turn *t)
{
    enum reason reason = REASON_GRANTED;
    enum hub_turn_state state = hub_limits_turn(h, &send, NOON + at_ms, t, &reason);

    assert_int_equal(state == HUB_TURN_NEVER, reason != REASON_GRANTED);
    return state;
}

static void test_turns(void **state)
{
    struct hub_turn a = { 0 }, b = { 0 };
    struct hub_limits_hub *h;

    (void)state;
    assert_int_equal(turn(NULL, 0, &a), HUB_TURN_NOW);
    assert_reason(GRANTED, patch("{\"limits\":{\"d2cSends\":{\"rate\":10,\"burst\":1}}}"));
    h = hub_limits_hold(limits, HOST);
    assert_non_null(h);
    assert_int_equal(turn(h, 0, &a), HUB_TURN_NOW);
    assert_int_equal(turn(h, 0, &a), HUB_TURN_LATER);
    assert_int_equal(a.until_ms, NOON + 100);
    assert_int_equal(turn(h, 0, &b), HUB_TURN_LATER);
    assert_int_equal(b.until_ms, NOON + 200);
    assert_int_equal(turn(h, 99, &a), HUB_TURN_LATER);
    assert_int_equal(turn(h, 100, &a), HUB_TURN_NOW);
    assert_int_equal(turn(h, 100, &a), HUB_TURN_LATER); /* behind b */
    assert_int_equal(a.until_ms, NOON + 300);
    assert_int_equal(turn(h, -7200000, &a), HUB_TURN_NOW); /* the clock went back */
    hub_limits_release(h);
}

static void test_a_turn_that_never_comes(void **state)
{
    struct hub_turn t = { 0 };
    struct hub_limits_hub *h;
    int looks = 0;

    (void)state;
    assert_reason(GRANTED,
                  patch("{\"deviceLimits\":{\"d2cSends\":{\"rate\":1,\"per\":\"hour\"}}}"));
    h = hub_limits_hold(limits, HOST);
    assert_int_equal(turn(h, 0, &t), HUB_TURN_NOW);
    assert_int_equal(turn(h, 0, &t), HUB_TURN_LATER);
    while (turn(h, t.until_ms - NOON, &t) == HUB_TURN_LATER) {
        looks++;
    }
    assert_int_equal(looks, LIMIT_SHAPED_MS / LIMIT_SHAPED_LOOK_MS - 1);
    t = (struct hub_turn){ 0 };
    assert_int_equal(turn(h, 100, &t), HUB_TURN_LATER);
    assert_reason(GRANTED, patch("{\"deviceLimits\":null}")); /* counts from its next look on */
    assert_int_equal(turn(h, 100 + LIMIT_SHAPED_LOOK_MS, &t), HUB_TURN_NOW);
    hub_limits_release(h);
}

struct counted {
    uint64_t refused, delayed;
    int n;
};

static void add_up(void *arg, const struct hub_limits_count *c)
{
    struct counted *sum = arg;

    assert_true(span_eq(c->host, HOST));
    sum->refused += c->refused;
    sum->delayed += c->delayed;
    sum->n++;
}

static void test_counted(void **state)
{
    struct hub_turn t = { 0 };
    struct counted sum = { 0 };
    struct hub_limits_hub *h;
    int wait_s;

    (void)state;
    hub_limits_each(limits, add_up, &sum);
    assert_int_equal(sum.n, 0);
    assert_reason(GRANTED, patch("{\"limits\":{\"d2cSends\":{\"rate\":1}}}"));
    h = hub_limits_hold(limits, HOST);
    assert_int_equal(turn(h, 0, &t), HUB_TURN_NOW);
    assert_int_equal(turn(h, 0, &t), HUB_TURN_LATER);
    assert_int_equal(turn(h, 10, &t), HUB_TURN_LATER);
    assert_reason(HUB_THROTTLED, use_for(THROTTLE_D2C_SENDS, "d", 0, &wait_s));
    hub_limits_release(h);
    hub_limits_each(limits, add_up, &sum);
    assert_int_equal(sum.n, 1);
    assert_int_equal(sum.refused, 1);
    assert_int_equal(sum.delayed, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_merged),
        TEST(test_a_size_and_what_differs),
        TEST(test_refused),
        TEST(test_not_ones_own),
        TEST(test_taken_up_from_rows),
        TEST(test_allowed_until_it_is_not),
        TEST(test_devices),
        TEST(test_many_devices),
        TEST(test_methods_by_bytes),
        TEST(test_a_quota_begins_anew_each_day),
        TEST(test_a_quota_outlives_a_restart),
        TEST(test_a_new_hub_of_the_name),
        TEST(test_turns),
        TEST(test_a_turn_that_never_comes),
        TEST(test_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
