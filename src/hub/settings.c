/* hub/settings.c: a hub's settings from its row and back: defaults filled in, changes merged. What
 * they look like as JSON is settings_json.c's, who keeps them ready is limits.c's. */
#include "hub/settings.h"

#include "hub/limits.h"
#include "hub/settings_json.h"
#include "model/limits.h"
#include "store/store.h"

/* Azure's. */
enum {
    C2D_DELIVERIES = 10,
    C2D_TTL_MS = 3600 * 1000,
    FEEDBACK_TTL_MS = 3600 * 1000,
    FEEDBACK_LOCK_MS = 60 * 1000,
};

static int64_t or_default(int64_t given, int64_t value)
{
    return given != 0 ? given : value;
}

static struct throttle_rate resolve_rate(struct throttle_rate given, struct throttle_rate preset)
{
    if (given.count == 0) {
        return preset;
    }
    if (given.count == SETTINGS_UNLIMITED) {
        return (struct throttle_rate){ 0 };
    }
    given.burst = or_default(given.burst, given.count);
    return given;
}

static struct hub_settings resolve(const struct settings_given *g)
{
    static const struct throttle_rate unlimited;
    struct hub_settings s = {
        .tier = (enum throttle_tier)g->tier,
        .units = or_default(g->units, 1),
        .c2d_max_deliveries = or_default(g->c2d_max_deliveries, C2D_DELIVERIES),
        .c2d_ttl_ms = or_default(g->c2d_ttl_ms, C2D_TTL_MS),
        .feedback_max_deliveries = or_default(g->feedback_max_deliveries, C2D_DELIVERIES),
        .feedback_ttl_ms = or_default(g->feedback_ttl_ms, FEEDBACK_TTL_MS),
        .feedback_lock_ms = or_default(g->feedback_lock_ms, FEEDBACK_LOCK_MS),
        .is_device_sas_disabled = g->is_device_sas_disabled == SETTINGS_YES,
        .is_module_sas_disabled = g->is_module_sas_disabled == SETTINGS_YES,
    };

    for (int op = 1; op < THROTTLE_OPERATIONS; op++) {
        s.limits[op] = resolve_rate(g->limits[op],
                                    throttle_preset(s.tier, s.units, (enum throttle_operation)op));
        s.device_limits[op] = resolve_rate(g->device_limits[op], unlimited);
    }
    s.quota = throttle_preset_quota(s.tier, s.units);
    if (g->daily_messages != 0) {
        s.quota.messages = g->daily_messages == SETTINGS_UNLIMITED ? 0 : g->daily_messages;
    }
    return s;
}

struct hub_settings hub_settings_default(void)
{
    const struct settings_given nothing = { 0 };

    return resolve(&nothing);
}

void hub_settings_write(const struct hub_settings *s, struct json_writer *w)
{
    struct settings_given g = {
        .tier = s->tier,
        .units = s->units,
        .c2d_max_deliveries = s->c2d_max_deliveries,
        .c2d_ttl_ms = s->c2d_ttl_ms,
        .feedback_max_deliveries = s->feedback_max_deliveries,
        .feedback_ttl_ms = s->feedback_ttl_ms,
        .feedback_lock_ms = s->feedback_lock_ms,
        .is_device_sas_disabled = s->is_device_sas_disabled ? SETTINGS_YES : SETTINGS_NO,
        .is_module_sas_disabled = s->is_module_sas_disabled ? SETTINGS_YES : SETTINGS_NO,
        .daily_messages = s->quota.messages,
    };

    memcpy(g.limits, s->limits, sizeof g.limits);
    memcpy(g.device_limits, s->device_limits, sizeof g.device_limits);
    hub_settings_json_members(&g, w);
}

/* ---- reading ---- */

static err read_given(struct span text, struct settings_given *ret_given)
{
    struct settings_given given = { 0 };
    AUTO(json) json *document = NULL;
    err e = OK;

    if (!span_is_empty(text)) {
        e = json_parse(text, LIMIT_JSON_DEPTH, &document);
        if (err_is_ok(e)) {
            e = hub_settings_json_apply(document, &given);
        }
    }
    if (err_is(e, ERR_NOMEM)) {
        return e;
    }
    if (!err_is_ok(e)) {
        char why[256];
        struct buf out = buf_over(why, sizeof why);

        buf_printf(&out, "%.200s", err_detail());
        return err_set(ERR_CORRUPT, "The settings of a hub in the store are bad: %.*s",
                       SPAN_FMT(buf_span(&out)));
    }
    *ret_given = given;
    return OK;
}

err hub_settings_parse(struct span text, struct hub_settings *ret_settings)
{
    struct settings_given given;

    TRY(read_given(text, &given));
    *ret_settings = resolve(&given);
    return OK;
}

err hub_settings_of(const struct env *env, const struct hub *hub, struct hub_settings *ret_settings)
{
    return env->limits != NULL ? hub_limits_know(env, hub, ret_settings)
                               : hub_settings_parse(hub->settings, ret_settings);
}

struct lookup {
    const struct env *env;
    struct hub hub;
    bool is_found;
};

static err read_hub(struct store_tx *tx, void *arg)
{
    struct lookup *l = arg;

    return store_find(tx, &KIND_HUB, &l->hub, l->env->arena, &l->hub, &l->is_found);
}

err hub_settings_get(const struct env *env, struct span host, struct hub_settings *ret_settings)
{
    struct lookup l = { .env = env, .hub = { .host_name = host } };

    if (env->limits != NULL && hub_limits_find(env->limits, host, ret_settings)) {
        return OK;
    }
    TRY(store_read(env->store, read_hub, &l));
    if (!l.is_found) {
        *ret_settings = hub_settings_default();
        return OK;
    }
    return hub_settings_of(env, &l.hub, ret_settings);
}

/* ---- finding and changing ---- */

struct change {
    const struct env *env;
    const struct hub_settings_patch *what;
    struct hub hub;
    struct verdict verdict;
};

static err find_own(struct store_tx *tx, struct change *c)
{
    const struct hub prefix = { .id_scope = c->what->id_scope, .name = c->what->name };
    struct store_scan scan = {
        .index = HUB_BY_SCOPE, .prefix = &prefix, .n_prefix = 2, .limit = 1
    };
    struct hub *rows;
    size_t n;

    TRY(store_scan(tx, &KIND_HUB, &scan, c->env->arena, &rows, &n));
    c->verdict =
        n > 0 && rows[0].life == LIFE_ACTIVE ? VERDICT(GRANTED) : VERDICT(RESOURCE_NOT_FOUND);
    if (verdict_is_granted(c->verdict)) {
        c->hub = rows[0];
    }
    return OK;
}

static err read_own(struct store_tx *tx, void *arg)
{
    return find_own(tx, arg);
}

static err change(struct store_tx *tx, void *arg)
{
    struct change *c = arg;
    struct settings_given given;
    struct buf out;
    struct json_writer w = json_writer_over(&out);
    err e;

    TRY(find_own(tx, c));
    if (!verdict_is_granted(c->verdict)) {
        return OK;
    }
    TRY(read_given(c->hub.settings, &given));
    e = hub_settings_json_apply(c->what->patch, &given);
    if (err_is(e, ERR_MALFORMED)) {
        c->verdict = VERDICT(FIELD_INVALID);
        return arena_copy(c->env->arena, span_str(err_detail()), &c->verdict.detail);
    }
    TRY(e);
    out = arena_buf(c->env->arena);
    json_write_begin_object(&w, NULL);
    hub_settings_json_members(&given, &w);
    json_write_end_object(&w);
    TRY(arena_buf_end(c->env->arena, &out, &c->hub.settings));
    return store_put(tx, &KIND_HUB, &c->hub);
}

err hub_settings_change(const struct env *env, const struct hub_settings_patch *what,
                        struct hub *ret_hub, struct verdict *ret_verdict)
{
    struct change c = { .env = env, .what = what };
    struct hub_settings now;

    TRY(store_write(env->store, change, &c));
    if (verdict_is_granted(c.verdict)) {
        TRY(hub_settings_of(env, &c.hub, &now)); /* in effect from here on */
        *ret_hub = c.hub;
    }
    *ret_verdict = c.verdict;
    return OK;
}

err hub_settings_find(const struct env *env, struct span id_scope, struct span name,
                      struct hub *ret_hub, struct verdict *ret_verdict)
{
    const struct hub_settings_patch what = { .id_scope = id_scope, .name = name };
    struct change c = { .env = env, .what = &what };

    TRY(store_read(env->store, read_own, &c));
    if (verdict_is_granted(c.verdict)) {
        *ret_hub = c.hub;
    }
    *ret_verdict = c.verdict;
    return OK;
}
