/* api/manage_errand.c: who waits for a system elsewhere, and what has to go from one: a read-only
 * list (doc/wire/manage.md). */
#include "api/manage_http.h"
#include "core/errand.h"

/* The place of an errand in the list: "assign/{registration}", "remove/{hub}/{device}". */
struct row {
    struct errand errand;
    struct span key;
};

static err print_key(const struct env *env, const struct errand *e, struct span *ret_key)
{
    return e->type == ERRAND_ASSIGN
               ? arena_printf(env->arena, ret_key, "assign/%.*s", SPAN_FMT(e->registration_key))
               : arena_printf(env->arena, ret_key, "remove/%.*s/%.*s", SPAN_FMT(e->hub),
                              SPAN_FMT(e->device_id));
}

/* What is no key begins the list anew. */
static struct errand parse_key(struct span id_scope, struct span key)
{
    struct span rest = key;
    struct span type = span_cut(&rest, '/');
    struct errand e = { .id_scope = id_scope,
                        .type = ERRAND_ASSIGN,
                        .registration_key = SPAN(""),
                        .hub = SPAN(""),
                        .device_id = SPAN("") };

    if (span_eq(type, SPAN("remove")) && !span_is_absent(rest)) {
        e.type = ERRAND_REMOVE;
        e.hub = span_cut(&rest, '/');
        e.device_id = span_is_absent(rest) ? SPAN("") : rest;
    } else if (span_eq(type, SPAN("assign")) && !span_is_absent(rest)) {
        e.registration_key = rest;
    }
    return e;
}

static err fetch(const struct env *env, struct span id_scope, struct span after, size_t n,
                 void **ret_rows, size_t *ret_n)
{
    struct errand behind = parse_key(id_scope, after);
    struct errand *errands = NULL;
    struct row *rows;

    TRY(core_errand_list(env, id_scope, span_is_absent(after) ? NULL : &behind, n, &errands,
                         ret_n));
    rows = ARENA_ARRAY(env->arena, *ret_n + 1, struct row);
    if (rows == NULL) {
        return ERR(NOMEM);
    }
    for (size_t i = 0; i < *ret_n; i++) {
        rows[i].errand = errands[i];
        TRY(print_key(env, &errands[i], &rows[i].key));
    }
    *ret_rows = rows;
    return OK;
}

static struct span key_of(const void *row)
{
    return ((const struct row *)row)->key;
}

static err write_row(struct http_call *call, const void *row, struct json_writer *w)
{
    static const char *const steps[] = { [ERRAND_ALLOCATE] = "allocate",
                                         [ERRAND_LOOK] = "look",
                                         [ERRAND_PLACE] = "place",
                                         [ERRAND_TAKE_AWAY] = "takeAway" };
    const struct errand *e = &((const struct row *)row)->errand;
    bool is_assign = e->type == ERRAND_ASSIGN;

    json_write_begin_object(w, NULL);
    json_write_str(w, "type", is_assign ? "assign" : "remove");
    json_write_text_if(w, "registrationId", e->registration_id);
    json_write_text_if(w, "hub", is_assign ? e->to_hub : e->hub);
    json_write_text_if(w, "deviceId", is_assign ? e->to_device_id : e->device_id);
    json_write_text_if(w, "lane", e->lane);
    json_write_str(w, "step", steps[e->step]);
    json_write_int(w, "tries", e->tries);
    json_write_time(w, "since", e->since_ms);
    json_write_time(w, "due", e->due_ms);
    json_write_bool(w, "isUnderWay", e->lease_ms > call->env->now_ms);
    json_write_text_if(w, "lastError", e->last_error);
    json_write_end_object(w);
    return OK;
}

err manage_errand_list(struct http_call *call)
{
    static const struct manage_listing listing = { .path = "/berth/v1/errands",
                                                   .row_size = sizeof(struct row),
                                                   .fetch = fetch,
                                                   .write = write_row,
                                                   .key = key_of };
    struct instance instance;
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_REGISTRATION_STATUS_READ, &instance, &v));
    return verdict_is_granted(v) ? manage_page_answer(call, &listing, instance.id_scope)
                                 : http_call_refuse(call, v);
}
