/* api/service_query.c: lists of the service API, page by page (reference dps-service-api.md 5.1,
 * doc/wire/query.md): which rows they are, and how a listing of core/ walks them. */
#include "api/service_http.h"

#include "api/enrollment_json.h"
#include "api/query_page.h"
#include "api/service_query_plan.h"
#include "api/service_query_row.h"
#include "model/limits.h"

/* What a route lists. */
struct route {
    int64_t right;
    const char *item_type;
    enum core_listing_of of;
    const char *narrowing; /* what makes a COUNT() cheaper */
};

struct question {
    struct query_request request;
    const struct route *route;
    struct core_listing listing;
    bool is_whole; /* of service_query_plan_listing */
};

/* What SDKs take objects of no known kind for: Azure's have "Unknown", "Raw" is the hub's. */
static const char NO_TYPE[] = "Unknown";

/* ---- walking ---- */

static err write_whole(const struct query_request *r, struct query_row *row, struct json_writer *w)
{
    struct enrollment_json_view view = { .api_version = r->call->api_version };

    if (r->query.schema != service_query_row_schema(CORE_LISTING_REGISTRATIONS)) {
        return enrollment_json_write(row->env, row->record, &view, w);
    }
    enrollment_json_write_registration(row->record, NULL, w);
    return OK;
}

static err take_row(const void *record, struct core_place place, void *arg, bool *more)
{
    struct query_page *p = arg;
    AUTO(query_row)
    struct query_row row = { .env = p->request->call->env, .record = record };

    return query_page_take(
        p, &row, (struct continuation_place){ .number = place.updated_ms, .key = place.key }, more);
}

static err walk(struct query_page *p, void *arg)
{
    const struct question *q = arg;
    const struct query_request *r = &q->request;
    struct core_place after = { .updated_ms = r->after.number, .key = r->after.key };

    return core_listing_walk(r->call->env, &q->listing, r->has_after ? &after : NULL, take_row, p);
}

/* ---- answers ---- */

static err answer_page(struct question *q)
{
    struct query_page p = { .request = &q->request, .write_whole = write_whole };
    const struct query_page_answer how = {
        .item_type = q->route->item_type, .raw_type = NO_TYPE, .walk = walk, .arg = q
    };

    return query_page_answer(&p, &how);
}

static err answer_count(struct question *q)
{
    struct http_call *call = q->request.call;
    struct query_page p = { .request = &q->request, .most_examined = LIMIT_QUERY_COUNTED + 1 };
    int64_t n;

    if (q->is_whole && core_listing_is_countable(&q->listing)) {
        TRY(core_listing_count(call->env, &q->listing, &n));
    } else {
        TRY(walk(&p, q));
        n = (int64_t)p.n;
    }
    return p.is_more ? query_page_refuse_wide(call, "COUNT()", q->route->narrowing)
                     : query_page_answer_count(call, q->request.query.count_name, n, NO_TYPE);
}

/* ---- the request ---- */

static err plan(struct question *q, struct span id_scope, struct span group)
{
    struct arena *arena = q->request.call->env->arena;
    struct core_listing *l = &q->listing;

    *l = (struct core_listing){ .id_scope = id_scope, .of = q->route->of };
    TRY(model_fold(arena, group, &l->group));
    TRY(service_query_plan_listing(arena, &q->request.query, l, &q->is_whole));
    q->request.list.by_number = core_listing_is_by_updated(l);
    return arena_printf(arena, &q->request.list.source, "%d %.*s %.*s", (int)l->of,
                        SPAN_FMT(l->id_scope), SPAN_FMT(l->group));
}

static err query(struct http_call *call, const struct route *route, struct span group)
{
    const struct query_schema *schema = service_query_row_schema(route->of);
    struct question q = { .request = { .call = call }, .route = route };
    struct instance instance;
    struct verdict v;

    TRY(http_call_authorize_instance(call, route->right, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(query_page_read(&q.request, &schema, 1, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(plan(&q, instance.id_scope, group));
        TRY(query_page_read_paging(&q.request, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    return q.request.query.is_count ? answer_count(&q) : answer_page(&q);
}

static const char narrow_enrollments[] =
    "registrationId, provisioningStatus, attestation.type or lastUpdatedDateTimeUtc";
static const char narrow_groups[] =
    "enrollmentGroupId, provisioningStatus, attestation.type or lastUpdatedDateTimeUtc";

err service_query_enrollments(struct http_call *call)
{
    static const struct route r = { RIGHT_ENROLLMENT_READ, "Enrollment", CORE_LISTING_INDIVIDUALS,
                                    narrow_enrollments };

    return query(call, &r, SPAN_NONE);
}

err service_query_groups(struct http_call *call)
{
    static const struct route r = { RIGHT_ENROLLMENT_READ, "EnrollmentGroup", CORE_LISTING_GROUPS,
                                    narrow_groups };

    return query(call, &r, SPAN_NONE);
}

err service_query_registrations(struct http_call *call)
{
    static const struct route r = { RIGHT_REGISTRATION_STATUS_READ, "DeviceRegistration",
                                    CORE_LISTING_REGISTRATIONS, "registrationId" };

    return query(call, &r, call->params[0]);
}
