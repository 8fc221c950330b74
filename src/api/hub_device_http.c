/* api/hub_device_http.c: device identities for the back end (reference iothub-service-api.md 3).
 * Identities are made by provisioning; here they are read, and enabled or disabled. */
#include "api/hub_http.h"

#include "api/error.h"
#include "api/hub_identity_json.h"
#include "core/enrollment.h"
#include "hub/hub.h"
#include "model/limits.h"
#include "util/base64.h"
#include "json/writer.h"

static err answer_device(struct http_call *call, const struct device *d)
{
    struct buf out = arena_buf(call->env->arena);
    struct json_writer w = json_writer_over(&out);
    struct hub_standing standing;
    struct span etag;

    buf_add_u8(&out, '"');
    hub_identity_json_etag(d->etag, &out);
    buf_add_u8(&out, '"');
    TRY(arena_buf_end(call->env->arena, &out, &etag));
    http_call_header(call, "ETag", etag);
    TRY(hub_identity_standing_now(call->env, call->service->bus, d, &standing));
    out = http_call_body_room(call);
    hub_identity_json_write_device(d, &standing, &w);
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

/* ---- reading ---- */

err hub_device_http_get(struct http_call *call)
{
    struct hub hub;
    struct device device;
    struct verdict v;

    TRY(http_call_authorize_hub(call, RIGHT_REGISTRY_READ, &hub, &v));
    if (verdict_is_granted(v)) {
        TRY(hub_device_get(call->env, hub.host_name, call->params[0], &device, &v));
    }
    return verdict_is_granted(v) ? answer_device(call, &device) : http_call_refuse(call, v);
}

/* Rows are read a few at a time: twins may be long, identities are not. */
static err write_devices(struct http_call *call, struct span hub, size_t top, struct json_writer *w)
{
    struct arena *arena = call->env->arena;
    uint8_t last[LIMIT_DEVICE_ID];
    struct span after = SPAN_NONE;
    size_t mark = arena->used;
    size_t n = 1;

    for (size_t done = 0; done < top && n > 0; done += n) {
        size_t want = top - done < LIMIT_DEVICE_BATCH ? top - done : LIMIT_DEVICE_BATCH;
        struct device *rows = NULL;
        struct buf key = buf_over(last, sizeof(last));

        arena->used = mark;
        TRY(hub_device_list(call->env, hub, after, want, &rows, &n));
        for (size_t i = 0; i < n; i++) {
            struct hub_standing standing;

            TRY(hub_identity_standing_now(call->env, call->service->bus, &rows[i], &standing));
            hub_identity_json_write_device(&rows[i], &standing, w);
        }
        if (n > 0) {
            buf_add(&key, rows[n - 1].device_id);
            TRY(buf_ok(&key));
            after = buf_span(&key);
        }
    }
    return OK;
}

err hub_device_http_list(struct http_call *call)
{
    struct hub hub;
    struct verdict v;
    struct span text;
    int64_t top = LIMIT_PAGE;
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    TRY(http_call_authorize_hub(call, RIGHT_REGISTRY_READ, &hub, &v));
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    TRY(http_call_query(call, SPAN("top"), &text));
    if ((!span_is_empty(text) && !span_parse_int(text, &top)) || top < 1) {
        return http_call_refuse_with(call, REASON_FIELD_INVALID, "top is not between 1 and %d.",
                                     LIMIT_PAGE);
    }
    out = http_call_body_room(call);
    json_write_begin_array(&w, NULL);
    TRY(write_devices(call, hub.host_name, (size_t)(top < LIMIT_PAGE ? top : LIMIT_PAGE), &w));
    json_write_end_array(&w);
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

/* ---- changing ---- */

static bool is_text_or_null(const json *v, struct span expected)
{
    return v == NULL || json_is_null(v) || span_eq_nocase(json_text(v), expected);
}

/* A symmetric key's text over `bytes`; absent stays absent. */
static struct span format_key(struct span key, uint8_t bytes[2 * LIMIT_SYMMETRIC_KEY])
{
    struct buf text = buf_over(bytes, 2 * LIMIT_SYMMETRIC_KEY);

    base64_encode(key, &text);
    return span_is_absent(key) ? SPAN_NONE : buf_span(&text);
}

static bool keeps_key(const json *v, struct span key)
{
    uint8_t bytes[2 * LIMIT_SYMMETRIC_KEY];
    struct span text = format_key(key, bytes);

    return v == NULL || json_is_null(v) || span_is_empty(json_text(v)) ||
           span_eq(json_text(v), text);
}

/* Does the body leave the credential as it is? Keys and thumbprints that are null or left out
 * do. */
static bool keeps_authentication(const json *document, const struct device *d)
{
    const json *authentication = json_member(document, "authentication");
    const json *keys = json_member(authentication, "symmetricKey");
    const json *thumbprints = json_member(authentication, "x509Thumbprint");

    return is_text_or_null(json_member(authentication, "type"),
                           span_str(hub_identity_json_auth_word(d->auth))) &&
           keeps_key(json_member(keys, "primaryKey"), d->primary_key) &&
           keeps_key(json_member(keys, "secondaryKey"), d->secondary_key) &&
           is_text_or_null(json_member(thumbprints, "primaryThumbprint"), d->primary_thumbprint) &&
           is_text_or_null(json_member(thumbprints, "secondaryThumbprint"),
                           d->secondary_thumbprint);
}

/* NULL, or what is wrong with the change. */
static const char *read_change(const json *document, const struct device *d,
                               struct hub_device_status *change)
{
    struct span id = d->device_id;
    struct span status = SPAN("enabled");
    bool edge = d->iot_edge != 0;

    if (!err_is_ok(json_get_text(document, "deviceId", &id)) || !span_eq(id, d->device_id)) {
        return "deviceId is not the ID in the path.";
    }
    if (!err_is_ok(json_get_text(document, "status", &status)) ||
        (!span_eq_nocase(status, SPAN("enabled")) && !span_eq_nocase(status, SPAN("disabled")))) {
        return "status is neither enabled nor disabled.";
    }
    if (!err_is_ok(json_get_text(document, "statusReason", &change->reason)) ||
        change->reason.len > LIMIT_STATUS_REASON) {
        return "statusReason is not a text of at most 128 characters.";
    }
    if (!err_is_ok(json_get_bool(json_member(document, "capabilities"), "iotEdge", &edge)) ||
        edge != (d->iot_edge != 0) || !keeps_authentication(document, d)) {
        return "Only status and statusReason can be changed here as yet; the credential and the "
               "capabilities are provisioning's.";
    }
    change->status = span_eq_nocase(status, SPAN("enabled")) ? DEVICE_ENABLED : DEVICE_DISABLED;
    return NULL;
}

/* If-Match as hub/ wants it: "*", or the number behind the base64. */
static err read_match(struct http_call *call, bool *ret_is_given, struct span *ret_if_match)
{
    struct core_match match;
    struct buf out;

    TRY(http_call_if_match(call, &match));
    *ret_is_given = match.is_given;
    *ret_if_match = match.is_any ? SPAN("*") : match.etag;
    out = arena_buf(call->env->arena);
    if (match.is_given && !match.is_any && err_is_ok(base64_decode(match.etag, &out))) {
        return arena_buf_end(call->env->arena, &out, ret_if_match);
    }
    return OK;
}

static err change_device(struct http_call *call, struct span hub, const json *document)
{
    struct hub_device_status change = { .reason = SPAN_NONE };
    struct device device;
    struct verdict v;
    const char *wrong;
    bool is_update;

    TRY(read_match(call, &is_update, &change.if_match));
    TRY(hub_device_get(call->env, hub, call->params[0], &device, &v));
    if (!is_update) {
        return verdict_is_granted(v)
                   ? http_call_refuse(call, VERDICT(RESOURCE_EXISTS))
                   : http_call_refuse_with(call, REASON_FIELD_INVALID,
                                           "Making devices here is not supported yet: they come "
                                           "by provisioning. Send If-Match to change one.");
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    wrong = read_change(document, &device, &change);
    if (wrong != NULL) {
        return http_call_refuse_with(call, REASON_FIELD_INVALID, "%s", wrong);
    }
    TRY(hub_device_set_status(call->env, call->service->bus, hub, device.device_id, &change,
                              &device, &v));
    return verdict_is_granted(v) ? answer_device(call, &device) : http_call_refuse(call, v);
}

err hub_device_http_put(struct http_call *call)
{
    AUTO(json) json *document = NULL;
    struct hub hub;
    struct verdict v;

    TRY(http_call_authorize_hub(call, RIGHT_REGISTRY_WRITE, &hub, &v));
    if (verdict_is_granted(v)) {
        TRY(http_call_body_object(call, false, &document, &v));
    }
    return verdict_is_granted(v) ? change_device(call, hub.host_name, document)
                                 : http_call_refuse(call, v);
}
