/* api/manage_http.c: the table of the management routes (doc/wire/manage.md), and what their
 * handlers share. */
#include "api/manage_http.h"

#include "api/error.h"

err manage_refuse_member(struct http_call *call, err e, struct verdict *ret_verdict)
{
    if (!err_is(e, ERR_MALFORMED)) {
        return e;
    }
    *ret_verdict = VERDICT(FIELD_INVALID);
    return arena_printf(call->env->arena, &ret_verdict->detail, "%s.", err_detail());
}

err manage_begin_change(struct http_call *call, struct instance *ret_instance, json **ret_document,
                        struct verdict *ret_verdict)
{
    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, ret_instance, ret_verdict));
    return verdict_is_granted(*ret_verdict)
               ? http_call_body_object(call, false, ret_document, ret_verdict)
               : OK;
}

err manage_answer_list(struct http_call *call,
                       err (*write)(struct http_call *call, const struct instance *instance,
                                    struct json_writer *w))
{
    struct instance instance;
    struct verdict v;
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    out = http_call_body_room(call);
    json_write_begin_object(&w, NULL);
    json_write_begin_array(&w, "value");
    TRY(write(call, &instance, &w));
    json_write_end_array(&w);
    json_write_end_object(&w);
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

err manage_is_forced(struct http_call *call, bool *ret_is)
{
    struct span force;

    TRY(http_call_query(call, SPAN("force"), &force));
    *ret_is = span_eq_nocase(force, SPAN("true"));
    return OK;
}

#define MANAGE(method_, path_, handle_)                                                            \
    {                                                                                              \
        .method = method_, .path = "/berth/v1/" path_, .handle = handle_, .surface = "manage",     \
        .operation = method_ " " path_, .refuse = error_write_management                           \
    }

const struct http_route HTTP_MANAGE_ROUTES[] = {
    MANAGE("GET", "instances", manage_instance_list),
    MANAGE("GET", "instances/{name}", manage_instance_get),
    MANAGE("PUT", "instances/{name}", manage_instance_put),
    MANAGE("DELETE", "instances/{name}", manage_instance_delete),
    MANAGE("GET", "instance", manage_instance_get_own),
    MANAGE("PATCH", "instance", manage_instance_patch_own),
    MANAGE("GET", "policies", manage_policy_list),
    MANAGE("GET", "policies/{name}", manage_policy_get),
    MANAGE("PUT", "policies/{name}", manage_policy_put),
    MANAGE("DELETE", "policies/{name}", manage_policy_delete),
    MANAGE("POST", "policies/{name}/listkeys", manage_policy_list_keys),
    MANAGE("POST", "policies/{name}/regenerateKey", manage_policy_regenerate_key),
    MANAGE("GET", "linkedHubs", manage_link_list),
    MANAGE("GET", "linkedHubs/{hostName}", manage_link_get),
    MANAGE("PUT", "linkedHubs/{hostName}", manage_link_put),
    MANAGE("DELETE", "linkedHubs/{hostName}", manage_link_delete),
    MANAGE("POST", "linkedHubs/{hostName}/check", manage_link_check),
    MANAGE("POST", "linkedHubs/{hostName}/drain", manage_drain_begin),
    MANAGE("DELETE", "linkedHubs/{hostName}/drain", manage_drain_end),
    MANAGE("GET", "linkedHubs/{hostName}/devices", manage_drain_list),
    MANAGE("POST", "linkedHubs/{hostName}/disconnect", manage_drain_disconnect),
    MANAGE("GET", "linkedHubs/{hostName}/identities", manage_reconcile_identities),
    MANAGE("GET", "reconcile/hubs", manage_reconcile_hubs),
    MANAGE("GET", "reconcile/registrations", manage_reconcile_registrations),
    MANAGE("GET", "reconcile/errands", manage_reconcile_errands),
    MANAGE("POST", "reconcile", manage_mend),
    MANAGE("GET", "hubs", manage_hub_list),
    MANAGE("GET", "hubs/{name}", manage_hub_get),
    MANAGE("PUT", "hubs/{name}", manage_hub_put),
    MANAGE("PATCH", "hubs/{name}", manage_hub_patch),
    MANAGE("DELETE", "hubs/{name}", manage_hub_delete),
    MANAGE("GET", "certificates", manage_certificate_list),
    MANAGE("GET", "certificates/{name}", manage_certificate_get),
    MANAGE("PUT", "certificates/{name}", manage_certificate_put),
    MANAGE("DELETE", "certificates/{name}", manage_certificate_delete),
    MANAGE("POST", "certificates/{name}/generateVerificationCode",
           manage_certificate_generate_code),
    MANAGE("POST", "certificates/{name}/verify", manage_certificate_verify),
    MANAGE("GET", "hubs/{hub}/certificates", manage_certificate_list),
    MANAGE("GET", "hubs/{hub}/certificates/{name}", manage_certificate_get),
    MANAGE("PUT", "hubs/{hub}/certificates/{name}", manage_certificate_put),
    MANAGE("DELETE", "hubs/{hub}/certificates/{name}", manage_certificate_delete),
    MANAGE("POST", "hubs/{hub}/certificates/{name}/generateVerificationCode",
           manage_certificate_generate_code),
    MANAGE("POST", "hubs/{hub}/certificates/{name}/verify", manage_certificate_verify),
    MANAGE("GET", "errands", manage_errand_list),
    MANAGE("GET", "decisions", manage_decision_list),
    MANAGE("GET", "decisions/{trackingId}", manage_decision_get),
    MANAGE("POST", "explain", manage_decision_explain),
    { 0 },
};
