/* core/instance.c: provisioning service instances: making one, finding it by host or name, changing
 * it. Knows what is unique; taking one away is core/retire.c's, what serves its API api/'s. */
#include "core/instance.h"

#include "core/match.h"
#include "model/limits.h"
#include "store/store.h"
#include "util/hex.h"

enum { SCOPE_BYTES = 4 };

struct instance_work {
    const struct env *env;
    struct instance instance;
    bool is_found;
    struct policy policy;
    enum allocation_policy allocation;
    struct verdict verdict;
    struct store_scan scan;
    struct instance *rows;
    size_t n;
};

/* ---- create ---- */

static err is_taken(struct store_tx *tx, struct instance_work *w, int index, bool *ret_is)
{
    struct store_scan scan = { .index = index, .prefix = &w->instance, .n_prefix = 1, .limit = 1 };
    struct instance *rows;
    size_t n;

    TRY(store_scan(tx, &KIND_INSTANCE, &scan, w->env->arena, &rows, &n));
    *ret_is = n > 0;
    return OK;
}

static err create(struct store_tx *tx, void *arg)
{
    struct instance_work *w = arg;
    struct store_scan all = { .limit = 1 };
    bool has_host, has_name;
    int64_t n;

    /* One host name is one instance's. A hub may share it: its paths are others. */
    TRY(is_taken(tx, w, INSTANCE_BY_HOST, &has_host));
    TRY(is_taken(tx, w, INSTANCE_BY_NAME, &has_name));
    TRY(store_count(tx, &KIND_INSTANCE, &all, &n));
    w->verdict = VERDICT(GRANTED);
    if (has_host || has_name) {
        return core_match_refuse(w->env, REASON_NAME_TAKEN, &w->verdict,
                                 "The %s is another instance's.", has_name ? "name" : "host name");
    }
    if (n >= LIMIT_INSTANCES) {
        return core_match_refuse(w->env, REASON_QUOTA_EXCEEDED, &w->verdict,
                                 "Instances: at most %d.", LIMIT_INSTANCES);
    }
    TRY(store_insert(tx, &KIND_INSTANCE, &w->instance));
    return store_insert(tx, &KIND_POLICY, &w->policy);
}

static err check(const struct env *env, const struct instance *wanted, struct verdict *ret_verdict)
{
    *ret_verdict = VERDICT(GRANTED);
    if (!model_is_resource_name(wanted->name)) {
        return core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict,
                                 "An instance's name is 1 to %d letters, digits and inner hyphens.",
                                 LIMIT_HUB_NAME);
    }
    if (!model_is_host_name(wanted->host_name)) {
        return core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict,
                                 "serviceOperationsHostName is missing or not a host name.");
    }
    if (wanted->allocation_policy == ALLOCATION_CUSTOM) {
        return core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict,
                                 "allocationPolicy: custom is for enrollments alone.");
    }
    return OK;
}

static err make_scope(const struct env *env, struct span *ret_scope)
{
    uint8_t random[SCOPE_BYTES];
    struct buf scope = arena_buf(env->arena);

    env->random(random, sizeof random);
    buf_add_str(&scope, "0ne");
    hex_encode_lower(span_of(random, sizeof random), &scope);
    return arena_buf_end(env->arena, &scope, ret_scope);
}

err core_instance_create_with(const struct env *env, const struct instance *wanted,
                              struct instance *ret_instance, struct policy *ret_owner,
                              struct verdict *ret_verdict)
{
    struct instance_work w = { .env = env, .instance = *wanted };

    TRY(check(env, wanted, &w.verdict));
    if (!verdict_is_granted(w.verdict)) {
        *ret_verdict = w.verdict;
        return OK;
    }
    TRY(make_scope(env, &w.instance.id_scope));
    TRY(model_fold(env->arena, wanted->host_name, &w.instance.host_name));
    w.instance.created_ms = env->now_ms;
    w.instance.key_groups_version = w.instance.links_version = 0;
    w.instance.life = LIFE_ACTIVE;
    w.policy = (struct policy){ .owner_type = POLICY_OF_INSTANCE,
                                .owner = w.instance.id_scope,
                                .name = SPAN("provisioningserviceowner"),
                                .rights = RIGHTS_INSTANCE };
    TRY(core_policy_make_key(env, &w.policy.primary_key));
    TRY(core_policy_make_key(env, &w.policy.secondary_key));
    TRY(store_write(env->store, create, &w));
    if (verdict_is_granted(w.verdict)) {
        *ret_instance = w.instance;
        *ret_owner = w.policy;
    }
    *ret_verdict = w.verdict;
    return OK;
}

err core_instance_create(const struct env *env, struct span name, struct span host_name,
                         struct instance *ret_instance, struct verdict *ret_verdict)
{
    const struct instance wanted = { .name = name,
                                     .host_name = host_name,
                                     .allocation_policy = ALLOCATION_HASHED };
    struct policy ignored;

    return core_instance_create_with(env, &wanted, ret_instance, &ignored, ret_verdict);
}

/* ---- find, list ---- */

static err read_page(struct store_tx *tx, void *arg)
{
    struct instance_work *w = arg;

    return store_scan(tx, &KIND_INSTANCE, &w->scan, w->env->arena, &w->rows, &w->n);
}

static err find_by(const struct env *env, int index, const struct instance *prefix,
                   struct instance *ret_instance, bool *ret_found)
{
    struct instance_work w = {
        .env = env, .scan = { .index = index, .prefix = prefix, .n_prefix = 1, .limit = 1 }
    };

    TRY(store_read(env->store, read_page, &w));
    if (w.n > 0) {
        *ret_instance = w.rows[0];
    }
    *ret_found = w.n > 0;
    return OK;
}

err core_instance_find_by_host(const struct env *env, struct span host_name,
                               struct instance *ret_instance, bool *ret_found)
{
    struct instance prefix = { 0 };
    struct instance found;
    bool is_found;

    TRY(model_fold(env->arena, host_name, &prefix.host_name));
    TRY(find_by(env, INSTANCE_BY_HOST, &prefix, &found, &is_found));
    is_found = is_found && found.life == LIFE_ACTIVE;
    if (is_found) {
        *ret_instance = found;
    }
    *ret_found = is_found;
    return OK;
}

err core_instance_find_by_name(const struct env *env, struct span name,
                               struct instance *ret_instance, bool *ret_found)
{
    const struct instance prefix = { .name = name };

    return find_by(env, INSTANCE_BY_NAME, &prefix, ret_instance, ret_found);
}

err core_instance_list(const struct env *env, struct span after, size_t limit,
                       struct instance **ret_rows, size_t *ret_n)
{
    const struct instance behind = { .id_scope = after };
    struct instance_work w = {
        .env = env,
        .scan = { .after = span_is_absent(after) ? NULL : &behind, .limit = limit },
    };

    TRY(store_read(env->store, read_page, &w));
    *ret_rows = w.rows;
    *ret_n = w.n;
    return OK;
}

err core_instance_is_live(const struct env *env, struct store_tx *tx, struct span id_scope,
                          bool *ret_is)
{
    struct instance row = { .id_scope = id_scope };
    bool is_found;

    TRY(store_find(tx, &KIND_INSTANCE, &row, env->arena, &row, &is_found));
    *ret_is = is_found && row.life == LIFE_ACTIVE;
    return OK;
}

/* ---- change ---- */

static err set_allocation(struct store_tx *tx, void *arg)
{
    struct instance_work *w = arg;

    TRY(store_find(tx, &KIND_INSTANCE, &w->instance, w->env->arena, &w->instance, &w->is_found));
    if (!w->is_found || w->instance.life != LIFE_ACTIVE) {
        w->verdict = VERDICT(RESOURCE_NOT_FOUND);
        return OK;
    }
    w->verdict = VERDICT(GRANTED);
    w->instance.allocation_policy = w->allocation;
    return store_put(tx, &KIND_INSTANCE, &w->instance);
}

err core_instance_set_allocation(const struct env *env, struct span id_scope,
                                 enum allocation_policy allocation, struct instance *ret_instance,
                                 struct verdict *ret_verdict)
{
    struct instance_work w = { .env = env,
                               .instance.id_scope = id_scope,
                               .allocation = allocation };

    if (allocation == ALLOCATION_CUSTOM) {
        return core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict,
                                 "allocationPolicy: custom is for enrollments alone.");
    }
    TRY(store_write(env->store, set_allocation, &w));
    if (verdict_is_granted(w.verdict)) {
        *ret_instance = w.instance;
    }
    *ret_verdict = w.verdict;
    return OK;
}
