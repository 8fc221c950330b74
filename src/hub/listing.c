/* hub/listing.c: which index serves a listing. There are no statistics: what usually leaves fewer
 * rows goes first. An order of the store is walked as it is; what is known by client ID alone (some
 * IDs, a tag, who is connected) is gathered in pages of the least IDs to come, each looked up. */
#include "hub/listing.h"

#include "hub/identity.h"
#include "hub/tags.h"
#include "model/limits.h"

/* Client IDs behind `after`, the least of all that were offered, sorted. */
struct page {
    const struct hub_listing *listing;
    struct span after; /* absent: from the start */
    size_t n;
    struct span ids[LIMIT_LISTING_PAGE];
    uint8_t bytes[LIMIT_LISTING_PAGE][LIMIT_CLIENT_ID];
};

struct listing_work {
    const struct env *env;
    struct bus *bus;
    const struct hub_listing *listing;
    struct span after;
    hub_listing_fn fn;
    void *arg;
    struct store_tx *tx;
    struct page *page; /* NULL: an order of the store is walked */
    int64_t n;
};

static bool is_beyond(const struct hub_listing *l, struct span id)
{
    return !span_is_absent(l->id_most) && span_compare(id, l->id_most) > 0;
}

/* ---- pages of client IDs ---- */

static bool is_full(const struct page *p)
{
    return p->n == LIMIT_LISTING_PAGE;
}

static bool is_wanted(const struct page *p, struct span id)
{
    const struct hub_listing *l = p->listing;

    return hub_identity_is_module(id) == l->is_modules &&
           (span_is_absent(p->after) || span_compare(id, p->after) > 0) &&
           (span_is_absent(l->id_least) || span_compare(id, l->id_least) >= 0) &&
           !is_beyond(l, id) && id.len <= LIMIT_CLIENT_ID;
}

/* A full page gives up its greatest for a lesser one. */
static void offer(struct page *p, struct span id)
{
    size_t least = 0;
    size_t end = p->n;
    struct buf copy;

    if (!is_wanted(p, id) || (is_full(p) && span_compare(id, p->ids[p->n - 1]) >= 0)) {
        return;
    }
    while (least < end) {
        size_t at = (least + end) / 2;

        if (span_compare(p->ids[at], id) < 0) {
            least = at + 1;
        } else {
            end = at;
        }
    }
    if (least < p->n && span_eq(p->ids[least], id)) {
        return;
    }
    copy =
        buf_over(is_full(p) ? (uint8_t *)p->ids[p->n - 1].data : p->bytes[p->n], LIMIT_CLIENT_ID);
    buf_add(&copy, id);
    p->n += !is_full(p);
    memmove(&p->ids[least + 1], &p->ids[least], (p->n - 1 - least) * sizeof(p->ids[0]));
    p->ids[least] = buf_span(&copy);
}

static void offer_session(void *arg, struct span client_id)
{
    offer(arg, client_id);
}

static err offer_tag(const void *row, void *arg, bool *more)
{
    const struct tag *t = row;
    struct page *p = arg;

    offer(p, t->client_id);
    *more = !(is_full(p) && span_compare(t->client_id, p->ids[p->n - 1]) >= 0) &&
            !is_beyond(p->listing, t->client_id);
    return OK;
}

static err gather_tagged(struct listing_work *w)
{
    const struct hub_listing *l = w->listing;

    for (size_t i = 0; i < l->n_tag_values; i++) {
        const struct tag prefix = { .hub = l->hub, .path = l->tag_path, .value = l->tag_values[i] };
        struct tag behind = prefix;
        struct store_scan scan = { .prefix = &prefix, .n_prefix = 3 };

        behind.client_id = span_is_absent(w->page->after) ? l->id_least : w->page->after;
        if (!span_is_absent(behind.client_id)) {
            scan.after = &behind;
            scan.is_inclusive = true; /* offer passes over what it does not want */
        }
        TRY(store_walk(w->tx, &KIND_TAG, &scan, w->env->arena, offer_tag, w->page));
    }
    return OK;
}

static err gather(struct listing_work *w)
{
    const struct hub_listing *l = w->listing;
    size_t at = 0;

    w->page->n = 0;
    if (l->ids != NULL) {
        for (size_t i = 0; i < l->n_ids; i++) {
            offer(w->page, l->ids[i]);
        }
        return OK;
    }
    if (!span_is_absent(l->tag_path)) {
        return gather_tagged(w);
    }
    while (bus_list(w->bus, l->hub, &at, offer_session, w->page)) {
    }
    return OK;
}

/* As a scan, which leaves secrets sealed. */
static err hand_one(struct listing_work *w, struct span id, bool *more)
{
    const struct device key = { .hub = w->listing->hub, .device_id = id };
    struct store_scan scan = { .prefix = &key, .n_prefix = 2, .without_secrets = true, .limit = 1 };
    size_t mark = w->env->arena->used;
    struct device *rows;
    size_t n;

    TRY(store_scan(w->tx, hub_identity_kind(id), &scan, w->env->arena, &rows, &n));
    if (n > 0) {
        TRY(w->fn(w->tx, &rows[0], w->arg, more));
    }
    w->env->arena->used = mark;
    return OK;
}

static err walk_pages(struct listing_work *w)
{
    uint8_t last[LIMIT_CLIENT_ID];
    bool more = true;

    w->page->listing = w->listing;
    w->page->after = w->after;
    do {
        struct buf key = buf_over(last, sizeof(last));

        TRY(gather(w));
        for (size_t i = 0; i < w->page->n && more; i++) {
            TRY(hand_one(w, w->page->ids[i], &more));
        }
        if (is_full(w->page)) {
            buf_add(&key, w->page->ids[w->page->n - 1]);
            w->page->after = buf_span(&key);
        }
    } while (more && is_full(w->page));
    return OK;
}

/* ---- orders of the store ---- */

static err take_row(const void *row, void *arg, bool *more)
{
    struct listing_work *w = arg;
    const struct device *d = row;

    if (is_beyond(w->listing, d->device_id)) {
        *more = false;
        return OK;
    }
    return w->fn(w->tx, d, w->arg, more);
}

static void choose(const struct hub_listing *l, struct device *prefix, struct store_scan *scan)
{
    bool has_range = !span_is_absent(l->id_least) && !span_is_absent(l->id_most);

    *prefix = (struct device){ .hub = l->hub, .status = l->status };
    *scan = (struct store_scan){ .prefix = prefix, .n_prefix = 1, .without_secrets = true };
    if (l->has_status && !l->is_modules && !has_range) {
        scan->index = DEVICE_BY_STATUS;
        scan->n_prefix = 2;
    }
}

static err walk_order(struct listing_work *w)
{
    const struct hub_listing *l = w->listing;
    struct store_scan scan;
    struct device prefix, start;
    bool is_later = span_is_absent(l->id_least) ||
                    (!span_is_absent(w->after) && span_compare(w->after, l->id_least) >= 0);

    choose(l, &prefix, &scan);
    start = prefix;
    start.device_id = is_later ? w->after : l->id_least;
    if (!span_is_absent(start.device_id)) {
        scan.after = &start;
        scan.is_inclusive = !is_later;
    }
    return store_walk(w->tx, l->is_modules ? &KIND_MODULE : &KIND_DEVICE, &scan, w->env->arena,
                      take_row, w);
}

static err walk(struct store_tx *tx, void *arg)
{
    struct listing_work *w = arg;
    struct hub_listing usable = *w->listing;
    bool is_complete = true;

    w->tx = tx;
    if (!span_is_absent(usable.tag_path)) {
        TRY(hub_tags_is_complete(tx, w->env->arena, usable.hub, &is_complete));
        usable.tag_path = is_complete ? usable.tag_path : SPAN_NONE;
    }
    w->listing = &usable;
    if (usable.ids == NULL && span_is_absent(usable.tag_path) && !usable.is_connected) {
        return walk_order(w);
    }
    w->page = ARENA_NEW(w->env->arena, struct page);
    return w->page != NULL ? walk_pages(w) : ERR(NOMEM);
}

err hub_listing_walk(const struct env *env, struct bus *bus, const struct hub_listing *listing,
                     struct span after, hub_listing_fn fn, void *arg)
{
    struct listing_work w = {
        .env = env, .bus = bus, .listing = listing, .after = after, .fn = fn, .arg = arg
    };

    return store_read(env->store, walk, &w);
}

/* ---- counting ---- */

bool hub_listing_is_countable(const struct hub_listing *l)
{
    return l->ids == NULL && span_is_absent(l->id_least) && span_is_absent(l->id_most) &&
           span_is_absent(l->tag_path) && !l->is_connected && !(l->has_status && l->is_modules);
}

static err count(struct store_tx *tx, void *arg)
{
    struct listing_work *w = arg;
    struct store_scan scan;
    struct device prefix;

    choose(w->listing, &prefix, &scan);
    return store_count(tx, w->listing->is_modules ? &KIND_MODULE : &KIND_DEVICE, &scan, &w->n);
}

err hub_listing_count(const struct env *env, const struct hub_listing *listing, int64_t *ret_n)
{
    struct listing_work w = { .env = env, .listing = listing };

    TRY(store_read(env->store, count, &w));
    *ret_n = w.n;
    return OK;
}
