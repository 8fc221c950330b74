/* api/manage_certificate.c: uploaded CA certificates, of the instance or of a hub that it made, in
 * the shapes of Azure's ARM (reference dps-service-api.md 8.3; doc/wire/manage.md). */
#include "api/manage_http.h"
#include "core/certificate.h"
#include "hub/settings.h"
#include "util/percent.h"
#include "util/timefmt.h"

static void write_date(struct json_writer *w, const char *name, int64_t time_ms)
{
    uint8_t bytes[64];
    struct buf text = buf_over(bytes, sizeof(bytes));

    timefmt_http(time_ms, &text);
    json_write_text(w, name, buf_span(&text));
}

/* Whose certificates the path is about, and which of them. */
struct holder {
    struct span id_scope; /* or a hub's host name */
    struct span base;     /* the path of all of them, ended by NUL */
    struct span name;     /* absent: all */
};

static err find_hub(struct http_call *call, struct holder *h, struct verdict *ret_verdict)
{
    struct hub hub;

    TRY(hub_settings_find(call->env, h->id_scope, call->params[0], &hub, ret_verdict));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    TRY(arena_printf(call->env->arena, &h->base, "/berth/v1/hubs/%.*s/certificates",
                     SPAN_FMT(hub.name)));
    h->id_scope = hub.host_name;
    h->name = call->params[1];
    return OK;
}

/* Routes below a hub have the hub's name first. */
static err find_holder(struct http_call *call, struct holder *ret_holder,
                       struct verdict *ret_verdict)
{
    struct holder h = { .base = SPAN("/berth/v1/certificates"), .name = call->params[0] };
    struct instance instance;

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, ret_verdict));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    h.id_scope = instance.id_scope;
    if (span_starts_with(span_str(call->route->path), SPAN("/berth/v1/hubs/"))) {
        TRY(find_hub(call, &h, ret_verdict));
    }
    *ret_holder = h;
    return OK;
}

static err write_certificate(struct http_call *call, const struct certificate *c, bool with_code,
                             struct json_writer *w)
{
    struct buf id = arena_buf(call->env->arena);
    bool is_hub = !model_may_be_id_scope(c->id_scope);
    struct span id_text;

    buf_add_str(&id, "/berth/v1/");
    if (is_hub) {
        buf_add_str(&id, "hubs/");
        percent_encode(call->params[0], &id);
        buf_add_u8(&id, '/');
    }
    buf_add_str(&id, "certificates/");
    percent_encode(c->name, &id);
    TRY(arena_buf_end(call->env->arena, &id, &id_text));
    json_write_begin_object(w, NULL);
    json_write_text(w, "name", c->name);
    json_write_text(w, "id", id_text);
    json_write_str(w, "type",
                   is_hub ? "Microsoft.Devices/IotHubs/Certificates"
                          : "Microsoft.Devices/ProvisioningServices/Certificates");
    json_write_text_if(w, "etag", c->etag);
    json_write_begin_object(w, "properties");
    json_write_text(w, "subject", c->subject);
    write_date(w, "expiry", c->not_after_ms);
    json_write_hex_upper(w, "thumbprint", c->sha1);
    json_write_bool(w, "isVerified", c->is_verified != 0);
    json_write_base64(w, "certificate", c->der);
    write_date(w, "created", c->created_ms);
    write_date(w, "updated", c->updated_ms);
    if (with_code) {
        json_write_text_if(w, "verificationCode", c->verification_code);
    }
    json_write_end_object(w);
    json_write_end_object(w);
    return OK;
}

static err answer_certificate(struct http_call *call, const struct certificate *c, bool with_code,
                              struct verdict v)
{
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    out = http_call_body_room(call);
    TRY(write_certificate(call, c, with_code, &w));
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

static err fetch(const struct env *env, struct span id_scope, struct span after, size_t n,
                 void **ret_rows, size_t *ret_n)
{
    struct certificate *rows = NULL;

    TRY(core_certificate_list(env, id_scope, after, n, &rows, ret_n));
    *ret_rows = rows;
    return OK;
}

static err write_row(struct http_call *call, const void *row, struct json_writer *w)
{
    return write_certificate(call, row, false, w);
}

static struct span key_of(const void *row)
{
    return ((const struct certificate *)row)->name;
}

err manage_certificate_list(struct http_call *call)
{
    struct manage_listing l = {
        .row_size = sizeof(struct certificate), .fetch = fetch, .write = write_row, .key = key_of
    };
    struct holder holder;
    struct verdict v;

    TRY(find_holder(call, &holder, &v));
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    l.path = (const char *)holder.base.data;
    return manage_page_answer(call, &l, holder.id_scope);
}

err manage_certificate_get(struct http_call *call)
{
    struct holder holder;
    struct certificate c;
    struct verdict v;

    TRY(find_holder(call, &holder, &v));
    if (verdict_is_granted(v)) {
        TRY(core_certificate_get(call->env, holder.id_scope, holder.name, &c, &v));
    }
    return answer_certificate(call, &c, false, v);
}

/* {"properties":{…}} as ARM has it now, or the members flat as it had them once. */
static err read_upload(struct http_call *call, const json *document, struct span *ret_text,
                       bool *ret_is_verified, struct verdict *ret_verdict)
{
    const json *properties = json_member(document, "properties");
    const json *from = json_is_object(properties) ? properties : document;
    struct verdict v = VERDICT(GRANTED);
    struct span text = SPAN_NONE;
    bool is_verified = false;
    err e = json_get_text(from, "certificate", &text);

    if (err_is_ok(e)) {
        e = json_get_bool(from, "isVerified", &is_verified);
    }
    if (!err_is_ok(e)) {
        v = VERDICT(FIELD_INVALID);
        TRY(arena_printf(call->env->arena, &v.detail, "%s.", err_detail()));
    } else if (span_is_empty(text)) {
        v = VERDICT(FIELD_INVALID);
        v.detail = SPAN("certificate is missing.");
    }
    *ret_text = text;
    *ret_is_verified = is_verified;
    *ret_verdict = v;
    return OK;
}

/* Authorization and body of a request that brings a certificate. */
static err begin_upload(struct http_call *call, struct holder *ret_holder, json **ret_document,
                        struct span *ret_text, bool *ret_is_verified, struct verdict *ret_verdict)
{
    TRY(find_holder(call, ret_holder, ret_verdict));
    if (verdict_is_granted(*ret_verdict)) {
        TRY(http_call_body_object(call, false, ret_document, ret_verdict));
    }
    if (verdict_is_granted(*ret_verdict)) {
        TRY(read_upload(call, *ret_document, ret_text, ret_is_verified, ret_verdict));
    }
    return OK;
}

err manage_certificate_put(struct http_call *call)
{
    AUTO(json) json *document = NULL;
    struct holder holder;
    struct certificate c;
    struct core_match match;
    struct span text;
    bool is_verified;
    struct verdict v;

    TRY(begin_upload(call, &holder, &document, &text, &is_verified, &v));
    TRY(http_call_if_match(call, &match));
    if (verdict_is_granted(v)) {
        TRY(core_certificate_put(call->env, holder.id_scope, holder.name, text, is_verified, &match,
                                 &c, &v));
    }
    return answer_certificate(call, &c, false, v);
}

err manage_certificate_delete(struct http_call *call)
{
    struct holder holder;
    struct core_match match;
    struct verdict v;
    bool is_forced;

    TRY(find_holder(call, &holder, &v));
    TRY(http_call_if_match(call, &match));
    TRY(manage_is_forced(call, &is_forced));
    if (verdict_is_granted(v)) {
        TRY(core_certificate_delete(call->env, holder.id_scope, holder.name, is_forced, &match,
                                    &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    call->status = 204;
    return OK;
}

err manage_certificate_generate_code(struct http_call *call)
{
    struct holder holder;
    struct certificate c;
    struct core_match match;
    struct verdict v;

    TRY(find_holder(call, &holder, &v));
    TRY(http_call_if_match(call, &match));
    if (verdict_is_granted(v)) {
        TRY(core_certificate_generate_code(call->env, holder.id_scope, holder.name, &match, &c,
                                           &v));
    }
    return answer_certificate(call, &c, true, v);
}

err manage_certificate_verify(struct http_call *call)
{
    AUTO(json) json *document = NULL;
    struct holder holder;
    struct certificate c;
    struct core_match match;
    struct span text;
    bool ignored;
    struct verdict v;

    TRY(begin_upload(call, &holder, &document, &text, &ignored, &v));
    TRY(http_call_if_match(call, &match));
    if (verdict_is_granted(v)) {
        TRY(core_certificate_verify(call->env, holder.id_scope, holder.name, text, &match, &c, &v));
    }
    return answer_certificate(call, &c, false, v);
}
