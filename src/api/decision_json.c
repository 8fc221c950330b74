/* api/decision_json.c: a decision record for the operator: what is stored, and the words of the
 * reason table beside it. */
#include "api/decision_json.h"

static void write_reason(struct span token, struct json_writer *w)
{
    enum reason reason;
    bool is_known = reason_parse(token, &reason);
    bool is_granted = is_known && reason == REASON_GRANTED;

    json_write_str(w, "outcome", is_granted ? "granted" : "refused");
    json_write_text(w, "reason", token);
    if (is_known) { /* a newer version may have stored others */
        json_write_int(w, "errorCode", reason_info(reason)->error_code);
        json_write_str(w, "message", reason_info(reason)->message);
        json_write_str(w, "meaning", reason_info(reason)->meaning);
    }
}

void decision_json_write(const struct decision_row *row, struct json_writer *w)
{
    bool is_hub = row->operation == OPERATION_CONNECT;

    json_write_begin_object(w, NULL);
    json_write_text_if(w, "trackingId", row->tracking_id);
    json_write_time(w, "timeUtc", row->time_ms);
    json_write_text_if(w, "operation", span_str(model_operation_word(row->operation)));
    json_write_text_if(w, "transport", span_str(model_transport_word(row->transport)));
    json_write_text_if(w, "peer", row->peer);
    if (!is_hub) {
        json_write_text_if(w, "idScope", row->id_scope);
    }
    json_write_text_if(w, "registrationId", row->registration_id);
    write_reason(row->reason, w);
    json_write_raw_if(w, "enrollment", row->enrollment);
    json_write_text_if(w, "hub", is_hub ? row->id_scope : row->hub);
    json_write_text_if(w, "deviceId", is_hub ? row->registration_id : row->device_id);
    json_write_raw_if(w, "certificate", row->certificate);
    if (span_is_absent(row->considered)) {
        json_write_begin_array(w, "considered");
        json_write_end_array(w);
    }
    json_write_raw_if(w, "considered", row->considered);
    json_write_raw_if(w, "allocation", row->allocation);
    json_write_end_object(w);
}

void decision_json_write_dry(const struct decision *d, struct json_writer *w)
{
    struct decision_row row = {
        .time_ms = d->time_ms,
        .id_scope = d->id_scope,
        .registration_id = d->registration_id,
        .operation = OPERATION_REGISTER,
        .reason = span_str(reason_info(d->reason)->token),
        .enrollment = d->enrollment,
        .hub = d->hub,
        .device_id = d->device_id,
        .certificate = d->certificate,
        .considered = d->considered,
        .allocation = d->allocation,
    };

    decision_json_write(&row, w);
}
