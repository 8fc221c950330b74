/* core/errand_row.c: the rows of errands. Two things hold after each transaction: what was made on
 * a hub elsewhere for a registration that no longer wants it has a REMOVE errand, and nothing has
 * both a REMOVE errand and an ASSIGN errand toward it. A call that is under way while its errand is
 * abandoned may still take effect: whatever comes after it on the same device waits until its lease
 * is over (quiet_ms). */
#include "core/errand_row.h"

#include "core/errand_lane.h"
#include "core/whereabouts.h"
#include "model/limits.h"
#include "store/store.h"

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Until when a call made for it may be under way. */
static int64_t busy_until(const struct errand *e)
{
    return later(e->lease_ms, e->quiet_ms);
}

err core_errand_row_find(const struct env *env, struct store_tx *tx, struct span id_scope,
                         struct span registration_key, struct errand *ret_errand, bool *ret_found)
{
    struct errand e = { .id_scope = id_scope,
                        .type = ERRAND_ASSIGN,
                        .registration_key = registration_key,
                        .hub = SPAN(""),
                        .device_id = SPAN("") };

    return store_find(tx, &KIND_ERRAND, &e, env->arena, ret_errand, ret_found);
}

err core_errand_row_remove(const struct env *env, struct store_tx *tx, const struct errand *of,
                           struct span hub, struct span device_id, int64_t quiet_ms)
{
    struct errand e = { .id_scope = of->id_scope,
                        .type = ERRAND_REMOVE,
                        .registration_key = SPAN(""),
                        .hub = hub,
                        .device_id = device_id };
    bool is_there;

    TRY(store_find(tx, &KIND_ERRAND, &e, env->arena, &e, &is_there));
    if (!is_there) {
        TRY(core_errand_lane_of_hub(env->arena, of->id_scope, hub, &e.lane));
        e.registration_id = of->registration_id;
        e.since_ms = env->now_ms;
        e.step = ERRAND_TAKE_AWAY;
    }
    e.quiet_ms = later(e.quiet_ms, quiet_ms);
    e.due_ms = later(e.lease_ms, later(env->now_ms, e.quiet_ms));
    return store_put(tx, &KIND_ERRAND, &e);
}

err core_errand_row_abandon(const struct env *env, struct store_tx *tx, const struct errand *e)
{
    bool was_tried = e->tries > 0 || e->lease_ms != 0;
    struct core_whereabouts to;

    TRY(store_delete(tx, &KIND_ERRAND, e));
    if (e->type != ERRAND_ASSIGN || e->step != ERRAND_PLACE || e->was_there || !was_tried) {
        return OK;
    }
    TRY(core_whereabouts_find(env, tx, e->id_scope, e->to_hub, &to));
    return to.place == CORE_WHEREABOUTS_ELSEWHERE
               ? core_errand_row_remove(env, tx, e, e->to_hub, e->to_device_id, busy_until(e))
               : OK;
}

/* What is about to take the device away where it goes must not: it is ours still, so that it need
 * not be looked for. As if it had been tried already: the device is there, and whatever ends this
 * errand leaves the removal again. */
static err take_over(const struct env *env, struct store_tx *tx, struct errand *e, bool *ret_is)
{
    struct errand remove = { .id_scope = e->id_scope,
                             .type = ERRAND_REMOVE,
                             .registration_key = SPAN(""),
                             .hub = e->to_hub,
                             .device_id = e->to_device_id };

    TRY(store_find(tx, &KIND_ERRAND, &remove, env->arena, &remove, ret_is));
    if (!*ret_is) {
        return OK;
    }
    e->quiet_ms = later(e->quiet_ms, busy_until(&remove));
    e->tries = 1;
    return store_delete(tx, &KIND_ERRAND, &remove);
}

err core_errand_row_aim(const struct env *env, struct store_tx *tx, struct errand *e)
{
    struct core_whereabouts to;
    bool is_ours;

    TRY(core_whereabouts_find(env, tx, e->id_scope, e->to_hub, &to));
    e->step = ERRAND_PLACE;
    e->was_there = span_eq(e->from_hub, e->to_hub);
    if (to.place != CORE_WHEREABOUTS_ELSEWHERE) { /* its twin is fetched, and that is all */
        return core_errand_lane_of_hub(env->arena, e->id_scope, e->from_hub, &e->lane);
    }
    TRY(take_over(env, tx, e, &is_ours));
    if (!is_ours && !e->was_there) {
        e->step = ERRAND_LOOK;
    }
    e->due_ms = later(e->due_ms, e->quiet_ms);
    return core_errand_lane_of_hub(env->arena, e->id_scope, e->to_hub, &e->lane);
}

err core_errand_row_begin(const struct env *env, struct store_tx *tx, const struct errand *old,
                          struct errand *e)
{
    e->due_ms = e->since_ms = env->now_ms;
    if (old != NULL) {
        bool may_meet = span_eq(old->to_hub, e->to_hub) || span_eq(old->to_hub, e->from_hub);

        TRY(core_errand_row_abandon(env, tx, old));
        e->quiet_ms = may_meet && old->step == ERRAND_PLACE ? busy_until(old) : old->quiet_ms;
    }
    if (span_is_absent(e->to_hub)) {
        e->step = ERRAND_ALLOCATE;
        TRY(core_errand_lane_of_url(env->arena, e->id_scope, e->url, &e->lane));
    } else {
        TRY(core_errand_row_aim(env, tx, e));
    }
    return store_put(tx, &KIND_ERRAND, e);
}

err core_errand_row_hurry(const struct env *env, struct store_tx *tx, const struct errand *e)
{
    struct errand due = *e;

    if (e->lease_ms > env->now_ms || e->due_ms <= env->now_ms) {
        return OK;
    }
    due.due_ms = later(env->now_ms, e->quiet_ms);
    return store_put(tx, &KIND_ERRAND, &due);
}

static err has_row(const struct env *env, struct store_tx *tx, const struct kind *kind,
                   const struct store_scan *scan, bool *ret_has)
{
    size_t mark = env->arena->used;
    void *rows;
    size_t n;

    TRY(store_scan(tx, kind, scan, env->arena, &rows, &n));
    env->arena->used = mark;
    *ret_has = n > 0;
    return OK;
}

err core_errand_row_check_remove(const struct env *env, struct store_tx *tx, const struct errand *e,
                                 bool *ret_is_wanted, bool *ret_is_coming)
{
    const struct core_whereabouts_device there = { .id_scope = e->id_scope,
                                                   .hub = e->hub,
                                                   .device_id = e->device_id };
    const struct errand toward = { .id_scope = e->id_scope,
                                   .to_hub = e->hub,
                                   .to_device_id = e->device_id };
    const struct store_scan coming = { .index = ERRAND_BY_TARGET,
                                       .prefix = &toward,
                                       .n_prefix = 3,
                                       .without_secrets = true,
                                       .limit = 1 };

    TRY(core_whereabouts_is_shared(env, tx, &there, ret_is_wanted));
    return has_row(env, tx, &KIND_ERRAND, &coming, ret_is_coming);
}
