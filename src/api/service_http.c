/* api/service_http.c: provisioning's service API (reference dps-service-api.md 2): enrollments,
 * enrollment groups and registrations, one at a time. Lists are in service_query.c, bulk in
 * service_bulk.c. */
#include "api/service_http.h"

#include "api/enrollment_json.h"
#include "api/error.h"

/* Answers with one enrollment. */
static err answer_enrollment(struct http_call *call, const struct enrollment *e, bool with_keys,
                             const struct registration *registration)
{
    struct enrollment_json_view view = { .api_version = call->api_version,
                                         .with_keys = with_keys,
                                         .registration = registration };
    struct buf out = http_call_body_room(call);
    struct json_writer w = json_writer_over(&out);

    TRY(enrollment_json_write(call->env, e, &view, &w));
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

static err get_enrollment(struct http_call *call, enum enrollment_kind kind)
{
    struct instance instance;
    struct enrollment e;
    struct registration registration;
    struct verdict v, registration_v = VERDICT(RESOURCE_NOT_FOUND);

    TRY(http_call_authorize_instance(call, RIGHT_ENROLLMENT_READ, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(core_enrollment_get(call->env, instance.id_scope, kind, call->params[0], &e, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    if (kind == ENROLLMENT_INDIVIDUAL) {
        TRY(core_registration_get(call->env, instance.id_scope, e.id, &registration,
                                  &registration_v));
    }
    return answer_enrollment(call, &e, false,
                             verdict_is_granted(registration_v) ? &registration : NULL);
}

/* Reads the body against what is stored now, and puts it. */
static err put_body(struct http_call *call, const struct instance *instance,
                    enum enrollment_kind kind, struct enrollment *ret_enrollment,
                    struct verdict *ret_verdict)
{
    AUTO(json) json *document = NULL;
    struct core_enrollment_put how = { 0 };
    struct enrollment stored;
    struct enrollment_json_put put = { .id_scope = instance->id_scope,
                                       .kind = kind,
                                       .id = call->params[0],
                                       .api_version = call->api_version };
    struct verdict v;

    TRY(http_call_body_object(call, false, &document, ret_verdict));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    TRY(http_call_if_match(call, &how.match));
    TRY(core_enrollment_get(call->env, put.id_scope, kind, put.id, &stored, &v));
    put.stored = verdict_is_granted(v) ? &stored : NULL;
    TRY(enrollment_json_decode(call->env, &put, document, ret_enrollment, how.keep_slot,
                               ret_verdict));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    return core_enrollment_put(call->env, &how, ret_enrollment, ret_verdict);
}

static err put_enrollment(struct http_call *call, enum enrollment_kind kind)
{
    struct instance instance;
    struct enrollment e;
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_ENROLLMENT_WRITE, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(put_body(call, &instance, kind, &e, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    return answer_enrollment(call, &e, true, NULL);
}

static err answer_deleted(struct http_call *call, struct verdict v)
{
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    call->status = 204;
    return OK;
}

static err delete_enrollment(struct http_call *call, enum enrollment_kind kind)
{
    struct instance instance;
    struct core_match match;
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_ENROLLMENT_WRITE, &instance, &v));
    TRY(http_call_if_match(call, &match));
    if (verdict_is_granted(v)) {
        TRY(core_enrollment_delete(call->env, instance.id_scope, kind, call->params[0], &match,
                                   &v));
    }
    return answer_deleted(call, v);
}

static err get_attestation(struct http_call *call, enum enrollment_kind kind)
{
    struct instance instance;
    struct enrollment e;
    struct verdict v;
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    TRY(http_call_authorize_instance(call, RIGHT_ENROLLMENT_READ, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(core_enrollment_get(call->env, instance.id_scope, kind, call->params[0], &e, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    out = http_call_body_room(call);
    TRY(enrollment_json_write_attestation(call->env, &e, true, NULL, &w));
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

static err on_get_individual(struct http_call *call)
{
    return get_enrollment(call, ENROLLMENT_INDIVIDUAL);
}

static err on_put_individual(struct http_call *call)
{
    return put_enrollment(call, ENROLLMENT_INDIVIDUAL);
}

static err on_delete_individual(struct http_call *call)
{
    return delete_enrollment(call, ENROLLMENT_INDIVIDUAL);
}

static err on_attestation_individual(struct http_call *call)
{
    return get_attestation(call, ENROLLMENT_INDIVIDUAL);
}

static err on_get_group(struct http_call *call)
{
    return get_enrollment(call, ENROLLMENT_GROUP);
}

static err on_put_group(struct http_call *call)
{
    return put_enrollment(call, ENROLLMENT_GROUP);
}

static err on_delete_group(struct http_call *call)
{
    return delete_enrollment(call, ENROLLMENT_GROUP);
}

static err on_attestation_group(struct http_call *call)
{
    return get_attestation(call, ENROLLMENT_GROUP);
}

static err on_get_registration(struct http_call *call)
{
    struct instance instance;
    struct registration r;
    struct verdict v;
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    TRY(http_call_authorize_instance(call, RIGHT_REGISTRATION_STATUS_READ, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(core_registration_get(call->env, instance.id_scope, call->params[0], &r, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    out = http_call_body_room(call);
    enrollment_json_write_registration(&r, NULL, &w);
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

static err on_delete_registration(struct http_call *call)
{
    struct instance instance;
    struct core_match match;
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_REGISTRATION_STATUS_WRITE, &instance, &v));
    TRY(http_call_if_match(call, &match));
    if (verdict_is_granted(v)) {
        TRY(core_registration_delete(call->env, instance.id_scope, call->params[0], &match, &v));
    }
    return answer_deleted(call, v);
}

#define SERVICE(method_, path_, handle_)                                                           \
    {                                                                                              \
        .method = method_, .path = path_, .handle = handle_, .surface = "service",                 \
        .operation = method_ " " path_, .needs_api_version = true,                                 \
        .refuse = error_write_provisioning                                                         \
    }

/* POST decides that "query" is not an ID. */
const struct http_route HTTP_SERVICE_ROUTES[] = {
    SERVICE("POST", "/enrollments", service_bulk_enrollments),
    SERVICE("POST", "/enrollments/query", service_query_enrollments),
    SERVICE("GET", "/enrollments/{id}", on_get_individual),
    SERVICE("PUT", "/enrollments/{id}", on_put_individual),
    SERVICE("DELETE", "/enrollments/{id}", on_delete_individual),
    SERVICE("POST", "/enrollments/{id}/attestationmechanism", on_attestation_individual),
    SERVICE("POST", "/enrollmentGroups", service_bulk_groups),
    SERVICE("POST", "/enrollmentGroups/query", service_query_groups),
    SERVICE("GET", "/enrollmentGroups/{id}", on_get_group),
    SERVICE("PUT", "/enrollmentGroups/{id}", on_put_group),
    SERVICE("DELETE", "/enrollmentGroups/{id}", on_delete_group),
    SERVICE("POST", "/enrollmentGroups/{id}/attestationmechanism", on_attestation_group),
    SERVICE("", "/registrations", NULL),
    SERVICE("GET", "/registrations/{id}", on_get_registration),
    SERVICE("DELETE", "/registrations/{id}", on_delete_registration),
    SERVICE("POST", "/registrations/{id}/query", service_query_registrations),
    { 0 },
};
