/* hub/hub.c: hubs as rows: making one with its policies, finding it. Devices are hub/device.c's. */
#include "hub/hub.h"

#include "crypto/crypto.h"
#include "model/limits.h"
#include "store/store.h"

enum { POLICY_KEY_BYTES = 32 };

/* Reference iothub-service-api.md 1. */
static const struct {
    const char *name;
    int64_t rights;
} default_policies[] = {
    { "iothubowner",
      RIGHT_REGISTRY_READ | RIGHT_REGISTRY_WRITE | RIGHT_SERVICE_CONNECT | RIGHT_DEVICE_CONNECT },
    { "service", RIGHT_SERVICE_CONNECT },
    { "device", RIGHT_DEVICE_CONNECT },
    { "registryRead", RIGHT_REGISTRY_READ },
    { "registryReadWrite", RIGHT_REGISTRY_READ | RIGHT_REGISTRY_WRITE },
};
enum { N_POLICIES = sizeof default_policies / sizeof *default_policies };

struct hub_work {
    const struct env *env;
    struct hub hub;
    bool is_found;
    uint8_t keys[N_POLICIES][2][POLICY_KEY_BYTES];
    struct verdict verdict;
    struct hub *rows;
    size_t n;
};

static err read_one(struct store_tx *tx, void *arg)
{
    struct hub_work *w = arg;

    return store_find(tx, &KIND_HUB, &w->hub, w->env->arena, &w->hub, &w->is_found);
}

static err create(struct store_tx *tx, void *arg)
{
    struct hub_work *w = arg;
    struct hub hub = w->hub;
    bool is_taken;

    /* One host name is one hub's. An instance may share it: its paths are others. */
    TRY(store_find(tx, &KIND_HUB, &hub, w->env->arena, &hub, &is_taken));
    w->verdict = is_taken ? VERDICT(RESOURCE_EXISTS) : VERDICT(GRANTED);
    if (is_taken) {
        return OK;
    }
    TRY(store_insert(tx, &KIND_HUB, &w->hub));
    for (size_t i = 0; i < N_POLICIES; i++) {
        struct policy p = { .owner_type = POLICY_OF_HUB,
                            .owner = w->hub.host_name,
                            .name = span_str(default_policies[i].name),
                            .rights = default_policies[i].rights,
                            .primary_key = span_of(w->keys[i][0], POLICY_KEY_BYTES),
                            .secondary_key = span_of(w->keys[i][1], POLICY_KEY_BYTES) };

        TRY(store_insert(tx, &KIND_POLICY, &p));
    }
    return OK;
}

err hub_create(const struct env *env, struct span name, struct span host_name, struct hub *ret_hub,
               struct verdict *ret_verdict)
{
    struct hub_work w = { .env = env, .hub = { .name = name, .created_ms = env->now_ms } };
    err written;

    if (span_is_empty(name) || name.len > LIMIT_HUB_NAME || !model_is_host_name(host_name)) {
        *ret_verdict = (struct verdict){ .reason = REASON_FIELD_INVALID,
                                         .detail = SPAN("A hub needs a name and a host name.") };
        return OK;
    }
    TRY(model_fold(env->arena, host_name, &w.hub.host_name));
    env->random(w.keys, sizeof w.keys);
    written = store_write(env->store, create, &w);
    crypto_wipe(w.keys, sizeof w.keys);
    TRY(written);
    if (verdict_is_granted(w.verdict)) {
        *ret_hub = w.hub;
    }
    *ret_verdict = w.verdict;
    return OK;
}

err hub_find(const struct env *env, struct span host_name, struct hub *ret_hub, bool *ret_found)
{
    struct hub_work w = { .env = env };

    TRY(model_fold(env->arena, span_is_absent(host_name) ? SPAN("") : host_name, &w.hub.host_name));
    TRY(store_read(env->store, read_one, &w));
    if (w.is_found) {
        *ret_hub = w.hub;
    }
    *ret_found = w.is_found;
    return OK;
}

static err read_all(struct store_tx *tx, void *arg)
{
    struct hub_work *w = arg;
    struct store_scan scan = { .limit = LIMIT_PAGE };

    return store_scan(tx, &KIND_HUB, &scan, w->env->arena, &w->rows, &w->n);
}

err hub_list(const struct env *env, struct hub **ret_rows, size_t *ret_n)
{
    struct hub_work w = { .env = env };

    TRY(store_read(env->store, read_all, &w));
    *ret_rows = w.rows;
    *ret_n = w.n;
    return OK;
}
