/* core/whereabouts.c: whose hub is it, and where? A link says so, and a hub's row who made it. And
 * whose is a device there? Registrations say so, of all instances that are linked. */
#include "core/whereabouts.h"

#include "store/store.h"

err core_whereabouts_find(const struct env *env, struct store_tx *tx, struct span id_scope,
                          struct span hub, struct core_whereabouts *ret_whereabouts)
{
    struct core_whereabouts w = { .link = { .id_scope = id_scope, .host_name = hub } };
    struct hub row = { .host_name = hub };
    bool has_hub;

    if (span_is_absent(hub)) {
        *ret_whereabouts = (struct core_whereabouts){ .place = CORE_WHEREABOUTS_NONE };
        return OK;
    }
    TRY(store_find(tx, &KIND_LINKED_HUB, &w.link, env->arena, &w.link, &w.is_linked));
    if (w.is_linked) {
        w.place = w.link.is_remote ? CORE_WHEREABOUTS_ELSEWHERE : CORE_WHEREABOUTS_HERE;
    } else {
        TRY(store_find(tx, &KIND_HUB, &row, env->arena, &row, &has_hub));
        w.place = has_hub && span_eq(row.id_scope, id_scope) ? CORE_WHEREABOUTS_HERE
                                                             : CORE_WHEREABOUTS_NONE;
    }
    *ret_whereabouts = w;
    return OK;
}

struct sharing {
    const struct env *env;
    struct store_tx *tx;
    const struct core_whereabouts_device *device;
    bool is_shared;
};

static err ask_scope(struct sharing *s, struct span id_scope)
{
    const struct core_whereabouts_device *d = s->device;
    const struct registration there = { .id_scope = id_scope,
                                        .placed_hub = d->hub,
                                        .placed_device_id = d->device_id };
    const struct store_scan scan = {
        .index = REGISTRATION_BY_HUB, .prefix = &there, .n_prefix = 3, .limit = 2
    };
    bool is_own = span_eq(id_scope, d->id_scope) && !span_is_absent(d->registration_key);
    size_t mark = s->env->arena->used;
    struct registration *rows;
    size_t n;

    TRY(store_scan(s->tx, &KIND_REGISTRATION, &scan, s->env->arena, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        s->is_shared = s->is_shared || !is_own || !span_eq(rows[i].key, d->registration_key);
    }
    s->env->arena->used = mark;
    return OK;
}

static err ask_link(const void *row, void *arg, bool *more)
{
    const struct linked_hub *link = row;
    struct sharing *s = arg;

    TRY(ask_scope(s, link->id_scope));
    *more = !s->is_shared;
    return OK;
}

err core_whereabouts_is_shared(const struct env *env, struct store_tx *tx,
                               const struct core_whereabouts_device *device, bool *ret_is)
{
    const struct linked_hub prefix = { .host_name = device->hub };
    const struct store_scan links = {
        .index = LINKED_HUB_BY_HOST, .prefix = &prefix, .n_prefix = 1, .without_secrets = true
    };
    struct sharing s = { .env = env, .tx = tx, .device = device };

    TRY(ask_scope(&s, device->id_scope)); /* linked still, or not */
    if (!s.is_shared) {
        TRY(store_walk(tx, &KIND_LINKED_HUB, &links, env->arena, ask_link, &s));
    }
    *ret_is = s.is_shared;
    return OK;
}
