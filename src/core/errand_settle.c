/* core/errand_settle.c: what becomes of an errand after a call, in one transaction: the next step,
 * another try, or its end, together with its registration and the decision record of the register
 * that began it. Whether it is still wanted is looked at first: a register, a deletion, a changed
 * enrollment or link may have come between. */
#include "core/errand_settle.h"

#include "core/errand_lane.h"
#include "core/errand_row.h"
#include "core/instance.h"
#include "core/registration.h"
#include "model/limits.h"
#include "store/store.h"

struct settling {
    const struct env *env;
    struct store_tx *tx;
    const struct core_errand_tools *tools;
    struct core_errand_work *w;
};

/* ---- ends ---- */

/* The decision record of the register is completed; it may have been pruned. Absent: as it was. */
static err complete_decision(const struct settling *s, enum reason reason, struct span allocation)
{
    const struct core_errand_work *w = s->w;
    const struct registration *r = &w->registration;
    struct decision_row row = { .tracking_id = w->errand.tracking_id };
    bool is_there = false;

    if (!span_is_empty(row.tracking_id)) {
        TRY(store_find(s->tx, &KIND_DECISION, &row, s->env->arena, &row, &is_there));
    }
    if (!is_there) {
        return OK;
    }
    row.reason = span_str(reason_info(reason)->token);
    row.hub = r->assigned_hub;
    row.device_id = r->device_id;
    row.allocation = span_is_absent(allocation) ? row.allocation : allocation;
    return store_put(s->tx, &KIND_DECISION, &row);
}

static err put_registration(const struct settling *s, const struct registration *was)
{
    struct registration *r = &s->w->registration;

    r->updated_ms = s->env->now_ms;
    core_registration_end_wait(was, r);
    return store_put(s->tx, &KIND_REGISTRATION, r);
}

/* Who is told that it may not write has made nothing. */
static bool has_surely_made_nothing(const struct core_errand_work *w)
{
    return w->answer.outcome == ELSEWHERE_REFUSED && !w->answer.has_made && w->errand.tries == 0 &&
           (w->answer.http_status == 401 || w->answer.http_status == 403);
}

static err drop(const struct settling *s)
{
    struct core_errand_work *w = s->w;

    w->end = CORE_ERRAND_DROPPED;
    return core_errand_row_abandon(s->env, s->tx, &w->errand);
}

/* error_code 0 and message absent: the reason's. */
static err fail_with(const struct settling *s, enum reason reason, int64_t error_code,
                     struct span message)
{
    struct core_errand_work *w = s->w;
    struct registration was = w->registration;

    core_assign_fail(&w->registration, reason,
                     span_is_empty(message) ? SPAN_NONE : span_first(message, LIMIT_ERROR_MESSAGE));
    if (error_code != 0) {
        w->registration.error_code = error_code;
    }
    TRY(put_registration(s, &was));
    TRY(has_surely_made_nothing(w) ? store_delete(s->tx, &KIND_ERRAND, &w->errand)
                                   : core_errand_row_abandon(s->env, s->tx, &w->errand));
    w->end = CORE_ERRAND_FAILED;
    w->reason = reason;
    return complete_decision(s, reason, SPAN_NONE);
}

/* As a register would find it now. */
static err disable(const struct settling *s)
{
    struct core_errand_work *w = s->w;
    struct registration was = w->registration;

    w->registration.status = REGISTRATION_DISABLED;
    w->registration.authentication_key = SPAN_NONE;
    TRY(put_registration(s, &was));
    TRY(core_errand_row_abandon(s->env, s->tx, &w->errand));
    w->end = CORE_ERRAND_DROPPED;
    return complete_decision(s, REASON_ENROLLMENT_DISABLED, SPAN_NONE);
}

static err finish(const struct settling *s)
{
    struct core_errand_work *w = s->w;
    struct registration was = w->registration;
    struct core_assign_finish how = { .hubs = s->tools->hubs,
                                      .order = &w->errand,
                                      .carried = w->has_carried ? &w->carried : NULL };

    TRY(core_assign_finish(s->env, s->tx, &how, &w->registration, &w->assigned));
    if (w->assigned.reason != REASON_GRANTED) {
        return fail_with(s, w->assigned.reason, 0, w->assigned.message);
    }
    TRY(put_registration(s, &was));
    TRY(store_delete(s->tx, &KIND_ERRAND, &w->errand));
    w->end = CORE_ERRAND_DONE;
    w->has_assigned = true;
    return complete_decision(s, REASON_GRANTED, SPAN_NONE);
}

/* ---- is it still wanted? ---- */

static err check_enrollment(const struct settling *s)
{
    struct core_errand_work *w = s->w;
    const struct registration *r = &w->registration;
    struct enrollment e = { .id_scope = r->id_scope,
                            .kind = r->enrollment_kind,
                            .key = r->enrollment };
    bool is_there;

    TRY(store_find(s->tx, &KIND_ENROLLMENT, &e, s->env->arena, &e, &is_there));
    if (!is_there) {
        return fail_with(s, REASON_ENROLLMENT_CHANGED, 0, SPAN_NONE);
    }
    if (span_eq(e.etag, w->errand.enrollment_etag)) {
        return OK;
    }
    return e.provisioning_status == PROVISIONING_DISABLED
               ? disable(s)
               : fail_with(s, REASON_ENROLLMENT_CHANGED, 0, SPAN_NONE);
}

static err check_hubs(const struct settling *s)
{
    struct core_errand_work *w = s->w;
    const struct errand *e = &w->errand;

    TRY(core_whereabouts_find(s->env, s->tx, e->id_scope, e->from_hub, &w->from));
    TRY(core_whereabouts_find(s->env, s->tx, e->id_scope, e->to_hub, &w->to));
    return !span_is_absent(e->to_hub) && !w->to.is_linked && !span_eq(e->from_hub, e->to_hub)
               ? fail_with(s, REASON_HUB_NOT_FOUND, 0, SPAN_NONE)
               : OK;
}

static err check_assign(const struct settling *s)
{
    struct core_errand_work *w = s->w;
    struct registration *r = &w->registration;
    bool is_there;

    *r = (struct registration){ .id_scope = w->errand.id_scope, .key = w->errand.registration_key };
    TRY(store_find(s->tx, &KIND_REGISTRATION, r, s->env->arena, r, &is_there));
    if (!is_there || r->status != REGISTRATION_ASSIGNING ||
        !span_eq(r->operation_id, w->errand.operation_id)) {
        return drop(s);
    }
    TRY(check_enrollment(s));
    return w->end == CORE_ERRAND_GOES_ON ? check_hubs(s) : OK;
}

/* Puts it off: another device of its name is on its way there. */
static err put_off(const struct settling *s)
{
    struct errand *e = &s->w->errand;

    e->lease_ms = 0;
    e->due_ms = s->env->now_ms + LIMIT_ERRAND_RETRY_MAX_MS;
    s->w->end = CORE_ERRAND_PAUSED;
    return store_put(s->tx, &KIND_ERRAND, e);
}

static err check_remove(const struct settling *s)
{
    struct core_errand_work *w = s->w;
    bool is_wanted, is_coming;

    TRY(core_whereabouts_find(s->env, s->tx, w->errand.id_scope, w->errand.hub, &w->to));
    TRY(core_errand_row_check_remove(s->env, s->tx, &w->errand, &is_wanted, &is_coming));
    if (w->to.place != CORE_WHEREABOUTS_ELSEWHERE || is_wanted) {
        return drop(s);
    }
    return is_coming ? put_off(s) : OK;
}

static err check(const struct settling *s)
{
    struct core_errand_work *w = s->w;
    bool is_live;

    w->end = CORE_ERRAND_GOES_ON;
    TRY(core_instance_is_live(s->env, s->tx, w->errand.id_scope, &is_live));
    if (!is_live) {
        w->end = CORE_ERRAND_DROPPED;
        return store_delete(s->tx, &KIND_ERRAND, &w->errand);
    }
    return w->errand.type == ERRAND_ASSIGN ? check_assign(s) : check_remove(s);
}

err core_errand_settle_check(const struct env *env, struct store_tx *tx, struct core_errand_work *w)
{
    const struct settling s = { .env = env, .tx = tx, .w = w };

    return check(&s);
}

/* ---- another try ---- */

/* Twice as long each time, and not the same for all: half of it is drawn. */
static int64_t back_off_ms(const struct env *env, int64_t tries, int64_t most_ms)
{
    int64_t ms = LIMIT_ERRAND_RETRY_MS;
    uint32_t drawn;

    for (int64_t i = 1; i < tries && ms < most_ms; i++) {
        ms *= 2;
    }
    ms = ms < most_ms ? ms : most_ms;
    env->random(&drawn, sizeof drawn);
    return ms / 2 + (int64_t)(drawn % (uint32_t)(ms / 2 + 1));
}

static int64_t limited_retry_after(const struct elsewhere_answer *a)
{
    return a->retry_after_ms < LIMIT_ERRAND_RETRY_AFTER_MS ? a->retry_after_ms
                                                           : LIMIT_ERRAND_RETRY_AFTER_MS;
}

static err pause_for(const struct settling *s, int64_t most_ms)
{
    struct core_errand_work *w = s->w;
    struct errand *e = &w->errand;
    int64_t asked_ms = limited_retry_after(&w->answer);
    int64_t ms = back_off_ms(s->env, e->tries, most_ms);

    e->lease_ms = 0;
    e->due_ms = s->env->now_ms + (ms > asked_ms ? ms : asked_ms);
    if (w->n_calls > 0) { /* whom it waits for: the one that was asked last */
        e->lane = w->calls[w->n_calls - 1].lane;
    }
    w->end = CORE_ERRAND_PAUSED;
    return store_put(s->tx, &KIND_ERRAND, e);
}

static err expire(const struct settling *s)
{
    const struct errand *e = &s->w->errand;
    struct span hub = span_is_absent(e->to_hub) ? e->lane : e->to_hub;
    struct span message;

    TRY(arena_printf(s->env->arena, &message,
                     "%.*s did not take the device within %d minutes%s%.*s", SPAN_FMT(hub),
                     LIMIT_ERRAND_MS / 60000, span_is_empty(e->last_error) ? "." : ": ",
                     SPAN_FMT(span_first(e->last_error, LIMIT_ERROR_MESSAGE / 2))));
    return fail_with(s, REASON_HUB_UNAVAILABLE, 0, message);
}

err core_errand_settle_expire(const struct env *env, struct store_tx *tx,
                              struct core_errand_work *w)
{
    const struct settling s = { .env = env, .tx = tx, .w = w };

    return expire(&s);
}

/* What the webhook was asked and said, for the decision record. */
static err record_webhook(const struct settling *s, struct span error)
{
    const struct core_errand_work *w = s->w;
    const struct core_custom_transcript t = {
        .kind = CORE_CUSTOM_WEBHOOK,
        .url = w->errand.url,
        .request = w->errand.request,
        .answer = w->body,
        .error = error,
        .hub = w->custom.hub,
        .duration_us = w->duration_us,
        .tries = w->errand.tries + (w->answer.outcome != ELSEWHERE_RETRY),
    };
    struct decision_row row = { .tracking_id = w->errand.tracking_id };
    bool is_there;

    TRY(store_find(s->tx, &KIND_DECISION, &row, s->env->arena, &row, &is_there));
    if (!is_there) {
        return OK;
    }
    TRY(core_custom_record(s->env->arena, &t, &row.allocation));
    return store_put(s->tx, &KIND_DECISION, &row);
}

static err fail_webhook(const struct settling *s, struct span message)
{
    TRY(record_webhook(s, message));
    return fail_with(s, REASON_CUSTOM_ALLOCATION_FAILED, 0, message);
}

static err fail_webhook_status(const struct settling *s)
{
    struct span message;

    TRY(core_custom_webhook_failed(s->env->arena, s->w->answer.http_status, &message));
    return fail_webhook(s, message);
}

static err try_again(const struct settling *s)
{
    struct core_errand_work *w = s->w;
    struct errand *e = &w->errand;

    e->tries++;
    e->last_error = span_first(w->answer.message, LIMIT_ERROR_MESSAGE);
    if (e->type == ERRAND_REMOVE) {
        return pause_for(s, LIMIT_ERRAND_REMOVE_MAX_MS);
    }
    if (e->step == ERRAND_ALLOCATE && e->tries >= LIMIT_WEBHOOK_TRIES) {
        return fail_webhook_status(s);
    }
    return s->env->now_ms - e->since_ms >= LIMIT_ERRAND_MS
               ? expire(s)
               : pause_for(s, LIMIT_ERRAND_RETRY_MAX_MS);
}

static err refuse(const struct settling *s)
{
    const struct core_errand_work *w = s->w;

    if (w->errand.type == ERRAND_REMOVE) { /* until somebody changes something */
        return try_again(s);
    }
    return w->errand.step == ERRAND_ALLOCATE
               ? fail_webhook_status(s)
               : fail_with(s, REASON_HUB_REFUSED, w->answer.error_code, w->answer.message);
}

/* ---- the next step ---- */

static err go_on(const struct settling *s)
{
    struct errand *e = &s->w->errand;

    e->due_ms = e->lease_ms = s->env->now_ms + LIMIT_ERRAND_LEASE_MS;
    s->w->end = CORE_ERRAND_GOES_ON;
    return store_put(s->tx, &KIND_ERRAND, e);
}

static err take_answer(const struct settling *s)
{
    struct core_errand_work *w = s->w;
    const struct core_custom_answer *a = &w->custom;
    struct errand *e = &w->errand;
    struct core_whereabouts to;
    bool must_wait;

    if (!span_is_absent(w->custom_wrong)) {
        return fail_webhook(s, w->custom_wrong);
    }
    TRY(record_webhook(s, SPAN_NONE));
    e->to_hub = a->hub;
    if (span_eq(e->from_hub, e->to_hub)) {
        e->to_device_id = e->from_device_id;
    }
    if (!span_is_absent(a->initial_twin)) { /* reference dps-device-api.md 7: instead of the old */
        e->initial_twin = a->initial_twin;
        e->keeps_twin = 0;
    }
    e->payload = a->payload;
    e->tries = 0;
    e->last_error = SPAN_NONE;
    TRY(core_assign_must_wait(s->env, s->tx, e, &to, &must_wait));
    if (!must_wait) {
        return finish(s);
    }
    e->lease_ms = 0;
    e->due_ms = s->env->now_ms;
    TRY(core_errand_row_aim(s->env, s->tx, e));
    w->end = CORE_ERRAND_MOVED;
    return store_put(s->tx, &KIND_ERRAND, e);
}

/* Did a back end change what it takes along from the hub of this store while it was on its way? */
static err has_changed(const struct settling *s, bool *ret_has)
{
    const struct core_errand_work *w = s->w;
    struct device_state now;
    bool is_there = false;

    if (w->has_carried && w->from.place == CORE_WHEREABOUTS_HERE) {
        TRY(s->tools->hubs->read(s->env, s->tx, w->errand.from_hub, w->errand.from_device_id, &now,
                                 &is_there));
    }
    *ret_has = is_there && w->errand.tries < LIMIT_ERRAND_TWIN_TRIES &&
               (now.status != w->carried.status || !span_eq(now.tags, w->carried.tags) ||
                !span_eq(now.desired, w->carried.desired));
    return OK;
}

static err take_step(const struct settling *s)
{
    struct core_errand_work *w = s->w;
    struct errand *e = &w->errand;
    bool is_stale;

    switch (e->step) {
    case ERRAND_ALLOCATE:
        return take_answer(s);
    case ERRAND_LOOK:
        e->was_there = w->was_found;
        e->step = ERRAND_PLACE;
        e->tries = 0;
        e->last_error = SPAN_NONE;
        return go_on(s);
    case ERRAND_PLACE:
        TRY(has_changed(s, &is_stale));
        if (is_stale) {
            e->tries++;
            return go_on(s);
        }
        return finish(s);
    default:
        w->end = CORE_ERRAND_DONE;
        return store_delete(s->tx, &KIND_ERRAND, e);
    }
}

static err settle_answer(const struct settling *s)
{
    switch (s->w->answer.outcome) {
    case ELSEWHERE_DONE:
        return take_step(s);
    case ELSEWHERE_REFUSED:
        return refuse(s);
    default:
        return try_again(s);
    }
}

static err settle(struct store_tx *tx, void *arg)
{
    const struct settling *given = arg;
    struct settling s = *given;
    struct core_errand_work *w = s.w;
    struct errand mine = w->errand;
    struct errand now;
    bool is_there;

    s.tx = tx;
    TRY(store_find(tx, &KIND_ERRAND, &mine, s.env->arena, &now, &is_there));
    if (!is_there || now.lease_ms != mine.lease_ms ||
        !span_eq(now.operation_id, mine.operation_id)) {
        w->end = CORE_ERRAND_LOST;
        return OK;
    }
    w->errand = now;
    TRY(check(&s));
    return w->end == CORE_ERRAND_GOES_ON ? settle_answer(&s) : OK;
}

/* Begun anew each time the store runs it. */
struct settling_once {
    struct settling s;
    struct core_errand_work before;
};

static err settle_from_the_start(struct store_tx *tx, void *arg)
{
    struct settling_once *o = arg;

    *o->s.w = o->before;
    o->s.env->arena->used = o->before.arena_mark;
    return settle(tx, &o->s);
}

err core_errand_settle(const struct env *env, const struct core_errand_tools *tools,
                       struct core_errand_work *w)
{
    struct settling_once o = { .s = { .env = env, .tools = tools, .w = w }, .before = *w };

    o.before.arena_mark = env->arena->used;
    return store_write(env->store, settle_from_the_start, &o);
}
