/* api/error_test.c: refusals in each spelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/error.h"

static const struct env ENV = { .now_ms = 1661983370516, .tracking_id = "T-1" };

typedef void (*write_fn)(const struct env *env, struct verdict v, struct buf *out);

static void assert_written(write_fn write, const struct env *env, struct verdict v,
                           const char *expected)
{
    uint8_t bytes[4096];
    struct buf out = buf_over(bytes, sizeof(bytes));

    write(env, v, &out);
    assert_true(err_is_ok(buf_ok(&out)));
    assert_string_equal(buf_cstr(&out), expected);
}

static void provisioning(void **state)
{
    const struct env nameless = { .now_ms = ENV.now_ms };
    struct verdict v = VERDICT(FIELD_INVALID);

    (void)state;
    v.detail = SPAN("csr: \"x\".");
    assert_written(error_write_provisioning, &ENV, VERDICT(ISSUER_UNKNOWN),
                   "{\"errorCode\":401002,\"trackingId\":\"T-1\",\"message\":\"Invalid "
                   "certificate: CA certificate not found.\",\"timestampUtc\":"
                   "\"2022-08-31T22:02:50.5160000Z\"}");
    assert_written(error_write_provisioning, &ENV, v,
                   "{\"errorCode\":400004,\"trackingId\":\"T-1\",\"message\":\"A member has a "
                   "value it may not have. csr: \\\"x\\\".\",\"timestampUtc\":"
                   "\"2022-08-31T22:02:50.5160000Z\"}");
    assert_written(error_write_provisioning, &nameless, VERDICT(THROTTLED),
                   "{\"errorCode\":429001,\"message\":\"Operations are being throttled; try again "
                   "after the time given.\",\"timestampUtc\":\"2022-08-31T22:02:50.5160000Z\"}");
}

static void management(void **state)
{
    (void)state;
    assert_written(error_write_management, &ENV, VERDICT(RESOURCE_NOT_FOUND),
                   "{\"code\":\"404201\",\"httpStatusCode\":\"404\",\"message\":\"Not found.\","
                   "\"details\":\"Tracking ID: T-1\"}");
}

static void hub(void **state)
{
    (void)state;
    assert_written(
        error_write_hub, &ENV, VERDICT(MODULE_EXISTS),
        "{\"errorCode\":409301,\"message\":\"A module with that ID is already registered on "
        "the device.\",\"trackingId\":\"T-1\",\"timestampUtc\":"
        "\"2022-08-31T22:02:50.5160000Z\"}");
    assert_written(error_write_hub, &ENV, VERDICT(DEVICE_NOT_FOUND),
                   "{\"Message\":\"ErrorCode:DeviceNotFound;Device not found.\","
                   "\"ExceptionMessage\":\"Tracking ID:T-1-TimeStamp:"
                   "2022-08-31T22:02:50.5160000Z\"}");
}

static void hub_method(void **state)
{
    static const char control[1000];
    struct verdict v = VERDICT(DEVICE_ANSWER_INVALID);
    uint8_t bytes[32 * 1024];
    struct buf out = buf_over(bytes, sizeof(bytes));

    (void)state;
    assert_written(
        error_write_hub_method, &ENV, VERDICT(DEVICE_NOT_ONLINE),
        "{\"Message\":\"{\\\"errorCode\\\":404103,\\\"message\\\":\\\"The operation failed "
        "because the requested device isn't online.\\\",\\\"trackingId\\\":\\\"T-1\\\","
        "\\\"timestampUtc\\\":\\\"2022-08-31T22:02:50.5160000Z\\\",\\\"info\\\":null}\","
        "\"ExceptionMessage\":\"\"}");
    assert_written(error_write_hub_method, &ENV, VERDICT(DEVICE_NOT_FOUND),
                   "{\"Message\":\"ErrorCode:DeviceNotFound;Device not found.\","
                   "\"ExceptionMessage\":\"Tracking ID:T-1-TimeStamp:"
                   "2022-08-31T22:02:50.5160000Z\"}");
    v.detail = span_of(control, 900); /* escaped twice, it is long */
    error_write_hub_method(&ENV, v, &out);
    assert_true(err_is_ok(buf_ok(&out)));
    assert_true(
        span_ends_with(buf_span(&out), SPAN("\\\"info\\\":null}\",\"ExceptionMessage\":\"\"}")));
}

static void overlong_detail_is_left_out(void **state)
{
    static const char detail[2000] = { 'x' };
    struct verdict v = VERDICT(RESOURCE_NOT_FOUND);

    (void)state;
    v.detail = span_of(detail, sizeof(detail));
    assert_written(error_write_management, &ENV, v,
                   "{\"code\":\"404201\",\"httpStatusCode\":\"404\",\"message\":\"Not found. \","
                   "\"details\":\"Tracking ID: T-1\"}");
}

/* Clients tell refusals apart by the name: each refusal has one. */
static void every_refusal_has_a_hub_name(void **state)
{
    (void)state;
    for (int r = 0; r < REASON_COUNT; r++) {
        bool is_refusal = reason_info((enum reason)r)->http_status >= 400;
        assert_int_equal(error_hub_name((enum reason)r)[0] != '\0', is_refusal);
    }
    assert_string_equal(error_hub_name(REASON_ETAG_MISMATCH), "PreconditionFailed");
    assert_string_equal(error_hub_name(REASON_TOKEN_EXPIRED), "IotHubUnauthorizedAccess");
    assert_string_equal(error_hub_name(REASON_THROTTLED), "ThrottlingException");
}

static void faults_name_code_and_detail(void **state)
{
    static uint8_t block[256];
    struct arena arena;

    (void)state;
    arena_init(&arena, block, sizeof(block));
    assert_string_equal(error_fault_text(&arena, err_set(ERR_IO, "disk %d", 1)), "io: disk 1");
    arena_init(&arena, block, 4);
    assert_string_equal(error_fault_text(&arena, err_set(ERR_IO, "disk %d", 1)), "io");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(provisioning),
        cmocka_unit_test(management),
        cmocka_unit_test(hub),
        cmocka_unit_test(hub_method),
        cmocka_unit_test(overlong_detail_is_left_out),
        cmocka_unit_test(every_refusal_has_a_hub_name),
        cmocka_unit_test(faults_name_code_and_detail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
