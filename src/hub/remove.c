/* hub/remove.c: taking a hub away. It is marked first, in one transaction with all links to it, so
 * that no device connects or is placed from then on; then what it had goes in small transactions,
 * which others' writes come between; the hub's own row is the last. Whoever was cut off half way
 * finds the mark and goes on. Telemetry stays in the log until it is too old, but a new hub of the
 * same name does not see it (api/hub_events.c). */
#include "hub/bus.h"
#include "hub/c2d.h"
#include "hub/hub.h"
#include "model/limits.h"
#include "store/link.h"
#include "store/sweep.h"

/* Devices whose rows went, to be cut off. */
struct gone {
    size_t n;
    struct {
        size_t len;
        uint8_t bytes[LIMIT_DEVICE_ID];
    } ids[LIMIT_DELETE_BATCH];
};

struct removing {
    const struct env *env;
    const struct hub_removal *what;
    struct hub hub;
    struct verdict verdict;
    size_t batch; /* rows this transaction may take */
    size_t taken;
    struct gone *gone;
    bool is_done;
};

static err refuse(struct removing *w, const char *by)
{
    w->verdict = VERDICT(RESOURCE_IN_USE);
    return arena_printf(w->env->arena, &w->verdict.detail,
                        "%s; force=true deletes it all the same.", by);
}

static err check_unused(struct removing *w, struct store_tx *tx)
{
    const struct device prefix = { .hub = w->hub.host_name };
    const struct linked_hub key = { .host_name = w->hub.host_name };
    struct store_scan devices = { .prefix = &prefix, .n_prefix = 1, .limit = 1 };
    struct store_scan links = {
        .index = LINKED_HUB_BY_HOST, .prefix = &key, .n_prefix = 1, .limit = 2
    };
    struct device *device;
    struct linked_hub *link;
    size_t n;

    TRY(store_scan(tx, &KIND_DEVICE, &devices, w->env->arena, &device, &n));
    if (n > 0) {
        return refuse(w, "It has devices");
    }
    TRY(store_scan(tx, &KIND_LINKED_HUB, &links, w->env->arena, &link, &n));
    for (size_t i = 0; i < n; i++) {
        if (!span_eq(link[i].id_scope, w->hub.id_scope)) {
            return refuse(w, "Another instance is linked to it");
        }
    }
    return OK;
}

/* All at once: there is at most one an instance. */
static err drop_links(struct removing *w, struct store_tx *tx)
{
    const struct linked_hub key = { .host_name = w->hub.host_name };
    struct store_scan scan = { .index = LINKED_HUB_BY_HOST,
                               .prefix = &key,
                               .n_prefix = 1,
                               .without_secrets = true,
                               .limit = LIMIT_QUERY_BATCH };
    size_t mark = w->env->arena->used;
    struct linked_hub *links;
    size_t n;

    do {
        TRY(store_scan(tx, &KIND_LINKED_HUB, &scan, w->env->arena, &links, &n));
        for (size_t i = 0; i < n; i++) {
            TRY(store_links_changed(tx, w->env->arena, links[i].id_scope));
            TRY(store_delete(tx, &KIND_LINKED_HUB, &links[i]));
        }
        w->env->arena->used = mark;
    } while (n > 0);
    return OK;
}

static err begin(struct store_tx *tx, void *arg)
{
    struct removing *w = arg;
    const struct hub prefix = { .id_scope = w->what->id_scope, .name = w->what->name };
    struct store_scan scan = {
        .index = HUB_BY_SCOPE, .prefix = &prefix, .n_prefix = 2, .limit = 1
    };
    struct hub *rows;
    size_t n;

    TRY(store_scan(tx, &KIND_HUB, &scan, w->env->arena, &rows, &n));
    w->verdict = n > 0 ? VERDICT(GRANTED) : VERDICT(RESOURCE_NOT_FOUND);
    if (n == 0) {
        return OK;
    }
    w->hub = rows[0];
    if (w->hub.life == LIFE_DELETING) {
        return OK;
    }
    if (!w->what->is_forced) {
        TRY(check_unused(w, tx));
    }
    if (!verdict_is_granted(w->verdict)) {
        return OK;
    }
    TRY(drop_links(w, tx));
    w->hub.life = LIFE_DELETING;
    return store_put(tx, &KIND_HUB, &w->hub);
}

/* ---- the rest ---- */

static size_t room(const struct removing *w)
{
    size_t left = w->batch - w->taken;

    return left < LIMIT_DEVICE_BATCH ? left : LIMIT_DEVICE_BATCH;
}

static void remember(struct gone *gone, struct span id)
{
    struct buf out = buf_over(gone->ids[gone->n].bytes, LIMIT_DEVICE_ID);

    buf_add(&out, id);
    gone->ids[gone->n++].len = out.len;
}

/* A few at a time: a twin may be large. */
static err sweep_devices(struct removing *w, struct store_tx *tx)
{
    const struct device prefix = { .hub = w->hub.host_name };
    size_t mark = w->env->arena->used;
    size_t n = 1;

    while (n > 0 && w->taken < w->batch) {
        struct store_scan scan = {
            .prefix = &prefix, .n_prefix = 1, .without_secrets = true, .limit = room(w)
        };
        struct device *rows;

        TRY(store_scan(tx, &KIND_DEVICE, &scan, w->env->arena, &rows, &n));
        for (size_t i = 0; i < n; i++) {
            TRY(store_delete(tx, &KIND_DEVICE, &rows[i]));
            remember(w->gone, rows[i].device_id);
        }
        w->taken += n;
        w->env->arena->used = mark;
    }
    return OK;
}

/* Those at its door: whoever has a hub of this name next is to know nothing of them. */
static err sweep_decisions(struct removing *w, struct store_tx *tx)
{
    const struct decision_row prefix = { .id_scope = w->hub.host_name };
    struct store_scan scan = { .index = DECISION_BY_REGISTRATION,
                               .prefix = &prefix,
                               .n_prefix = 1 };
    size_t n;

    TRY(store_sweep(tx, &KIND_DECISION, &scan, w->batch - w->taken, w->env->arena, &n));
    w->taken += n;
    return OK;
}

/* What the devices and their modules had. */
static err sweep_rest(struct removing *w, struct store_tx *tx)
{
    const struct device module = { .hub = w->hub.host_name };
    const struct session session = { .hub = w->hub.host_name };
    const struct tag tag = { .hub = w->hub.host_name };
    const struct tag_backlog backlog = { .hub = w->hub.host_name };
    const struct presence presence = { .hub = w->hub.host_name };
    const struct {
        const struct kind *kind;
        const void *prefix;
    } parts[] = {
        { &KIND_MODULE, &module },       { &KIND_SESSION, &session },   { &KIND_TAG, &tag },
        { &KIND_TAG_BACKLOG, &backlog }, { &KIND_PRESENCE, &presence },
    };

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct store_scan scan = { .prefix = parts[i].prefix, .n_prefix = 1 };
        size_t n;

        TRY(store_sweep(tx, parts[i].kind, &scan, w->batch - w->taken, w->env->arena, &n));
        w->taken += n;
    }
    return OK;
}

/* What waited for them, and what its senders were to be told. */
static err sweep_messages(struct removing *w, struct store_tx *tx)
{
    size_t n;

    TRY(hub_c2d_forget_hub(tx, w->hub.host_name, w->batch - w->taken, w->env->arena, &n));
    w->taken += n;
    return OK;
}

static err drop_policies(struct removing *w, struct store_tx *tx)
{
    const struct policy prefix = { .owner_type = POLICY_OF_HUB, .owner = w->hub.host_name };
    struct store_scan scan = { .prefix = &prefix, .n_prefix = 2 };
    size_t n;

    return store_sweep(tx, &KIND_POLICY, &scan, LIMIT_POLICIES, w->env->arena, &n);
}

static err drop_usage(struct removing *w, struct store_tx *tx)
{
    const struct hub_usage row = { .hub = w->hub.host_name };
    err e = store_delete(tx, &KIND_HUB_USAGE, &row);

    return err_is(e, ERR_NOT_FOUND) ? OK : e;
}

/* At most LIMIT_HUB_CERTIFICATES. */
static err drop_certificates(struct removing *w, struct store_tx *tx)
{
    const struct certificate certificates = { .id_scope = w->hub.host_name };
    const struct anchor anchors = { .id_scope = w->hub.host_name };
    struct store_scan scan = { .prefix = &certificates, .n_prefix = 1 };
    size_t n;

    TRY(store_sweep(tx, &KIND_CERTIFICATE, &scan, SIZE_MAX, w->env->arena, &n));
    scan.prefix = &anchors;
    return store_sweep(tx, &KIND_ANCHOR, &scan, SIZE_MAX, w->env->arena, &n);
}

static err sweep(struct store_tx *tx, void *arg)
{
    struct removing *w = arg;
    struct hub row = { .host_name = w->hub.host_name };
    bool is_there;

    w->taken = 0;
    w->gone->n = 0;
    TRY(store_find(tx, &KIND_HUB, &row, w->env->arena, &row, &is_there));
    if (!is_there || row.life != LIFE_DELETING) {
        w->is_done = true; /* somebody else swept too; there may be a new hub of this name */
        return OK;
    }
    TRY(sweep_devices(w, tx));
    TRY(sweep_rest(w, tx));
    TRY(sweep_decisions(w, tx));
    TRY(sweep_messages(w, tx));
    w->is_done = w->taken < w->batch;
    if (!w->is_done) {
        return OK;
    }
    TRY(drop_policies(w, tx));
    TRY(drop_usage(w, tx));
    TRY(drop_certificates(w, tx));
    return store_delete(tx, &KIND_HUB, &row);
}

static err sweep_all(struct removing *w, struct bus *bus)
{
    size_t mark = w->env->arena->used;
    size_t done = 0;

    do {
        w->batch = w->what->most - done;
        w->batch = w->batch < LIMIT_DELETE_BATCH ? w->batch : LIMIT_DELETE_BATCH;
        w->env->arena->used = mark;
        TRY(store_write(w->env->store, sweep, w));
        done += w->taken;
        for (size_t i = 0; i < w->gone->n; i++) {
            bus_forget(bus, w->hub.host_name, span_of(w->gone->ids[i].bytes, w->gone->ids[i].len));
        }
    } while (!w->is_done && done < w->what->most);
    return OK;
}

err hub_remove(const struct env *env, struct bus *bus, const struct hub_removal *what,
               bool *ret_is_done, struct verdict *ret_verdict)
{
    struct removing w = { .env = env, .what = what, .gone = ARENA_NEW(env->arena, struct gone) };

    if (w.gone == NULL) {
        return ERR(NOMEM);
    }
    TRY(store_write(env->store, begin, &w));
    if (verdict_is_granted(w.verdict)) {
        TRY(sweep_all(&w, bus));
    }
    *ret_is_done = w.is_done;
    *ret_verdict = w.verdict;
    return OK;
}

/* ---- what was begun ---- */

struct search {
    const struct env *env;
    struct hub begun;
    bool is_found;
};

static err find_begun(struct store_tx *tx, void *arg)
{
    struct search *f = arg;
    struct store_scan scan = { .limit = LIMIT_PAGE_DEFAULT };
    struct hub behind, *rows;
    size_t n = LIMIT_PAGE_DEFAULT;

    while (n == LIMIT_PAGE_DEFAULT && !f->is_found) {
        TRY(store_scan(tx, &KIND_HUB, &scan, f->env->arena, &rows, &n));
        for (size_t i = 0; i < n && !f->is_found; i++) {
            f->is_found = rows[i].life == LIFE_DELETING;
            f->begun = behind = rows[i];
        }
        scan.after = &behind;
    }
    return OK;
}

err hub_remove_resume(const struct env *env, struct bus *bus, size_t most, bool *ret_more)
{
    struct search f = { .env = env };
    struct verdict v;
    bool is_done;

    TRY(store_read(env->store, find_begun, &f));
    if (f.is_found) {
        struct hub_removal what = {
            .id_scope = f.begun.id_scope, .name = f.begun.name, .is_forced = true, .most = most
        };

        TRY(hub_remove(env, bus, &what, &is_done, &v));
    }
    *ret_more = f.is_found;
    return OK;
}
