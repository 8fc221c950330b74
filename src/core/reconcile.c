/* core/reconcile.c: what registrations and hubs disagree about. One device is judged by
 * reconcile_judge.c, mending is reconcile_mend.c's. */
#include "core/reconcile.h"

#include "core/reconcile_judge.h"
#include "crypto/crypto.h"
#include "model/limits.h"
#include "util/base64.h"
#include "util/connection_string.h"

/* ---- hubs ---- */

struct hubs_work {
    const struct env *env;
    struct span id_scope;
    struct store_tx *tx;
    struct core_reconcile_hub *rows;
    size_t n;
};

static err count_devices(struct hubs_work *w, struct span hub, int64_t *ret_n)
{
    const struct registration prefix = { .placed_hub = hub, .id_scope = w->id_scope };
    const struct store_scan scan = { .index = REGISTRATION_BY_HUB,
                                     .prefix = &prefix,
                                     .n_prefix = 2 };

    return store_count(w->tx, &KIND_REGISTRATION, &scan, ret_n);
}

static err add_hub(struct hubs_work *w, const struct linked_hub *link)
{
    struct core_reconcile_hub row = { .is_remote = link->is_remote != 0 };
    struct hub hub = { .host_name = link->host_name };

    TRY(arena_copy(w->env->arena, link->host_name, &row.host_name));
    TRY(count_devices(w, row.host_name, &row.devices));
    TRY(store_find(w->tx, &KIND_HUB, &hub, w->env->arena, &hub, &row.is_there));
    row.is_ours =
        row.is_there && (span_is_absent(hub.id_scope) || span_eq(hub.id_scope, w->id_scope));
    w->rows[w->n++] = row;
    return OK;
}

static err read_linked(struct hubs_work *w)
{
    const struct linked_hub prefix = { .id_scope = w->id_scope };
    const struct store_scan scan = {
        .prefix = &prefix, .n_prefix = 1, .without_secrets = true, .limit = LIMIT_LINKED_HUBS
    };
    struct linked_hub *links;
    size_t n;

    TRY(store_scan(w->tx, &KIND_LINKED_HUB, &scan, w->env->arena, &links, &n));
    for (size_t i = 0; i < n; i++) {
        TRY(add_hub(w, &links[i]));
        w->rows[w->n - 1].is_linked = true;
    }
    return OK;
}

static bool is_listed(const struct hubs_work *w, struct span host)
{
    for (size_t i = 0; i < w->n; i++) {
        if (span_eq(w->rows[i].host_name, host)) {
            return true;
        }
    }
    return false;
}

/* Hubs that anybody's registrations name, one seek each: the index begins with them. */
static err read_named(struct hubs_work *w)
{
    struct registration behind = { .placed_hub = SPAN("") };
    const struct store_scan scan = { .index = REGISTRATION_BY_HUB, .after = &behind, .limit = 1 };
    struct registration *rows;
    int64_t devices = 0;
    size_t n;

    behind.id_scope = behind.placed_device_id = behind.key = SPAN("\xff");
    for (;;) {
        TRY(store_scan(w->tx, &KIND_REGISTRATION, &scan, w->env->arena, &rows, &n));
        if (n == 0 || w->n == (size_t)2 * LIMIT_LINKED_HUBS) {
            return OK;
        }
        behind.placed_hub = rows[0].placed_hub;
        if (is_listed(w, behind.placed_hub)) {
            continue;
        }
        TRY(count_devices(w, behind.placed_hub, &devices));
        if (devices > 0) {
            const struct linked_hub none = { .host_name = behind.placed_hub };

            TRY(add_hub(w, &none));
        }
    }
}

static err read_hubs(struct store_tx *tx, void *arg)
{
    struct hubs_work *w = arg;

    w->tx = tx;
    w->n = 0;
    TRY(read_linked(w));
    return read_named(w);
}

err core_reconcile_hubs(const struct env *env, struct span id_scope,
                        struct core_reconcile_hub **ret_rows, size_t *ret_n)
{
    struct hubs_work w = { .env = env, .id_scope = id_scope };

    w.rows = ARENA_ARRAY(env->arena, (size_t)2 * LIMIT_LINKED_HUBS, struct core_reconcile_hub);
    if (w.rows == NULL) {
        return ERR(NOMEM);
    }
    TRY(store_read(env->store, read_hubs, &w));
    *ret_rows = w.rows;
    *ret_n = w.n;
    return OK;
}

/* ---- may it look? ---- */

struct look_work {
    const struct env *env;
    const struct linked_hub *link;
    struct span policy, key;
    bool may;
};

static err check_look(struct store_tx *tx, void *arg)
{
    const int64_t needed = RIGHT_REGISTRY_READ | RIGHT_REGISTRY_WRITE;
    struct look_work *w = arg;
    struct hub hub = { .host_name = w->link->host_name };
    struct policy p = { .owner_type = POLICY_OF_HUB,
                        .owner = w->link->host_name,
                        .name = w->policy };
    bool is_found;

    w->may = false;
    TRY(store_find(tx, &KIND_HUB, &hub, w->env->arena, &hub, &is_found));
    if (!is_found || span_is_absent(hub.id_scope) || span_eq(hub.id_scope, w->link->id_scope)) {
        w->may = is_found;
        return OK;
    }
    if (span_is_absent(w->policy)) {
        return OK;
    }
    TRY(store_find(tx, &KIND_POLICY, &p, w->env->arena, &p, &is_found));
    w->may = is_found && (p.rights & needed) == needed &&
             (crypto_equal(w->key, p.primary_key) || crypto_equal(w->key, p.secondary_key));
    return OK;
}

err core_reconcile_may_look(const struct env *env, const struct linked_hub *link,
                            struct span *ret_why)
{
    struct look_work w = { .env = env, .link = link };
    struct connection_string parts;
    struct buf key;

    *ret_why = SPAN_NONE;
    if (link->is_remote) {
        return OK;
    }
    if (!span_is_absent(link->connection_string) &&
        err_is_ok(connection_string_parse(link->connection_string, &parts))) {
        key = arena_buf(env->arena);
        TRY(base64_decode(parts.key, &key));
        TRY(arena_buf_end(env->arena, &key, &w.key));
        w.policy = parts.policy;
    }
    TRY(store_read(env->store, check_look, &w));
    if (!w.may) {
        *ret_why = SPAN("another made this hub, and the link has no connection string with "
                        "RegistryRead and RegistryWrite");
    }
    return OK;
}

/* ---- devices of a hub ---- */

struct judging {
    struct core_judge judge;
    struct core_identity *ids;
    size_t n, done;
    size_t mark;
};

static err judge_some(struct store_tx *tx, void *arg)
{
    struct judging *w = arg;

    w->judge.env->arena->used = w->mark;
    w->judge.tx = tx;
    TRY(core_judge_begin(&w->judge));
    for (w->done = 0; w->done < w->n && w->judge.lookups < LIMIT_RECONCILE_LOOKUPS; w->done++) {
        TRY(core_judge_one(&w->judge, &w->ids[w->done]));
    }
    return OK;
}

err core_reconcile_judge(const struct env *env, const struct core_reconcile_query *q,
                         struct core_identity *ids, size_t n, size_t *ret_n)
{
    struct judging w = {
        .judge = { .env = env, .query = q }, .ids = ids, .n = n, .mark = env->arena->used
    };

    TRY(store_read(env->store, judge_some, &w));
    *ret_n = w.done;
    return OK;
}

/* ---- what waits ---- */

struct waiting_work {
    const struct env *env;
    struct span id_scope, after;
    core_reconcile_waiting_fn on_registration;
    core_reconcile_errand_fn on_errand;
    void *arg;
    struct store_tx *tx;
};

static err look_at(const void *row, void *arg, bool *more)
{
    struct waiting_work *w = arg;
    const struct registration *r = row;
    struct errand e = { .id_scope = r->id_scope,
                        .type = ERRAND_ASSIGN,
                        .registration_key = r->key,
                        .hub = SPAN(""),
                        .device_id = SPAN("") };
    bool has_errand = true;

    if (r->status == REGISTRATION_ASSIGNING) {
        TRY(store_find(w->tx, &KIND_ERRAND, &e, w->env->arena, &e, &has_errand));
    }
    return w->on_registration(r, !has_errand, w->arg, more);
}

static err walk_waiting(struct store_tx *tx, void *arg)
{
    struct waiting_work *w = arg;
    const struct registration prefix = { .id_scope = w->id_scope };
    const struct registration behind = { .id_scope = w->id_scope, .key = w->after };
    const struct store_scan scan = { .prefix = &prefix,
                                     .n_prefix = 1,
                                     .after = span_is_absent(w->after) ? NULL : &behind };

    w->tx = tx;
    return store_walk(tx, &KIND_REGISTRATION, &scan, w->env->arena, look_at, w);
}

err core_reconcile_waiting(const struct env *env, struct span id_scope, struct span after,
                           core_reconcile_waiting_fn fn, void *arg)
{
    struct waiting_work w = {
        .env = env, .id_scope = id_scope, .after = after, .on_registration = fn, .arg = arg
    };

    return store_read(env->store, walk_waiting, &w);
}

/* A place: "1/{registration key}" of an ASSIGN, "2/{hub}/{device ID}" of a REMOVE. */
static err look_at_errand(const void *row, void *arg, bool *more)
{
    struct waiting_work *w = arg;
    const struct errand *e = row;
    uint8_t bytes[LIMIT_PLACE];
    struct buf place = buf_over(bytes, sizeof bytes);

    if (e->type == ERRAND_ASSIGN) {
        buf_printf(&place, "%d/%.*s", e->type, SPAN_FMT(e->registration_key));
    } else {
        buf_printf(&place, "%d/%.*s/%.*s", e->type, SPAN_FMT(e->hub), SPAN_FMT(e->device_id));
    }
    TRY(buf_ok(&place));
    return w->on_errand(e, buf_span(&place), w->arg, more);
}

static struct errand errand_at(struct span id_scope, struct span place)
{
    struct span rest = place;
    struct errand e = {
        .id_scope = id_scope, .registration_key = SPAN(""), .hub = SPAN(""), .device_id = SPAN("")
    };

    e.type = span_eq(span_cut(&rest, '/'), SPAN("1")) ? ERRAND_ASSIGN : ERRAND_REMOVE;
    if (e.type == ERRAND_ASSIGN) {
        e.registration_key = span_is_absent(rest) ? SPAN("") : rest;
    } else {
        e.hub = span_cut(&rest, '/');
        e.device_id = span_is_absent(rest) ? SPAN("") : rest;
    }
    return e;
}

static err walk_errands(struct store_tx *tx, void *arg)
{
    struct waiting_work *w = arg;
    const struct errand prefix = { .id_scope = w->id_scope };
    const struct errand behind = errand_at(w->id_scope, w->after);
    const struct store_scan scan = { .prefix = &prefix,
                                     .n_prefix = 1,
                                     .without_secrets = true,
                                     .after = span_is_absent(w->after) ? NULL : &behind };

    return store_walk(tx, &KIND_ERRAND, &scan, w->env->arena, look_at_errand, w);
}

err core_reconcile_errands(const struct env *env, struct span id_scope, struct span after,
                           core_reconcile_errand_fn fn, void *arg)
{
    struct waiting_work w = {
        .env = env, .id_scope = id_scope, .after = after, .on_errand = fn, .arg = arg
    };

    return store_read(env->store, walk_errands, &w);
}
