/* device/src/response_test.c: answers of the service as text in, results out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "berth/provisioning.h"

static const struct {
    const char *topic, *payload;
    int topic_status, retry_after_s, error_code;
    enum berth_provisioning_status status;
    const char *operation_id, *hub, *device_id, *message, *tracking_id;
} CASES[] = {
    { "$dps/registrations/res/202/?$rid=1&retry-after=3",
      "{\"operationId\":\"5.316aac5bdc130deb.b1e02da8\",\"status\":\"assigning\"}", 202, 3, 0,
      BERTH_STATUS_ASSIGNING, "5.316aac5bdc130deb.b1e02da8", "", "", "", "" },
    { "$dps/registrations/res/200/?$rid=2",
      "{\"operationId\":\"4.a\",\"status\":\"assigned\",\"registrationState\":{\"x509\":{},"
      "\"registrationId\":\"d\",\"assignedHub\":\"h.example\",\"deviceId\":"
      "\"d\\u00e9\\ud83d\\ude00\","
      "\"status\":\"assigned\",\"substatus\":\"initialAssignment\",\"payload\":{\"a\":[1,2]}}}",
      200, 0, 0, BERTH_STATUS_ASSIGNED, "4.a", "h.example", "d\xc3\xa9\xf0\x9f\x98\x80", "", "" },
    { "$dps/registrations/res/200/?$rid=2",
      "{\"operationId\":\"4.a\",\"status\":\"failed\",\"registrationState\":{\"errorCode\":401001,"
      "\"errorMessage\":\"IoTHub not found.\",\"status\":\"failed\"}}",
      200, 0, 401001, BERTH_STATUS_FAILED, "4.a", "", "", "IoTHub not found.", "" },
    { "$dps/registrations/res/200/?$rid=2",
      "{\"operationId\":\"\",\"status\":\"disabled\",\"registrationState\":null}", 200, 0, 0,
      BERTH_STATUS_DISABLED, "", "", "", "", "" },
    { "$dps/registrations/res/401/?$rid=1",
      "{\"errorCode\":401002,\"trackingId\":\"t-1\",\"message\":\"say \\\"no\\\"\",\"info\":{}}",
      401, 0, 401002, BERTH_STATUS_NONE, "", "", "", "say \"no\"", "t-1" },
    { "$dps/registrations/res/429/?$rid=1&retry-after=99999", "{\"errorCode\":429001}", 429, 3600,
      429001, BERTH_STATUS_NONE, "", "", "", "", "" },
};

/* All are ERR_MALFORMED. */
static const struct {
    const char *topic, *payload;
} BAD_CASES[] = {
    { "$dps/registrations/res/200/?$rid=2", "{}" },
    { "$dps/registrations/res/200/?$rid=2", "" },
    { "$dps/registrations/res/200/?$rid=2", "[]" },
    { "$dps/registrations/res/200/?$rid=2", "{\"status\":\"assigning\"}{}" },
    { "$dps/registrations/res/200/?$rid=2", "{\"status\":\"happy\"}" },
    { "$dps/registrations/res/200/?$rid=2", "{\"status\":7}" },
    { "$dps/registrations/res/200/?$rid=2", "{\"status\":\"assigned\"}" },
    { "$dps/registrations/res/401/?$rid=2", "{\"message\":\"\\ud83d\"}" },
    { "$dps/registrations/res/401/?$rid=2", "{\"message\":\"\\u0000\"}" },
    { "$dps/registrations/res/401/?$rid=2", "{\"message\":\"\\x\"}" },
    { "$dps/registrations/res/401/?$rid=2", "{\"errorCode\":-1}" },
    { "$dps/registrations/res/401/?$rid=2", "{\"trackingId\":12}" },
    { "$dps/registrations/res/20x/?$rid=2", "{\"status\":\"assigning\"}" },
    { "$dps/registrations/res/99/?$rid=2", "{\"status\":\"assigning\"}" },
    { "$dps/registrations/res/200/", "{\"status\":\"assigning\"}" },
    { "$dps/registrations/res/200", "{\"status\":\"assigning\"}" },
    { "devices/d/messages", "{\"status\":\"assigning\"}" },
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct berth_provisioning_result r;
        err e = berth_provisioning_decode_response(span_str(CASES[i].topic),
                                                   span_str(CASES[i].payload), &r);

        assert_true(err_is_ok(e));
        assert_int_equal(r.topic_status, CASES[i].topic_status);
        assert_int_equal(r.retry_after_s, CASES[i].retry_after_s);
        assert_int_equal(r.error_code, CASES[i].error_code);
        assert_int_equal(r.status, CASES[i].status);
        assert_string_equal(r.operation_id, CASES[i].operation_id);
        assert_string_equal(r.assigned_hub, CASES[i].hub);
        assert_string_equal(r.device_id, CASES[i].device_id);
        assert_string_equal(r.message, CASES[i].message);
        assert_string_equal(r.tracking_id, CASES[i].tracking_id);
    }
}

static void test_bad_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(BAD_CASES) / sizeof(BAD_CASES[0]); i++) {
        struct berth_provisioning_result r;
        err e = berth_provisioning_decode_response(span_str(BAD_CASES[i].topic),
                                                   span_str(BAD_CASES[i].payload), &r);

        if (!err_is(e, ERR_MALFORMED)) {
            print_error("bad case %zu: %s\n", i, BAD_CASES[i].payload);
        }
        assert_true(err_is(e, ERR_MALFORMED));
    }
}

/* No truncation of a good answer is one. */
static void test_truncations(void **state)
{
    struct span whole = span_str(CASES[1].payload);

    (void)state;
    for (size_t n = 0; n < whole.len; n++) {
        struct berth_provisioning_result r;
        uint8_t *exact = malloc(n ? n : 1); /* so that a read past the end is seen */

        memcpy(exact, whole.data, n);
        assert_false(err_is_ok(
            berth_provisioning_decode_response(span_str(CASES[1].topic), span_of(exact, n), &r)));
        free(exact);
    }
}

/* Without a topic the same body gives the same, but for what only a topic has. */
static void test_body_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct berth_provisioning_result r, want;

        assert_true(err_is_ok(berth_provisioning_decode_response(
            span_str(CASES[i].topic), span_str(CASES[i].payload), &want)));
        assert_true(err_is_ok(
            berth_provisioning_decode_body(CASES[i].topic_status, span_str(CASES[i].payload), &r)));
        want.retry_after_s = 0;
        assert_memory_equal(&r, &want, sizeof(r));
    }
}

static void test_limits(void **state)
{
    struct berth_provisioning_result r;
    char text[2048] = "{\"status\":\"assigning\",\"operationId\":\"";
    struct span topic = span_str(CASES[0].topic);
    size_t at = strlen(text);

    (void)state;
    memset(text + at, 'x', BERTH_OPERATION_ID_MAX - 1);
    strcpy(text + at + BERTH_OPERATION_ID_MAX - 1, "\"}");
    assert_true(err_is_ok(berth_provisioning_decode_response(topic, span_str(text), &r)));
    strcpy(text + at + BERTH_OPERATION_ID_MAX - 1, "x\"}");
    assert_true(
        err_is(berth_provisioning_decode_response(topic, span_str(text), &r), ERR_TOO_LARGE));

    strcpy(text, "{\"status\":\"failed\",\"message\":\"");
    at = strlen(text);
    memset(text + at, 'y', BERTH_MESSAGE_MAX + 9);
    strcpy(text + at + BERTH_MESSAGE_MAX + 9, "\"}");
    assert_true(err_is_ok(berth_provisioning_decode_response(topic, span_str(text), &r)));
    assert_int_equal(strlen(r.message), BERTH_MESSAGE_MAX - 1);

    strcpy(text, "{\"a\":[");
    for (int i = 0; i < BERTH_RESPONSE_TOKENS_MAX; i++) {
        strcat(text, "1,");
    }
    strcat(text, "1]}");
    assert_true(
        err_is(berth_provisioning_decode_response(topic, span_str(text), &r), ERR_TOO_LARGE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),       cmocka_unit_test(test_bad_cases),
        cmocka_unit_test(test_truncations), cmocka_unit_test(test_body_alone),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
