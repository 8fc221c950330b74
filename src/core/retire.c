/* core/retire.c: taking an instance away. It is marked first, in one transaction with its links, so
 * that no device is let in or placed from then on; then what it had goes in small transactions,
 * which others' writes come between; the instance's own row is the last. Whoever was cut off half
 * way finds the mark and goes on. */
#include "core/retire.h"

#include "core/match.h"
#include "model/limits.h"
#include "store/store.h"
#include "store/sweep.h"

struct retiring {
    const struct env *env;
    struct span name;
    bool is_forced;
    struct instance instance;
    struct verdict verdict;
    size_t batch; /* rows this transaction may take */
    size_t taken;
    bool is_done;
};

/* ---- the mark ---- */

static err has_any(struct retiring *w, struct store_tx *tx, const struct kind *kind,
                   const struct store_scan *scan, bool *ret_has)
{
    size_t mark = w->env->arena->used;
    void *rows;
    size_t n;

    TRY(store_scan(tx, kind, scan, w->env->arena, &rows, &n));
    w->env->arena->used = mark;
    *ret_has = n > 0;
    return OK;
}

static err has_of_scope(struct retiring *w, struct store_tx *tx, const struct kind *kind,
                        const void *prefix, bool *ret_has)
{
    struct store_scan scan = { .prefix = prefix, .n_prefix = 1, .limit = 1 };

    return has_any(w, tx, kind, &scan, ret_has);
}

static err has_hubs(struct retiring *w, struct store_tx *tx, bool *ret_has)
{
    struct hub prefix = { .id_scope = w->instance.id_scope };
    struct store_scan scan = {
        .index = HUB_BY_SCOPE, .prefix = &prefix, .n_prefix = 1, .limit = 1
    };

    return has_any(w, tx, &KIND_HUB, &scan, ret_has);
}

static err check_unused(struct retiring *w, struct store_tx *tx)
{
    const struct enrollment enrollment = { .id_scope = w->instance.id_scope };
    const struct registration registration = { .id_scope = w->instance.id_scope };
    bool has_enrollments, has_registrations, has_hub;

    TRY(has_of_scope(w, tx, &KIND_ENROLLMENT, &enrollment, &has_enrollments));
    TRY(has_of_scope(w, tx, &KIND_REGISTRATION, &registration, &has_registrations));
    TRY(has_hubs(w, tx, &has_hub));
    if (!has_enrollments && !has_registrations && !has_hub) {
        return OK;
    }
    return core_match_refuse(w->env, REASON_RESOURCE_IN_USE, &w->verdict,
                             "It has %s; force=true deletes all that it has.",
                             has_enrollments     ? "enrollments"
                             : has_registrations ? "registrations"
                                                 : "hubs");
}

/* All at once: there are at most LIMIT_LINKED_HUBS. */
static err drop_links(struct retiring *w, struct store_tx *tx)
{
    const struct linked_hub prefix = { .id_scope = w->instance.id_scope };
    struct store_scan scan = { .prefix = &prefix, .n_prefix = 1 };
    size_t n;

    return store_sweep(tx, &KIND_LINKED_HUB, &scan, LIMIT_LINKED_HUBS, w->env->arena, &n);
}

static err mark(struct store_tx *tx, void *arg)
{
    struct retiring *w = arg;
    const struct instance prefix = { .name = w->name };
    struct store_scan scan = {
        .index = INSTANCE_BY_NAME, .prefix = &prefix, .n_prefix = 1, .limit = 1
    };
    struct instance *rows;
    size_t n;

    TRY(store_scan(tx, &KIND_INSTANCE, &scan, w->env->arena, &rows, &n));
    w->verdict = n > 0 ? VERDICT(GRANTED) : VERDICT(RESOURCE_NOT_FOUND);
    if (n == 0) {
        return OK;
    }
    w->instance = rows[0];
    if (w->instance.life == LIFE_DELETING) {
        return OK;
    }
    if (!w->is_forced) {
        TRY(check_unused(w, tx));
    }
    if (!verdict_is_granted(w->verdict)) {
        return OK;
    }
    TRY(drop_links(w, tx));
    w->instance.links_version++;
    w->instance.life = LIFE_DELETING;
    return store_put(tx, &KIND_INSTANCE, &w->instance);
}

err core_retire_begin(const struct env *env, struct span name, bool force,
                      struct instance *ret_instance, struct verdict *ret_verdict)
{
    struct retiring w = { .env = env, .name = name, .is_forced = force };

    TRY(store_write(env->store, mark, &w));
    if (verdict_is_granted(w.verdict)) {
        *ret_instance = w.instance;
    }
    *ret_verdict = w.verdict;
    return OK;
}

/* ---- the rest ---- */

static err sweep_kind(struct retiring *w, struct store_tx *tx, const struct kind *kind, int index,
                      const void *prefix)
{
    struct store_scan scan = { .index = index, .prefix = prefix, .n_prefix = 1 };
    size_t n;

    TRY(store_sweep(tx, kind, &scan, w->batch - w->taken, w->env->arena, &n));
    w->taken += n;
    return OK;
}

static err drop_policies(struct retiring *w, struct store_tx *tx)
{
    const struct policy prefix = { .owner_type = POLICY_OF_INSTANCE,
                                   .owner = w->instance.id_scope };
    struct store_scan scan = { .prefix = &prefix, .n_prefix = 2 };
    size_t n;

    return store_sweep(tx, &KIND_POLICY, &scan, LIMIT_POLICIES, w->env->arena, &n);
}

static err sweep_rows(struct retiring *w, struct store_tx *tx)
{
    struct span scope = w->instance.id_scope;
    const struct enrollment enrollment = { .id_scope = scope };
    const struct registration registration = { .id_scope = scope };
    const struct anchor anchor = { .id_scope = scope };
    const struct ca_reference reference = { .id_scope = scope };
    const struct certificate certificate = { .id_scope = scope };
    const struct challenge challenge = { .id_scope = scope };
    const struct errand errand = { .id_scope = scope };
    const struct decision_row decision = { .id_scope = scope };

    TRY(sweep_kind(w, tx, &KIND_ENROLLMENT, 0, &enrollment));
    TRY(sweep_kind(w, tx, &KIND_REGISTRATION, 0, &registration));
    TRY(sweep_kind(w, tx, &KIND_ANCHOR, 0, &anchor));
    TRY(sweep_kind(w, tx, &KIND_CA_REFERENCE, 0, &reference));
    TRY(sweep_kind(w, tx, &KIND_CERTIFICATE, 0, &certificate));
    TRY(sweep_kind(w, tx, &KIND_CHALLENGE, 0, &challenge));
    TRY(sweep_kind(w, tx, &KIND_ERRAND, 0, &errand));
    return sweep_kind(w, tx, &KIND_DECISION, DECISION_BY_REGISTRATION, &decision);
}

static err sweep(struct store_tx *tx, void *arg)
{
    struct retiring *w = arg;
    struct instance row = { .id_scope = w->instance.id_scope };
    bool has_hub, is_there;

    w->taken = 0;
    TRY(store_find(tx, &KIND_INSTANCE, &row, w->env->arena, &row, &is_there));
    if (!is_there) {
        w->is_done = true; /* somebody else swept too */
        return OK;
    }
    TRY(sweep_rows(w, tx));
    TRY(has_hubs(w, tx, &has_hub));
    w->is_done = !has_hub && w->taken < w->batch;
    if (!w->is_done) {
        return OK;
    }
    TRY(drop_policies(w, tx));
    return store_delete(tx, &KIND_INSTANCE, &row);
}

err core_retire_sweep(const struct env *env, struct span id_scope, size_t most, bool *ret_is_done)
{
    struct retiring w = { .env = env, .instance.id_scope = id_scope };
    size_t used = env->arena->used;
    size_t done = 0;

    do {
        w.batch = most - done < LIMIT_DELETE_BATCH ? most - done : LIMIT_DELETE_BATCH;
        env->arena->used = used;
        TRY(store_write(env->store, sweep, &w));
        done += w.taken;
    } while (!w.is_done && w.taken == w.batch && done < most);
    *ret_is_done = w.is_done;
    return OK;
}
