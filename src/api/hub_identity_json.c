/* api/hub_identity_json.c: prints identities. */
#include "api/hub_identity_json.h"

#include "model/limits.h"
#include "util/base64.h"

void hub_identity_json_etag(int64_t etag, struct buf *out)
{
    uint8_t bytes[24];
    struct buf digits = buf_over(bytes, sizeof(bytes));

    buf_add_int(&digits, etag);
    base64_encode(buf_span(&digits), out);
}

const char *hub_identity_json_auth_word(enum device_auth auth)
{
    switch (auth) {
    case DEVICE_AUTH_SELF_SIGNED:
        return "selfSigned";
    case DEVICE_AUTH_CERTIFICATE_AUTHORITY:
        return "certificateAuthority";
    default:
        return "sas";
    }
}

static void write_text_or_null(struct json_writer *w, const char *name, struct span text)
{
    if (span_is_absent(text)) {
        json_write_null(w, name);
    } else {
        json_write_text(w, name, text);
    }
}

void hub_identity_json_write_time(struct json_writer *w, const char *name, int64_t time_ms)
{
    if (time_ms == 0) {
        json_write_str(w, name, "0001-01-01T00:00:00Z");
    } else {
        json_write_time(w, name, time_ms);
    }
}

/* A symmetric key as text; absent stays null. */
static void write_key(struct json_writer *w, const char *name, struct span key)
{
    if (span_is_absent(key)) {
        json_write_null(w, name);
    } else {
        json_write_base64(w, name, key);
    }
}

void hub_identity_json_write_thumbprints(const struct device *d, struct json_writer *w)
{
    json_write_begin_object(w, "x509Thumbprint");
    write_text_or_null(w, "primaryThumbprint", d->primary_thumbprint);
    write_text_or_null(w, "secondaryThumbprint", d->secondary_thumbprint);
    json_write_end_object(w);
}

static void write_authentication(const struct device *d, struct json_writer *w)
{
    json_write_begin_object(w, "authentication");
    json_write_begin_object(w, "symmetricKey");
    write_key(w, "primaryKey", d->primary_key);
    write_key(w, "secondaryKey", d->secondary_key);
    json_write_end_object(w);
    hub_identity_json_write_thumbprints(d, w);
    json_write_str(w, "type", hub_identity_json_auth_word(d->auth));
    json_write_end_object(w);
}

/* An edge device's scope is its own (reference 3.1); others' is their parent's. */
void hub_identity_json_write_scopes(const struct device *d, struct json_writer *w)
{
    uint8_t bytes[LIMIT_DEVICE_ID + 64];
    struct buf scope = buf_over(bytes, sizeof(bytes));

    buf_printf(&scope, "ms-azure-iot-edge://%.*s-%.*s", SPAN_FMT(d->device_id),
               SPAN_FMT(d->generation_id));
    json_write_text_if(w, "deviceScope", d->iot_edge ? buf_span(&scope) : d->device_scope);
    json_write_raw_if(w, "parentScopes", d->parent_scopes);
}

static void write_etag(const struct device *d, struct json_writer *w)
{
    uint8_t bytes[48];
    struct buf etag = buf_over(bytes, sizeof(bytes));

    hub_identity_json_etag(d->etag, &etag);
    json_write_text(w, "etag", buf_span(&etag));
}

static const char *connection_word(const struct hub_standing *s)
{
    return s->is_connected ? "Connected" : "Disconnected";
}

void hub_identity_json_write_device(const struct device *d, const struct hub_standing *s,
                                    struct json_writer *w)
{
    json_write_begin_object(w, NULL);
    json_write_text(w, "deviceId", d->device_id);
    json_write_text(w, "generationId", d->generation_id);
    write_etag(d, w);
    json_write_str(w, "connectionState", connection_word(s));
    json_write_str(w, "status", d->status == DEVICE_ENABLED ? "enabled" : "disabled");
    write_text_or_null(w, "statusReason", d->status_reason);
    hub_identity_json_write_time(w, "connectionStateUpdatedTime", s->state_updated_ms);
    hub_identity_json_write_time(w, "statusUpdatedTime", d->status_updated_ms);
    hub_identity_json_write_time(w, "lastActivityTime", s->last_activity_ms);
    json_write_int(w, "cloudToDeviceMessageCount", s->c2d_messages);
    json_write_begin_object(w, "capabilities");
    json_write_bool(w, "iotEdge", d->iot_edge != 0);
    json_write_end_object(w);
    write_authentication(d, w);
    hub_identity_json_write_scopes(d, w);
    json_write_end_object(w);
}
