/* api/manage_mend.c: mending what registrations and hubs disagree about (doc/wire/manage.md): a few
 * items a request, each with its own answer. */
#include "api/manage_elsewhere.h"
#include "core/enrollment.h"
#include "core/link.h"
#include "core/reconcile.h"
#include "hub/hub.h"
#include "model/limits.h"

static const char *const words[] = {
    [CORE_MEND_MISSING] = "missing",
    [CORE_MEND_WAITING] = "waiting",
    [CORE_MEND_DUPLICATE] = "duplicate",
    [CORE_MEND_STRAY] = "stray",
};

struct mending {
    struct http_call *call;
    const struct instance *instance;
    bool is_dry;
    struct json_writer *w;
    /* The item's hub. */
    struct linked_hub link;
    bool has_link;
    struct span may_not; /* take devices away from it: why */
    int n_asked;         /* calls to hubs elsewhere */
    bool is_over;        /* the other items are left for another request */
};

static err read_kind(struct span word, enum core_mend_kind *ret_kind)
{
    for (size_t i = CORE_MEND_MISSING; i < sizeof(words) / sizeof(words[0]); i++) {
        if (span_eq(word, span_str(words[i]))) {
            *ret_kind = (enum core_mend_kind)i;
            return OK;
        }
    }
    return err_set(ERR_MALFORMED, "kind is not missing, waiting, duplicate or stray");
}

static err read_item(const struct env *env, const json *item, struct core_mend *m)
{
    struct span kind = SPAN_NONE;
    struct span hub = SPAN_NONE;
    bool is_of_registration;

    TRY(json_get_text(item, "kind", &kind));
    TRY(json_get_text(item, "registrationId", &m->registration_id));
    TRY(json_get_text(item, "hub", &hub));
    TRY(json_get_text(item, "deviceId", &m->device_id));
    TRY(read_kind(kind, &m->kind));
    is_of_registration = m->kind == CORE_MEND_MISSING || m->kind == CORE_MEND_WAITING;
    if (is_of_registration && span_is_empty(m->registration_id)) {
        return err_set(ERR_MALFORMED, "registrationId is missing");
    }
    if (m->kind != CORE_MEND_WAITING && (span_is_empty(hub) || span_is_empty(m->device_id))) {
        return err_set(ERR_MALFORMED, "hub or deviceId is missing");
    }
    return span_is_absent(hub) ? OK : model_fold(env->arena, hub, &m->hub);
}

/* ---- one item ---- */

static err find_link(struct mending *w, struct span hub)
{
    const struct env *env = w->call->env;
    struct verdict v;

    TRY(core_link_get(env, w->instance->id_scope, hub, &w->link, &v));
    w->has_link = verdict_is_granted(v);
    if (!w->has_link) {
        w->link = (struct linked_hub){ .host_name = hub };
    }
    w->may_not = SPAN_NONE;
    return w->has_link ? core_reconcile_may_look(env, &w->link, &w->may_not) : OK;
}

/* A hub that is there and another's, and not linked: whether it has a device is not told. */
static err is_closed(struct mending *w, struct span host, bool *ret_is)
{
    struct hub hub;
    bool is_found;

    TRY(hub_find(w->call->env, host, &hub, &is_found));
    *ret_is = !w->has_link && is_found && !span_eq(hub.id_scope, w->instance->id_scope);
    return OK;
}

/* Before what hangs on it: a hub that does not answer ends the request, which blocks a worker. */
static err ask_elsewhere(struct mending *w, struct core_mend *m, bool *ret_has)
{
    struct elsewhere_answer answer;

    TRY(manage_elsewhere_has(w->call, &w->link, m->device_id, ret_has, &answer));
    w->is_over = ++w->n_asked == LIMIT_MENDED_ELSEWHERE || answer.outcome != ELSEWHERE_DONE;
    m->why = answer.outcome != ELSEWHERE_DONE ? answer.message : SPAN_NONE;
    return OK;
}

/* The registration is read first: it must be the same when it is changed. */
static err mend_missing_elsewhere(struct mending *w, const struct core_reconcile_query *q,
                                  struct core_mend *m)
{
    const struct env *env = w->call->env;
    struct registration r;
    struct verdict v;
    bool has;

    TRY(core_registration_get(env, q->id_scope, m->registration_id, &r, &v));
    if (!verdict_is_granted(v)) {
        m->why = SPAN("the registration has gone");
        return OK;
    }
    m->etag = r.etag;
    TRY(ask_elsewhere(w, m, &has));
    if (!span_is_absent(m->why)) {
        return OK;
    }
    if (has) {
        m->why = SPAN("the hub has the device");
        return OK;
    }
    return core_reconcile_mend(env, q, m);
}

static err mend_here_or_there(struct mending *w, struct core_reconcile_query *q,
                              struct core_mend *m)
{
    if (m->kind == CORE_MEND_WAITING || !w->link.is_remote) {
        return core_reconcile_mend(w->call->env, q, m);
    }
    q->hubs = NULL;
    return m->kind == CORE_MEND_MISSING ? mend_missing_elsewhere(w, q, m)
                                        : core_reconcile_mend(w->call->env, q, m);
}

static err mend_one(struct mending *w, struct core_mend *m)
{
    const struct env *env = w->call->env;
    struct core_reconcile_query q = { .hubs = &HUB_PLACER,
                                      .id_scope = w->instance->id_scope,
                                      .hub = m->hub };
    bool takes_away = m->kind == CORE_MEND_DUPLICATE || m->kind == CORE_MEND_STRAY;
    bool closed = false;

    m->is_dry = w->is_dry;
    if (m->kind != CORE_MEND_WAITING) {
        TRY(find_link(w, m->hub));
        TRY(is_closed(w, m->hub, &closed));
    }
    if (closed || (takes_away && !w->has_link)) {
        m->why = SPAN("the hub is not linked");
    } else if (takes_away && !span_is_absent(w->may_not)) {
        m->why = w->may_not;
    } else {
        TRY(mend_here_or_there(w, &q, m));
    }
    HUB_PLACER.tell(env, w->call->service->bus, &m->placed);
    return OK;
}

static void write_item(const struct core_mend *m, bool is_dry, struct json_writer *w)
{
    bool is_done = span_is_absent(m->why);

    json_write_begin_object(w, NULL);
    json_write_str(w, "kind", words[m->kind]);
    json_write_text_if(w, "registrationId", m->registration_id);
    json_write_text_if(w, "hub", m->hub);
    json_write_text_if(w, "deviceId", m->device_id);
    json_write_bool(w, is_dry ? "wouldMend" : "mended", is_done);
    json_write_text_if(w, "why", m->why);
    json_write_end_object(w);
}

/* ---- the request ---- */

/* All of them are read before the first is mended. */
static err read_items(struct mending *w, const json *items, struct core_mend *mends, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        err e = read_item(w->call->env, json_array_at(items, i), &mends[i]);

        if (err_is(e, ERR_MALFORMED)) {
            return err_set(ERR_MALFORMED, "items[%zu]: %s", i, err_detail());
        }
        TRY(e);
    }
    return OK;
}

static err mend_all(struct mending *w, struct core_mend *mends, size_t n)
{
    struct arena *arena = w->call->env->arena;
    struct buf out = http_call_body_room(w->call);
    struct json_writer writer = json_writer_over(&out);
    size_t mark;

    json_write_begin_object(&writer, NULL);
    json_write_begin_array(&writer, "value");
    mark = arena->used;
    for (size_t i = 0; i < n && !w->is_over; i++) {
        TRY(mend_one(w, &mends[i]));
        write_item(&mends[i], w->is_dry, &writer);
        arena->used = mark;
        w->link = (struct linked_hub){ 0 };
    }
    json_write_end_array(&writer);
    json_write_end_object(&writer);
    TRY(buf_ok(&out));
    return http_call_json(w->call, 200, buf_span(&out));
}

static err begin(struct mending *w, const json *document, struct core_mend **ret_mends,
                 size_t *ret_n, struct verdict *ret_verdict)
{
    const json *items = json_member(document, "items");
    size_t n = json_array_len(items);
    err e = json_get_bool(document, "dryRun", &w->is_dry);

    if (!json_is_array(items) || n == 0 || n > LIMIT_MENDED) {
        e = err_set(ERR_MALFORMED, "items is not a list of 1 to %d", LIMIT_MENDED);
    }
    if (err_is_ok(e)) {
        *ret_mends = ARENA_ARRAY(w->call->env->arena, n + 1, struct core_mend);
        *ret_n = n;
        e = *ret_mends == NULL ? ERR(NOMEM) : read_items(w, items, *ret_mends, n);
    }
    *ret_verdict = VERDICT(GRANTED);
    return err_is_ok(e) ? OK : manage_refuse_member(w->call, e, ret_verdict);
}

err manage_mend(struct http_call *call)
{
    AUTO(json) json *document = NULL;
    struct instance instance;
    struct mending w = { .call = call, .instance = &instance };
    struct core_mend *mends = NULL;
    size_t n = 0;
    struct verdict v;

    TRY(manage_begin_change(call, &instance, &document, &v));
    if (verdict_is_granted(v)) {
        TRY(begin(&w, document, &mends, &n, &v));
    }
    return verdict_is_granted(v) ? mend_all(&w, mends, n) : http_call_refuse(call, v);
}
