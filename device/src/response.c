/* device/src/response.c: one answer of the provisioning service, topic and JSON, to a result.
 * Knows the three bodies it may have: an operation's status, with or without a registration state,
 * and an error (reference dps-device-api.md 2.2, 2.5, 3.5). */
#include "json_tokens.h"

static const char *const STATUS_NAMES[] = {
    [BERTH_STATUS_NONE] = "",
    [BERTH_STATUS_UNASSIGNED] = "unassigned",
    [BERTH_STATUS_ASSIGNING] = "assigning",
    [BERTH_STATUS_ASSIGNED] = "assigned",
    [BERTH_STATUS_FAILED] = "failed",
    [BERTH_STATUS_DISABLED] = "disabled",
};

enum { STATUS_COUNT = sizeof(STATUS_NAMES) / sizeof(STATUS_NAMES[0]), RETRY_AFTER_MAX_S = 3600 };

const char *berth_provisioning_status_name(enum berth_provisioning_status status)
{
    return STATUS_NAMES[status];
}

/* $dps/registrations/res/{status}/?$rid={rid}[&retry-after={seconds}] */
static err decode_topic(struct span topic, struct berth_provisioning_result *result)
{
    static const struct span prefix = { (const uint8_t *)"$dps/registrations/res/", 23 };
    static const struct span retry = { (const uint8_t *)"retry-after=", 12 };
    struct span rest = span_from(topic, prefix.len);
    int64_t number = 0;

    if (!span_starts_with(topic, prefix) || !span_parse_int(span_cut(&rest, '/'), &number) ||
        number < 100 || number > 599 || !span_starts_with(rest, SPAN("?$rid="))) {
        return ERR(MALFORMED);
    }
    result->topic_status = (int)number;
    while (!span_is_absent(rest)) {
        struct span part = span_cut(&rest, '&');

        if (span_starts_with(part, retry) && span_parse_int(span_from(part, retry.len), &number)) {
            result->retry_after_s = number < RETRY_AFTER_MAX_S ? (int)number : RETRY_AFTER_MAX_S;
        }
    }
    return OK;
}

static err decode_status(const struct berth_json *j, enum berth_provisioning_status *ret_status)
{
    char name[16];

    TRY(berth_json_text(j, 0, "status", name, sizeof(name)));
    for (int i = 0; i < STATUS_COUNT; i++) {
        if (strcmp(name, STATUS_NAMES[i]) == 0) {
            *ret_status = (enum berth_provisioning_status)i;
            return OK;
        }
    }
    return ERR(MALFORMED);
}

/* A message is for people: cut rather than refused. */
static err decode_message(const struct berth_json *j, int object, const char *name, char *out)
{
    err e = berth_json_text(j, object, name, out, BERTH_MESSAGE_MAX);

    return err_is(e, ERR_TOO_LARGE) ? OK : e;
}

err berth_provisioning_decode_body(int status, struct span body,
                                   struct berth_provisioning_result *ret_result)
{
    struct berth_provisioning_result r = { .topic_status = status };
    struct berth_json j;
    int state;

    TRY(berth_json_parse(body, &j));
    TRY(decode_status(&j, &r.status));
    TRY(berth_json_text(&j, 0, "operationId", r.operation_id, sizeof(r.operation_id)));
    TRY(berth_json_text(&j, 0, "trackingId", r.tracking_id, sizeof(r.tracking_id)));
    TRY(berth_json_int(&j, 0, "errorCode", &r.error_code));
    TRY(decode_message(&j, 0, "message", r.message));
    state = berth_json_find(&j, 0, "registrationState");
    if (state >= 0) {
        TRY(berth_json_text(&j, state, "assignedHub", r.assigned_hub, sizeof(r.assigned_hub)));
        TRY(berth_json_text(&j, state, "deviceId", r.device_id, sizeof(r.device_id)));
        TRY(berth_json_int(&j, state, "errorCode", &r.error_code));
        if (berth_json_find(&j, state, "errorMessage") >= 0) {
            TRY(decode_message(&j, state, "errorMessage", r.message));
        }
    }
    if (r.topic_status < 300 && r.status == BERTH_STATUS_NONE) {
        return ERR(MALFORMED); /* neither an error nor a status */
    }
    if (r.status == BERTH_STATUS_ASSIGNED && (r.assigned_hub[0] == 0 || r.device_id[0] == 0)) {
        return ERR(MALFORMED);
    }
    *ret_result = r;
    return OK;
}

err berth_provisioning_decode_response(struct span topic, struct span payload,
                                       struct berth_provisioning_result *ret_result)
{
    struct berth_provisioning_result head = { .status = BERTH_STATUS_NONE };

    TRY(decode_topic(topic, &head));
    TRY(berth_provisioning_decode_body(head.topic_status, payload, ret_result));
    ret_result->retry_after_s = head.retry_after_s;
    return OK;
}
