/* core/reconcile_mend.c: mending what registrations and hubs disagree about, an item a transaction,
 * in which it is looked at again: whatever has changed since it was listed is left alone. */
#include "core/errand_lane.h"
#include "core/errand_row.h"
#include "core/errands.h"
#include "core/match.h"
#include "core/reconcile_judge.h"
#include "core/registration.h"

struct mending {
    const struct env *env;
    const struct core_reconcile_query *query;
    struct core_mend *mend;
    struct span etag; /* for a registration that changes */
    struct store_tx *tx;
    size_t mark;
    struct span lane; /* of an errand that was left; absent: none */
};

/* ---- registrations ---- */

static err find_registration(struct mending *w, struct registration *ret, bool *ret_found)
{
    struct registration key = { .id_scope = w->query->id_scope };

    TRY(model_fold(w->env->arena, w->mend->registration_id, &key.key));
    *ret = key;
    return store_find(w->tx, &KIND_REGISTRATION, &key, w->env->arena, ret, ret_found);
}

static err is_on_hub(struct mending *w, bool *ret_is)
{
    struct device_state state;

    if (w->query->hubs == NULL) {
        *ret_is = false; /* whoever asks has looked */
        return OK;
    }
    return w->query->hubs->read(w->env, w->tx, w->mend->hub, w->mend->device_id, &state, ret_is);
}

/* Is it still as it was listed? Its sentence in mend->why if not. */
static err check_missing(struct mending *w, const struct registration *r)
{
    struct core_mend *m = w->mend;
    bool is_there;

    if (!span_eq(r->placed_hub, m->hub) || !span_eq(r->placed_device_id, m->device_id)) {
        m->why = SPAN("the registration has its device elsewhere by now");
    } else if (r->status == REGISTRATION_ASSIGNING) {
        m->why = SPAN("the device is being assigned");
    } else if (!span_is_absent(m->etag) && !span_eq(r->etag, m->etag)) {
        m->why = SPAN("the registration was changed meanwhile");
    } else {
        TRY(is_on_hub(w, &is_there));
        m->why = is_there ? SPAN("the hub has the device") : SPAN_NONE;
    }
    return OK;
}

static err check_waiting(struct mending *w, const struct registration *r)
{
    struct errand e = { .id_scope = r->id_scope,
                        .type = ERRAND_ASSIGN,
                        .registration_key = r->key,
                        .hub = SPAN(""),
                        .device_id = SPAN("") };
    bool has_errand = false;

    if (r->status == REGISTRATION_ASSIGNING) {
        TRY(store_find(w->tx, &KIND_ERRAND, &e, w->env->arena, &e, &has_errand));
    }
    w->mend->why = r->status != REGISTRATION_ASSIGNING
                       ? SPAN("the registration does not wait any more")
                   : has_errand ? SPAN("there is an errand for it")
                                : SPAN_NONE;
    return OK;
}

/* The next register finds a registration that was nowhere, or that is where its device is, and
 * does all there is to do. */
static err mend_registration(struct mending *w)
{
    struct core_mend *m = w->mend;
    struct registration was, r;
    bool is_found;

    TRY(find_registration(w, &was, &is_found));
    if (!is_found) {
        m->why = SPAN("the registration has gone");
        return OK;
    }
    TRY(m->kind == CORE_MEND_MISSING ? check_missing(w, &was) : check_waiting(w, &was));
    if (!span_is_absent(m->why) || m->is_dry) {
        return OK;
    }
    r = was;
    if (m->kind == CORE_MEND_MISSING) {
        r.placed_hub = r.placed_device_id = SPAN_NONE;
    }
    if (was.status == REGISTRATION_ASSIGNED || was.status == REGISTRATION_ASSIGNING) {
        r.status = REGISTRATION_UNASSIGNED;
        r.substatus = SUBSTATUS_NONE;
        r.assigned_hub = r.device_id = r.payload = r.authentication_key = SPAN_NONE;
    }
    r.etag = w->etag;
    r.updated_ms = w->env->now_ms;
    core_registration_move(&was, &r);
    return store_put(w->tx, &KIND_REGISTRATION, &r);
}

/* ---- devices ---- */

/* From a hub elsewhere it goes as after a move: unless it is assigned there again meanwhile. */
static err leave_errand(struct mending *w, const struct core_identity *id)
{
    const struct core_mend *m = w->mend;
    const struct errand of = { .id_scope = w->query->id_scope,
                               .registration_id = span_is_absent(id->registration_id)
                                                      ? m->device_id
                                                      : id->registration_id };

    TRY(core_errand_lane_of_hub(w->env->arena, of.id_scope, m->hub, &w->lane));
    return core_errand_row_remove(w->env, w->tx, &of, m->hub, m->device_id, 0);
}

static err mend_device(struct mending *w)
{
    struct core_mend *m = w->mend;
    struct core_judge judge = { .env = w->env, .query = w->query, .tx = w->tx };
    struct core_identity id = { .device_id = m->device_id };
    enum core_finding wanted =
        m->kind == CORE_MEND_DUPLICATE ? CORE_FINDING_DUPLICATE : CORE_FINDING_STRAY;

    TRY(core_judge_begin(&judge));
    TRY(core_judge_one(&judge, &id));
    if (id.finding != wanted) {
        m->why = id.finding == CORE_FINDING_DUPLICATE
                     ? SPAN("a registration has the device on another hub")
                     : SPAN("the hub does not have it, or it belongs there");
        return OK;
    }
    m->why = SPAN_NONE;
    if (m->is_dry) {
        return OK;
    }
    return w->query->hubs != NULL
               ? w->query->hubs->take_away(w->env, w->tx, m->hub, m->device_id, &m->placed)
               : leave_errand(w, &id);
}

static err mend_one(struct store_tx *tx, void *arg)
{
    struct mending *w = arg;

    w->env->arena->used = w->mark;
    w->tx = tx;
    w->lane = SPAN_NONE;
    w->mend->placed = (struct placed){ 0 };
    return w->mend->kind == CORE_MEND_MISSING || w->mend->kind == CORE_MEND_WAITING
               ? mend_registration(w)
               : mend_device(w);
}

err core_reconcile_mend(const struct env *env, const struct core_reconcile_query *q,
                        struct core_mend *mend)
{
    struct mending w = { .env = env, .query = q, .mend = mend };

    TRY(core_match_new_etag(env, &w.etag));
    w.mark = env->arena->used;
    if (mend->is_dry) {
        return store_read(env->store, mend_one, &w);
    }
    TRY(store_write(env->store, mend_one, &w));
    if (!span_is_absent(w.lane)) {
        core_errands_wake(env->errands, w.lane);
    }
    return OK;
}
