/* hub/move.c: what a device takes from hub to hub, and what it leaves. When it moves, and where, is
 * core's to say; hub/device.c makes it on the new hub. */
#include "hub/move.h"

#include "hub/c2d.h"
#include "hub/family.h"
#include "hub/identity.h"
#include "hub/tags.h"
#include "hub/twin.h"
#include "model/limits.h"
#include "json/json.h"

/* ---- from a hub elsewhere ---- */

/* Sections as another hub showed them. */
struct sections {
    json *tags, *desired, *reported; /* NULL: none */
};

static void auto_sections(struct sections *s)
{
    json_free(s->tags);
    json_free(s->desired);
    json_free(s->reported);
}

static err parse_section(struct span text, json **ret_section, struct verdict *ret_verdict)
{
    if (!span_is_absent(text) && !err_is_ok(json_parse(text, LIMIT_JSON_DEPTH, ret_section))) {
        *ret_verdict = verdict_invalid("The twin that comes from the old hub is no JSON.");
    }
    return OK;
}

/* So that what the device knows of it stays behind; what is no version is passed over. */
static int64_t version_of(const json *section)
{
    struct json_number n;

    return json_find_number(json_member(section, "$version"), &n) && n.is_integer &&
                   n.integer > 0 && n.integer < LIMIT_TWIN_INTEGER
               ? n.integer
               : 1;
}

static err import(const struct env *env, const struct sections *s, struct device *d,
                  struct verdict *ret_verdict)
{
    const struct hub_twin_change change = {
        .tags = s->tags, .desired = s->desired, .reported = s->reported, .if_etag = -1
    };

    TRY(hub_twin_check(env, &change, ret_verdict));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    TRY(hub_twin_import(env, &change, d, ret_verdict));
    d->desired_version = version_of(s->desired);
    d->reported_version = version_of(s->reported);
    d->version = d->desired_version + d->reported_version;
    d->twin_etag = d->desired_version;
    return OK;
}

static err read_carried(const struct env *env, const struct placement *p, struct device *d,
                        struct verdict *ret_verdict)
{
    const struct device_state *c = p->carried;
    AUTO(sections) struct sections s = { 0 };

    d->status = c->status;
    d->status_reason = c->status_reason;
    d->status_updated_ms = env->now_ms;
    d->iot_edge = c->iot_edge;
    if (!p->keeps_twin) {
        return OK;
    }
    TRY(parse_section(c->tags, &s.tags, ret_verdict));
    TRY(parse_section(c->desired, &s.desired, ret_verdict));
    TRY(parse_section(c->reported, &s.reported, ret_verdict));
    return verdict_is_granted(*ret_verdict) ? import(env, &s, d, ret_verdict) : OK;
}

/* ---- where it comes from ---- */

err hub_move_read(const struct env *env, struct store_tx *tx, const struct placement *p,
                  struct hub_origin *ret_origin, struct verdict *ret_verdict)
{
    struct hub_origin o = { .device = { .hub = p->from_hub, .device_id = p->from_device_id } };

    *ret_verdict = VERDICT(GRANTED);
    if (!span_is_absent(p->from_hub)) {
        TRY(store_find(tx, &KIND_DEVICE, &o.device, env->arena, &o.device, &o.is_here));
        if (o.is_here) {
            TRY(hub_twin_complete(env->arena, &o.device));
        }
    } else if (p->carried != NULL) {
        TRY(read_carried(env, p, &o.device, ret_verdict));
    }
    o.is_known = o.is_here || p->carried != NULL;
    *ret_origin = o;
    return OK;
}

bool hub_move_bar(const struct hub_origin *o, struct device *d)
{
    if (!o->is_known || o->device.status != DEVICE_DISABLED || d->status == DEVICE_DISABLED) {
        return false;
    }
    d->status = DEVICE_DISABLED;
    d->status_reason = o->device.status_reason;
    d->status_updated_ms = o->device.status_updated_ms;
    return true;
}

void hub_move_twin(const struct hub_origin *o, struct device *d)
{
    const struct device *from = &o->device;

    d->tags = from->tags;
    d->desired = from->desired;
    d->desired_metadata = from->desired_metadata;
    d->reported = from->reported;
    d->reported_metadata = from->reported_metadata;
    d->iot_edge = from->iot_edge;
    d->model_id = from->model_id;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

void hub_move_versions(const struct hub_origin *o, struct device *d)
{
    const struct device *from = &o->device;

    if (o->is_known) {
        d->version = larger(d->version, from->version);
        d->desired_version = larger(d->desired_version, from->desired_version);
        d->reported_version = larger(d->reported_version, from->reported_version);
        d->twin_etag = larger(d->twin_etag, from->twin_etag);
    }
}

/* ---- modules ---- */

/* What is done with each module of the device that moves. One row in memory at a time: each has a
 * twin. */
struct walk {
    const struct env *env;
    struct store_tx *tx;
    const struct placement *p;
    size_t n; /* of those of which p's device has none of that ID */
};
typedef err (*each_fn)(struct walk *w, const struct device *module);

static err walk_modules(struct walk *w, const struct device *d, each_fn each)
{
    struct hub_family_page page = { .hub = d->hub, .device_id = d->device_id, .limit = 1 };
    uint8_t last[LIMIT_CLIENT_ID];
    size_t mark = w->env->arena->used;
    size_t n = 1;

    while (n > 0) {
        struct device *rows;
        struct buf id = buf_over(last, sizeof last);

        w->env->arena->used = mark;
        TRY(hub_family_scan(w->tx, &page, w->env->arena, &rows, &n));
        if (n > 0) {
            buf_add(&id, rows[0].device_id);
            TRY(each(w, &rows[0]));
            page.after = buf_span(&id);
        }
    }
    w->env->arena->used = mark;
    return OK;
}

static err find_there(struct walk *w, const struct device *module, struct device *ret_there,
                      bool *ret_found)
{
    struct span client_id;

    TRY(hub_identity_join(w->env->arena, w->p->device_id, hub_identity_module(module->device_id),
                          &client_id));
    TRY(hub_identity_find(w->tx, w->p->hub, client_id, w->env->arena, ret_there, ret_found));
    if (!*ret_found) {
        *ret_there = (struct device){ .hub = w->p->hub, .device_id = client_id };
    }
    return OK;
}

static err count_new(struct walk *w, const struct device *module)
{
    struct device there;
    bool is_there;

    TRY(find_there(w, module, &there, &is_there));
    w->n += !is_there;
    return OK;
}

err hub_move_check_modules(const struct env *env, struct store_tx *tx, const struct hub_origin *o,
                           const struct placement *p, struct verdict *ret_verdict)
{
    const struct device d = { .hub = p->hub, .device_id = p->device_id };
    struct walk w = { .env = env, .tx = tx, .p = p };
    size_t n;

    *ret_verdict = VERDICT(GRANTED);
    if (!o->is_here) {
        return OK;
    }
    TRY(hub_family_count_modules(env, tx, &d, &n));
    if (n == 0) {
        return OK; /* however many it has */
    }
    TRY(walk_modules(&w, &o->device, count_new));
    if (n + w.n > LIMIT_MODULES) {
        *ret_verdict = VERDICT(TOO_MANY_MODULES);
    }
    return OK;
}

/* A new identity, as its device is; the scopes are those of another hub. */
static err bring(struct walk *w, const struct device *module)
{
    struct device born = { 0 };
    struct device now = *module;
    struct device there;
    bool is_there;

    TRY(find_there(w, module, &there, &is_there));
    if (is_there) {
        TRY(hub_family_erase(w->env, w->tx, &there));
    }
    TRY(hub_twin_complete(w->env->arena, &now));
    TRY(hub_identity_begin(w->env, &born));
    now.hub = there.hub;
    now.device_id = there.device_id;
    now.generation_id = born.generation_id;
    now.etag = born.etag;
    now.created_ms = born.created_ms;
    now.updated_ms = born.updated_ms;
    now.device_scope = now.parent_scopes = SPAN_NONE;
    TRY(hub_tags_update(w->tx, w->env->arena, now.hub, now.device_id, SPAN_NONE, now.tags));
    return store_insert(w->tx, &KIND_MODULE, &now);
}

err hub_move_modules(const struct env *env, struct store_tx *tx, const struct hub_origin *o,
                     const struct placement *p)
{
    struct walk w = { .env = env, .tx = tx, .p = p };

    return o->is_here ? walk_modules(&w, &o->device, bring) : OK;
}

/* ---- leaving ---- */

static err end_messages(struct walk *w, const struct device *d)
{
    const struct hub_c2d_owner owner = { d->hub, d->device_id, d->generation_id };

    return hub_c2d_end(w->env, w->tx, &owner);
}

err hub_move_leave(const struct env *env, struct store_tx *tx, const struct device *d)
{
    struct walk w = { .env = env, .tx = tx };

    TRY(end_messages(&w, d));
    TRY(walk_modules(&w, d, end_messages));
    return hub_family_erase(env, tx, d);
}
