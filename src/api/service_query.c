/* api/service_query.c: lists of the service API, page by page (reference dps-service-api.md 5.1,
 * doc/wire/query.md). Rows are walked one after another in one half of the request's memory and
 * written into the other; a page that would not fit, or that looked at as many rows as one request
 * may, is a shorter page. */
#include "api/service_http.h"

#include "api/continuation.h"
#include "api/enrollment_json.h"
#include "api/query_eval.h"
#include "api/query_plan.h"
#include "model/limits.h"

/* What a route lists. */
struct route {
    int64_t right;
    const char *item_type;
    enum core_listing_of of;
    const char *narrowing; /* what makes a COUNT() cheaper */
};

struct question {
    struct http_call *call;
    const struct route *route;
    struct span text;
    struct query query;
    struct core_listing listing;
    bool is_whole; /* of query_plan_listing */
    size_t limit;
    struct core_place after;
    bool has_after;
};

/* What SDKs take objects of no known kind for: Azure's have "Unknown", "Raw" is the hub's. */
static const char NO_TYPE[] = "Unknown";

/* ---- walking ---- */

struct page {
    const struct question *q;
    struct json_writer *w; /* NULL: rows are only counted */
    size_t n, n_examined, n_parsed;
    size_t most_examined;
    bool is_more, is_full; /* rows were left; the next one does not fit */
    uint8_t key[LIMIT_REGISTRATION_ID];
    struct core_place last; /* of the rows that were looked at; its key is `key` */
};

static err write_row(const struct page *p, struct query_row *row)
{
    const struct query *q = &p->q->query;
    struct enrollment_json_view view = { .api_version = p->q->call->api_version };

    if (q->n_columns == 0 && row->enrollment != NULL) {
        return enrollment_json_write(row->env, row->enrollment, &view, p->w);
    }
    if (q->n_columns == 0) {
        enrollment_json_write_registration(row->registration, NULL, p->w);
        return OK;
    }
    json_write_begin_object(p->w, NULL);
    for (size_t i = 0; i < q->n_columns; i++) {
        TRY(query_row_write(row, &q->columns[i].path, q->columns[i].name, p->w));
    }
    json_write_end_object(p->w);
    return OK;
}

/* Writes a row, or nothing when it does not fit. */
static err write_whole(const struct page *p, struct query_row *row, bool *ret_fits)
{
    struct json_writer before = *p->w;
    struct buf *out = p->w->out;
    size_t len = out->len;

    TRY(write_row(p, row));
    *ret_fits = !out->failed && out->cap - out->len >= strlen("]");
    if (!*ret_fits) {
        *p->w = before;
        out->len = len;
        out->failed = false;
    }
    return OK;
}

/* A row that meets the condition. *ret_is_taken: the page goes on behind it. */
static err take_match(struct page *p, struct query_row *row, bool *ret_is_taken)
{
    bool fits = p->n < p->q->limit;

    if (p->w != NULL && fits) {
        TRY(write_whole(p, row, &fits));
        p->is_full = !fits;
    }
    p->n += p->w == NULL || fits;
    if (p->w != NULL && p->n == p->q->limit &&
        p->most_examined > p->n_examined + LIMIT_QUERY_LOOKAHEAD) {
        p->most_examined = p->n_examined + LIMIT_QUERY_LOOKAHEAD;
    }
    *ret_is_taken = p->w == NULL || fits;
    return OK;
}

static err note_place(struct page *p, struct core_place place)
{
    struct buf key = buf_over(p->key, sizeof(p->key));

    buf_add(&key, place.key);
    p->last = (struct core_place){ .updated_ms = place.updated_ms, .key = buf_span(&key) };
    return buf_ok(&key);
}

static err take_row(const void *record, struct core_place place, void *arg, bool *more)
{
    struct page *p = arg;
    bool is_registration = p->q->query.of == CORE_LISTING_REGISTRATIONS;
    AUTO(query_row)
    struct query_row row = { .env = p->q->call->env,
                             .enrollment = is_registration ? NULL : record,
                             .registration = is_registration ? record : NULL };
    bool is_taken = true;
    bool is_met;

    TRY(query_eval_where(&row, p->q->query.where, &is_met));
    if (is_met) {
        TRY(take_match(p, &row, &is_taken));
    }
    if (is_taken) {
        TRY(note_place(p, place));
    }
    p->n_examined++;
    p->n_parsed += row.n_parsed;
    p->is_more =
        !is_taken || p->n_examined >= p->most_examined || p->n_parsed >= LIMIT_QUERY_PARSED;
    *more = !p->is_more;
    return OK;
}

static err walk(const struct question *q, struct page *p)
{
    return core_listing_walk(q->call->env, &q->listing, q->has_after ? &q->after : NULL, take_row,
                             p);
}

/* ---- answers ---- */

static err answer_page(const struct question *q)
{
    struct http_call *call = q->call;
    struct buf out = http_call_body_room(call);
    struct json_writer w = json_writer_over(&out);
    struct page p = { .q = q, .w = &w, .most_examined = LIMIT_QUERY_EXAMINED };
    const char *type = q->query.n_columns > 0 ? NO_TYPE : q->route->item_type;
    struct span token;

    json_write_begin_array(&w, NULL);
    TRY(walk(q, &p));
    json_write_end_array(&w);
    TRY(buf_ok(&out));
    if (p.is_full && p.n == 0) {
        return ERR(NOMEM);
    }
    /* In lower case: one SDK looks them up as they were received. */
    http_call_header(call, "x-ms-item-type", span_str(type));
    if (p.is_more) {
        TRY(continuation_encode(call->env, &q->listing, q->text, &p.last, &token));
        http_call_header(call, "x-ms-continuation", token);
    }
    return http_call_json(call, 200, buf_span(&out));
}

static err answer_count(const struct question *q)
{
    struct http_call *call = q->call;
    struct page p = { .q = q, .most_examined = LIMIT_QUERY_COUNTED + 1 };
    struct json_writer w;
    struct buf out;
    struct span text;
    int64_t n;

    if (q->is_whole && core_listing_is_countable(&q->listing)) {
        TRY(core_listing_count(call->env, &q->listing, &n));
    } else {
        TRY(walk(q, &p));
        n = (int64_t)p.n;
    }
    if (p.is_more) {
        return http_call_refuse_with(
            call, REASON_QUERY_TOO_WIDE,
            "COUNT() gave up after %d rows: narrow it by a condition on %s, joined by AND.",
            LIMIT_QUERY_COUNTED, q->route->narrowing);
    }
    out = arena_buf(call->env->arena);
    w = json_writer_over(&out);
    json_write_begin_array(&w, NULL);
    json_write_begin_object(&w, NULL);
    json_write_int(&w, q->query.count_name, n);
    json_write_end_object(&w);
    json_write_end_array(&w);
    TRY(arena_buf_end(call->env->arena, &out, &text));
    http_call_header(call, "x-ms-item-type", span_str(NO_TYPE));
    return http_call_json(call, 200, text);
}

/* ---- the request ---- */

static err read_paging(struct question *q, struct verdict *ret_verdict)
{
    struct http_call *call = q->call;
    struct span count = span_trim(http_call_header_in(call, SPAN("x-ms-max-item-count")));
    struct span token = span_trim(http_call_header_in(call, SPAN("x-ms-continuation")));
    int64_t limit = 0;

    if (!span_is_empty(count) && !span_parse_int(count, &limit)) {
        *ret_verdict = VERDICT(REQUEST_MALFORMED);
        ret_verdict->detail = SPAN("x-ms-max-item-count is no number.");
        return OK;
    }
    limit = limit == 0 ? LIMIT_PAGE_DEFAULT : limit < LIMIT_PAGE ? limit : LIMIT_PAGE;
    q->limit = (size_t)limit;
    if (span_is_empty(token)) {
        return OK;
    }
    if (!q->query.is_count) {
        TRY(continuation_decode(call->env, &q->listing, q->text, token, &q->after, &q->has_after));
    }
    if (!q->has_after) {
        *ret_verdict = VERDICT(CONTINUATION_INVALID);
    }
    return OK;
}

/* No body, {} and {"query":""} ask for everything too. */
static err read_text(struct question *q, struct verdict *ret_verdict)
{
    struct arena *arena = q->call->env->arena;
    AUTO(json) json *document = NULL;
    struct span text = SPAN("");
    struct verdict v;
    err e;

    TRY(http_call_body_object(q->call, true, &document, &v));
    if (verdict_is_granted(v) && !err_is_ok(json_get_text(document, "query", &text))) {
        v = VERDICT(BODY_MALFORMED);
        v.detail = SPAN("query is not a string.");
    }
    if (verdict_is_granted(v)) {
        TRY(arena_copy(arena, text, &q->text));
        e = query_text_parse(arena, q->text, q->route->of, &q->query);
        if (err_is(e, ERR_MALFORMED)) {
            v = VERDICT(QUERY_UNSUPPORTED);
            e = arena_copy(arena, span_str(err_detail()), &v.detail);
        }
        TRY(e);
    }
    *ret_verdict = v;
    return OK;
}

static err query(struct http_call *call, const struct route *route, struct span group)
{
    struct question q = { .call = call, .route = route };
    struct instance instance;
    struct verdict v;

    TRY(http_call_authorize_instance(call, route->right, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(read_text(&q, &v));
    }
    if (verdict_is_granted(v)) {
        q.listing = (struct core_listing){ .id_scope = instance.id_scope, .of = route->of };
        TRY(model_fold(call->env->arena, group, &q.listing.group));
        TRY(query_plan_listing(call->env->arena, &q.query, &q.listing, &q.is_whole));
        TRY(read_paging(&q, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    return q.query.is_count ? answer_count(&q) : answer_page(&q);
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
