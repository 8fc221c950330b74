/* api/service_query.c: lists of the service API, page by page (reference dps-service-api.md 5.1).
 * Rows are read a few at a time into one half of the request's memory and written into the other;
 * a page that would not fit is a shorter page. */
#include "api/service_http.h"

#include "api/enrollment_json.h"
#include "api/query_text.h"
#include "model/limits.h"
#include "util/base64.h"

struct query {
    struct http_call *call;
    struct span id_scope;
    struct span group; /* registrations: whose */
    size_t limit;
    struct span after; /* folded ID to go on behind */
};

/* What a route lists. */
struct listing {
    int64_t right;
    const char *item_type;
    const char *names[3]; /* for FROM */
    size_t row_size;
    err (*fetch)(const struct query *q, size_t n, void **ret_rows, size_t *ret_n);
    err (*write)(const struct query *q, const void *row, struct json_writer *w);
    struct span (*key)(const void *row);
};

/* ---- the kinds of rows ---- */

static err fetch_enrollments(const struct query *q, enum enrollment_kind kind, size_t n,
                             void **ret_rows, size_t *ret_n)
{
    struct enrollment *rows = NULL;

    TRY(core_enrollment_list(q->call->env, q->id_scope, kind, q->after, n, &rows, ret_n));
    *ret_rows = rows;
    return OK;
}

static err fetch_individuals(const struct query *q, size_t n, void **ret_rows, size_t *ret_n)
{
    return fetch_enrollments(q, ENROLLMENT_INDIVIDUAL, n, ret_rows, ret_n);
}

static err fetch_groups(const struct query *q, size_t n, void **ret_rows, size_t *ret_n)
{
    return fetch_enrollments(q, ENROLLMENT_GROUP, n, ret_rows, ret_n);
}

static err write_enrollment(const struct query *q, const void *row, struct json_writer *w)
{
    struct enrollment_json_view view = { .api_version = q->call->api_version };

    return enrollment_json_write(q->call->env, row, &view, w);
}

static struct span key_of_enrollment(const void *row)
{
    return ((const struct enrollment *)row)->key;
}

static err fetch_registrations(const struct query *q, size_t n, void **ret_rows, size_t *ret_n)
{
    struct registration *rows = NULL;

    TRY(core_registration_list(q->call->env, q->id_scope, q->group, q->after, n, &rows, ret_n));
    *ret_rows = rows;
    return OK;
}

static err write_registration(const struct query *q, const void *row, struct json_writer *w)
{
    (void)q;
    enrollment_json_write_registration(row, NULL, w);
    return OK;
}

static struct span key_of_registration(const void *row)
{
    return ((const struct registration *)row)->key;
}

/* ---- a page ---- */

/* Writes a row, or nothing when it does not fit. */
static err write_whole(const struct listing *l, const struct query *q, const void *row,
                       struct json_writer *w, bool *ret_fits)
{
    struct json_writer before = *w;
    size_t len = w->out->len;

    TRY(l->write(q, row, w));
    *ret_fits = !w->out->failed && w->out->cap - w->out->len >= strlen("]");
    if (!*ret_fits) {
        *w = before;
        w->out->len = len;
        w->out->failed = false;
    }
    return OK;
}

/* Reads and writes a few rows behind q->after, which moves on. *ret_more: there are others. */
static err add_batch(const struct listing *l, struct query *q, size_t n, struct json_writer *w,
                     size_t *ret_n, bool *ret_more)
{
    uint8_t last[LIMIT_REGISTRATION_ID];
    struct buf key = buf_over(last, sizeof(last));
    struct arena *arena = q->call->env->arena;
    size_t mark = arena->used;
    size_t n_rows = 0;
    size_t i = 0;
    void *rows = NULL;
    bool fits = true;

    TRY(l->fetch(q, n + 1, &rows, &n_rows));
    while (i < n_rows && i < n && fits) {
        TRY(write_whole(l, q, (const char *)rows + i * l->row_size, w, &fits));
        i += fits;
    }
    *ret_more = i < n_rows;
    *ret_n = i;
    if (i > 0) {
        buf_add(&key, l->key((const char *)rows + (i - 1) * l->row_size));
        TRY(buf_ok(&key));
    }
    arena->used = mark; /* the rows were written */
    return i > 0 ? arena_copy(arena, buf_span(&key), &q->after) : OK;
}

static err answer_page(struct http_call *call, const struct listing *l, struct query *q)
{
    struct buf out = http_call_body_room(call);
    struct json_writer w = json_writer_over(&out);
    struct buf token;
    struct span text;
    bool more = true;
    size_t n = 0;

    json_write_begin_array(&w, NULL);
    while (more && n < q->limit) {
        size_t want = q->limit - n < LIMIT_QUERY_BATCH ? q->limit - n : LIMIT_QUERY_BATCH;
        size_t got = 0;

        TRY(add_batch(l, q, want, &w, &got, &more));
        n += got;
        if (got < want) {
            break; /* the last rows, or no more room */
        }
    }
    json_write_end_array(&w);
    TRY(buf_ok(&out));
    if (more && n == 0) {
        return ERR(NOMEM);
    }
    /* In lower case: one SDK looks them up as they were received. */
    http_call_header(call, "x-ms-item-type", span_str(l->item_type));
    if (more) {
        token = arena_buf(call->env->arena);
        base64_encode(q->after, &token);
        TRY(arena_buf_end(call->env->arena, &token, &text));
        http_call_header(call, "x-ms-continuation", text);
    }
    return http_call_json(call, 200, buf_span(&out));
}

/* ---- the request ---- */

static err read_paging(struct http_call *call, struct query *q, bool *ret_is_sound)
{
    struct span count = span_trim(http_call_header_in(call, SPAN("x-ms-max-item-count")));
    struct span token = span_trim(http_call_header_in(call, SPAN("x-ms-continuation")));
    struct buf out;
    int64_t limit = 0;

    *ret_is_sound = span_is_empty(count) || span_parse_int(count, &limit);
    limit = limit == 0 ? LIMIT_PAGE_DEFAULT : limit < LIMIT_PAGE ? limit : LIMIT_PAGE;
    q->limit = (size_t)limit;
    if (span_is_empty(token)) {
        return OK;
    }
    out = arena_buf(call->env->arena);
    if (!err_is_ok(base64_decode(token, &out)) || out.len == 0 || out.len > LIMIT_REGISTRATION_ID) {
        *ret_is_sound = false;
        return OK;
    }
    return arena_buf_end(call->env->arena, &out, &q->after);
}

/* No body, {} and {"query":""} ask for everything too. */
static err read_text(struct http_call *call, const struct listing *l, struct verdict *ret_verdict)
{
    AUTO(json) json *document = NULL;
    struct verdict v;
    struct span text = SPAN_NONE;
    size_t at;

    TRY(http_call_body_object(call, true, &document, &v));
    if (verdict_is_granted(v) && !err_is_ok(json_get_text(document, "query", &text))) {
        v = VERDICT(BODY_MALFORMED);
        v.detail = SPAN("query is not a string.");
    }
    if (verdict_is_granted(v) && !query_text_is_everything(text, l->names, &at)) {
        v = VERDICT(QUERY_UNSUPPORTED);
        TRY(arena_printf(call->env->arena, &v.detail,
                         "At character %zu: only SELECT * FROM %s is understood.", at,
                         l->names[0]));
    }
    *ret_verdict = v;
    return OK;
}

static err query(struct http_call *call, const struct listing *l, struct span group)
{
    struct query q = { .call = call };
    struct instance instance;
    struct verdict v;
    bool is_sound;

    TRY(http_call_authorize_instance(call, l->right, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(read_text(call, l, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    q.id_scope = instance.id_scope;
    TRY(model_fold(call->env->arena, group, &q.group));
    TRY(read_paging(call, &q, &is_sound));
    if (!is_sound) {
        return http_call_refuse_with(call, REASON_REQUEST_MALFORMED,
                                     "x-ms-max-item-count or x-ms-continuation is malformed.");
    }
    return answer_page(call, l, &q);
}

err service_query_enrollments(struct http_call *call)
{
    static const struct listing l = { .right = RIGHT_ENROLLMENT_READ,
                                      .item_type = "Enrollment",
                                      .names = { "enrollments" },
                                      .row_size = sizeof(struct enrollment),
                                      .fetch = fetch_individuals,
                                      .write = write_enrollment,
                                      .key = key_of_enrollment };

    return query(call, &l, SPAN_NONE);
}

err service_query_groups(struct http_call *call)
{
    static const struct listing l = { .right = RIGHT_ENROLLMENT_READ,
                                      .item_type = "EnrollmentGroup",
                                      .names = { "enrollmentGroups" },
                                      .row_size = sizeof(struct enrollment),
                                      .fetch = fetch_groups,
                                      .write = write_enrollment,
                                      .key = key_of_enrollment };

    return query(call, &l, SPAN_NONE);
}

err service_query_registrations(struct http_call *call)
{
    static const struct listing l = { .right = RIGHT_REGISTRATION_STATUS_READ,
                                      .item_type = "DeviceRegistration",
                                      .names = { "deviceRegistrations", "registrations" },
                                      .row_size = sizeof(struct registration),
                                      .fetch = fetch_registrations,
                                      .write = write_registration,
                                      .key = key_of_registration };

    return query(call, &l, call->params[0]);
}
