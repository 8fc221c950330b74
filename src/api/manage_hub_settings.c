/* api/manage_hub_settings.c: one hub of the operator's instance with its settings, and their change
 * (doc/wire/manage.md). */
#include "api/manage_http.h"
#include "hub/limits.h"

static err answer(struct http_call *call, const struct hub *hub)
{
    struct hub_settings s;
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    TRY(hub_settings_of(call->env, hub, &s));
    out = http_call_body_room(call);
    json_write_begin_object(&w, NULL);
    json_write_text(&w, "name", hub->name);
    json_write_str(&w, "type", "Microsoft.Devices/IotHubs");
    json_write_text(&w, "hostName", hub->host_name);
    json_write_time(&w, "created", hub->created_ms);
    hub_settings_write(&s, &w);
    if (s.quota.messages > 0 && call->env->limits != NULL) {
        json_write_int(&w, "messagesToday",
                       hub_limits_used_today(call->env->limits, hub->host_name, call->env->now_ms));
    }
    json_write_end_object(&w);
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

err manage_hub_get(struct http_call *call)
{
    struct instance instance;
    struct hub hub;
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(hub_settings_find(call->env, instance.id_scope, call->params[0], &hub, &v));
    }
    return verdict_is_granted(v) ? answer(call, &hub) : http_call_refuse(call, v);
}

err manage_hub_patch(struct http_call *call)
{
    AUTO(json) json *document = NULL;
    struct hub_settings_patch what = { .name = call->params[0] };
    struct instance instance;
    struct hub hub;
    struct verdict v;

    TRY(manage_begin_change(call, &instance, &document, &v));
    if (verdict_is_granted(v)) {
        what.id_scope = instance.id_scope;
        what.patch = document;
        TRY(hub_settings_change(call->env, &what, &hub, &v));
    }
    return verdict_is_granted(v) ? answer(call, &hub) : http_call_refuse(call, v);
}
