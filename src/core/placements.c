/* core/placements.c: a hub's devices as registrations have them. Whether there is another hub for
 * one is the same for all devices of an enrollment, so that a few enrollments are remembered during
 * a walk. */
#include "core/placements.h"

#include "core/candidates.h"
#include "model/limits.h"
#include "store/link.h"
#include "store/store.h"

enum { REMEMBERED = 64 };

/* What is known of an enrollment. Its ID is folded. */
struct remembered {
    enum enrollment_kind kind; /* 0: nothing yet */
    uint8_t key[LIMIT_REGISTRATION_ID];
    size_t len;
    enum core_stay stay;
};

struct walk {
    const struct env *env;
    const struct core_placements *what;
    struct span after;
    core_placements_fn fn;
    void *arg;
    struct store_tx *tx;
    struct instance instance;
    struct core_links links;
    struct remembered *remembered;
};

const char *core_stay_word(enum core_stay stay)
{
    static const char *const words[] = {
        [CORE_STAY_KEPT] = "hub-kept",
        [CORE_STAY_NO_OTHER_HUB] = "no-other-hub",
        [CORE_STAY_ENROLLMENT_DISABLED] = "enrollment-disabled",
        [CORE_STAY_ENROLLMENT_MISSING] = "enrollment-missing",
    };

    return words[stay];
}

/* ---- would it move? ---- */

/* Is there a hub for its devices but this one? Which it is may depend on the device, that there is
 * one does not. */
static err has_other_hub(const struct walk *w, const struct enrollment *e, bool *ret_has)
{
    struct core_candidates c;
    enum allocation_policy policy = e->allocation_policy != ALLOCATION_DEFAULT
                                        ? e->allocation_policy
                                        : w->instance.allocation_policy;

    TRY(core_candidates_get(w->env, &w->instance, &w->links, e, &c));
    *ret_has = false;
    for (size_t i = 0; i < c.n && !*ret_has; i++) {
        const struct core_link *link = core_candidate(&c, i);

        *ret_has = !link->is_draining && !span_eq(link->host_name, w->what->hub);
    }
    *ret_has = *ret_has && (policy != ALLOCATION_STATIC || c.n_named == 1);
    return OK;
}

static err judge_enrollment(const struct walk *w, const struct registration *r,
                            enum core_stay *ret_stay)
{
    const struct enrollment key = { .id_scope = r->id_scope,
                                    .kind = r->enrollment_kind,
                                    .key = r->enrollment };
    const struct store_scan scan = {
        .prefix = &key, .n_prefix = 3, .without_secrets = true, .limit = 1
    };
    struct enrollment *e;
    bool has_other;
    size_t n;

    TRY(store_scan(w->tx, &KIND_ENROLLMENT, &scan, w->env->arena, &e, &n));
    if (n == 0) {
        *ret_stay = CORE_STAY_ENROLLMENT_MISSING;
    } else if (e->provisioning_status == PROVISIONING_DISABLED) {
        *ret_stay = CORE_STAY_ENROLLMENT_DISABLED;
    } else if (!e->update_hub_assignment) {
        *ret_stay = CORE_STAY_KEPT;
    } else {
        TRY(has_other_hub(w, e, &has_other));
        *ret_stay = has_other ? CORE_STAY_NOT : CORE_STAY_NO_OTHER_HUB;
    }
    return OK;
}

static struct remembered *recall(const struct walk *w, const struct registration *r)
{
    uint32_t hash = 0;

    for (size_t i = 0; i < r->enrollment.len; i++) {
        hash = hash * 31 + r->enrollment.data[i];
    }
    return &w->remembered[hash % REMEMBERED];
}

static err judge_stay(const struct walk *w, const struct registration *r, enum core_stay *ret_stay)
{
    struct remembered *m = recall(w, r);
    struct buf key = buf_over(m->key, sizeof m->key);

    if (m->kind == r->enrollment_kind && span_eq(span_of(m->key, m->len), r->enrollment)) {
        *ret_stay = m->stay;
        return OK;
    }
    TRY(judge_enrollment(w, r, ret_stay));
    m->kind = 0;
    buf_add(&key, r->enrollment);
    if (!key.failed) {
        *m = (struct remembered){ .kind = r->enrollment_kind, .len = key.len, .stay = *ret_stay };
        memcpy(m->key, r->enrollment.data, key.len);
    }
    return OK;
}

/* ---- the walk ---- */

static err read_links(struct walk *w)
{
    w->instance = (struct instance){ .id_scope = w->what->id_scope };
    TRY(store_get(w->tx, &KIND_INSTANCE, &w->instance, w->env->arena, &w->instance));
    return core_links_get(w->env, w->tx, &w->instance, &w->links);
}

static err hand(const void *row, void *arg, bool *more)
{
    struct walk *w = arg;
    struct core_placement p = { .registration = row };
    struct device_state state;
    bool is_there;

    if (w->what->judges_stay) {
        TRY(judge_stay(w, p.registration, &p.stay));
    }
    if (w->what->hubs != NULL) {
        TRY(w->what->hubs->read(w->env, w->tx, w->what->hub, p.registration->placed_device_id,
                                &state, &is_there));
        p.is_missing = !is_there;
    }
    return w->fn(&p, w->arg, more);
}

static err walk_all(struct store_tx *tx, void *arg)
{
    struct walk *w = arg;
    const struct registration prefix = { .placed_hub = w->what->hub,
                                         .id_scope = w->what->id_scope };
    struct registration behind = prefix;
    struct store_scan scan = { .index = REGISTRATION_BY_HUB, .prefix = &prefix, .n_prefix = 2 };

    w->tx = tx;
    if (!span_is_absent(w->after)) {
        struct span rest = w->after;

        behind.placed_device_id = span_cut(&rest, '/');
        behind.key = span_is_absent(rest) ? SPAN("") : rest;
        scan.after = &behind;
    }
    if (w->what->judges_stay) {
        TRY(read_links(w));
    }
    return store_walk(tx, &KIND_REGISTRATION, &scan, w->env->arena, hand, w);
}

err core_placements_walk(const struct env *env, const struct core_placements *what,
                         struct span after, core_placements_fn fn, void *arg)
{
    struct walk w = { .env = env, .what = what, .after = after, .fn = fn, .arg = arg };

    w.remembered = ARENA_ARRAY(env->arena, REMEMBERED, struct remembered);
    return w.remembered != NULL ? store_read(env->store, walk_all, &w) : ERR(NOMEM);
}

void core_placements_write_place(const struct registration *r, struct buf *out)
{
    buf_add(out, r->placed_device_id);
    buf_add_u8(out, '/');
    buf_add(out, r->key);
}

/* ---- counting ---- */

struct counting {
    struct registration prefix;
    int64_t n;
};

static err count(struct store_tx *tx, void *arg)
{
    struct counting *c = arg;
    const struct store_scan scan = { .index = REGISTRATION_BY_HUB,
                                     .prefix = &c->prefix,
                                     .n_prefix = 2 };

    return store_count(tx, &KIND_REGISTRATION, &scan, &c->n);
}

err core_placements_count(const struct env *env, struct span id_scope, struct span hub,
                          int64_t *ret_n)
{
    struct counting c = { .prefix = { .id_scope = id_scope, .placed_hub = hub } };

    TRY(store_read(env->store, count, &c));
    *ret_n = c.n;
    return OK;
}

/* ---- draining ---- */

struct draining {
    const struct env *env;
    struct linked_hub link;
    bool is_draining;
    bool is_found;
};

static err set_draining(struct store_tx *tx, void *arg)
{
    struct draining *d = arg;

    TRY(store_find(tx, &KIND_LINKED_HUB, &d->link, d->env->arena, &d->link, &d->is_found));
    if (!d->is_found || d->link.is_draining == d->is_draining) {
        return OK;
    }
    d->link.is_draining = d->is_draining;
    TRY(store_links_changed(tx, d->env->arena, d->link.id_scope));
    return store_put(tx, &KIND_LINKED_HUB, &d->link);
}

err core_placements_drain(const struct env *env, struct span id_scope, struct span host_name,
                          bool is_draining, struct linked_hub *ret_link,
                          struct verdict *ret_verdict)
{
    struct draining d = { .env = env, .link.id_scope = id_scope, .is_draining = is_draining };

    TRY(model_fold(env->arena, host_name, &d.link.host_name));
    TRY(store_write(env->store, set_draining, &d));
    if (d.is_found) {
        *ret_link = d.link;
    }
    *ret_verdict = d.is_found ? VERDICT(GRANTED) : VERDICT(RESOURCE_NOT_FOUND);
    return OK;
}
