/* core/errand.c: claiming an errand, and asking the system elsewhere. How those are asked is
 * remote/'s (struct elsewhere); what follows from the answer is core/errand_settle.c's. */
#include "core/errand.h"

#include <time.h>

#include "core/errand_lane.h"
#include "core/errand_settle.h"
#include "model/limits.h"
#include "store/store.h"

/* ---- claim ---- */

struct claiming {
    const struct env *env;
    struct span lane;
    struct core_errand_work *w;
    size_t arena_mark;
};

/* Whose calls all end in faults of this side comes to no settlement, and is always in somebody's
 * lease when old ones are swept. */
static bool is_too_old(const struct env *env, const struct errand *e)
{
    return e->type == ERRAND_ASSIGN && e->since_ms <= env->now_ms - LIMIT_ERRAND_MS;
}

static err claim(struct store_tx *tx, void *arg)
{
    struct claiming *c = arg;
    struct core_errand_work *w = c->w;
    const struct errand prefix = { .lane = c->lane };
    const struct store_scan scan = {
        .index = ERRAND_BY_LANE, .prefix = &prefix, .n_prefix = 1, .limit = 1
    };
    struct errand *rows;
    size_t n;

    c->env->arena->used = c->arena_mark;
    *w = (struct core_errand_work){ .next_due_ms = INT64_MAX };
    TRY(store_scan(tx, &KIND_ERRAND, &scan, c->env->arena, &rows, &n));
    if (n == 0 || rows[0].due_ms > c->env->now_ms) {
        w->next_due_ms = n == 0 ? INT64_MAX : rows[0].due_ms;
        return OK;
    }
    w->errand = rows[0];
    TRY(core_errand_settle_check(c->env, tx, w));
    if (w->end != CORE_ERRAND_GOES_ON) {
        return OK;
    }
    if (is_too_old(c->env, &w->errand)) {
        return core_errand_settle_expire(c->env, tx, w);
    }
    w->errand.tries += w->errand.lease_ms != 0; /* of somebody who never came back */
    w->errand.due_ms = w->errand.lease_ms = c->env->now_ms + LIMIT_ERRAND_LEASE_MS;
    return store_put(tx, &KIND_ERRAND, &w->errand);
}

err core_errand_claim(const struct env *env, struct span lane, struct core_errand_work *w)
{
    struct claiming c = { .env = env, .lane = lane, .w = w, .arena_mark = env->arena->used };

    return store_write(env->store, claim, &c);
}

/* ---- call ---- */

static int64_t clock_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* A throttle is a healthy answer: the lane only waits as long as it was asked to. */
static void note_call(struct core_errand_work *w, struct span lane)
{
    const struct elsewhere_answer *a = &w->answer;

    w->calls[w->n_calls++] = (struct core_errand_call){
        .lane = lane,
        .is_failure = a->outcome == ELSEWHERE_RETRY && a->http_status != 429,
        .retry_after_ms = a->outcome == ELSEWHERE_RETRY ? a->retry_after_ms : 0,
    };
}

static err note_hub(const struct env *env, struct core_errand_work *w, struct span host_name)
{
    struct span lane;

    TRY(core_errand_lane_of_hub(env->arena, w->errand.id_scope, host_name, &lane));
    note_call(w, lane);
    return OK;
}

static err ask_webhook(const struct env *env, const struct elsewhere *x, struct core_errand_work *w)
{
    int64_t since_us = clock_us();

    TRY(x->post(x->arg, env, w->errand.url, w->errand.request, &w->body, &w->answer));
    w->duration_us = clock_us() - since_us;
    note_call(w, w->errand.lane);
    return w->answer.outcome == ELSEWHERE_DONE
               ? core_custom_read_answer(env->arena, w->errand.request, w->body, &w->custom,
                                         &w->custom_wrong)
               : OK;
}

static err look(const struct env *env, const struct elsewhere *x, struct core_errand_work *w)
{
    struct device_state state;

    if (w->to.place != CORE_WHEREABOUTS_ELSEWHERE) { /* it has come home meanwhile */
        w->was_found = false;
        return OK;
    }
    TRY(x->find(x->arg, env, &w->to.link, w->errand.to_device_id, &state, &w->was_found,
                &w->answer));
    return note_hub(env, w, w->errand.to_hub);
}

struct state_read {
    const struct env *env;
    const struct placer *hubs;
    struct core_errand_work *w;
};

static err read_state(struct store_tx *tx, void *arg)
{
    struct state_read *r = arg;
    struct core_errand_work *w = r->w;

    return r->hubs->read(r->env, tx, w->errand.from_hub, w->errand.from_device_id, &w->carried,
                         &w->has_carried);
}

static bool moves(const struct core_errand_work *w)
{
    return !span_eq(w->errand.from_hub, w->errand.to_hub) && w->from.place != CORE_WHEREABOUTS_NONE;
}

/* What it takes along, as it is right now. */
static err fetch(const struct env *env, const struct core_errand_tools *tools,
                 struct core_errand_work *w)
{
    const struct elsewhere *x = tools->elsewhere;
    const struct errand *e = &w->errand;
    struct state_read r = { .env = env, .hubs = tools->hubs, .w = w };

    w->has_carried = false;
    if (!moves(w)) {
        return OK;
    }
    if (w->from.place == CORE_WHEREABOUTS_HERE) {
        return w->to.place == CORE_WHEREABOUTS_ELSEWHERE ? store_read(env->store, read_state, &r)
                                                         : OK;
    }
    TRY(x->find(x->arg, env, &w->from.link, e->from_device_id, &w->carried, &w->has_carried,
                &w->answer));
    return note_hub(env, w, e->from_hub);
}

static err place(const struct env *env, const struct core_errand_tools *tools,
                 struct core_errand_work *w)
{
    const struct elsewhere *x = tools->elsewhere;
    struct placement p;

    TRY(fetch(env, tools, w));
    if (w->answer.outcome != ELSEWHERE_DONE || w->to.place != CORE_WHEREABOUTS_ELSEWHERE ||
        !w->to.is_linked) {
        return OK;
    }
    core_assign_placement(&w->errand, &p);
    p.keeps_twin = w->errand.keeps_twin && w->has_carried;
    p.carried = w->has_carried ? &w->carried : NULL;
    /* It is what it brings, whatever was there before; and a try before may have made it by half,
     * which nobody was told of yet. */
    p.reset_twin = p.reset_twin || moves(w) || !w->errand.was_there;
    TRY(x->place(x->arg, env, &w->to.link, &p, &w->answer));
    return note_hub(env, w, w->errand.to_hub);
}

static err take_away(const struct env *env, const struct elsewhere *x, struct core_errand_work *w)
{
    TRY(x->take_away(x->arg, env, &w->to.link, w->errand.device_id, &w->answer));
    return note_hub(env, w, w->errand.hub);
}

err core_errand_call(const struct env *env, const struct core_errand_tools *tools,
                     struct core_errand_work *w)
{
    const struct elsewhere *x = tools->elsewhere;

    w->n_calls = 0;
    w->answer = (struct elsewhere_answer){ .outcome = ELSEWHERE_DONE };
    switch (w->errand.step) {
    case ERRAND_ALLOCATE:
        return ask_webhook(env, x, w);
    case ERRAND_LOOK:
        return look(env, x, w);
    case ERRAND_PLACE:
        return place(env, tools, w);
    default:
        return take_away(env, x, w);
    }
}
