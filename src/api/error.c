/* api/error.c: one refusal, five spellings. Which of them a route uses is the route's; codes and
 * words are model/reason.def's. */
#include "api/error.h"

#include "util/timefmt.h"
#include "json/writer.h"

enum { MESSAGE_MAX = 1024 };

/* The reason's words, then the verdict's. */
static struct span message_of(struct verdict v, struct buf *scratch)
{
    buf_add_str(scratch, reason_info(v.reason)->message);
    if (v.detail.len > 0) {
        buf_add_u8(scratch, ' ');
        buf_add(scratch, v.detail); /* left out when it does not fit */
    }
    return buf_span(scratch);
}

void error_write_provisioning(const struct env *env, struct verdict v, struct buf *out)
{
    struct json_writer w = json_writer_over(out);
    uint8_t bytes[MESSAGE_MAX];
    struct buf scratch = buf_over(bytes, sizeof(bytes));

    json_write_begin_object(&w, NULL);
    json_write_int(&w, "errorCode", reason_info(v.reason)->error_code);
    if (env->tracking_id[0] != '\0') {
        json_write_str(&w, "trackingId", env->tracking_id);
    }
    json_write_text(&w, "message", message_of(v, &scratch));
    json_write_time(&w, "timestampUtc", env->now_ms);
    json_write_end_object(&w);
}

void error_write_management(const struct env *env, struct verdict v, struct buf *out)
{
    const struct reason_info *info = reason_info(v.reason);
    struct json_writer w = json_writer_over(out);
    uint8_t bytes[MESSAGE_MAX], digits[2][16];
    struct buf scratch = buf_over(bytes, sizeof(bytes));
    struct buf code = buf_over(digits[0], sizeof(digits[0]));
    struct buf status = buf_over(digits[1], sizeof(digits[1]));
    uint8_t detail_bytes[64];
    struct buf details = buf_over(detail_bytes, sizeof(detail_bytes));

    buf_add_int(&code, info->error_code);
    buf_add_int(&status, info->http_status);
    buf_printf(&details, "Tracking ID: %s", env->tracking_id);
    json_write_begin_object(&w, NULL);
    json_write_text(&w, "code", buf_span(&code));
    json_write_text(&w, "httpStatusCode", buf_span(&status));
    json_write_text(&w, "message", message_of(v, &scratch));
    json_write_text(&w, "details", buf_span(&details));
    json_write_end_object(&w);
}

static bool is_of_modules(enum reason reason)
{
    return reason == REASON_MODULE_NOT_FOUND || reason == REASON_MODULE_EXISTS ||
           reason == REASON_TOO_MANY_MODULES;
}

static void write_envelope_a(const struct env *env, struct verdict v, struct buf *out)
{
    struct json_writer w = json_writer_over(out);
    uint8_t bytes[MESSAGE_MAX], exception_bytes[128];
    struct buf scratch = buf_over(bytes, sizeof(bytes));
    struct buf exception = buf_over(exception_bytes, sizeof(exception_bytes));

    buf_printf(&scratch, "ErrorCode:%s;", error_hub_name(v.reason));
    buf_printf(&exception, "Tracking ID:%s-TimeStamp:", env->tracking_id);
    timefmt_iso(env->now_ms, &exception);
    json_write_begin_object(&w, NULL);
    json_write_text(&w, "Message", message_of(v, &scratch));
    json_write_text(&w, "ExceptionMessage", buf_span(&exception));
    json_write_end_object(&w);
}

static void write_members_b(const struct env *env, struct verdict v, struct json_writer *w)
{
    uint8_t bytes[MESSAGE_MAX];
    struct buf scratch = buf_over(bytes, sizeof(bytes));

    json_write_int(w, "errorCode", reason_info(v.reason)->error_code);
    json_write_text(w, "message", message_of(v, &scratch));
    json_write_str(w, "trackingId", env->tracking_id);
    json_write_time(w, "timestampUtc", env->now_ms);
}

static void write_envelope_b(const struct env *env, struct verdict v, struct buf *out)
{
    struct json_writer w = json_writer_over(out);

    json_write_begin_object(&w, NULL);
    write_members_b(env, v, &w);
    json_write_end_object(&w);
}

void error_write_hub(const struct env *env, struct verdict v, struct buf *out)
{
    if (is_of_modules(v.reason)) {
        write_envelope_b(env, v, out);
    } else {
        write_envelope_a(env, v, out);
    }
}

void error_write_hub_nested(const struct env *env, struct verdict v, struct span info,
                            struct buf *out)
{
    uint8_t inner_bytes[8 * MESSAGE_MAX]; /* a message may have to be escaped */
    struct buf inner = buf_over(inner_bytes, sizeof(inner_bytes));
    struct json_writer w = json_writer_over(&inner);

    json_write_begin_object(&w, NULL);
    write_members_b(env, v, &w);
    json_write_raw_if(&w, "info", span_is_absent(info) ? SPAN("null") : info);
    json_write_end_object(&w);
    w = json_writer_over(out);
    json_write_begin_object(&w, NULL);
    json_write_text(&w, "Message", buf_span(&inner));
    json_write_str(&w, "ExceptionMessage", "");
    json_write_end_object(&w);
}

void error_write_hub_method(const struct env *env, struct verdict v, struct buf *out)
{
    if (v.reason == REASON_DEVICE_NOT_ONLINE || v.reason == REASON_DEVICE_TIMEOUT ||
        v.reason == REASON_DEVICE_ANSWER_INVALID) {
        error_write_hub_nested(env, v, SPAN_NONE, out);
    } else {
        error_write_hub(env, v, out);
    }
}

/* For reasons without a name of their own. */
static const char *hub_name_of_status(int http_status)
{
    switch (http_status) {
    case 200:
        return "";
    case 401:
        return "IotHubUnauthorizedAccess";
    case 404:
        return "NotFound";
    case 405:
        return "OperationNotAllowedInCurrentState";
    case 409:
        return "DeviceAlreadyExists";
    case 412:
        return "PreconditionFailed";
    case 413:
        return "MessageTooLarge";
    case 429:
        return "ThrottlingException";
    case 500:
        return "ServerError";
    case 503:
        return "ServiceUnavailable";
    default:
        return "ArgumentInvalid";
    }
}

const char *error_hub_name(enum reason reason)
{
    switch (reason) {
    case REASON_API_VERSION_MISSING:
        return "InvalidProtocolVersion";
    case REASON_HUB_UNKNOWN:
        return "IotHubNotFound";
    case REASON_DEVICE_NOT_FOUND:
    case REASON_RESOURCE_NOT_FOUND:
        return "DeviceNotFound";
    case REASON_MODULE_NOT_FOUND:
        return "ModuleNotFound";
    case REASON_MODULE_EXISTS:
        return "ModuleAlreadyExistsOnDevice";
    case REASON_TOO_MANY_MODULES:
        return "TooManyModulesOnDevice";
    case REASON_DEVICE_DEFINED_TWICE:
        return "DeviceDefinedMultipleTimes";
    case REASON_BULK_FAILED:
        return "BulkRegistryOperationFailure";
    case REASON_DEVICE_NOT_ONLINE:
        return "DeviceNotOnline";
    case REASON_DEVICE_TIMEOUT:
        return "GatewayTimeout";
    case REASON_DEVICE_ANSWER_INVALID:
        return "BadGateway";
    case REASON_MESSAGE_QUOTA_EXCEEDED:
        return "IotHubQuotaExceeded";
    case REASON_QUEUE_FULL:
        return "DeviceMaximumQueueDepthExceeded";
    case REASON_LOCK_LOST:
        return "DeviceMessageLockLost";
    case REASON_DEVICE_DISABLED:
    case REASON_SESSION_CUT_OFF:
    case REASON_THUMBPRINT_MISMATCH:
    case REASON_DEVICE_CREDENTIAL_UNSUPPORTED:
    case REASON_CLIENT_ID_MISMATCH:
    case REASON_IDENTITY_NAME_MISMATCH:
    case REASON_SAS_DISABLED:
        return "IotHubUnauthorized";
    case REASON_SESSION_TAKEN_OVER:
        return "ConnectionForcefullyClosedOnNewConnection";
    default:
        return hub_name_of_status(reason_info(reason)->http_status);
    }
}

const char *error_fault_text(struct arena *arena, err fault)
{
    const char *detail = err_detail();
    struct span text;

    if (detail[0] == '\0' ||
        !err_is_ok(arena_printf(arena, &text, "%s: %s", err_name(fault), detail))) {
        return err_name(fault);
    }
    return (const char *)text.data;
}
