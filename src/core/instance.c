/* core/instance.c: provisioning service instances: making one, finding it by scope or host, linking
 * hubs to it. Knows what is unique; what serves an instance's API is api/'s. */
#include "core/instance.h"

#include "core/match.h"
#include "crypto/crypto.h"
#include "model/limits.h"
#include "store/store.h"
#include "util/hex.h"

enum { POLICY_KEY_BYTES = 32, SCOPE_BYTES = 4, WEIGHT_MAX = 1000 };

struct instance_work {
    const struct env *env;
    struct instance instance;
    bool is_found;
    struct policy policy;
    const struct linked_hub *link;
    struct verdict verdict;
    struct store_scan scan;
    struct instance *rows;
    struct linked_hub *links;
    size_t n;
};

/* ---- create ---- */

/* One host name is one instance's. A hub may share it: its paths are others. */
static err is_host_taken(struct store_tx *tx, struct instance_work *w, bool *ret_is)
{
    struct instance prefix = { .host_name = w->instance.host_name };
    struct store_scan scan = {
        .index = INSTANCE_BY_HOST, .prefix = &prefix, .n_prefix = 1, .limit = 1
    };
    struct instance *rows;
    size_t n;

    TRY(store_scan(tx, &KIND_INSTANCE, &scan, w->env->arena, &rows, &n));
    *ret_is = n > 0;
    return OK;
}

static err create(struct store_tx *tx, void *arg)
{
    struct instance_work *w = arg;
    bool is_taken;

    TRY(is_host_taken(tx, w, &is_taken));
    w->verdict = is_taken ? VERDICT(RESOURCE_EXISTS) : VERDICT(GRANTED);
    if (is_taken) {
        return OK;
    }
    TRY(store_insert(tx, &KIND_INSTANCE, &w->instance));
    return store_insert(tx, &KIND_POLICY, &w->policy);
}

err core_instance_create(const struct env *env, struct span name, struct span host_name,
                         struct instance *ret_instance, struct verdict *ret_verdict)
{
    struct instance_work w = { .env = env,
                               .instance = { .name = name,
                                             .allocation_policy = ALLOCATION_HASHED,
                                             .created_ms = env->now_ms } };
    uint8_t random[SCOPE_BYTES + 2 * POLICY_KEY_BYTES];
    struct span keys;
    struct buf scope;
    err written;

    if (!model_is_host_name(host_name) || span_is_empty(name) || name.len > LIMIT_HOST_NAME) {
        return core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict,
                                 "An instance needs a name and a host name.");
    }
    env->random(random, sizeof random);
    scope = arena_buf(env->arena);
    buf_add_str(&scope, "0ne");
    hex_encode_lower(span_of(random, SCOPE_BYTES), &scope);
    TRY(arena_buf_end(env->arena, &scope, &w.instance.id_scope));
    TRY(model_fold(env->arena, host_name, &w.instance.host_name));
    keys = span_of(random + SCOPE_BYTES, (size_t)2 * POLICY_KEY_BYTES);
    w.policy = (struct policy){ .owner_type = POLICY_OF_INSTANCE,
                                .owner = w.instance.id_scope,
                                .name = SPAN("provisioningserviceowner"),
                                .rights = RIGHTS_INSTANCE,
                                .primary_key = span_first(keys, POLICY_KEY_BYTES),
                                .secondary_key = span_from(keys, POLICY_KEY_BYTES) };
    written = store_write(env->store, create, &w);
    crypto_wipe(random, sizeof random);
    TRY(written);
    if (verdict_is_granted(w.verdict)) {
        *ret_instance = w.instance;
    }
    *ret_verdict = w.verdict;
    return OK;
}

/* ---- find, list ---- */

static err read_one(struct store_tx *tx, void *arg)
{
    struct instance_work *w = arg;

    return store_find(tx, &KIND_INSTANCE, &w->instance, w->env->arena, &w->instance, &w->is_found);
}

err core_instance_find(const struct env *env, struct span id_scope, struct instance *ret_instance,
                       bool *ret_found)
{
    struct instance_work w = { .env = env, .instance.id_scope = id_scope };

    TRY(store_read(env->store, read_one, &w));
    if (w.is_found) {
        *ret_instance = w.instance;
    }
    *ret_found = w.is_found;
    return OK;
}

static err read_page(struct store_tx *tx, void *arg)
{
    struct instance_work *w = arg;

    return store_scan(tx, &KIND_INSTANCE, &w->scan, w->env->arena, &w->rows, &w->n);
}

err core_instance_find_by_host(const struct env *env, struct span host_name,
                               struct instance *ret_instance, bool *ret_found)
{
    struct instance prefix = { 0 };
    struct instance_work w = {
        .env = env,
        .scan = { .index = INSTANCE_BY_HOST, .prefix = &prefix, .n_prefix = 1, .limit = 1 }
    };

    TRY(model_fold(env->arena, host_name, &prefix.host_name));
    TRY(store_read(env->store, read_page, &w));
    if (w.n > 0) {
        *ret_instance = w.rows[0];
    }
    *ret_found = w.n > 0;
    return OK;
}

err core_instance_list(const struct env *env, struct instance **ret_rows, size_t *ret_n)
{
    struct instance_work w = { .env = env, .scan.limit = LIMIT_PAGE };

    TRY(store_read(env->store, read_page, &w));
    *ret_rows = w.rows;
    *ret_n = w.n;
    return OK;
}

/* ---- linked hubs ---- */

static err link_hub(struct store_tx *tx, void *arg)
{
    struct instance_work *w = arg;
    struct instance instance = { .id_scope = w->link->id_scope };
    struct hub hub = { .host_name = w->link->host_name };
    struct linked_hub was = *w->link;
    bool has_instance, has_hub, is_linked;

    TRY(store_find(tx, &KIND_INSTANCE, &instance, w->env->arena, &instance, &has_instance));
    TRY(store_find(tx, &KIND_HUB, &hub, w->env->arena, &hub, &has_hub));
    TRY(store_find(tx, &KIND_LINKED_HUB, &was, w->env->arena, &was, &is_linked));
    if (!has_instance || !has_hub) {
        w->verdict = VERDICT(RESOURCE_NOT_FOUND);
        return OK;
    }
    if (is_linked) {
        w->verdict = VERDICT(RESOURCE_EXISTS);
        return OK;
    }
    w->verdict = VERDICT(GRANTED);
    return store_insert(tx, &KIND_LINKED_HUB, w->link);
}

err core_instance_link(const struct env *env, const struct linked_hub *link,
                       struct verdict *ret_verdict)
{
    struct linked_hub folded = *link;
    struct instance_work w = { .env = env, .link = &folded };

    if (link->weight < 1 || link->weight > WEIGHT_MAX) {
        return core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict,
                                 "allocationWeight must be 1 to %d.", WEIGHT_MAX);
    }
    if (!model_is_host_name(link->host_name)) {
        return core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict,
                                 "The hub's host name is malformed.");
    }
    TRY(model_fold(env->arena, link->host_name, &folded.host_name));
    TRY(store_write(env->store, link_hub, &w));
    *ret_verdict = w.verdict;
    return OK;
}

static err read_links(struct store_tx *tx, void *arg)
{
    struct instance_work *w = arg;

    return store_scan(tx, &KIND_LINKED_HUB, &w->scan, w->env->arena, &w->links, &w->n);
}

err core_instance_links(const struct env *env, struct span id_scope, struct linked_hub **ret_rows,
                        size_t *ret_n)
{
    struct linked_hub prefix = { .id_scope = id_scope };
    struct instance_work w = { .env = env,
                               .scan = { .prefix = &prefix, .n_prefix = 1, .limit = LIMIT_PAGE } };

    TRY(store_read(env->store, read_links, &w));
    *ret_rows = w.links;
    *ret_n = w.n;
    return OK;
}

/* ---- policies ---- */

static err read_policy(struct store_tx *tx, void *arg)
{
    struct instance_work *w = arg;

    return store_find(tx, &KIND_POLICY, &w->policy, w->env->arena, &w->policy, &w->is_found);
}

err core_policy_find(const struct env *env, enum policy_owner owner_type, struct span owner,
                     struct span name, struct policy *ret_policy, bool *ret_found)
{
    struct instance_work w = {
        .env = env, .policy = { .owner_type = owner_type, .owner = owner, .name = name }
    };

    TRY(store_read(env->store, read_policy, &w));
    if (w.is_found) {
        *ret_policy = w.policy;
    }
    *ret_found = w.is_found;
    return OK;
}
