/* api/http_auth.c: who may use a route: the operator's and the back end's a shared access signature
 * by a policy of the instance or hub that the request's host names, or of the server; a device's
 * routes that device, as hub/login.c judges it. */
#include "api/http.h"
#include "api/http_limits.h"
#include "attest/sas.h"
#include "core/instance.h"
#include "hub/hub.h"
#include "hub/identity.h"
#include "hub/presence.h"
#include "hub/settings.h"
#include "util/percent.h"

/* The host that the request is for, folded, without port; empty when it has none. */
static err host_of(struct http_call *call, struct span *ret_host)
{
    struct span host = span_trim(http_call_header_in(call, SPAN("Host")));
    size_t at = host.len;
    int64_t port;

    while (at > 0 && host.data[at - 1] != ':' && host.data[at - 1] != ']') {
        at--;
    }
    if (at > 0 && host.data[at - 1] == ':' &&
        (at == host.len || span_parse_int(span_from(host, at), &port))) {
        host = span_first(host, at - 1);
    }
    return model_fold(call->env->arena, host, ret_host);
}

/* What the token must cover: the host and the path, decoded. */
static err resource_of(struct http_call *call, struct span host, struct span *ret_resource)
{
    struct buf out = arena_buf(call->env->arena);
    err e;

    buf_add(&out, host);
    e = percent_decode(call->request->path, &out);
    if (err_is(e, ERR_MALFORMED)) {
        *ret_resource = host;
        return OK;
    }
    TRY(e);
    return arena_buf_end(call->env->arena, &out, ret_resource);
}

/* Does a token that covers the resource by its letters name the IDs in the path as they are? Those
 * of a hub's devices and modules are told apart by their case, unlike the host and the fixed parts.
 */
static bool is_exact(const struct http_call *call, struct span host, struct span scope)
{
    struct span pattern = span_str(call->route->path);
    size_t at = host.len;
    size_t n = 0;

    (void)span_cut(&pattern, '/');
    while (!span_is_absent(pattern) && at < scope.len) {
        struct span part = span_cut(&pattern, '/');
        struct span id = span_starts_with(part, SPAN("{")) ? call->params[n++] : SPAN_NONE;

        at++; /* the '/' */
        if (!span_is_absent(id) && at < scope.len &&
            !span_eq(span_first(span_from(scope, at), id.len), id)) {
            return false;
        }
        at += span_is_absent(id) ? part.len : id.len;
    }
    return true;
}

/* Which rights a policy has in effect (reference iothub-service-api.md 1). */
static int64_t effective(int64_t rights)
{
    return rights & RIGHT_REGISTRY_WRITE ? rights | RIGHT_REGISTRY_READ : rights;
}

struct door {
    enum policy_owner owner_type;
    struct span owner, host;
    int64_t right;
};

static err check_token(struct http_call *call, const struct door *door,
                       const struct sas_token *token, enum reason *ret_reason)
{
    struct env *env = call->env;
    struct policy policy;
    struct span keys[2], resource;
    enum reason reason;
    bool is_found;

    *ret_reason = REASON_TOKEN_POLICY_UNKNOWN;
    if (span_is_empty(token->key_name)) {
        return OK;
    }
    TRY(core_policy_find(env, door->owner_type, door->owner, token->key_name, &policy, &is_found));
    if (!is_found) {
        return OK;
    }
    keys[0] = policy.primary_key;
    keys[1] = policy.secondary_key;
    TRY(sas_check(env->crypto, token, keys, 2, env->now_ms, &reason));
    TRY(resource_of(call, door->host, &resource));
    if (reason == REASON_GRANTED &&
        (!sas_covers(token, resource) ||
         (door->owner_type == POLICY_OF_HUB && !is_exact(call, door->host, token->resource)))) {
        reason = REASON_TOKEN_SCOPE;
    }
    if (reason == REASON_GRANTED && (effective(policy.rights) & door->right) != door->right) {
        reason = REASON_RIGHT_MISSING;
    }
    call->token_until_ms = sas_until_ms(token, env->now_ms);
    *ret_reason = reason;
    return OK;
}

static err authorize(struct http_call *call, const struct door *door, struct verdict *ret_verdict)
{
    struct span text = http_call_header_in(call, SPAN("Authorization"));
    struct verdict v = VERDICT(TOKEN_MALFORMED);
    struct sas_token token;
    err e;

    if (span_is_empty(text)) {
        *ret_verdict = VERDICT(TOKEN_MISSING);
        return OK;
    }
    e = sas_parse(text, call->env->arena, &token);
    if (err_is_ok(e)) {
        e = check_token(call, door, &token, &v.reason);
    } else if (err_is(e, ERR_MALFORMED)) {
        e = OK;
    }
    TRY(e);
    if (v.reason == REASON_RIGHT_MISSING) {
        struct buf words = arena_buf(call->env->arena);

        buf_add_str(&words, "Needed: ");
        model_format_rights(door->right, &words);
        buf_add_u8(&words, '.');
        TRY(arena_buf_end(call->env->arena, &words, &v.detail));
    }
    *ret_verdict = v;
    return OK;
}

err http_call_authorize_instance(struct http_call *call, int64_t right,
                                 struct instance *ret_instance, struct verdict *ret_verdict)
{
    struct door door = { .owner_type = POLICY_OF_INSTANCE, .right = right };
    struct verdict v = VERDICT(ROUTE_NOT_FOUND);
    bool is_found;

    TRY(host_of(call, &door.host));
    TRY(core_instance_find_by_host(call->env, door.host, ret_instance, &is_found));
    if (!is_found) {
        TRY(arena_printf(call->env->arena, &v.detail,
                         "No provisioning service of this server has the host name '%.*s'.",
                         SPAN_FMT(door.host)));
        *ret_verdict = v;
        return OK;
    }
    door.owner = ret_instance->id_scope;
    call->note->scope = ret_instance->id_scope;
    return authorize(call, &door, ret_verdict);
}

err http_call_authorize_hub(struct http_call *call, int64_t right, struct hub *ret_hub,
                            struct verdict *ret_verdict)
{
    struct door door = { .owner_type = POLICY_OF_HUB, .right = right };
    struct hub_settings settings;
    bool is_found;

    TRY(host_of(call, &door.host));
    call->note->scope = door.host;
    TRY(hub_find(call->env, door.host, ret_hub, &is_found));
    if (!is_found) {
        *ret_verdict = VERDICT(HUB_UNKNOWN);
        return OK;
    }
    door.owner = ret_hub->host_name;
    TRY(authorize(call, &door, ret_verdict));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    TRY(hub_settings_of(call->env, ret_hub, &settings)); /* what is new in the row counts */
    return http_limits_count(call, door.host, SPAN_NONE, ret_verdict);
}

err http_call_authorize_server(struct http_call *call, struct verdict *ret_verdict)
{
    struct door door = { .owner_type = POLICY_OF_SERVER,
                         .owner = SPAN(""),
                         .right = RIGHT_SERVER_CONFIG };

    TRY(host_of(call, &door.host));
    return authorize(call, &door, ret_verdict);
}

err http_call_authorize_device(struct http_call *call, struct span device_id, struct span module_id,
                               struct hub_session *ret_session, struct verdict *ret_verdict)
{
    const struct peer *peer = call->peer;
    struct hub_login login = {
        .chain = peer->chain,
        .n_chain = peer->n_chain,
        .is_chain_unreadable = peer->has_unreadable_chain,
        .token = http_call_header_in(call, SPAN("Authorization")),
        .transport = TRANSPORT_HTTP,
        .peer = span_str(peer->address),
    };
    err e = hub_identity_join(call->env->arena, device_id, module_id, &login.device_id);

    if (err_is(e, ERR_MALFORMED)) {
        *ret_verdict = VERDICT(FIELD_INVALID);
        ret_verdict->detail = SPAN("The path names no device or module: that is no ID.");
        return OK;
    }
    TRY(e);
    TRY(host_of(call, &login.hub_host));
    login.client_id = login.device_id;
    call->note->scope = login.hub_host;
    call->note->id = login.device_id;
    TRY(hub_login(call->env, &login, ret_session, ret_verdict));
    call->token_until_ms = verdict_is_granted(*ret_verdict) ? ret_session->until_ms : 0;
    if (verdict_is_granted(*ret_verdict)) {
        const struct device *d = &ret_session->device;

        hub_presence_active(call->service->presence, d->hub, d->device_id, d->generation_id,
                            call->env->now_ms);
        TRY(http_limits_count(call, login.hub_host, login.device_id, ret_verdict));
    }
    return OK;
}
