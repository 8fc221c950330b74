/* api/dps_json.c: members of provisioning's bodies. Absent ones are left out, never null: parsers
 * of several SDKs stop at null (reference dps-device-api.md 2.4). */
#include "api/dps_json.h"

#include "model/limits.h"
#include "json/json.h"

static struct verdict refuse(enum reason reason, struct span detail)
{
    return (struct verdict){ .reason = reason, .detail = detail };
}

/* Members that are acted on or refused; all others are passed over. */
static err read_members(json *document, struct span registration_id, struct arena *arena,
                        struct dps_json_body *ret_body, struct verdict *ret_verdict)
{
    const json *csr = json_member(document, "csr");
    const json *payload = json_member(document, "payload");
    json *tpm = json_member(document, "tpm");
    struct span named = registration_id;
    struct buf out;

    if (!err_is_ok(json_get_text(document, "registrationId", &named)) ||
        !span_eq_nocase(named, registration_id)) {
        *ret_verdict = refuse(REASON_FIELD_INVALID,
                              SPAN("registrationId is not the one the device connected as."));
        return OK;
    }
    if (csr != NULL && !json_is_null(csr)) {
        *ret_verdict = refuse(REASON_FIELD_INVALID,
                              SPAN("csr: this server does not issue certificates; leave it out."));
        return OK;
    }
    *ret_verdict = VERDICT(GRANTED);
    if (tpm != NULL && !json_is_null(tpm)) {
        TRY(dps_tpm_decode(tpm, arena, &ret_body->tpm, ret_verdict));
    }
    if (payload != NULL && !json_is_null(payload)) {
        out = arena_buf(arena);
        TRY(json_print(payload, &out));
        TRY(arena_buf_end(arena, &out, &ret_body->payload));
    }
    return OK;
}

err dps_json_parse_body(struct span text, struct span registration_id, struct arena *arena,
                        struct dps_json_body *ret_body, struct verdict *ret_verdict)
{
    AUTO(json) json *document = NULL;
    struct dps_json_body body = { 0 };
    struct verdict v = VERDICT(GRANTED);
    err e;

    if (text.len > LIMIT_DPS_BODY) {
        *ret_verdict = VERDICT(BODY_TOO_LARGE);
        return OK;
    }
    if (span_trim(text).len > 0) {
        e = json_parse(text, LIMIT_JSON_DEPTH, &document);
        if (err_is(e, ERR_NOMEM)) {
            return e;
        }
        if (!err_is_ok(e) || !json_is_object(document)) {
            *ret_verdict = VERDICT(BODY_MALFORMED);
            return OK;
        }
        TRY(read_members(document, registration_id, arena, &body, &v));
    }
    *ret_body = body;
    *ret_verdict = v;
    return OK;
}

/* How it proved itself, and through which group. */
static void write_attestation(const struct registration *r, struct json_writer *w)
{
    bool is_group = r->enrollment_kind == ENROLLMENT_GROUP;
    const char *name = r->attestation == ATTESTATION_X509                        ? "x509"
                       : r->attestation == ATTESTATION_TPM                       ? "tpm"
                       : r->attestation == ATTESTATION_SYMMETRIC_KEY && is_group ? "symmetricKey"
                                                                                 : NULL;

    if (name == NULL) {
        return;
    }
    json_write_begin_object(w, name);
    if (r->status == REGISTRATION_ASSIGNED && !span_is_absent(r->authentication_key)) {
        json_write_base64(w, "authenticationKey", r->authentication_key);
    }
    if (is_group) {
        json_write_text_if(w, "enrollmentGroupId", r->enrollment);
    }
    json_write_end_object(w);
}

void dps_json_write_state(const struct registration *r, struct json_writer *w)
{
    bool is_assigned = r->status == REGISTRATION_ASSIGNED;
    bool is_failed = r->status == REGISTRATION_FAILED;

    json_write_text(w, "registrationId", r->id);
    json_write_time(w, "createdDateTimeUtc", r->created_ms);
    if (is_assigned) {
        json_write_text_if(w, "assignedHub", r->assigned_hub);
        json_write_text_if(w, "deviceId", r->device_id);
    }
    json_write_str(w, "status", model_registration_status_word(r->status));
    if (is_assigned && r->substatus != SUBSTATUS_NONE) {
        json_write_str(w, "substatus", model_substatus_word(r->substatus));
    }
    if (is_failed && r->error_code != 0) {
        json_write_int(w, "errorCode", r->error_code);
        json_write_text_if(w, "errorMessage", r->error_message);
    }
    json_write_time(w, "lastUpdatedDateTimeUtc", r->updated_ms);
    json_write_text_if(w, "etag", r->etag);
    json_write_raw_if(w, "payload", r->payload);
}

void dps_json_write_result(const struct registration *r, const char *name, struct json_writer *w)
{
    json_write_begin_object(w, name);
    dps_json_write_state(r, w);
    write_attestation(r, w);
    json_write_end_object(w);
}

void dps_json_write_operation(struct span operation_id, enum registration_status status,
                              const struct registration *state, struct buf *out)
{
    struct json_writer w = json_writer_over(out);

    json_write_begin_object(&w, NULL);
    json_write_text(&w, "operationId", operation_id);
    json_write_str(&w, "status", model_registration_status_word(status));
    if (state != NULL) {
        dps_json_write_result(state, "registrationState", &w);
    }
    json_write_end_object(&w);
}
