/* api/hub_identity_json.c: reads and prints identities. Which values go together is hub/'s. */
#include "api/hub_identity_json.h"

#include "core/enrollment.h"
#include "model/limits.h"
#include "util/base64.h"

void hub_identity_json_etag(int64_t etag, struct buf *out)
{
    uint8_t bytes[24];
    struct buf digits = buf_over(bytes, sizeof(bytes));

    buf_add_int(&digits, etag);
    base64_encode(buf_span(&digits), out);
}

int64_t hub_identity_json_match(const struct core_match *match)
{
    uint8_t bytes[24];
    struct buf digits = buf_over(bytes, sizeof(bytes));
    int64_t etag;

    if (!match->is_given || match->is_any) {
        return -1;
    }
    return err_is_ok(base64_decode(match->etag, &digits)) &&
                   span_parse_int(buf_span(&digits), &etag)
               ? etag
               : INT64_MAX;
}

const char *hub_identity_json_auth_word(enum device_auth auth)
{
    switch (auth) {
    case DEVICE_AUTH_SELF_SIGNED:
        return "selfSigned";
    case DEVICE_AUTH_CERTIFICATE_AUTHORITY:
        return "certificateAuthority";
    case DEVICE_AUTH_NONE:
        return "none";
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
    struct arena arena;
    struct span scope = d->device_scope;

    arena_init(&arena, bytes, sizeof(bytes));
    if (!d->iot_edge || err_is_ok(hub_identity_scope(d, &arena, &scope))) {
        json_write_text_if(w, "deviceScope", scope);
    }
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

static void write_module(const struct device *d, const struct hub_standing *s,
                         struct json_writer *w)
{
    json_write_text(w, "moduleId", hub_identity_module(d->device_id));
    write_text_or_null(w, "managedBy", d->managed_by);
    json_write_text(w, "deviceId", hub_identity_device(d->device_id));
    json_write_text(w, "generationId", d->generation_id);
    write_etag(d, w);
    json_write_str(w, "connectionState", connection_word(s));
    hub_identity_json_write_time(w, "connectionStateUpdatedTime", s->state_updated_ms);
    hub_identity_json_write_time(w, "lastActivityTime", s->last_activity_ms);
    json_write_int(w, "cloudToDeviceMessageCount", s->c2d_messages);
    write_authentication(d, w);
}

static void write_device(const struct device *d, const struct hub_standing *s,
                         struct json_writer *w)
{
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
}

void hub_identity_json_write(const struct device *d, const struct hub_standing *s,
                             struct json_writer *w)
{
    json_write_begin_object(w, NULL);
    if (hub_identity_is_module(d->device_id)) {
        write_module(d, s, w);
    } else {
        write_device(d, s, w);
    }
    json_write_end_object(w);
}

/* ---- reading ---- */

struct reader {
    const struct env *env;
    const char *problem; /* of the first member that is wrong */
};

static void object_to(struct reader *r, const char *problem)
{
    r->problem = r->problem != NULL ? r->problem : problem;
}

/* Absent or null: stays as it is. */
static struct span read_text(struct reader *r, const json *object, const char *name,
                             const char *problem)
{
    struct span text = SPAN_NONE;

    if (!err_is_ok(json_get_text(object, name, &text))) {
        object_to(r, problem);
    }
    return text;
}

static json *read_object(struct reader *r, const json *object, const char *name,
                         const char *problem)
{
    json *v = json_member(object, name);

    if (v != NULL && !json_is_null(v) && !json_is_object(v)) {
        object_to(r, problem);
    }
    return v;
}

/* An empty one is to be made, as if it were not given (reference 3.1). */
static err read_key(struct reader *r, const json *keys, const char *name, struct span *ret_key)
{
    struct span text = read_text(r, keys, name, "A symmetric key is not a text.");
    struct buf out;
    err e;

    *ret_key = SPAN_NONE;
    if (span_is_empty(text)) {
        return OK;
    }
    out = arena_buf(r->env->arena);
    e = base64_decode(text, &out);
    if (err_is(e, ERR_MALFORMED)) {
        object_to(r, "A symmetric key is base64 of 16 to 64 bytes.");
        return OK;
    }
    TRY(e);
    return arena_buf_end(r->env->arena, &out, ret_key);
}

static struct span read_thumbprint(struct reader *r, const json *thumbprints, const char *name)
{
    struct span text = read_text(r, thumbprints, name, "A thumbprint is not a text.");

    return span_is_empty(text) ? SPAN_NONE : text;
}

static enum device_auth read_type(struct reader *r, const json *authentication,
                                  const struct device *d)
{
    static const char problem[] = "authentication.type is none of sas, selfSigned, "
                                  "certificateAuthority.";
    struct span word = read_text(r, authentication, "type", problem);

    for (int i = DEVICE_AUTH_SAS; i <= DEVICE_AUTH_NONE; i++) {
        if (span_eq_nocase(word, span_str(hub_identity_json_auth_word((enum device_auth)i)))) {
            return (enum device_auth)i;
        }
    }
    if (!span_is_empty(word)) {
        object_to(r, problem);
    }
    return span_is_absent(d->primary_thumbprint) && span_is_absent(d->secondary_thumbprint)
               ? DEVICE_AUTH_SAS
               : DEVICE_AUTH_SELF_SIGNED;
}

static err read_authentication(struct reader *r, const json *document, struct device *d)
{
    const json *a = read_object(r, document, "authentication", "authentication is no object.");
    const json *keys = read_object(r, a, "symmetricKey", "symmetricKey is no object.");
    const json *thumbprints = read_object(r, a, "x509Thumbprint", "x509Thumbprint is no object.");

    TRY(read_key(r, keys, "primaryKey", &d->primary_key));
    TRY(read_key(r, keys, "secondaryKey", &d->secondary_key));
    d->primary_thumbprint = read_thumbprint(r, thumbprints, "primaryThumbprint");
    d->secondary_thumbprint = read_thumbprint(r, thumbprints, "secondaryThumbprint");
    d->auth = read_type(r, a, d);
    return OK;
}

static void read_status(struct reader *r, const json *document, struct device *d)
{
    static const char problem[] = "status is neither enabled nor disabled.";
    struct span word = read_text(r, document, "status", problem);

    d->status = span_eq_nocase(word, SPAN("disabled")) ? DEVICE_DISABLED : DEVICE_ENABLED;
    if (!span_is_absent(word) && d->status == DEVICE_ENABLED &&
        !span_eq_nocase(word, SPAN("enabled"))) {
        object_to(r, problem);
    }
    d->status_reason = read_text(r, document, "statusReason",
                                 "statusReason is not a text of at most 128 "
                                 "characters.");
}

static err read_parents(struct reader *r, const json *document, struct device *d)
{
    const json *parents = json_member(document, "parentScopes");
    struct buf out;

    d->parent_scopes = SPAN_NONE;
    if (parents == NULL || json_is_null(parents)) {
        return OK;
    }
    for (size_t i = 0; i < json_array_len(parents); i++) {
        if (!json_is_string(json_array_at(parents, i))) {
            object_to(r, "parentScopes is not an array of texts.");
        }
    }
    if (!json_is_array(parents)) {
        object_to(r, "parentScopes is not an array of texts.");
    }
    out = arena_buf(r->env->arena);
    TRY(json_print(parents, &out));
    return arena_buf_end(r->env->arena, &out, &d->parent_scopes);
}

static err read_device(struct reader *r, const json *document, struct device *d)
{
    const json *capabilities =
        read_object(r, document, "capabilities", "capabilities is no object.");
    bool is_edge = false;

    read_status(r, document, d);
    if (!err_is_ok(json_get_bool(capabilities, "iotEdge", &is_edge))) {
        object_to(r, "capabilities.iotEdge is neither true nor false.");
    }
    d->iot_edge = is_edge;
    d->device_scope = read_text(r, document, "deviceScope", "deviceScope is not a text.");
    return read_parents(r, document, d);
}

err hub_identity_json_read(const struct env *env, const json *document, struct device *d,
                           struct verdict *ret_verdict)
{
    struct reader r = { .env = env };

    TRY(read_authentication(&r, document, d));
    if (!hub_identity_is_module(d->device_id)) {
        TRY(read_device(&r, document, d));
    } else {
        d->managed_by = read_text(&r, document, "managedBy", "managedBy is not a text.");
        if (d->managed_by.len > LIMIT_STATUS_REASON) {
            object_to(&r, "managedBy is longer than 128 characters.");
        }
    }
    *ret_verdict = r.problem == NULL ? VERDICT(GRANTED) : verdict_invalid(r.problem);
    return OK;
}
