/* api/dps_json_test.c: bodies of devices read, answers written to the letter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/dps_json.h"
#include "model/limits.h"

enum { ARENA_SIZE = 256 * 1024 };

static uint8_t block[ARENA_SIZE];

static void assert_text(struct span s, const char *expected)
{
    if (expected == NULL) {
        assert_true(span_is_absent(s));
        return;
    }
    assert_int_equal(s.len, strlen(expected));
    assert_memory_equal(s.data, expected, s.len);
}

/* ---- reading ---- */

struct body_case {
    const char *text;
    enum reason reason;
    const char *payload;
    bool has_tpm;
};

static const struct body_case body_cases[] = {
    /* What SDKs send (reference 3.4). */
    { "", REASON_GRANTED, NULL, false },
    { " ", REASON_GRANTED, NULL, false },
    { " \r\n\t", REASON_GRANTED, NULL, false },
    { "{}", REASON_GRANTED, NULL, false },
    { "{\"registrationId\":\"dev1\"}", REASON_GRANTED, NULL, false },
    { "{\"registrationId\":\"DEV1\"}", REASON_GRANTED, NULL, false },
    { "{\"payload\":null,\"registrationId\":\"dev1\"}", REASON_GRANTED, NULL, false },
    { "{\"registrationId\":null,\"csr\":null,\"tpm\":null}", REASON_GRANTED, NULL, false },
    { "{\"registrationId\":\"dev1\",\"payload\":{\"b\":1,\"a\":[true, null]}}", REASON_GRANTED,
      "{\"b\":1,\"a\":[true,null]}", false },
    { "{\"payload\":\"{\\\"a\\\":1}\"}", REASON_GRANTED, "\"{\\\"a\\\":1}\"", false },
    { "{\"payload\":1}", REASON_GRANTED, "1", false },
    { "{\"payload\":false}", REASON_GRANTED, "false", false },
    { "{\"payload\":[]}", REASON_GRANTED, "[]", false },
    { "{\"tpm\":{\"endorsementKey\":\"AAAA\"}}", REASON_GRANTED, NULL, true },
    { "{\"tpm\":{\"endorsementKey\":\"\",\"storageRootKey\":null}}", REASON_GRANTED, NULL, true },
    { "{\"tpm\":{\"endorsementKey\":\"AAAA\",\"endorsementCertificates\":[\"AAAA\",\"MIIB\"]}}",
      REASON_GRANTED, NULL, true },
    { "{\"tpm\":{\"endorsementKey\":\"AAAA\",\"endorsementCertificates\":[]}}", REASON_GRANTED,
      NULL, true },
    { "{\"tpm\":{}}", REASON_FIELD_INVALID, NULL, false },
    { "{\"tpm\":[]}", REASON_FIELD_INVALID, NULL, false },
    { "{\"tpm\":\"AAAA\"}", REASON_FIELD_INVALID, NULL, false },
    { "{\"tpm\":{\"endorsementKey\":1}}", REASON_FIELD_INVALID, NULL, false },
    { "{\"tpm\":{\"endorsementKey\":\"?\"}}", REASON_FIELD_INVALID, NULL, false },
    { "{\"tpm\":{\"endorsementKey\":\"AAAA\",\"storageRootKey\":\"?\"}}", REASON_FIELD_INVALID,
      NULL, false },
    { "{\"tpm\":{\"endorsementKey\":\"AAAA\",\"storageRootKey\":[]}}", REASON_FIELD_INVALID, NULL,
      false },
    { "{\"tpm\":{\"endorsementKey\":\"AAAA\",\"endorsementCertificates\":\"MIIB\"}}",
      REASON_FIELD_INVALID, NULL, false },
    { "{\"tpm\":{\"endorsementKey\":\"AAAA\",\"endorsementCertificates\":[1]}}",
      REASON_FIELD_INVALID, NULL, false },
    { "{\"tpm\":{\"endorsementKey\":\"AAAA\",\"endorsementCertificates\":[\"?\"]}}",
      REASON_FIELD_INVALID, NULL, false },
    { "{\"tpm\":{\"endorsementKey\":\"AAAA\",\"endorsementCertificates\":[\"A\",\"A\",\"A\",\"A\","
      "\"A\",\"A\",\"A\",\"A\",\"A\"]}}",
      REASON_FIELD_INVALID, NULL, false },
    { "{\"unknown\":{\"deep\":[]}}", REASON_GRANTED, NULL, false },
    { "{\"registrationId\":\"dev2\"}", REASON_FIELD_INVALID, NULL, false },
    { "{\"registrationId\":\"\"}", REASON_FIELD_INVALID, NULL, false },
    { "{\"registrationId\":1}", REASON_FIELD_INVALID, NULL, false },
    { "{\"csr\":\"MIIB\"}", REASON_FIELD_INVALID, NULL, false },
    { "{\"csr\":\"\"}", REASON_FIELD_INVALID, NULL, false },
    { "null", REASON_BODY_MALFORMED, NULL, false },
    { "[]", REASON_BODY_MALFORMED, NULL, false },
    { "\"dev1\"", REASON_BODY_MALFORMED, NULL, false },
    { "1", REASON_BODY_MALFORMED, NULL, false },
    { "{", REASON_BODY_MALFORMED, NULL, false },
    { "{}x", REASON_BODY_MALFORMED, NULL, false },
    { "{}{}", REASON_BODY_MALFORMED, NULL, false },
    { "{\"payload\":}", REASON_BODY_MALFORMED, NULL, false },
    { "{\"payload\":1,\"payload\":2}", REASON_BODY_MALFORMED, NULL, false },
    { "{\"payload\":\"\\u0000\"}", REASON_BODY_MALFORMED, NULL, false },
    { "{\"payload\":\"\xff\"}", REASON_BODY_MALFORMED, NULL, false },
    { "{'payload':1}", REASON_BODY_MALFORMED, NULL, false },
};

static enum reason parse(struct span text, struct dps_json_body *ret_body)
{
    static struct arena arena; /* spans of *ret_body live in it until the next call */
    struct verdict v;

    arena_init(&arena, block, sizeof(block));
    assert_true(err_is_ok(dps_json_parse_body(text, SPAN("dev1"), &arena, ret_body, &v)));
    return v.reason;
}

static void bodies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(body_cases) / sizeof(body_cases[0]); i++) {
        const struct body_case *t = &body_cases[i];
        struct dps_json_body body = { 0 };

        assert_int_equal(parse(span_str(t->text), &body), t->reason);
        if (t->reason == REASON_GRANTED) {
            assert_text(body.payload, t->payload);
            assert_int_equal(!span_is_absent(body.tpm.endorsement_key), t->has_tpm);
        }
    }
}

static void body_truncations(void **state)
{
    const struct span whole = SPAN("{\"registrationId\":\"dev1\",\"payload\":{\"a\":[1]}}");
    struct dps_json_body body;

    (void)state;
    assert_int_equal(parse(whole, &body), REASON_GRANTED);
    for (size_t n = 1; n < whole.len; n++) {
        assert_int_equal(parse(span_first(whole, n), &body), REASON_BODY_MALFORMED);
    }
}

/* A payload that is a string, so that the body is `len` bytes. */
static struct span body_of_length(size_t len)
{
    static char text[LIMIT_DPS_BODY + 1];
    const char head[] = "{\"payload\":\"";
    size_t head_len = sizeof(head) - 1;

    memcpy(text, head, head_len);
    memset(text + head_len, 'x', len - head_len - 2);
    memcpy(text + len - 2, "\"}", 2);
    return span_of(text, len);
}

static void body_limits(void **state)
{
    struct dps_json_body body;
    struct buf deep;
    char text[2 * LIMIT_JSON_DEPTH + 64];

    (void)state;
    assert_int_equal(parse(body_of_length(LIMIT_DPS_BODY), &body), REASON_GRANTED);
    assert_int_equal(parse(body_of_length(LIMIT_DPS_BODY + 1), &body), REASON_BODY_TOO_LARGE);
    deep = buf_over(text, sizeof(text));
    buf_add_str(&deep, "{\"payload\":");
    for (int i = 0; i < LIMIT_JSON_DEPTH; i++) {
        buf_add_u8(&deep, '[');
    }
    for (int i = 0; i < LIMIT_JSON_DEPTH; i++) {
        buf_add_u8(&deep, ']');
    }
    buf_add_u8(&deep, '}');
    assert_int_equal(parse(buf_span(&deep), &body), REASON_BODY_MALFORMED);
}

static void payload_needs_room(void **state)
{
    struct dps_json_body body;
    struct verdict v;
    struct arena arena;

    (void)state;
    arena_init(&arena, block, 8);
    assert_int_equal(
        dps_json_parse_body(SPAN("{\"payload\":\"12345678\"}"), SPAN("d"), &arena, &body, &v).code,
        ERR_NOMEM);
}

/* ---- writing ---- */

/* 2022-08-31T22:02:50.516Z and a second later */
#define CREATED INT64_C(1661983370516)
#define UPDATED INT64_C(1661983371516)

#define DATES_HEAD "\"createdDateTimeUtc\":\"2022-08-31T22:02:50.5160000Z\""
#define DATES_TAIL "\"lastUpdatedDateTimeUtc\":\"2022-08-31T22:02:51.5160000Z\""

static struct registration registration_of(enum registration_status status)
{
    return (struct registration){
        .id = SPAN("Dev1"),
        .status = status,
        .substatus = SUBSTATUS_INITIAL_ASSIGNMENT,
        .assigned_hub = SPAN("h.example"),
        .device_id = SPAN("dev-1"),
        .error_code = 401001,
        .error_message = SPAN("IoTHub not found."),
        .enrollment_kind = ENROLLMENT_INDIVIDUAL,
        .enrollment = SPAN("dev1"),
        .attestation = ATTESTATION_X509,
        .etag = SPAN("ImUi"),
        .created_ms = CREATED,
        .updated_ms = UPDATED,
    };
}

static void assert_result(const struct registration *r, const char *expected)
{
    uint8_t bytes[1024];
    struct buf out = buf_over(bytes, sizeof(bytes));
    struct json_writer w = json_writer_over(&out);

    dps_json_write_result(r, NULL, &w);
    assert_true(err_is_ok(buf_ok(&out)));
    assert_text(buf_span(&out), expected);
}

static void results(void **state)
{
    struct registration r = registration_of(REGISTRATION_ASSIGNED);

    (void)state;
    assert_result(&r, "{\"registrationId\":\"Dev1\"," DATES_HEAD
                      ",\"assignedHub\":\"h.example\",\"deviceId\":\"dev-1\","
                      "\"status\":\"assigned\",\"substatus\":\"initialAssignment\"," DATES_TAIL
                      ",\"etag\":\"ImUi\",\"x509\":{}}");
    r.enrollment_kind = ENROLLMENT_GROUP;
    r.enrollment = SPAN("g\"1");
    r.payload = SPAN("{\"a\":1}");
    r.etag = SPAN_NONE;
    assert_result(&r, "{\"registrationId\":\"Dev1\"," DATES_HEAD
                      ",\"assignedHub\":\"h.example\",\"deviceId\":\"dev-1\","
                      "\"status\":\"assigned\",\"substatus\":\"initialAssignment\"," DATES_TAIL
                      ",\"payload\":{\"a\":1},\"x509\":{\"enrollmentGroupId\":\"g\\\"1\"}}");
    r = registration_of(REGISTRATION_FAILED);
    r.attestation = ATTESTATION_SYMMETRIC_KEY;
    assert_result(&r, "{\"registrationId\":\"Dev1\"," DATES_HEAD
                      ",\"status\":\"failed\",\"errorCode\":401001,"
                      "\"errorMessage\":\"IoTHub not found.\"," DATES_TAIL ",\"etag\":\"ImUi\"}");
    r.enrollment_kind = ENROLLMENT_GROUP;
    r.status = REGISTRATION_DISABLED;
    assert_result(&r,
                  "{\"registrationId\":\"Dev1\"," DATES_HEAD ",\"status\":\"disabled\"," DATES_TAIL
                  ",\"etag\":\"ImUi\",\"symmetricKey\":{\"enrollmentGroupId\":\"dev1\"}}");
    r = registration_of(REGISTRATION_ASSIGNING);
    r.attestation = ATTESTATION_NONE;
    assert_result(&r, "{\"registrationId\":\"Dev1\"," DATES_HEAD
                      ",\"status\":\"assigning\"," DATES_TAIL ",\"etag\":\"ImUi\"}");
}

static void operations(void **state)
{
    struct registration r = registration_of(REGISTRATION_DISABLED);
    uint8_t bytes[1024];
    struct buf out = buf_over(bytes, sizeof(bytes));

    (void)state;
    dps_json_write_operation(SPAN("4.a.b"), REGISTRATION_ASSIGNING, NULL, &out);
    assert_text(buf_span(&out), "{\"operationId\":\"4.a.b\",\"status\":\"assigning\"}");
    out = buf_over(bytes, sizeof(bytes));
    dps_json_write_operation(SPAN(""), REGISTRATION_DISABLED, &r, &out);
    assert_text(buf_span(&out),
                "{\"operationId\":\"\",\"status\":\"disabled\",\"registrationState\":"
                "{\"registrationId\":\"Dev1\"," DATES_HEAD ",\"status\":\"disabled\"," DATES_TAIL
                ",\"etag\":\"ImUi\",\"x509\":{}}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies),      cmocka_unit_test(body_truncations),
        cmocka_unit_test(body_limits), cmocka_unit_test(payload_needs_room),
        cmocka_unit_test(results),     cmocka_unit_test(operations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
