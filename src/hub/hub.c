/* hub/hub.c: hubs as rows: making one with its policies, finding it. Devices are hub/device.c's. */
#include "hub/hub.h"

#include "crypto/crypto.h"
#include "hub/settings.h"
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
    const struct linked_hub *link;
    hub_made_fn made; /* NULL: a hub of the server's */
    uint8_t keys[N_POLICIES][2][POLICY_KEY_BYTES];
    struct verdict verdict;
    struct store_scan scan;
    struct hub *rows;
    size_t n;
};

static err read_one(struct store_tx *tx, void *arg)
{
    struct hub_work *w = arg;

    return store_find(tx, &KIND_HUB, &w->hub, w->env->arena, &w->hub, &w->is_found);
}

static err read_page(struct store_tx *tx, void *arg)
{
    struct hub_work *w = arg;

    return store_scan(tx, &KIND_HUB, &w->scan, w->env->arena, &w->rows, &w->n);
}

/* ---- create ---- */

/* One host name is one hub's (an instance may share it: its paths are others), and of the hubs that
 * an instance made each has a name of its own. */
static err check_free(struct store_tx *tx, struct hub_work *w)
{
    struct hub hub = w->hub;
    bool is_taken;

    w->verdict = VERDICT(GRANTED);
    TRY(store_find(tx, &KIND_HUB, &hub, w->env->arena, &hub, &is_taken));
    if (is_taken) {
        w->verdict = VERDICT(NAME_TAKEN);
        w->verdict.detail = SPAN("The host name is another's.");
        return OK;
    }
    if (span_is_absent(w->hub.id_scope)) {
        return OK;
    }
    w->scan =
        (struct store_scan){ .index = HUB_BY_SCOPE, .prefix = &w->hub, .n_prefix = 2, .limit = 1 };
    TRY(read_page(tx, w));
    if (w->n > 0) {
        w->verdict = VERDICT(NAME_TAKEN);
        w->verdict.detail = SPAN("The instance has a hub of this name.");
    }
    return OK;
}

static err insert(struct store_tx *tx, struct hub_work *w)
{
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

static err create(struct store_tx *tx, void *arg)
{
    struct hub_work *w = arg;

    TRY(check_free(tx, w));
    if (verdict_is_granted(w->verdict) && w->made != NULL) {
        TRY(w->made(w->env, tx, &w->hub, w->link, &w->verdict));
    }
    return verdict_is_granted(w->verdict) ? insert(tx, w) : OK;
}

static err run_create(struct hub_work *w, struct span host_name, struct hub *ret_hub,
                      struct verdict *ret_verdict)
{
    err written;

    TRY(model_fold(w->env->arena, host_name, &w->hub.host_name));
    if (!model_is_resource_name(w->hub.name) || !model_is_host_name(w->hub.host_name) ||
        model_may_be_id_scope(w->hub.host_name)) {
        *ret_verdict =
            verdict_invalid("A hub needs a name (1 to 50 letters, digits and inner hyphens) and a "
                            "host name, which may not look like an ID scope.");
        return OK;
    }
    w->hub.created_ms = w->env->now_ms;
    w->env->random(w->keys, sizeof w->keys);
    written = store_write(w->env->store, create, w);
    crypto_wipe(w->keys, sizeof w->keys);
    TRY(written);
    if (verdict_is_granted(w->verdict)) {
        struct hub_settings settings;

        TRY(hub_settings_of(w->env, &w->hub, &settings)); /* no longer those of a former one */
        *ret_hub = w->hub;
    }
    *ret_verdict = w->verdict;
    return OK;
}

err hub_create(const struct env *env, const struct hub_order *order, struct hub *ret_hub,
               struct verdict *ret_verdict)
{
    struct hub_work w = { .env = env,
                          .hub = { .name = order->name, .id_scope = order->id_scope },
                          .made = order->made };
    struct linked_hub link;

    if (order->link != NULL) {
        link = *order->link;
        TRY(model_fold(env->arena, order->host_name, &link.host_name));
        w.link = &link;
    }
    return run_create(&w, order->host_name, ret_hub, ret_verdict);
}

/* ---- find, list ---- */

err hub_find(const struct env *env, struct span host_name, struct hub *ret_hub, bool *ret_found)
{
    struct hub_work w = { .env = env };

    TRY(model_fold(env->arena, span_is_absent(host_name) ? SPAN("") : host_name, &w.hub.host_name));
    TRY(store_read(env->store, read_one, &w));
    *ret_found = w.is_found && w.hub.life == LIFE_ACTIVE;
    if (*ret_found) {
        *ret_hub = w.hub;
    }
    return OK;
}

err hub_list(const struct env *env, struct hub **ret_rows, size_t *ret_n)
{
    struct hub_work w = { .env = env, .scan.limit = LIMIT_PAGE };

    TRY(store_read(env->store, read_page, &w));
    *ret_rows = w.rows;
    *ret_n = w.n;
    return OK;
}

err hub_list_made(const struct env *env, struct span id_scope, struct hub **ret_rows, size_t *ret_n)
{
    struct hub prefix = { .id_scope = id_scope };
    struct hub_work w = { .env = env,
                          .scan = { .index = HUB_BY_SCOPE,
                                    .prefix = &prefix,
                                    .n_prefix = 1,
                                    .limit = LIMIT_HUBS_MADE } };

    TRY(store_read(env->store, read_page, &w));
    *ret_rows = w.rows;
    *ret_n = w.n;
    return OK;
}
