/* api/topic_test.c: user names and topics, well-formed and every way not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "api/topic.h"

static void assert_span(struct span s, const char *expected)
{
    if (expected == NULL) {
        assert_true(span_is_absent(s));
        return;
    }
    assert_int_equal(s.len, strlen(expected));
    assert_memory_equal(s.data ? s.data : (const uint8_t *)"", expected, s.len);
}

/* ---- user names ---- */

struct dps_user_case {
    const char *username;
    const char *scope, *id, *api_version; /* scope NULL: malformed */
};

static const struct dps_user_case dps_user_cases[] = {
    /* What SDKs send (reference dps-device-api.md 3.1). */
    { "0ne00111111/registrations/dev1/api-version=2019-03-31", "0ne00111111", "dev1",
      "2019-03-31" },
    { "0ne00111111/registrations/dev1/api-version=2021-06-01&ClientVersion=1.15.0", "0ne00111111",
      "dev1", "2021-06-01" },
    { "0ne1/registrations/a:b.c_d-e/api-version=2026-11-02-preview", "0ne1", "a:b.c_d-e",
      "2026-11-02-preview" },
    { "0ne1/registrations/d/"
      "api-version=2019-03-31&ClientVersion=azure-iot-device-provisioning-py%2F2.14.0%28x%29",
      "0ne1", "d", "2019-03-31" },
    { "0ne1/registrations/d/ClientVersion=1&api-version=2018-11-01", "0ne1", "d", "2018-11-01" },
    { "0ne1/Registrations/d/api-version=2018-11-01", "0ne1", "d", "2018-11-01" },
    /* Who is wrong is no matter of form. */
    { "no such scope/registrations/!/api-version=2019-03-31", "no such scope", "!", "2019-03-31" },
    { "", NULL, NULL, NULL },
    { "/", NULL, NULL, NULL },
    { "0ne1", NULL, NULL, NULL },
    { "0ne1/registrations", NULL, NULL, NULL },
    { "0ne1/registrations/", NULL, NULL, NULL },
    { "0ne1/registrations/d", NULL, NULL, NULL },
    { "0ne1/registrations/d/", NULL, NULL, NULL },
    { "0ne1/registrations//api-version=2019-03-31", NULL, NULL, NULL },
    { "/registrations/d/api-version=2019-03-31", NULL, NULL, NULL },
    { "0ne1/registration/d/api-version=2019-03-31", NULL, NULL, NULL },
    { "0ne1/registrations/d/api-version=", NULL, NULL, NULL },
    { "0ne1/registrations/d/api-version", NULL, NULL, NULL },
    { "0ne1/registrations/d/api-version=latest", NULL, NULL, NULL },
    { "0ne1/registrations/d/api-version=2019-3-31", NULL, NULL, NULL },
    { "0ne1/registrations/d/ClientVersion=1.15.0", NULL, NULL, NULL },
    { "0ne1/registrations/d/Api-Version=2019-03-31", NULL, NULL, NULL },
    { "0ne1/registrations/d/x/api-version=2019-03-31", NULL, NULL, NULL },
};

static void dps_users(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(dps_user_cases) / sizeof(dps_user_cases[0]); i++) {
        const struct dps_user_case *t = &dps_user_cases[i];
        struct topic_dps_user user;
        err e = topic_parse_dps_user(span_str(t->username), &user);

        assert_int_equal(e.code, t->scope == NULL ? ERR_MALFORMED : ERR_NONE);
        if (t->scope != NULL) {
            assert_true(topic_is_dps_user(span_str(t->username)));
            assert_span(user.id_scope, t->scope);
            assert_span(user.registration_id, t->id);
            assert_span(user.api_version, t->api_version);
        }
    }
}

struct hub_user_case {
    const char *username;
    const char *hub, *device, *module, *api_version; /* hub NULL: malformed */
};

static const struct hub_user_case hub_user_cases[] = {
    { "h.example/d/?api-version=2021-04-12&DeviceClientType=x%2F1", "h.example", "d", NULL,
      "2021-04-12" },
    { "h/d/?api-version=2020-09-30&model-id=dtmi%3Aa%3Bb%3B1&DeviceClientType=c", "h", "d", NULL,
      "2020-09-30" },
    { "h/d/?DeviceClientType=c&api-version=a&api-version=b", "h", "d", NULL, "a" },
    { "h/d/api-version=2016-11-14&DeviceClientType=x", "h", "d", NULL, "2016-11-14" },
    { "h/d/DeviceClientType=x/1.0&api-version=2016-11-14", "h", "d", NULL, "2016-11-14" },
    { "h/d/?unknown=1", "h", "d", NULL, NULL },
    { "h/d/?", "h", "d", NULL, NULL },
    { "h/d/", "h", "d", NULL, NULL },
    { "h/d", "h", "d", NULL, NULL },
    { "h/d/m/?api-version=2020-09-30", "h", "d", "m", "2020-09-30" },
    { "h/d/m/api-version=2020-09-30", "h", "d", "m", "2020-09-30" },
    { "h/d/m", "h", "d", "m", NULL },
    { "h/registrations/?api-version=2020-09-30", "h", "registrations", NULL, "2020-09-30" },
    { "h/registrations/api-version=2016-11-14", "h", "registrations", NULL, "2016-11-14" },
    { "h/registrations/m/?api-version=2020-09-30", "h", "registrations", "m", "2020-09-30" },
    { "h/registrations", "h", "registrations", NULL, NULL },
    { "h/registrations/", "h", "registrations", NULL, NULL },
    { "", NULL, NULL, NULL, NULL },
    { "h", NULL, NULL, NULL, NULL },
    { "h/", NULL, NULL, NULL, NULL },
    { "/d/?api-version=2020-09-30", NULL, NULL, NULL, NULL },
    { "h//?api-version=2020-09-30", NULL, NULL, NULL, NULL },
    { "h/d//?api-version=2020-09-30", NULL, NULL, NULL, NULL },
    { "h/d/m/x", NULL, NULL, NULL, NULL },
    { "h/d/m/x/?api-version=2020-09-30", NULL, NULL, NULL, NULL },
};

static void hub_users(void **state)
{
    const struct span hub_user_model = SPAN("h/d/?x=1&model-id=dtmi%3Aa%3B1&model-id=b");
    struct topic_hub_user model;

    (void)state;
    for (size_t i = 0; i < sizeof(hub_user_cases) / sizeof(hub_user_cases[0]); i++) {
        const struct hub_user_case *t = &hub_user_cases[i];
        struct topic_hub_user user;
        err e = topic_parse_hub_user(span_str(t->username), &user);

        assert_false(topic_is_dps_user(span_str(t->username)));
        assert_int_equal(e.code, t->hub == NULL ? ERR_MALFORMED : ERR_NONE);
        if (t->hub != NULL) {
            assert_span(user.hub, t->hub);
            assert_span(user.device_id, t->device);
            assert_span(user.module_id, t->module);
            assert_span(user.api_version, t->api_version);
        }
    }
    assert_true(err_is_ok(topic_parse_hub_user(hub_user_model, &model)));
    assert_span(model.model_id, "dtmi%3Aa%3B1");
    assert_false(topic_is_dps_user(SPAN_NONE));
    assert_true(topic_is_dps_user(SPAN("0ne1/registrations/d"))); /* whose form is then refused */
    assert_true(topic_is_dps_user(SPAN("0ne1/registrations//api-version=2019-03-31")));
}

static void api_versions(void **state)
{
    static const char *const good[] = { "2017-11-15", "2018-09-01-preview", "2026-11-02-preview",
                                        "2025-07-01-preview2", "9999-99-99" };
    static const char *const bad[] = { "",
                                       "2019",
                                       "2019-03-3",
                                       "2019-03-31-",
                                       "2019-03-311",
                                       "2019-03-31 preview",
                                       "2019-03-31-a b",
                                       "2019-03-31-preview-that-is-too-long",
                                       "2019/03/31",
                                       "v2019-03-31",
                                       "2019-03-31-\xc3\xa9" };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(topic_is_api_version(span_str(good[i])));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(topic_is_api_version(span_str(bad[i])));
    }
    assert_false(topic_is_api_version(SPAN_NONE));
}

/* ---- provisioning topics ---- */

struct request_case {
    const char *topic;
    int operation;
    const char *rid, *operation_id; /* rid NULL: malformed */
};

static const struct request_case request_cases[] = {
    { "$dps/registrations/PUT/iotdps-register/?$rid=1", TOPIC_DPS_REGISTER, "1", NULL },
    { "$dps/registrations/PUT/iotdps-register/?$rid=9e107d9d-372b-4bf2-a1fe-000000000000",
      TOPIC_DPS_REGISTER, "9e107d9d-372b-4bf2-a1fe-000000000000", NULL },
    { "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=4.d0a6.x-y",
      TOPIC_DPS_POLL, "2", "4.d0a6.x-y" },
    { "$dps/registrations/GET/iotdps-get-operationstatus/?operationId=a&$rid=2", TOPIC_DPS_POLL,
      "2", "a" },
    { "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2", TOPIC_DPS_POLL, "2", NULL },
    { "$dps/registrations/PUT/iotdps-register/?$rid=%20a=b/c", TOPIC_DPS_REGISTER, "%20a=b/c",
      NULL },
    /* Of a service beyond this one: answered, not cut off (reference 7.3). */
    { "$dps/registrations/POST/requestSoftwareUpdates/?$rid=su1", TOPIC_DPS_UNKNOWN, "su1", NULL },
    { "$dps/registrations/GET/iotdps-register/?$rid=1", TOPIC_DPS_UNKNOWN, "1", NULL },
    { "$dps/registrations/put/iotdps-register/?$rid=1", TOPIC_DPS_UNKNOWN, "1", NULL },
    { "", 0, NULL, NULL },
    { "$dps", 0, NULL, NULL },
    { "$dps/registrations/", 0, NULL, NULL },
    { "$dps/registrations/PUT", 0, NULL, NULL },
    { "$dps/registrations/PUT/", 0, NULL, NULL },
    { "$dps/registrations/PUT/iotdps-register", 0, NULL, NULL },
    { "$dps/registrations/PUT/iotdps-register/", 0, NULL, NULL },
    { "$dps/registrations/PUT/iotdps-register/?", 0, NULL, NULL },
    { "$dps/registrations/PUT/iotdps-register/?$rid", 0, NULL, NULL },
    { "$dps/registrations/PUT/iotdps-register/?$rid=", 0, NULL, NULL },
    { "$dps/registrations/PUT/iotdps-register/?rid=1", 0, NULL, NULL },
    { "$dps/registrations/PUT/iotdps-register/?x$rid=1", 0, NULL, NULL },
    { "$dps/registrations/PUT/iotdps-register?$rid=1", 0, NULL, NULL },
    { "$dps/registrations/PUT/iotdps-register/$rid=1", 0, NULL, NULL },
    { "$dps/registrations/PUT/iotdps-register/x/?$rid=1", 0, NULL, NULL },
    { "$dps/registrations//iotdps-register/?$rid=1", 0, NULL, NULL },
    { "$dps/registrations/res/200/?$rid=1", TOPIC_DPS_UNKNOWN, "1", NULL },
    { "dps/registrations/PUT/iotdps-register/?$rid=1", 0, NULL, NULL },
    { "/$dps/registrations/PUT/iotdps-register/?$rid=1", 0, NULL, NULL },
    { "$iothub/twin/GET/?$rid=1", 0, NULL, NULL },
    { "devices/d/messages/events/", 0, NULL, NULL },
};

static void dps_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(request_cases) / sizeof(request_cases[0]); i++) {
        const struct request_case *t = &request_cases[i];
        struct topic_dps_request r;
        err e = topic_parse_dps_request(span_str(t->topic), &r);

        assert_int_equal(e.code, t->rid == NULL ? ERR_MALFORMED : ERR_NONE);
        if (t->rid != NULL) {
            assert_int_equal(r.operation, t->operation);
            assert_span(r.rid, t->rid);
            assert_span(r.operation_id, t->operation_id);
        }
    }
}

static void dps_request_truncations(void **state)
{
    const struct span whole = SPAN("$dps/registrations/PUT/iotdps-register/?$rid=1");
    struct topic_dps_request r;

    (void)state;
    for (size_t n = 0; n < whole.len; n++) {
        assert_int_equal(topic_parse_dps_request(span_first(whole, n), &r).code, ERR_MALFORMED);
    }
}

/* ---- telemetry ---- */

struct telemetry_case {
    const char *topic;
    const char *bag; /* NULL: not this device's */
};

static const struct telemetry_case telemetry_cases[] = {
    { "devices/d1/messages/events", "" },
    { "devices/d1/messages/events/", "" },
    { "devices/d1/messages/events/a=b", "a=b" },
    { "devices/d1/messages/events/a=b&c=d/", "a=b&c=d" },
    { "devices/d1/messages/events/?a=b", "a=b" },
    { "devices/d1/messages/events/?", "" },
    { "devices/d1/messages/events/%24.ct=a/b", "%24.ct=a/b" },
    { "devices/d2/messages/events/", NULL },
    { "devices/D1/messages/events/", NULL },
    { "devices/d1/modules/m/messages/events/", NULL },
    { "devices/d1/messages/eventsx/", NULL },
    { "devices/d1/messages/devicebound/", NULL },
    { "devices/d1/messages", NULL },
    { "devices/d1", NULL },
    { "devices//messages/events/", NULL },
    { "/devices/d1/messages/events/", NULL },
    { "$iothub/twin/GET/?$rid=1", NULL },
    { "", NULL },
};

/* Of the module m1 of d1. */
static const struct telemetry_case module_cases[] = {
    { "devices/d1/modules/m1/messages/events", "" },
    { "devices/d1/modules/m1/messages/events/", "" },
    { "devices/d1/modules/m1/messages/events/?%24.on=out&a=b/", "%24.on=out&a=b" },
    { "devices/d1/modules/m2/messages/events/", NULL },
    { "devices/d1/modules/M1/messages/events/", NULL },
    { "devices/d2/modules/m1/messages/events/", NULL },
    { "devices/d1/messages/events/", NULL },
    { "devices/d1/m1/messages/events/", NULL },
    { "devices/d1/modules/m1/inputs/x/", NULL },
};

static void telemetry_topics(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(module_cases) / sizeof(module_cases[0]); i++) {
        const struct telemetry_case *t = &module_cases[i];
        struct span bag = SPAN("untouched");
        err e = topic_parse_telemetry(span_str(t->topic), SPAN("d1/m1"), &bag);

        assert_int_equal(e.code, t->bag == NULL ? ERR_MALFORMED : ERR_NONE);
        assert_span(bag, t->bag == NULL ? "untouched" : t->bag);
    }
    for (size_t i = 0; i < sizeof(telemetry_cases) / sizeof(telemetry_cases[0]); i++) {
        const struct telemetry_case *t = &telemetry_cases[i];
        struct span bag = SPAN("untouched");
        err e = topic_parse_telemetry(span_str(t->topic), SPAN("d1"), &bag);

        assert_int_equal(e.code, t->bag == NULL ? ERR_MALFORMED : ERR_NONE);
        assert_span(bag, t->bag == NULL ? "untouched" : t->bag);
    }
}

/* ---- direct methods ---- */

static void method_responses(void **state)
{
    static const struct {
        const char *topic;
        int64_t status;
        const char *rid; /* NULL: no answer to a method */
    } cases[] = {
        { "$iothub/methods/res/200/?$rid=1f", 200, "1f" },
        { "$iothub/methods/res/-1/?$rid=a", -1, "a" },
        { "$iothub/methods/res/0/?$rid=a&x=y", 0, "a" },
        { "$iothub/methods/res/404/?x=y&$rid=a", 404, "a" },
        { "$iothub/methods/res/9223372036854775807/?$rid=a", INT64_MAX, "a" },
        { "$iothub/methods/res/9223372036854775808/?$rid=a", 0, NULL },
        { "$iothub/methods/res//?$rid=a", 0, NULL },
        { "$iothub/methods/res/-/?$rid=a", 0, NULL },
        { "$iothub/methods/res/--1/?$rid=a", 0, NULL },
        { "$iothub/methods/res/2x/?$rid=a", 0, NULL },
        { "$iothub/methods/res/200?$rid=a", 0, NULL },
        { "$iothub/methods/res/200/$rid=a", 0, NULL },
        { "$iothub/methods/res/200/?rid=a", 0, NULL },
        { "$iothub/methods/POST/200/?$rid=a", 0, NULL },
        { "$iothub/twin/res/200/?$rid=a", 0, NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct topic_method_response r = { .status = 77, .rid = SPAN("untouched") };
        err e = topic_parse_method_response(span_str(cases[i].topic), &r);

        assert_int_equal(e.code, cases[i].rid == NULL ? ERR_MALFORMED : ERR_NONE);
        assert_span(r.rid, cases[i].rid == NULL ? "untouched" : cases[i].rid);
        assert_int_equal(r.status, cases[i].rid == NULL ? 77 : cases[i].status);
    }
}

static void method_response_truncations(void **state)
{
    const struct span whole = SPAN("$iothub/methods/res/200/?$rid=1");
    struct topic_method_response r;

    (void)state;
    for (size_t n = 0; n < whole.len; n++) {
        assert_int_equal(topic_parse_method_response(span_first(whole, n), &r).code, ERR_MALFORMED);
    }
}

struct bag_case {
    const char *bag;
    size_t n;
    struct {
        const char *name, *value;
    } expected[3];
};

static const struct bag_case bag_cases[] = {
    { "", 0, { { 0 } } },
    { "&&", 0, { { 0 } } },
    { "a=b", 1, { { "a", "b" } } },
    { "%24.mid=1&$.cid=2&c=%2F+%26", 3, { { "$.mid", "1" }, { "$.cid", "2" }, { "c", "/+&" } } },
    { "a", 1, { { "a", "" } } },
    { "a=", 1, { { "a", "" } } },
    { "=x&a=b=c", 1, { { "a", "b=c" } } },
    { "a=1&b=2&%61=3", 2, { { "a", "3" }, { "b", "2" } } },
    { "a=50%&b=%zz&%=%41", 3, { { "a", "50%" }, { "b", "%zz" }, { "%", "A" } } },
};

static void property_bags(void **state)
{
    static uint8_t block[4096];
    struct hub_property properties[HUB_PROPERTIES_MAX];
    struct arena arena;
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(bag_cases) / sizeof(bag_cases[0]); i++) {
        const struct bag_case *t = &bag_cases[i];

        arena_init(&arena, block, sizeof(block));
        assert_true(err_is_ok(topic_parse_properties(span_str(t->bag), &arena, properties, &n)));
        assert_int_equal(n, t->n);
        assert_true(topic_count_properties(span_str(t->bag)) >= n);
        for (size_t k = 0; k < n; k++) {
            assert_span(properties[k].name, t->expected[k].name);
            assert_span(properties[k].value, t->expected[k].value);
        }
    }
}

static void too_many_properties(void **state)
{
    static uint8_t block[16384];
    static char text[8 * (HUB_PROPERTIES_MAX + 1)];
    struct hub_property properties[HUB_PROPERTIES_MAX];
    struct buf bag = buf_over(text, sizeof(text));
    struct arena arena;
    size_t n = 0;

    (void)state;
    for (int i = 0; i < HUB_PROPERTIES_MAX; i++) {
        buf_printf(&bag, "k%d=v&", i);
    }
    arena_init(&arena, block, sizeof(block));
    assert_true(err_is_ok(topic_parse_properties(buf_span(&bag), &arena, properties, &n)));
    assert_int_equal(n, HUB_PROPERTIES_MAX);
    assert_int_equal(topic_count_properties(buf_span(&bag)), HUB_PROPERTIES_MAX);
    buf_add_str(&bag, "k0=w"); /* again: no further one */
    assert_true(err_is_ok(topic_parse_properties(buf_span(&bag), &arena, properties, &n)));
    buf_add_str(&bag, "&x=");
    assert_int_equal(topic_parse_properties(buf_span(&bag), &arena, properties, &n).code,
                     ERR_TOO_LARGE);
    arena_init(&arena, block, 16);
    assert_int_equal(topic_parse_properties(buf_span(&bag), &arena, properties, &n).code,
                     ERR_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dps_users),
        cmocka_unit_test(hub_users),
        cmocka_unit_test(api_versions),
        cmocka_unit_test(dps_requests),
        cmocka_unit_test(dps_request_truncations),
        cmocka_unit_test(telemetry_topics),
        cmocka_unit_test(method_responses),
        cmocka_unit_test(method_response_truncations),
        cmocka_unit_test(property_bags),
        cmocka_unit_test(too_many_properties),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
