/* api/manage_reconcile.c: what registrations and hubs disagree about, page by page, and mending it
 * (doc/wire/manage.md). Lists are compared here where the hub is of this store; of a hub elsewhere
 * the caller is handed both, and compares. */
#include "api/manage_elsewhere.h"
#include "api/manage_http.h"
#include "api/manage_rows.h"
#include "core/link.h"
#include "core/reconcile.h"
#include "hub/hub.h"
#include "hub/listing.h"

/* ---- hubs ---- */

static void write_hub(const struct core_reconcile_hub *h, struct json_writer *w)
{
    json_write_begin_object(w, NULL);
    json_write_text(w, "name", h->host_name);
    json_write_bool(w, "linked", h->is_linked);
    json_write_str(w, "where",
                   h->is_remote   ? "elsewhere"
                   : h->is_there  ? "here"
                   : h->is_linked ? "gone"
                                  : "unknown");
    json_write_bool(w, "comparable", h->is_linked || h->is_ours || !h->is_there);
    json_write_int(w, "devices", h->devices);
    json_write_end_object(w);
}

static err write_hubs(struct http_call *call, const struct instance *instance,
                      struct json_writer *w)
{
    struct core_reconcile_hub *rows;
    size_t n;

    TRY(core_reconcile_hubs(call->env, instance->id_scope, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        write_hub(&rows[i], w);
    }
    return OK;
}

err manage_reconcile_hubs(struct http_call *call)
{
    return manage_answer_list(call, write_hubs);
}

/* ---- identities of a hub ---- */

struct identities {
    struct manage_rows rows;
    struct core_reconcile_query query;
    bool differences_alone;
    struct core_identity *ids;
    uint8_t (*bytes)[LIMIT_DEVICE_ID];
    size_t n, most;
    bool is_more; /* there are more on the hub */
    bool is_elsewhere;
    struct span next; /* the token of the hub elsewhere; absent: that were all */
};

static void write_identity(const void *row, struct json_writer *w)
{
    static const char *const words[] = {
        [CORE_FINDING_DUPLICATE] = "duplicate",
        [CORE_FINDING_STRAY] = "stray",
    };
    const struct core_identity *id = row;
    bool is_stray = id->finding == CORE_FINDING_STRAY;

    json_write_begin_object(w, NULL);
    json_write_text(w, "deviceId", id->device_id);
    json_write_text_if(w, "difference",
                       span_str(id->finding < CORE_FINDING_DUPLICATE ? NULL : words[id->finding]));
    json_write_text_if(w, "registrationId", id->registration_id);
    json_write_text_if(w, "placedHub", id->placed_hub);
    if (is_stray) {
        json_write_bool(w, "wasRegistered", id->was_registered);
    }
    json_write_end_object(w);
}

static err gather(struct store_tx *tx, const struct device *row, void *arg, bool *more)
{
    struct identities *l = arg;
    struct buf id = buf_over(l->bytes[l->n], LIMIT_DEVICE_ID);

    (void)tx;
    if (l->n == l->most) {
        l->is_more = true;
        *more = false;
        return OK;
    }
    buf_add(&id, row->device_id);
    l->ids[l->n++] = (struct core_identity){ .device_id = buf_span(&id) };
    return buf_ok(&id);
}

static err list_local(struct identities *l, struct span after)
{
    struct http_call *call = l->rows.call;
    const struct hub_listing listing = { .hub = l->query.hub };

    return hub_listing_walk(call->env, call->service->bus, &listing, after, gather, l);
}

/* Of a hub elsewhere a page cannot be left half way: it goes on where that hub says. */
static err judge_all(struct identities *l)
{
    size_t n = 0;

    do {
        size_t done;

        TRY(core_reconcile_judge(l->rows.call->env, &l->query, l->ids + n, l->n - n, &done));
        n += done;
    } while (l->is_elsewhere && n < l->n);
    l->is_more = l->is_more || n < l->n;
    l->n = n;
    return OK;
}

static err write_page(struct identities *l)
{
    bool more = true;

    TRY(judge_all(l));
    manage_rows_open(&l->rows);
    for (size_t i = 0; i < l->n && more; i++) {
        bool is_wanted = !l->differences_alone || l->ids[i].finding >= CORE_FINDING_DUPLICATE;

        TRY(manage_rows_take(&l->rows, l->ids[i].device_id, is_wanted ? write_identity : NULL,
                             &l->ids[i], &more));
    }
    return l->is_elsewhere ? manage_rows_note(&l->rows, l->next) : OK;
}

static err gather_elsewhere(struct identities *l, const struct linked_hub *link,
                            struct elsewhere_answer *ret_answer)
{
    struct http_call *call = l->rows.call;
    struct span *ids = NULL;

    TRY(manage_elsewhere_list(call, link, manage_rows_after(&l->rows), &ids, &l->n, &l->next,
                              ret_answer));
    if (ret_answer->outcome != ELSEWHERE_DONE) {
        return OK;
    }
    l->ids = ARENA_ARRAY(call->env->arena, l->n + 1, struct core_identity);
    for (size_t i = 0; l->ids != NULL && i < l->n; i++) {
        l->ids[i].device_id = ids[i];
    }
    l->is_more = !span_is_absent(l->next);
    l->rows.top = LIMIT_PAGE;
    return l->ids != NULL ? OK : ERR(NOMEM);
}

static err gather_here(struct identities *l)
{
    struct arena *arena = l->rows.call->env->arena;

    l->most = (size_t)l->rows.top;
    l->ids = ARENA_ARRAY(arena, l->most + 1, struct core_identity);
    l->bytes = arena_array(arena, l->most + 1, sizeof(*l->bytes));
    if (l->ids == NULL || l->bytes == NULL) {
        return ERR(NOMEM);
    }
    return list_local(l, manage_rows_after(&l->rows));
}

static err answer_identities(struct identities *l, const struct linked_hub *link)
{
    struct http_call *call = l->rows.call;
    struct arena *arena = call->env->arena;
    struct elsewhere_answer from_there = { .outcome = ELSEWHERE_DONE };
    struct span path;

    l->is_elsewhere = link->is_remote != 0;
    TRY(l->is_elsewhere ? gather_elsewhere(l, link, &from_there) : gather_here(l));
    if (from_there.outcome != ELSEWHERE_DONE) {
        return manage_elsewhere_refuse(call, &from_there);
    }
    TRY(write_page(l));
    TRY(arena_printf(arena, &path, "/berth/v1/linkedHubs/%.*s/identities?%s",
                     SPAN_FMT(l->query.hub), l->differences_alone ? "differences=true&" : ""));
    return manage_rows_answer(&l->rows, path, l->is_more);
}

/* Of whose devices the operator may be told. */
static err check_link(struct http_call *call, const struct linked_hub *link,
                      struct verdict *ret_verdict)
{
    struct span why;

    TRY(core_reconcile_may_look(call->env, link, &why));
    *ret_verdict = VERDICT(GRANTED);
    if (!span_is_absent(why)) {
        *ret_verdict = VERDICT(CONNECTION_STRING_REFUSED);
        ret_verdict->detail = why;
    }
    return OK;
}

err manage_reconcile_identities(struct http_call *call)
{
    struct instance instance;
    struct linked_hub link;
    struct identities l = { .most = 0 };
    struct span differences, list;
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(core_link_get(call->env, instance.id_scope, call->params[0], &link, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(check_link(call, &link, &v));
    }
    if (verdict_is_granted(v)) {
        l.query = (struct core_reconcile_query){ .hubs = link.is_remote ? NULL : &HUB_PLACER,
                                                 .id_scope = instance.id_scope,
                                                 .hub = link.host_name };
        TRY(http_call_query(call, SPAN("differences"), &differences));
        l.differences_alone = span_eq_nocase(differences, SPAN("true"));
        TRY(arena_printf(call->env->arena, &list, "identities %.*s %.*s",
                         SPAN_FMT(instance.id_scope), SPAN_FMT(link.host_name)));
        TRY(manage_rows_begin(&l.rows, call, list, &v));
    }
    return verdict_is_granted(v) ? answer_identities(&l, &link) : http_call_refuse(call, v);
}

/* ---- what waits ---- */

struct waiting {
    struct manage_rows rows;
    int64_t now_ms;
};

static void write_registration(const void *row, struct json_writer *w)
{
    const struct registration *r = row;

    json_write_begin_object(w, NULL);
    json_write_text(w, "registrationId", r->id);
    json_write_text_if(w, "placedHub", r->placed_hub);
    json_write_text_if(w, "deviceId", r->placed_device_id);
    json_write_time(w, "updated", r->updated_ms);
    json_write_end_object(w);
}

static err take_registration(const struct registration *r, bool is_lost, void *arg, bool *more)
{
    struct waiting *l = arg;

    return manage_rows_take(&l->rows, r->key, is_lost ? write_registration : NULL, r, more);
}

static void write_errand(const void *row, struct json_writer *w)
{
    const struct errand *e = row;
    bool is_assign = e->type == ERRAND_ASSIGN;

    json_write_begin_object(w, NULL);
    json_write_str(w, "type", is_assign ? "assign" : "remove");
    json_write_text_if(w, "registrationId", e->registration_id);
    json_write_text_if(w, "hub", is_assign ? e->to_hub : e->hub);
    json_write_text_if(w, "deviceId", is_assign ? e->to_device_id : e->device_id);
    json_write_time(w, "since", e->since_ms);
    json_write_time(w, "due", e->due_ms);
    json_write_int(w, "tries", e->tries);
    json_write_text_if(w, "lastError", e->last_error);
    json_write_end_object(w);
}

static err take_errand(const struct errand *e, struct span place, void *arg, bool *more)
{
    struct waiting *l = arg;
    bool is_overdue = e->since_ms + LIMIT_ERRAND_MS < l->now_ms;

    return manage_rows_take(&l->rows, place, is_overdue ? write_errand : NULL, e, more);
}

static err begin_waiting(struct http_call *call, const char *what, struct waiting *l,
                         struct instance *ret_instance, struct verdict *ret_verdict)
{
    struct span list;

    l->now_ms = call->env->now_ms;
    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, ret_instance, ret_verdict));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    TRY(arena_printf(call->env->arena, &list, "%s %.*s", what, SPAN_FMT(ret_instance->id_scope)));
    TRY(manage_rows_begin(&l->rows, call, list, ret_verdict));
    manage_rows_open(&l->rows);
    return OK;
}

err manage_reconcile_registrations(struct http_call *call)
{
    struct instance instance;
    struct waiting l;
    struct verdict v;

    TRY(begin_waiting(call, "waiting", &l, &instance, &v));
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    TRY(core_reconcile_waiting(call->env, instance.id_scope, manage_rows_after(&l.rows),
                               take_registration, &l));
    return manage_rows_answer(&l.rows, SPAN("/berth/v1/reconcile/registrations?"), false);
}

err manage_reconcile_errands(struct http_call *call)
{
    struct instance instance;
    struct waiting l;
    struct verdict v;

    TRY(begin_waiting(call, "errands", &l, &instance, &v));
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    TRY(core_reconcile_errands(call->env, instance.id_scope, manage_rows_after(&l.rows),
                               take_errand, &l));
    return manage_rows_answer(&l.rows, SPAN("/berth/v1/reconcile/errands?"), false);
}
