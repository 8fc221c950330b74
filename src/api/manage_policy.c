/* api/manage_policy.c: the access policies of the operator's own instance, in the shape of ARM's
 * authorizationPolicies (reference dps-service-api.md 8.2). Keys are told by listkeys alone. */
#include "api/manage_http.h"
#include "core/policy.h"
#include "model/limits.h"
#include "util/base64.h"

static void write_policy(const struct policy *p, bool with_keys, struct json_writer *w)
{
    uint8_t room[256];
    struct buf rights = buf_over(room, sizeof(room));

    model_format_rights(p->rights, &rights);
    json_write_begin_object(w, NULL);
    json_write_text(w, "keyName", p->name);
    if (with_keys) {
        json_write_base64(w, "primaryKey", p->primary_key);
        json_write_base64(w, "secondaryKey", p->secondary_key);
    }
    json_write_text(w, "rights", buf_span(&rights));
    json_write_end_object(w);
}

static err answer(struct http_call *call, const struct policy *p, bool with_keys, struct verdict v)
{
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    out = http_call_body_room(call);
    write_policy(p, with_keys, &w);
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

static err write_all(struct http_call *call, const struct instance *instance, struct json_writer *w)
{
    struct policy *rows = NULL;
    size_t n = 0;

    TRY(core_policy_list(call->env, POLICY_OF_INSTANCE, instance->id_scope, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        write_policy(&rows[i], false, w);
    }
    return OK;
}

err manage_policy_list(struct http_call *call)
{
    return manage_answer_list(call, write_all);
}

static err get(struct http_call *call, bool with_keys)
{
    struct instance instance;
    struct policy policy;
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(core_policy_get(call->env, POLICY_OF_INSTANCE, instance.id_scope, call->params[0],
                            &policy, &v));
    }
    return answer(call, &policy, with_keys, v);
}

err manage_policy_get(struct http_call *call)
{
    return get(call, false);
}

err manage_policy_list_keys(struct http_call *call)
{
    return get(call, true);
}

/* A key that is not given, or is empty, stays absent. */
static err read_key(struct http_call *call, const json *document, const char *member,
                    struct span *ret_key, struct verdict *ret_verdict)
{
    struct span text = SPAN_NONE;
    struct buf out;

    *ret_key = SPAN_NONE;
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    TRY(manage_refuse_member(call, json_get_text(document, member, &text), ret_verdict));
    if (!verdict_is_granted(*ret_verdict) || span_is_empty(text)) {
        return OK;
    }
    out = arena_buf(call->env->arena);
    if (!err_is_ok(base64_decode(text, &out))) {
        *ret_verdict = VERDICT(FIELD_INVALID);
        return arena_printf(call->env->arena, &ret_verdict->detail, "%s is not base64.", member);
    }
    return arena_buf_end(call->env->arena, &out, ret_key);
}

static err read_policy(struct http_call *call, const json *document, struct policy *p,
                       struct verdict *ret_verdict)
{
    struct span rights = SPAN_NONE;
    struct span name = p->name;

    TRY(manage_refuse_member(call, json_get_text(document, "rights", &rights), ret_verdict));
    TRY(manage_refuse_member(call, json_get_text(document, "keyName", &name), ret_verdict));
    TRY(read_key(call, document, "primaryKey", &p->primary_key, ret_verdict));
    TRY(read_key(call, document, "secondaryKey", &p->secondary_key, ret_verdict));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    if (!span_eq(name, p->name)) {
        *ret_verdict = VERDICT(FIELD_INVALID);
        ret_verdict->detail = SPAN("keyName is not the name in the path.");
    } else if (!model_parse_rights(rights, &p->rights)) {
        p->rights = 0; /* core tells which there are */
    }
    return OK;
}

err manage_policy_put(struct http_call *call)
{
    AUTO(json) json *document = NULL;
    struct instance instance;
    struct policy policy = { .owner_type = POLICY_OF_INSTANCE, .name = call->params[0] };
    struct verdict v;

    TRY(manage_begin_change(call, &instance, &document, &v));
    if (verdict_is_granted(v)) {
        policy.owner = instance.id_scope;
        TRY(read_policy(call, document, &policy, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(core_policy_put(call->env, &policy, &v));
    }
    return answer(call, &policy, false, v);
}

err manage_policy_delete(struct http_call *call)
{
    struct instance instance;
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(core_policy_delete(call->env, POLICY_OF_INSTANCE, instance.id_scope, call->params[0],
                               &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    call->status = 204;
    return OK;
}

static bool parse_renewal(struct span word, enum core_policy_renewal *ret_which)
{
    static const char *const words[] = {
        [CORE_POLICY_PRIMARY] = "primary",
        [CORE_POLICY_SECONDARY] = "secondary",
        [CORE_POLICY_SWAP] = "swap",
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (span_eq_nocase(word, span_str(words[i]))) {
            *ret_which = (enum core_policy_renewal)i;
            return true;
        }
    }
    return false;
}

err manage_policy_regenerate_key(struct http_call *call)
{
    AUTO(json) json *document = NULL;
    struct instance instance;
    struct policy policy = { .owner_type = POLICY_OF_INSTANCE, .name = call->params[0] };
    enum core_policy_renewal which;
    struct span word = SPAN_NONE;
    struct verdict v;

    TRY(manage_begin_change(call, &instance, &document, &v));
    if (verdict_is_granted(v)) {
        policy.owner = instance.id_scope;
        TRY(manage_refuse_member(call, json_get_text(document, "key", &word), &v));
    }
    if (verdict_is_granted(v) && !parse_renewal(word, &which)) {
        v = VERDICT(FIELD_INVALID);
        v.detail = SPAN("key: primary, secondary or swap.");
    }
    if (verdict_is_granted(v)) {
        TRY(core_policy_renew(call->env, &policy, which, &policy, &v));
    }
    return answer(call, &policy, false, v);
}
