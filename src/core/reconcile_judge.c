/* core/reconcile_judge.c: whose is a device that is on a hub? Hubs may be linked by several
 * instances, which know nothing of each other: a device that another one has there, or has by that
 * name and might have had there, or once had, is that one's, and nothing more is said of it. */
#include "core/reconcile_judge.h"

#include "model/limits.h"

/* Behind all device IDs of a scope. */
#define BEHIND_ALL "\xff"

/* ---- who else ---- */

static err add_scope(struct core_judge *j, struct span scope)
{
    for (size_t i = 0; i < j->n_scopes; i++) {
        if (span_eq(j->scopes[i], scope)) {
            return OK;
        }
    }
    if (span_eq(scope, j->query->id_scope)) {
        return OK;
    }
    if (j->n_scopes == LIMIT_INSTANCES) {
        return ERR(TOO_LARGE);
    }
    return arena_copy(j->env->arena, scope, &j->scopes[j->n_scopes++]);
}

/* By one seek each: the first registration behind all those of the scope before. */
static err add_scopes_with_devices(struct core_judge *j)
{
    const struct registration prefix = { .placed_hub = j->query->hub };
    struct registration behind = { .placed_hub = j->query->hub,
                                   .id_scope = SPAN(""),
                                   .placed_device_id = SPAN(BEHIND_ALL),
                                   .key = SPAN(BEHIND_ALL) };
    const struct store_scan scan = {
        .index = REGISTRATION_BY_HUB, .prefix = &prefix, .n_prefix = 1, .after = &behind, .limit = 1
    };
    struct registration *rows;
    size_t n;

    do {
        TRY(store_scan(j->tx, &KIND_REGISTRATION, &scan, j->env->arena, &rows, &n));
        if (n > 0) {
            TRY(add_scope(j, rows[0].id_scope));
            behind.id_scope = rows[0].id_scope;
        }
    } while (n > 0);
    return OK;
}

static err add_scope_of_link(const void *row, void *arg, bool *more)
{
    (void)more;
    return add_scope(arg, ((const struct linked_hub *)row)->id_scope);
}

static err add_scopes_linked(struct core_judge *j)
{
    const struct linked_hub prefix = { .host_name = j->query->hub };
    const struct store_scan scan = {
        .index = LINKED_HUB_BY_HOST, .prefix = &prefix, .n_prefix = 1, .without_secrets = true
    };

    return store_walk(j->tx, &KIND_LINKED_HUB, &scan, j->env->arena, add_scope_of_link, j);
}

static err read_links(struct core_judge *j)
{
    const struct linked_hub prefix = { .id_scope = j->query->id_scope };
    const struct store_scan scan = {
        .prefix = &prefix, .n_prefix = 1, .without_secrets = true, .limit = LIMIT_LINKED_HUBS
    };

    return store_scan(j->tx, &KIND_LINKED_HUB, &scan, j->env->arena, &j->links, &j->n_links);
}

err core_judge_begin(struct core_judge *j)
{
    j->n_scopes = j->lookups = 0;
    j->scopes = ARENA_ARRAY(j->env->arena, LIMIT_INSTANCES, struct span);
    if (j->scopes == NULL) {
        return ERR(NOMEM);
    }
    TRY(add_scopes_with_devices(j));
    TRY(add_scopes_linked(j));
    return read_links(j);
}

/* ---- one device ---- */

/* A registration of the scope that has the device on the hub; of several the first. */
static err find_placed(struct core_judge *j, struct span scope, struct span hub,
                       struct span device_id, struct registration *ret, bool *ret_found)
{
    const struct registration prefix = { .placed_hub = hub,
                                         .id_scope = scope,
                                         .placed_device_id = device_id };
    const struct store_scan scan = {
        .index = REGISTRATION_BY_HUB, .prefix = &prefix, .n_prefix = 3, .limit = 1
    };
    struct registration *rows;
    size_t n;

    j->lookups++;
    TRY(store_scan(j->tx, &KIND_REGISTRATION, &scan, j->env->arena, &rows, &n));
    *ret_found = n > 0;
    if (n > 0) {
        *ret = rows[0];
    }
    return OK;
}

/* A registration whose own ID is the device's, as it is with all but some individual enrollments.
 */
static err find_named(struct core_judge *j, struct span scope, struct registration *ret,
                      bool *ret_found)
{
    const struct registration key = { .id_scope = scope, .key = j->folded };

    j->lookups++;
    *ret = key;
    return store_find(j->tx, &KIND_REGISTRATION, &key, j->env->arena, ret, ret_found);
}

/* Is it being placed there by the scope, or taken away from there? */
static err is_on_its_way(struct core_judge *j, struct span scope, struct span device_id,
                         bool *ret_is)
{
    const struct errand target = { .id_scope = scope,
                                   .to_hub = j->query->hub,
                                   .to_device_id = device_id };
    const struct store_scan scan = { .index = ERRAND_BY_TARGET,
                                     .prefix = &target,
                                     .n_prefix = 3,
                                     .without_secrets = true,
                                     .limit = 1 };
    struct errand removal = { .id_scope = scope,
                              .type = ERRAND_REMOVE,
                              .registration_key = SPAN(""),
                              .hub = j->query->hub,
                              .device_id = device_id };
    struct errand *rows;
    size_t n;

    j->lookups++;
    TRY(store_scan(j->tx, &KIND_ERRAND, &scan, j->env->arena, &rows, &n));
    *ret_is = n > 0;
    return n > 0 ? OK : store_find(j->tx, &KIND_ERRAND, &removal, j->env->arena, &removal, ret_is);
}

/* Do decisions of the scope tell of a device of that name? */
static err was_registered(struct core_judge *j, struct span scope, bool *ret_was)
{
    const struct decision_row prefix = { .id_scope = scope, .registration_key = j->folded };
    const struct store_scan scan = {
        .index = DECISION_BY_REGISTRATION, .prefix = &prefix, .n_prefix = 2, .limit = 1
    };
    struct decision_row *rows;
    size_t n;

    j->lookups++;
    TRY(store_scan(j->tx, &KIND_DECISION, &scan, j->env->arena, &rows, &n));
    *ret_was = n > 0;
    return OK;
}

/* Rather once too often than once too seldom. */
static err is_anothers(struct core_judge *j, struct span device_id, bool *ret_is)
{
    size_t mark = j->env->arena->used;
    struct registration r;

    *ret_is = false;
    for (size_t i = 0; i < j->n_scopes && !*ret_is; i++) {
        TRY(find_placed(j, j->scopes[i], j->query->hub, device_id, &r, ret_is));
        if (!*ret_is) {
            TRY(find_named(j, j->scopes[i], &r, ret_is));
        }
        if (!*ret_is) {
            TRY(is_on_its_way(j, j->scopes[i], device_id, ret_is));
        }
        if (!*ret_is) {
            TRY(was_registered(j, j->scopes[i], ret_is));
        }
        j->env->arena->used = mark;
    }
    return OK;
}

/* Where registrations of the instance have it instead. */
static err find_elsewhere(struct core_judge *j, struct span device_id, struct registration *ret,
                          bool *ret_found)
{
    bool is_found;

    TRY(find_named(j, j->query->id_scope, ret, &is_found));
    if (is_found && span_eq(ret->placed_device_id, device_id)) {
        *ret_found = true;
        return OK;
    }
    *ret_found = false;
    for (size_t i = 0; i < j->n_links && !*ret_found; i++) {
        if (!span_eq(j->links[i].host_name, j->query->hub)) {
            TRY(find_placed(j, j->query->id_scope, j->links[i].host_name, device_id, ret,
                            ret_found));
        }
    }
    return OK;
}

static err is_there_still(struct core_judge *j, struct span device_id, bool *ret_is)
{
    const struct placer *hubs = j->query->hubs;
    struct device_state state;

    if (hubs == NULL) {
        *ret_is = true;
        return OK;
    }
    j->lookups++;
    return hubs->read(j->env, j->tx, j->query->hub, device_id, &state, ret_is);
}

/* Whatever is kept of it is copied behind this. */
static err judge(struct core_judge *j, struct core_identity *id, struct registration *r)
{
    bool is_known, is_others, is_there, is_moving;

    id->finding = CORE_FINDING_NONE;
    TRY(find_placed(j, j->query->id_scope, j->query->hub, id->device_id, r, &is_known));
    if (is_known) {
        return OK;
    }
    TRY(is_anothers(j, id->device_id, &is_others));
    if (is_others) {
        id->finding = CORE_FINDING_ANOTHERS;
        return OK;
    }
    TRY(is_there_still(j, id->device_id, &is_there));
    TRY(is_on_its_way(j, j->query->id_scope, id->device_id, &is_moving));
    if (!is_there || is_moving) {
        return OK;
    }
    TRY(find_elsewhere(j, id->device_id, r, &is_known));
    id->finding = is_known ? CORE_FINDING_DUPLICATE : CORE_FINDING_STRAY;
    return is_known ? OK : was_registered(j, j->query->id_scope, &id->was_registered);
}

/* Rows are read behind what is kept, and given up with it. */
err core_judge_one(struct core_judge *j, struct core_identity *id)
{
    struct arena *arena = j->env->arena;
    uint8_t name[LIMIT_REGISTRATION_ID], host[LIMIT_HOST_NAME];
    struct buf kept_name = buf_over(name, sizeof name);
    struct buf kept_host = buf_over(host, sizeof host);
    size_t mark = arena->used;
    struct registration r = { 0 };

    *id = (struct core_identity){ .device_id = id->device_id };
    TRY(model_fold(arena, id->device_id, &j->folded));
    TRY(judge(j, id, &r));
    if (id->finding == CORE_FINDING_DUPLICATE) {
        buf_add(&kept_name, r.id);
        buf_add(&kept_host, r.placed_hub);
        TRY(buf_ok(&kept_name));
        TRY(buf_ok(&kept_host));
    }
    arena->used = mark;
    if (id->finding != CORE_FINDING_DUPLICATE) {
        return OK;
    }
    TRY(arena_copy(arena, buf_span(&kept_name), &id->registration_id));
    return arena_copy(arena, buf_span(&kept_host), &id->placed_hub);
}
