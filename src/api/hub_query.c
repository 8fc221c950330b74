/* api/hub_query.c: POST /devices/query (reference iothub-service-api.md 6, doc/wire/hub-query.md):
 * which rows a query is about, how a listing of hub/ walks them, and what they come to. */
#include "api/hub_http.h"

#include "api/hub_query_groups.h"
#include "api/hub_query_plan.h"
#include "api/hub_query_row.h"
#include "api/query_page.h"

struct question {
    struct query_request request;
    struct hub_listing listing;
    bool is_whole; /* of hub_query_plan_listing */
    int64_t top;   /* rows still to be given; negative: any number */
    int64_t given; /* by the pages before */
};

static const char RAW[] = "Raw";
static const char narrowing[] =
    "deviceId, a tag (tags.x = …), connectionState = 'Connected' or status";

static bool is_of(const struct question *q, enum hub_query_source source)
{
    return q->request.query.schema == HUB_QUERY_SCHEMAS[source];
}

/* ---- walking ---- */

static err write_whole(const struct query_request *r, struct query_row *row, struct json_writer *w)
{
    (void)r;
    return hub_query_row_write_whole(row, w);
}

struct walking {
    struct question *question;
    struct query_page *page;
};

static err take_row(struct store_tx *tx, const struct device *d, void *arg, bool *more)
{
    struct walking *w = arg;
    struct http_call *call = w->question->request.call;
    const struct hub_query_record record = { d, call->service->bus, tx };
    AUTO(query_row) struct query_row row = { .env = call->env, .record = &record };
    struct continuation_place place = { .key = d->device_id };
    size_t n = w->page->n;

    place.number = w->question->given + (int64_t)n;
    TRY(query_page_take(w->page, &row, place, more));
    if (w->page->n > n) {
        w->page->last.number++;
    }
    if (w->question->top >= 0 && (int64_t)w->page->n == w->question->top) {
        w->page->is_more = *more = false;
    }
    return OK;
}

static err walk(struct query_page *p, void *arg)
{
    struct walking w = { .question = arg, .page = p };
    const struct query_request *r = p->request;
    struct http_call *call = r->call;

    return is_of(w.question, HUB_QUERY_JOBS)
               ? OK
               : hub_listing_walk(call->env, call->service->bus, &w.question->listing, r->after.key,
                                  take_row, &w);
}

/* ---- answers ---- */

static err answer_page(struct question *q)
{
    struct query_page p = { .request = &q->request, .write_whole = write_whole };
    const struct query_page_answer how = {
        .item_type = is_of(q, HUB_QUERY_JOBS) ? "DeviceJob" : "Twin",
        .raw_type = RAW,
        .walk = walk,
        .arg = q,
    };

    return query_page_answer(&p, &how);
}

static err answer_count(struct question *q)
{
    struct http_call *call = q->request.call;
    struct query_page p = { .request = &q->request, .most_examined = LIMIT_QUERY_COUNTED + 1 };
    int64_t n;

    q->top = -1; /* there is one row: the count */
    if (!is_of(q, HUB_QUERY_JOBS) && q->is_whole && hub_listing_is_countable(&q->listing)) {
        TRY(hub_listing_count(call->env, &q->listing, &n));
    } else {
        TRY(walk(&p, q));
        n = (int64_t)p.n;
    }
    return p.is_more ? query_page_refuse_wide(call, "COUNT()", narrowing)
                     : query_page_answer_count(call, q->request.query.count_name, n, RAW);
}

static err take_in(struct query_row *row, void *arg)
{
    return hub_query_groups_take(arg, row);
}

static err answer_groups(struct question *q)
{
    struct http_call *call = q->request.call;
    struct query_page p = { .request = &q->request,
                            .take_in = take_in,
                            .most_examined = LIMIT_QUERY_COUNTED + 1 };
    struct hub_query_groups *groups;
    struct json_writer w;
    struct buf out;
    struct span text;
    err e;

    TRY(hub_query_groups_new(call->env->arena, &q->request.query, &groups));
    p.arg = groups;
    q->top = -1;
    e = walk(&p, q);
    if (err_is(e, ERR_TOO_LARGE)) {
        return http_call_refuse_with(call, REASON_QUERY_TOO_WIDE,
                                     "GROUP BY makes more than %d groups, or very long ones.",
                                     LIMIT_QUERY_GROUPS);
    }
    TRY(e);
    if (p.is_more) {
        return query_page_refuse_wide(call, "The query", narrowing);
    }
    out = arena_buf(call->env->arena);
    w = json_writer_over(&out);
    hub_query_groups_write(groups, &w);
    TRY(arena_buf_end(call->env->arena, &out, &text));
    http_call_header(call, "x-ms-item-type", span_str(RAW));
    return http_call_json(call, 200, text);
}

/* ---- the request ---- */

static err plan(struct question *q, struct span hub)
{
    struct arena *arena = q->request.call->env->arena;

    q->listing = (struct hub_listing){ .hub = hub, .is_modules = is_of(q, HUB_QUERY_MODULES) };
    TRY(hub_query_plan_listing(arena, &q->request.query, &q->listing, &q->is_whole));
    return arena_printf(arena, &q->request.list.source, "hub %.*s", SPAN_FMT(hub));
}

/* TOP counts over all pages: what was given is in the token. */
static void begin_top(struct question *q)
{
    const struct query *query = &q->request.query;

    q->given = q->request.has_after && q->request.after.number > 0 ? q->request.after.number : 0;
    q->top = query->top < 0 ? -1 : query->top > q->given ? query->top - q->given : 0;
}

err hub_query(struct http_call *call)
{
    struct question q = { .request = { .call = call } };
    const struct query *query = &q.request.query;
    struct hub hub;
    struct verdict v;

    TRY(http_call_authorize_hub(call, RIGHT_REGISTRY_READ, &hub, &v));
    if (verdict_is_granted(v)) {
        TRY(query_page_read(&q.request, HUB_QUERY_SCHEMAS, HUB_QUERY_SOURCES, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(plan(&q, hub.host_name));
        TRY(query_page_read_paging(&q.request, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    begin_top(&q);
    return query->is_count       ? answer_count(&q)
           : query->is_aggregate ? answer_groups(&q)
                                 : answer_page(&q);
}
