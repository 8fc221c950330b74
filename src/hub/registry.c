/* hub/registry.c: making, replacing and deleting identities. All that goes with one change is one
 * transaction; several changes share one where they may. A change of desired properties of what is
 * there already has a transaction of its own, as its session must hear of it in order. */
#include "hub/registry.h"

#include "hub/event.h"
#include "hub/family.h"
#include "hub/hub.h"
#include "hub/registry_check.h"
#include "hub/tags.h"
#include "model/limits.h"

/* Changes that go together. */
struct run {
    const struct env *env;
    struct registry_change *changes;
    size_t n;
    size_t mark;              /* of the arena: what lies behind belongs to one try */
    size_t enough;            /* of the arena: the rest waits for another transaction */
    struct verdict *verdicts; /* of this try */
    size_t done;
};

/* ---- before ---- */

/* Of UTF-8: each byte but those that go on with one. */
static size_t count_characters(struct span text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        n += (text.data[i] & 0xc0) != 0x80;
    }
    return n;
}

err hub_registry_prepare(const struct env *env, struct registry_change *c)
{
    struct device *d = &c->given;

    c->verdict = VERDICT(GRANTED);
    if (c->mode != REGISTRY_UPDATE_TWIN &&
        span_starts_with(hub_identity_module(d->device_id), SPAN("$"))) {
        c->verdict = verdict_invalid("Modules whose ID starts with '$' come and "
                                     "go with their edge device.");
        return OK;
    }
    if (c->mode == REGISTRY_DELETE) {
        return OK;
    }
    if (c->mode != REGISTRY_UPDATE_TWIN) {
        TRY(registry_check_credential(env, d, &c->verdict));
    }
    if (verdict_is_granted(c->verdict) &&
        count_characters(d->status_reason) > LIMIT_STATUS_REASON) {
        c->verdict = verdict_invalid("statusReason is too long.");
    }
    return verdict_is_granted(c->verdict) ? hub_twin_check(env, &c->twin, &c->verdict) : OK;
}

/* ---- one change ---- */

static bool has_twin(const struct registry_change *c)
{
    return c->twin.tags != NULL || c->twin.desired != NULL || c->twin.reported != NULL;
}

static void replace_identity(const struct env *env, const struct device *given, struct device *d)
{
    if (d->status != given->status) {
        d->status = given->status;
        d->status_updated_ms = env->now_ms;
    }
    d->status_reason = given->status_reason;
    d->auth = given->auth;
    d->primary_thumbprint = given->primary_thumbprint;
    d->secondary_thumbprint = given->secondary_thumbprint;
    d->primary_key = given->primary_key;
    d->secondary_key = given->secondary_key;
    d->iot_edge = given->iot_edge;
    d->managed_by = given->managed_by;
    d->updated_ms = env->now_ms;
}

static bool has_other_credential(const struct device *a, const struct device *b)
{
    return a->auth != b->auth || !span_eq(a->primary_key, b->primary_key) ||
           !span_eq(a->secondary_key, b->secondary_key) ||
           !span_eq_nocase(a->primary_thumbprint, b->primary_thumbprint) ||
           !span_eq_nocase(a->secondary_thumbprint, b->secondary_thumbprint);
}

/* The hub and, of a module, its device are there; there is room for `more` modules. */
static err check_room(const struct env *env, struct store_tx *tx, const struct device *d,
                      size_t more, struct verdict *ret_verdict)
{
    struct device parent = { .hub = d->hub, .device_id = hub_identity_device(d->device_id) };
    bool is_there = true;
    size_t n = 0;

    if (hub_identity_is_module(d->device_id)) {
        TRY(store_find(tx, &KIND_DEVICE, &parent, env->arena, &parent, &is_there));
    }
    if (more > 0 && is_there) {
        TRY(hub_family_count_modules(env, tx, &parent, &n));
    }
    *ret_verdict = !is_there                  ? VERDICT(DEVICE_NOT_FOUND)
                   : n + more > LIMIT_MODULES ? VERDICT(TOO_MANY_MODULES)
                                              : VERDICT(GRANTED);
    return OK;
}

static err create(const struct env *env, struct store_tx *tx, struct registry_change *c,
                  struct verdict *ret_verdict)
{
    struct device d = { .hub = c->given.hub, .device_id = c->given.device_id };
    bool is_module = hub_identity_is_module(d.device_id);

    TRY(check_room(env, tx, &d, is_module ? 1 : 0, ret_verdict));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    replace_identity(env, &c->given, &d);
    d.status_updated_ms = 0;
    TRY(hub_identity_begin(env, &d));
    TRY(registry_check_scopes(env, tx, &c->given, NULL, &d, ret_verdict));
    if (verdict_is_granted(*ret_verdict)) {
        TRY(hub_twin_import(env, &c->twin, &d, ret_verdict));
    }
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    TRY(hub_tags_update(tx, env->arena, d.hub, d.device_id, SPAN_NONE, d.tags));
    TRY(store_insert(tx, hub_identity_kind(d.device_id), &d));
    c->is_made = true;
    c->device = d;
    return d.iot_edge ? hub_family_set_edge(env, tx, &d) : OK;
}

static err update_identity(const struct env *env, struct store_tx *tx, struct registry_change *c,
                           struct device *d, struct verdict *ret_verdict)
{
    const struct device was = *d;

    replace_identity(env, &c->given, d);
    d->etag++;
    if (d->iot_edge && !was.iot_edge) {
        TRY(check_room(env, tx, d, HUB_FAMILY_EDGE_MODULES, ret_verdict));
    }
    if (verdict_is_granted(*ret_verdict)) {
        TRY(registry_check_scopes(env, tx, &c->given, &was, d, ret_verdict));
    }
    /* Also when it was disabled before: a session may have been let in meanwhile. */
    c->is_cut_off = d->status == DEVICE_DISABLED || has_other_credential(&was, d);
    return OK;
}

static err update(const struct env *env, struct store_tx *tx, struct registry_change *c,
                  struct device *d, struct verdict *ret_verdict)
{
    const int64_t was_edge = d->iot_edge;

    if (c->mode != REGISTRY_UPDATE_TWIN) {
        TRY(update_identity(env, tx, c, d, ret_verdict));
    }
    if (verdict_is_granted(*ret_verdict) && has_twin(c)) {
        TRY(hub_twin_merge(env, tx, &c->twin, d, ret_verdict));
    }
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    TRY(hub_identity_put(tx, d));
    c->device = *d;
    return d->iot_edge != was_edge ? hub_family_set_edge(env, tx, d) : OK;
}

static err erase(const struct env *env, struct store_tx *tx, struct registry_change *c,
                 struct device *d)
{
    TRY(hub_family_erase(env, tx, d));
    c->is_cut_off = true;
    c->device = *d;
    return OK;
}

static err apply_to(const struct env *env, struct store_tx *tx, struct registry_change *c,
                    struct device *d, struct verdict *ret_verdict)
{
    *ret_verdict = VERDICT(GRANTED);
    if (c->mode == REGISTRY_CREATE) {
        *ret_verdict =
            hub_identity_is_module(d->device_id) ? VERDICT(MODULE_EXISTS) : VERDICT(DEVICE_EXISTS);
    } else if ((c->if_etag >= 0 && c->if_etag != d->etag) ||
               (c->mode == REGISTRY_UPDATE_TWIN && c->twin.if_etag >= 0 &&
                c->twin.if_etag != d->twin_etag)) {
        *ret_verdict = VERDICT(ETAG_MISMATCH);
    } else if (c->mode == REGISTRY_DELETE) {
        return erase(env, tx, c, d);
    } else {
        return update(env, tx, c, d, ret_verdict);
    }
    return OK;
}

static err apply(const struct env *env, struct store_tx *tx, struct registry_change *c,
                 struct verdict *ret_verdict)
{
    struct span client_id = c->given.device_id;
    struct device d;
    bool is_there;

    c->is_made = c->is_cut_off = false;
    TRY(hub_identity_find(tx, c->given.hub, client_id, env->arena, &d, &is_there));
    if (is_there) {
        return apply_to(env, tx, c, &d, ret_verdict);
    }
    if (c->mode == REGISTRY_CREATE || c->mode == REGISTRY_CREATE_OR_UPDATE) {
        return create(env, tx, c, ret_verdict);
    }
    return hub_identity_missing(tx, c->given.hub, client_id, env->arena, ret_verdict);
}

/* ---- several ---- */

static err check_hub(const struct env *env, struct store_tx *tx, struct span host_name,
                     bool *ret_is_there)
{
    struct hub hub = { .host_name = host_name };

    TRY(store_find(tx, &KIND_HUB, &hub, env->arena, &hub, ret_is_there));
    *ret_is_there = *ret_is_there && hub.life == LIFE_ACTIVE;
    return OK;
}

/* It may be run again: verdicts of before stay until it is durable. */
static err apply_some(struct store_tx *tx, void *arg)
{
    struct run *r = arg;
    struct arena *arena = r->env->arena;
    bool has_hub;

    arena->used = r->mark;
    TRY(check_hub(r->env, tx, r->changes[0].given.hub, &has_hub));
    for (r->done = 0; r->done < r->n && (r->done == 0 || arena->used < r->enough); r->done++) {
        struct registry_change *c = &r->changes[r->done];
        struct verdict v = c->verdict;

        if (verdict_is_granted(v) && !has_hub) {
            v = VERDICT(HUB_UNKNOWN);
        }
        if (verdict_is_granted(v)) {
            TRY(apply(r->env, tx, c, &v));
        }
        r->verdicts[r->done] = v;
    }
    return OK;
}

/* The last one that has an event waits until it is durable, and with it those before. */
static err log_life(const struct env *env, const struct registry_change *c, bool is_last)
{
    enum hub_event_op op = c->is_made ? HUB_EVENT_CREATED : HUB_EVENT_DELETED;

    if (is_last || !err_is_ok(hub_event_lifecycle_post(env, op, &c->device))) {
        return hub_event_lifecycle(env, op, &c->device);
    }
    return OK;
}

static bool has_life_event(const struct registry_change *c)
{
    return verdict_is_granted(c->verdict) && (c->is_made || c->mode == REGISTRY_DELETE);
}

/* What is to be done once they are durable. */
static err follow_up(const struct run *r, struct bus *bus)
{
    size_t last = 0;

    for (size_t i = 0; i < r->done; i++) {
        struct registry_change *c = &r->changes[i];

        if (verdict_is_granted(c->verdict) && verdict_is_granted(r->verdicts[i]) && c->is_cut_off) {
            if (c->mode == REGISTRY_DELETE) {
                bus_forget(bus, c->given.hub, c->given.device_id);
            } else {
                bus_cut_off(bus, c->given.hub, c->given.device_id);
            }
        }
        c->verdict = r->verdicts[i];
        last = has_life_event(c) ? i : last;
    }
    for (size_t i = 0; i < r->done; i++) {
        if (has_life_event(&r->changes[i])) {
            TRY(log_life(r->env, &r->changes[i], i == last));
        }
    }
    return OK;
}

/* Of what was done nothing but words of verdicts stays in the arena. They came into it in their
 * order, so each is moved to the front without touching the next. */
static err forget(const struct run *r)
{
    struct arena *arena = r->env->arena;
    const uint8_t *begin = arena->block + r->mark;
    const uint8_t *end = arena->block + arena->used;

    arena->used = r->mark;
    for (size_t i = 0; i < r->done; i++) {
        struct registry_change *c = &r->changes[i];

        c->device = (struct device){ 0 };
        if (c->verdict.detail.data >= begin && c->verdict.detail.data < end) {
            TRY(arena_copy(arena, c->verdict.detail, &c->verdict.detail));
        }
    }
    return OK;
}

static err run_some(struct run *r, struct bus *bus)
{
    struct arena *arena = r->env->arena;

    r->verdicts = ARENA_ARRAY(arena, r->n, struct verdict);
    if (r->verdicts == NULL) {
        return ERR(NOMEM);
    }
    r->mark = arena->used;
    r->enough = r->mark + (arena->size - r->mark) / 4;
    TRY(store_write(r->env->store, apply_some, r));
    return follow_up(r, bus);
}

/* Of what a session is told, and the log, in the order of the changes? Nobody has a session before
 * it is made. */
static bool is_ordered(const struct registry_change *c)
{
    return verdict_is_granted(c->verdict) && has_twin(c) && c->mode != REGISTRY_CREATE &&
           c->mode != REGISTRY_DELETE;
}

static err run_and_tell(struct run *r, struct bus *bus)
{
    struct registry_change *c = r->changes;

    TRY(run_some(r, bus));
    return verdict_is_granted(c->verdict) && !c->is_made
               ? hub_twin_tell(r->env, bus, &c->twin, &c->device)
               : OK;
}

static err run_in_order(struct run *r, struct bus *bus)
{
    const struct device *d = &r->changes->given;
    err e;

    bus_order_begin(bus, d->hub, d->device_id);
    e = run_and_tell(r, bus);
    bus_order_end(bus, d->hub, d->device_id);
    return e;
}

err hub_registry_run(const struct env *env, struct bus *bus, struct registry_change *changes,
                     size_t n)
{
    size_t done = 0;

    while (done < n) {
        struct run r = { .env = env, .changes = changes + done, .n = 1 };

        if (is_ordered(r.changes)) {
            TRY(run_in_order(&r, bus));
        } else {
            while (done + r.n < n && !is_ordered(&r.changes[r.n])) {
                r.n++;
            }
            TRY(run_some(&r, bus));
        }
        if (n > 1) {
            TRY(forget(&r));
        }
        done += r.done;
    }
    return OK;
}
