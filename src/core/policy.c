/* core/policy.c: shared access policies. Knows which rights a policy may have, that an instance
 * must not lock itself out, and how keys are made; tokens are attest/'s. */
#include "core/policy.h"

#include "core/instance.h"
#include "core/match.h"
#include "model/limits.h"
#include "store/store.h"
#include "util/base64.h"

enum { KEY_BYTES = 32 };

struct policy_work {
    const struct env *env;
    const struct policy *given;    /* what the caller wants; not changed by the transaction */
    struct span fresh_keys[SLOTS]; /* made outside the transaction */
    enum core_policy_renewal which;
    struct policy policy; /* what is read or written */
    bool is_found;
    struct store_scan scan;
    struct policy *rows;
    size_t n;
    struct verdict verdict;
};

static err read_one(struct store_tx *tx, void *arg)
{
    struct policy_work *w = arg;

    return store_find(tx, &KIND_POLICY, &w->policy, w->env->arena, &w->policy, &w->is_found);
}

err core_policy_find(const struct env *env, enum policy_owner owner_type, struct span owner,
                     struct span name, struct policy *ret_policy, bool *ret_found)
{
    struct policy_work w = { .env = env,
                             .policy = { .owner_type = owner_type, .owner = owner, .name = name } };

    TRY(store_read(env->store, read_one, &w));
    if (w.is_found) {
        *ret_policy = w.policy;
    }
    *ret_found = w.is_found;
    return OK;
}

err core_policy_get(const struct env *env, enum policy_owner owner_type, struct span owner,
                    struct span name, struct policy *ret_policy, struct verdict *ret_verdict)
{
    bool is_found;

    TRY(core_policy_find(env, owner_type, owner, name, ret_policy, &is_found));
    *ret_verdict = is_found ? VERDICT(GRANTED) : VERDICT(RESOURCE_NOT_FOUND);
    return OK;
}

static err read_all(struct store_tx *tx, void *arg)
{
    struct policy_work *w = arg;
    struct policy prefix = { .owner_type = w->policy.owner_type, .owner = w->policy.owner };
    struct store_scan scan = { .prefix = &prefix, .n_prefix = 2, .limit = LIMIT_POLICIES };

    return store_scan(tx, &KIND_POLICY, &scan, w->env->arena, &w->rows, &w->n);
}

err core_policy_list(const struct env *env, enum policy_owner owner_type, struct span owner,
                     struct policy **ret_rows, size_t *ret_n)
{
    struct policy_work w = { .env = env, .policy = { .owner_type = owner_type, .owner = owner } };

    TRY(store_read(env->store, read_all, &w));
    *ret_rows = w.rows;
    *ret_n = w.n;
    return OK;
}

/* ---- rules ---- */

static int64_t rights_of(enum policy_owner owner_type)
{
    switch (owner_type) {
    case POLICY_OF_INSTANCE:
        return RIGHTS_INSTANCE;
    case POLICY_OF_HUB:
        return RIGHTS_HUB;
    case POLICY_OF_SERVER:
        return RIGHTS_SERVER;
    }
    return 0;
}

static bool is_key(struct span key)
{
    return span_is_absent(key) ||
           (key.len >= LIMIT_SYMMETRIC_KEY_MIN && key.len <= LIMIT_SYMMETRIC_KEY);
}

static err check(const struct env *env, const struct policy *p, struct verdict *ret_verdict)
{
    int64_t allowed = rights_of(p->owner_type);
    struct buf words;

    *ret_verdict = VERDICT(GRANTED);
    if (!model_is_policy_name(p->name)) {
        return core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict,
                                 "keyName: 1 to %d of A-Z a-z 0-9 _ - . @", LIMIT_POLICY_NAME);
    }
    if (!is_key(p->primary_key) || !is_key(p->secondary_key)) {
        return core_match_refuse(env, REASON_FIELD_INVALID, ret_verdict,
                                 "A key is %d to %d bytes, in base64.", LIMIT_SYMMETRIC_KEY_MIN,
                                 LIMIT_SYMMETRIC_KEY);
    }
    if (p->rights != 0 && (p->rights & ~allowed) == 0) {
        return OK;
    }
    *ret_verdict = VERDICT(FIELD_INVALID);
    words = arena_buf(env->arena);
    buf_add_str(&words, "rights: one or more of ");
    model_format_rights(allowed, &words);
    buf_add_u8(&words, '.');
    return arena_buf_end(env->arena, &words, &ret_verdict->detail);
}

/* Refuses when nobody could manage the instance any more without this policy's right. */
static err check_not_last(struct policy_work *w, struct store_tx *tx, const struct policy *was)
{
    if (was->owner_type != POLICY_OF_INSTANCE || (was->rights & RIGHT_SERVICE_CONFIG) == 0) {
        return OK;
    }
    TRY(read_all(tx, w));
    for (size_t i = 0; i < w->n; i++) {
        if ((w->rows[i].rights & RIGHT_SERVICE_CONFIG) != 0 &&
            !span_eq(w->rows[i].name, was->name)) {
            return OK;
        }
    }
    return core_match_refuse(w->env, REASON_RESOURCE_IN_USE, &w->verdict,
                             "It is the last policy with ServiceConfig: without it nobody could "
                             "manage the instance.");
}

/* There is room for one more, and someone to have it. */
static err check_new(struct policy_work *w, struct store_tx *tx)
{
    struct policy prefix = { .owner_type = w->policy.owner_type, .owner = w->policy.owner };
    struct store_scan scan = { .prefix = &prefix, .n_prefix = 2 };
    bool is_live = true;
    int64_t n;

    if (w->policy.owner_type == POLICY_OF_INSTANCE) {
        TRY(core_instance_is_live(w->env, tx, w->policy.owner, &is_live));
    }
    if (!is_live) {
        w->verdict = VERDICT(RESOURCE_NOT_FOUND);
        return OK;
    }
    TRY(store_count(tx, &KIND_POLICY, &scan, &n));
    return n < LIMIT_POLICIES ? OK
                              : core_match_refuse(w->env, REASON_QUOTA_EXCEEDED, &w->verdict,
                                                  "Policies: at most %d.", LIMIT_POLICIES);
}

/* ---- put, delete ---- */

err core_policy_make_key(const struct env *env, struct span *ret_key)
{
    uint8_t *key = arena_alloc(env->arena, KEY_BYTES);

    if (key == NULL) {
        return ERR(NOMEM);
    }
    env->random(key, KEY_BYTES);
    *ret_key = span_of(key, KEY_BYTES);
    return OK;
}

static err make_keys(struct policy_work *w)
{
    TRY(core_policy_make_key(w->env, &w->fresh_keys[SLOT_PRIMARY]));
    return core_policy_make_key(w->env, &w->fresh_keys[SLOT_SECONDARY]);
}

static struct span first_there(struct span a, struct span b)
{
    return span_is_absent(a) ? b : a;
}

static err put(struct store_tx *tx, void *arg)
{
    struct policy_work *w = arg;
    struct policy was;

    w->verdict = VERDICT(GRANTED);
    w->policy = *w->given;
    TRY(read_one(tx, w));
    was = w->policy;
    w->policy = *w->given;
    if (!w->is_found) {
        was.primary_key = w->fresh_keys[SLOT_PRIMARY];
        was.secondary_key = w->fresh_keys[SLOT_SECONDARY];
        TRY(check_new(w, tx));
    } else if ((w->given->rights & RIGHT_SERVICE_CONFIG) == 0) {
        TRY(check_not_last(w, tx, &was));
    }
    if (!verdict_is_granted(w->verdict)) {
        return OK;
    }
    w->policy.primary_key = first_there(w->policy.primary_key, was.primary_key);
    w->policy.secondary_key = first_there(w->policy.secondary_key, was.secondary_key);
    return store_put(tx, &KIND_POLICY, &w->policy);
}

err core_policy_put(const struct env *env, struct policy *policy, struct verdict *ret_verdict)
{
    struct policy_work w = { .env = env, .given = policy };

    TRY(check(env, policy, &w.verdict));
    if (verdict_is_granted(w.verdict)) {
        TRY(make_keys(&w));
        TRY(store_write(env->store, put, &w));
    }
    if (verdict_is_granted(w.verdict)) {
        *policy = w.policy;
    }
    *ret_verdict = w.verdict;
    return OK;
}

static err drop(struct store_tx *tx, void *arg)
{
    struct policy_work *w = arg;

    w->verdict = VERDICT(GRANTED);
    w->policy = *w->given;
    TRY(read_one(tx, w));
    if (!w->is_found) {
        w->verdict = VERDICT(RESOURCE_NOT_FOUND);
        return OK;
    }
    TRY(check_not_last(w, tx, &w->policy));
    return verdict_is_granted(w->verdict) ? store_delete(tx, &KIND_POLICY, w->given) : OK;
}

err core_policy_delete(const struct env *env, enum policy_owner owner_type, struct span owner,
                       struct span name, struct verdict *ret_verdict)
{
    const struct policy key = { .owner_type = owner_type, .owner = owner, .name = name };
    struct policy_work w = { .env = env, .given = &key };

    TRY(store_write(env->store, drop, &w));
    *ret_verdict = w.verdict;
    return OK;
}

/* ---- keys ---- */

static err renew(struct store_tx *tx, void *arg)
{
    struct policy_work *w = arg;
    struct span primary;

    w->policy = *w->given;
    TRY(read_one(tx, w));
    w->verdict = w->is_found ? VERDICT(GRANTED) : VERDICT(RESOURCE_NOT_FOUND);
    if (!w->is_found) {
        return OK;
    }
    primary = w->policy.primary_key;
    switch (w->which) {
    case CORE_POLICY_PRIMARY:
        w->policy.primary_key = w->fresh_keys[SLOT_PRIMARY];
        break;
    case CORE_POLICY_SECONDARY:
        w->policy.secondary_key = w->fresh_keys[SLOT_SECONDARY];
        break;
    case CORE_POLICY_SWAP:
        w->policy.primary_key = w->policy.secondary_key;
        w->policy.secondary_key = primary;
        break;
    }
    return store_put(tx, &KIND_POLICY, &w->policy);
}

err core_policy_renew(const struct env *env, const struct policy *key,
                      enum core_policy_renewal which, struct policy *ret_policy,
                      struct verdict *ret_verdict)
{
    struct policy_work w = { .env = env, .given = key, .which = which };

    TRY(make_keys(&w));
    TRY(store_write(env->store, renew, &w));
    if (verdict_is_granted(w.verdict)) {
        *ret_policy = w.policy;
    }
    *ret_verdict = w.verdict;
    return OK;
}

static err open_server(struct store_tx *tx, void *arg)
{
    struct policy_work *w = arg;

    w->policy = *w->given;
    TRY(read_one(tx, w));
    return w->is_found ? OK : store_insert(tx, &KIND_POLICY, w->given);
}

err core_policy_open_server(const struct env *env, struct policy *ret_policy, bool *ret_is_new)
{
    struct policy given = { .owner_type = POLICY_OF_SERVER,
                            .owner = SPAN(""),
                            .name = SPAN("serverowner"),
                            .rights = RIGHTS_SERVER };
    struct policy_work w = { .env = env, .given = &given };

    TRY(core_policy_make_key(env, &given.primary_key));
    TRY(core_policy_make_key(env, &given.secondary_key));
    TRY(store_write(env->store, open_server, &w));
    *ret_policy = w.policy;
    *ret_is_new = !w.is_found;
    return OK;
}

err core_policy_login(const struct env *env, const struct policy *policy, struct span host_name,
                      struct span *ret_text)
{
    struct buf text = arena_buf(env->arena);

    buf_printf(&text,
               "HostName=%.*s;SharedAccessKeyName=%.*s;SharedAccessKey=", SPAN_FMT(host_name),
               SPAN_FMT(policy->name));
    base64_encode(policy->primary_key, &text);
    return arena_buf_end(env->arena, &text, ret_text);
}
