/* api/manage_certificate.c: uploaded CA certificates, in the shapes of Azure's ARM (reference
 * dps-service-api.md 8.3; doc/wire/manage.md). */
#include "api/manage_http.h"
#include "core/certificate.h"
#include "util/percent.h"
#include "util/timefmt.h"

static void write_date(struct json_writer *w, const char *name, int64_t time_ms)
{
    uint8_t bytes[64];
    struct buf text = buf_over(bytes, sizeof(bytes));

    timefmt_http(time_ms, &text);
    json_write_text(w, name, buf_span(&text));
}

static err write_certificate(struct http_call *call, const struct certificate *c, bool with_code,
                             struct json_writer *w)
{
    struct buf id = arena_buf(call->env->arena);
    struct span id_text;

    buf_add_str(&id, "/berth/v1/certificates/");
    percent_encode(c->name, &id);
    TRY(arena_buf_end(call->env->arena, &id, &id_text));
    json_write_begin_object(w, NULL);
    json_write_text(w, "name", c->name);
    json_write_text(w, "id", id_text);
    json_write_str(w, "type", "Microsoft.Devices/ProvisioningServices/Certificates");
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
    static const struct manage_listing l = { .path = "/berth/v1/certificates",
                                             .row_size = sizeof(struct certificate),
                                             .fetch = fetch,
                                             .write = write_row,
                                             .key = key_of };
    struct instance instance;
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    return verdict_is_granted(v) ? manage_page_answer(call, &l, instance.id_scope)
                                 : http_call_refuse(call, v);
}

err manage_certificate_get(struct http_call *call)
{
    struct instance instance;
    struct certificate c;
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(core_certificate_get(call->env, instance.id_scope, call->params[0], &c, &v));
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
static err begin_upload(struct http_call *call, struct instance *ret_instance, json **ret_document,
                        struct span *ret_text, bool *ret_is_verified, struct verdict *ret_verdict)
{
    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, ret_instance, ret_verdict));
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
    struct instance instance;
    struct certificate c;
    struct core_match match;
    struct span text;
    bool is_verified;
    struct verdict v;

    TRY(begin_upload(call, &instance, &document, &text, &is_verified, &v));
    TRY(http_call_if_match(call, &match));
    if (verdict_is_granted(v)) {
        TRY(core_certificate_put(call->env, instance.id_scope, call->params[0], text, is_verified,
                                 &match, &c, &v));
    }
    return answer_certificate(call, &c, false, v);
}

err manage_certificate_delete(struct http_call *call)
{
    struct instance instance;
    struct core_match match;
    struct verdict v;
    bool is_forced;

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    TRY(http_call_if_match(call, &match));
    TRY(manage_is_forced(call, &is_forced));
    if (verdict_is_granted(v)) {
        TRY(core_certificate_delete(call->env, instance.id_scope, call->params[0], is_forced,
                                    &match, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    call->status = 204;
    return OK;
}

err manage_certificate_generate_code(struct http_call *call)
{
    struct instance instance;
    struct certificate c;
    struct core_match match;
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    TRY(http_call_if_match(call, &match));
    if (verdict_is_granted(v)) {
        TRY(core_certificate_generate_code(call->env, instance.id_scope, call->params[0], &match,
                                           &c, &v));
    }
    return answer_certificate(call, &c, true, v);
}

err manage_certificate_verify(struct http_call *call)
{
    AUTO(json) json *document = NULL;
    struct instance instance;
    struct certificate c;
    struct core_match match;
    struct span text;
    bool ignored;
    struct verdict v;

    TRY(begin_upload(call, &instance, &document, &text, &ignored, &v));
    TRY(http_call_if_match(call, &match));
    if (verdict_is_granted(v)) {
        TRY(core_certificate_verify(call->env, instance.id_scope, call->params[0], text, &match, &c,
                                    &v));
    }
    return answer_certificate(call, &c, false, v);
}
