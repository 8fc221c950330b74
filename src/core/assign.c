/* core/assign.c: one registration and its hub, in a transaction. Which hub it is was decided before
 * (core/plan.c); how rows of errands follow each other is core/errand_row.c's; what hubs do with a
 * device is theirs (struct placer). */
#include "core/assign.h"

#include "core/errand_lane.h"
#include "core/errand_row.h"
#include "core/whereabouts.h"
#include "store/store.h"

struct finishing {
    const struct env *env;
    struct store_tx *tx;
    const struct core_assign_finish *how;
    struct core_whereabouts to, from;
    bool moves;     /* from a hub that is still the instance's business */
    bool is_shared; /* the device there is another registration's, too: it stays */
    struct core_assigned assigned;
};

void core_assign_fail(struct registration *r, enum reason reason, struct span message)
{
    r->status = REGISTRATION_FAILED;
    r->substatus = SUBSTATUS_NONE;
    r->assigned_hub = r->device_id = r->authentication_key = r->payload = SPAN_NONE;
    r->error_code = reason_info(reason)->error_code;
    r->error_message = span_is_absent(message) ? span_str(reason_info(reason)->message) : message;
}

void core_assign_placement(const struct errand *order, struct placement *ret_placement)
{
    *ret_placement = (struct placement){
        .hub = order->to_hub,
        .device_id = order->to_device_id,
        .auth = order->auth,
        .primary_thumbprint = order->thumbprint,
        .secondary_thumbprint = order->thumbprint,
        .primary_key = order->primary_key,
        .secondary_key = order->secondary_key,
        .iot_edge = order->iot_edge,
        .initial_twin = order->initial_twin,
        .reset_twin = order->reset_twin,
    };
}

/* ---- the last step ---- */

static bool stays(const struct errand *order)
{
    return span_eq(order->from_hub, order->to_hub);
}

/* What the device is told of how it came to its hub (reference dps-device-api.md 2.3). */
static enum registration_substatus substatus(const struct finishing *f,
                                             const struct registration *r)
{
    const struct errand *o = f->how->order;

    if (span_is_absent(o->from_hub)) {
        return SUBSTATUS_INITIAL_ASSIGNMENT;
    }
    if (stays(o)) {
        return o->substatus != SUBSTATUS_NONE ? o->substatus : SUBSTATUS_INITIAL_ASSIGNMENT;
    }
    if (span_eq(r->initial_hub, o->to_hub)) {
        return SUBSTATUS_REPROVISIONED_TO_INITIAL_ASSIGNMENT;
    }
    return f->assigned.placed.has_twin ? SUBSTATUS_DEVICE_DATA_MIGRATED
                                       : SUBSTATUS_DEVICE_DATA_RESET;
}

/* Of a device that stays behind: it is another registration's, too. */
static err copy_twin(struct finishing *f, struct device_state *copy, struct placement *p)
{
    const struct errand *o = f->how->order;
    bool is_found;

    TRY(f->how->hubs->read(f->env, f->tx, o->from_hub, o->from_device_id, copy, &is_found));
    p->carried = is_found ? copy : NULL;
    return OK;
}

static err place_here(struct finishing *f)
{
    const struct errand *o = f->how->order;
    struct device_state copy;
    struct placement p;
    err result;

    core_assign_placement(o, &p);
    p.carried = f->how->carried;
    p.keeps_twin = f->moves && o->keeps_twin;
    if (f->moves && f->from.place == CORE_WHEREABOUTS_HERE) {
        if (f->is_shared) {
            TRY(copy_twin(f, &copy, &p));
        } else {
            p.from_hub = o->from_hub;
            p.from_device_id = o->from_device_id;
        }
    }
    result = f->how->hubs->place(f->env, f->tx, &p, &f->assigned.placed);
    if (err_is(result, ERR_NOT_FOUND)) { /* a link or a record may outlive the hub */
        f->assigned.reason = REASON_HUB_NOT_FOUND;
        return OK;
    }
    f->assigned.reason = f->assigned.placed.verdict.reason;
    f->assigned.message = f->assigned.placed.verdict.detail;
    return result;
}

/* What it leaves behind on the hub before. */
static err leave(struct finishing *f)
{
    const struct errand *o = f->how->order;

    if (!f->moves || f->is_shared || f->assigned.reason != REASON_GRANTED) {
        return OK;
    }
    if (f->from.place == CORE_WHEREABOUTS_ELSEWHERE) {
        TRY(core_errand_row_remove(f->env, f->tx, o, o->from_hub, o->from_device_id, o->quiet_ms));
        return core_errand_lane_of_hub(f->env->arena, o->id_scope, o->from_hub, &f->assigned.lane);
    }
    return f->to.place == CORE_WHEREABOUTS_ELSEWHERE
               ? f->how->hubs->take_away(f->env, f->tx, o->from_hub, o->from_device_id,
                                         &f->assigned.placed)
               : OK;
}

static void complete(const struct finishing *f, struct registration *r)
{
    const struct errand *o = f->how->order;

    r->status = REGISTRATION_ASSIGNED;
    r->substatus = substatus(f, r);
    r->assigned_hub = r->placed_hub = o->to_hub;
    r->device_id = r->placed_device_id = o->to_device_id;
    r->payload = o->payload;
    if (span_is_absent(r->initial_hub)) {
        r->initial_hub = o->to_hub;
    }
}

static err find_sharers(struct finishing *f, const struct registration *r)
{
    const struct errand *o = f->how->order;
    const struct core_whereabouts_device there = { .id_scope = o->id_scope,
                                                   .registration_key = r->key,
                                                   .hub = o->from_hub,
                                                   .device_id = o->from_device_id };

    return f->moves ? core_whereabouts_is_shared(f->env, f->tx, &there, &f->is_shared) : OK;
}

err core_assign_finish(const struct env *env, struct store_tx *tx,
                       const struct core_assign_finish *how, struct registration *r,
                       struct core_assigned *ret_assigned)
{
    struct finishing f = { .env = env, .tx = tx, .how = how, .assigned.reason = REASON_GRANTED };
    const struct errand *o = how->order;

    if (how->to != NULL) {
        f.to = *how->to;
    } else {
        TRY(core_whereabouts_find(env, tx, o->id_scope, o->to_hub, &f.to));
    }
    if (!stays(o)) {
        TRY(core_whereabouts_find(env, tx, o->id_scope, o->from_hub, &f.from));
        f.moves = f.from.place != CORE_WHEREABOUTS_NONE;
        TRY(find_sharers(&f, r));
    }
    /* A hub that is linked no longer may be anybody's: a device that stays there is left alone,
     * with the credential it has. */
    if (!f.to.is_linked) {
        f.assigned.reason = stays(o) ? REASON_GRANTED : REASON_HUB_NOT_FOUND;
    } else {
        if (f.to.place == CORE_WHEREABOUTS_HERE) {
            TRY(place_here(&f));
        } else {
            f.assigned.placed.has_twin = f.moves && o->keeps_twin && how->carried != NULL;
        }
        TRY(leave(&f));
    }
    if (f.assigned.reason == REASON_GRANTED) {
        complete(&f, r);
        r->authentication_key = f.to.is_linked ? o->authentication_key : r->authentication_key;
    }
    *ret_assigned = f.assigned;
    return OK;
}

/* ---- in the register's transaction ---- */

err core_assign_must_wait(const struct env *env, struct store_tx *tx, const struct errand *order,
                          struct core_whereabouts *ret_to, bool *ret_must)
{
    struct core_whereabouts from;

    TRY(core_whereabouts_find(env, tx, order->id_scope, order->to_hub, ret_to));
    *ret_must = ret_to->place == CORE_WHEREABOUTS_ELSEWHERE;
    if (*ret_must || stays(order)) {
        return OK;
    }
    /* What it is there comes along, its twin or not: who is barred there is not let in here. */
    TRY(core_whereabouts_find(env, tx, order->id_scope, order->from_hub, &from));
    *ret_must = ret_to->is_linked && from.place == CORE_WHEREABOUTS_ELSEWHERE;
    return OK;
}

/* Does it ask for what is on its way already? The credential follows from evidence and enrollment;
 * a TPM's is as good as the next. */
static bool is_the_same(const struct errand *old, const struct errand *order,
                        const struct registration *was, const struct registration *r)
{
    bool asks = !span_is_absent(order->url);

    if (!span_eq(was->evidence_sha256, r->evidence_sha256) || was->attestation != r->attestation ||
        was->enrollment_kind != r->enrollment_kind || !span_eq(was->enrollment, r->enrollment) ||
        !span_eq(old->enrollment_etag, order->enrollment_etag) || !span_eq(old->url, order->url) ||
        !span_eq(old->request, order->request)) {
        return false;
    }
    return asks || (span_eq(old->to_hub, order->to_hub) &&
                    span_eq(old->to_device_id, order->to_device_id) &&
                    span_eq(old->initial_twin, order->initial_twin) &&
                    span_eq(old->payload, order->payload));
}

static err find_old(const struct env *env, struct store_tx *tx, const struct registration *was,
                    struct errand *ret_old, bool *ret_found)
{
    *ret_found = false;
    return was->status == REGISTRATION_ASSIGNING
               ? core_errand_row_find(env, tx, was->id_scope, was->key, ret_old, ret_found)
               : OK;
}

err core_assign_abandon(const struct env *env, struct store_tx *tx, const struct registration *was)
{
    struct errand old;
    bool has_old;

    TRY(find_old(env, tx, was, &old, &has_old));
    return has_old ? core_errand_row_abandon(env, tx, &old) : OK;
}

/* Leaves an errand, or the one that there is. */
static err wait(const struct env *env, struct store_tx *tx, const struct core_assign_begin *how,
                struct registration *r, struct core_assigned *a)
{
    struct errand e = *how->order;
    struct errand old;
    bool has_old;

    TRY(find_old(env, tx, how->was, &old, &has_old));
    if (has_old && is_the_same(&old, &e, how->was, r)) {
        a->has_joined = true;
        a->lane = old.lane;
        return core_errand_row_hurry(env, tx, &old);
    }
    if (has_old) {
        e.substatus = old.substatus;
    }
    TRY(core_errand_row_begin(env, tx, has_old ? &old : NULL, &e));
    r->status = REGISTRATION_ASSIGNING;
    a->lane = e.lane;
    return OK;
}

static err finish_now(const struct env *env, struct store_tx *tx,
                      const struct core_assign_begin *how, const struct core_whereabouts *to,
                      struct registration *r, struct core_assigned *a)
{
    struct core_assign_finish finish = { .hubs = how->hubs, .order = how->order, .to = to };
    struct errand order = *how->order;
    struct errand old;
    bool has_old;

    TRY(find_old(env, tx, how->was, &old, &has_old));
    if (has_old) {
        order.substatus = old.substatus;
        finish.order = &order;
        TRY(core_errand_row_abandon(env, tx, &old));
    }
    return core_assign_finish(env, tx, &finish, r, a);
}

err core_assign_begin(const struct env *env, struct store_tx *tx,
                      const struct core_assign_begin *how, struct registration *r,
                      struct core_assigned *ret_assigned)
{
    struct core_assigned a = { .reason = how->plan->reason };
    bool must_wait = how->plan->asks_webhook;
    struct core_whereabouts to;

    if (a.reason != REASON_GRANTED) {
        TRY(core_assign_abandon(env, tx, how->was));
        core_assign_fail(r, a.reason, how->plan->error_message);
        *ret_assigned = a;
        return OK;
    }
    if (!must_wait) {
        TRY(core_assign_must_wait(env, tx, how->order, &to, &must_wait));
    }
    if (must_wait) {
        TRY(wait(env, tx, how, r, &a));
    } else {
        TRY(finish_now(env, tx, how, &to, r, &a));
    }
    if (a.reason != REASON_GRANTED) {
        core_assign_fail(r, a.reason, a.message);
    }
    *ret_assigned = a;
    return OK;
}
