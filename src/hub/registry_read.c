/* hub/registry_read.c: reading identities for the back end. */
#include "hub/family.h"
#include "hub/registry.h"

struct reading {
    const struct env *env;
    struct bus *bus;
    const struct registry_page *page;
    struct registry_row *rows;
    size_t n;
    struct verdict verdict;
};

static err scan_devices(struct store_tx *tx, const struct registry_page *page, struct arena *arena,
                        struct device **ret_rows, size_t *ret_n)
{
    const struct device prefix = { .hub = page->hub };
    const struct device behind = { .hub = page->hub, .device_id = page->after };
    const struct store_scan scan = { .prefix = &prefix,
                                     .n_prefix = 1,
                                     .after = span_is_absent(page->after) ? NULL : &behind,
                                     .limit = page->limit };

    return store_scan(tx, &KIND_DEVICE, &scan, arena, ret_rows, ret_n);
}

static err scan_modules(struct store_tx *tx, struct reading *r, struct device **ret_rows)
{
    const struct hub_family_page page = { .hub = r->page->hub,
                                          .device_id = r->page->device_id,
                                          .after = r->page->after,
                                          .limit = r->page->limit };
    struct device parent;
    bool is_there;

    TRY(hub_identity_find(tx, page.hub, page.device_id, r->env->arena, &parent, &is_there));
    r->verdict = is_there ? VERDICT(GRANTED) : VERDICT(DEVICE_NOT_FOUND);
    return is_there ? hub_family_scan(tx, &page, r->env->arena, ret_rows, &r->n) : OK;
}

static err read_page(struct store_tx *tx, void *arg)
{
    struct reading *r = arg;
    struct arena *arena = r->env->arena;
    struct device *devices = NULL;

    r->verdict = VERDICT(GRANTED);
    r->n = 0;
    TRY(span_is_absent(r->page->device_id) ? scan_devices(tx, r->page, arena, &devices, &r->n)
                                           : scan_modules(tx, r, &devices));
    r->rows = ARENA_ARRAY(arena, r->n + 1, struct registry_row);
    if (r->rows == NULL) {
        return ERR(NOMEM);
    }
    for (size_t i = 0; i < r->n; i++) {
        r->rows[i].device = devices[i];
        TRY(hub_identity_standing(tx, r->bus, &devices[i], arena, &r->rows[i].standing));
    }
    return OK;
}

err hub_registry_list(const struct env *env, struct bus *bus, const struct registry_page *page,
                      struct registry_row **ret_rows, size_t *ret_n, struct verdict *ret_verdict)
{
    struct reading r = { .env = env, .bus = bus, .page = page };

    TRY(store_read(env->store, read_page, &r));
    *ret_rows = r.rows;
    *ret_n = r.n;
    *ret_verdict = r.verdict;
    return OK;
}

struct getting {
    const struct env *env;
    struct bus *bus;
    struct span hub, client_id;
    struct registry_row row;
    struct verdict verdict;
};

static err read_one(struct store_tx *tx, void *arg)
{
    struct getting *g = arg;
    struct arena *arena = g->env->arena;
    struct device *d = &g->row.device;
    bool is_there;

    g->verdict = VERDICT(GRANTED);
    TRY(hub_identity_find(tx, g->hub, g->client_id, arena, d, &is_there));
    return is_there ? hub_identity_standing(tx, g->bus, d, arena, &g->row.standing)
                    : hub_identity_missing(tx, g->hub, g->client_id, arena, &g->verdict);
}

err hub_registry_get(const struct env *env, struct bus *bus, struct span hub, struct span client_id,
                     struct registry_row *ret_row, struct verdict *ret_verdict)
{
    struct getting g = { .env = env, .bus = bus, .hub = hub, .client_id = client_id };

    TRY(store_read(env->store, read_one, &g));
    if (verdict_is_granted(g.verdict)) {
        *ret_row = g.row;
    }
    *ret_verdict = g.verdict;
    return OK;
}

struct counting {
    struct span hub;
    struct registry_count count;
};

static err read_counts(struct store_tx *tx, void *arg)
{
    struct counting *c = arg;
    const struct device prefix = { .hub = c->hub, .status = DEVICE_DISABLED };
    const struct store_scan all = { .prefix = &prefix, .n_prefix = 1 };
    const struct store_scan disabled = { .index = DEVICE_BY_STATUS,
                                         .prefix = &prefix,
                                         .n_prefix = 2 };

    TRY(store_count(tx, &KIND_DEVICE, &all, &c->count.devices));
    return store_count(tx, &KIND_DEVICE, &disabled, &c->count.disabled);
}

err hub_registry_count(const struct env *env, struct span hub, struct registry_count *ret_count)
{
    struct counting c = { .hub = hub };

    TRY(store_read(env->store, read_counts, &c));
    *ret_count = c.count;
    return OK;
}
