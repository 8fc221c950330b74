/* api/service_bulk.c: several enrollments in one request (reference dps-service-api.md 5.2). What
 * is refused is listed, the rest is done, and the answer is 200 either way. All items are read
 * first and then done in their order in one transaction, so that a fault leaves nothing of them. */
#include "api/service_http.h"

#include "api/enrollment_json.h"
#include "model/limits.h"
#include "store/store.h"

enum mode { MODE_CREATE, MODE_UPDATE, MODE_UPDATE_IF_MATCH, MODE_DELETE, MODES };

static const char *const mode_names[MODES] = { "create", "update", "updateIfMatchETag", "delete" };

struct item {
    struct span id;
    struct core_enrollment_put how;
    struct enrollment e; /* of a deletion no more than the key */
    bool is_ready;       /* to be done; else the verdict says why not */
    struct verdict verdict;
};

struct bulk {
    struct http_call *call;
    struct span id_scope;
    enum enrollment_kind kind;
    const char *id_name;
    enum mode mode;
    struct item items[LIMIT_BULK];
    size_t n_items, n_ready;
    size_t mark; /* of the arena, behind what was read */
};

static bool parse_mode(struct span word, enum mode *ret_mode)
{
    for (int i = 0; i < MODES; i++) {
        if (span_eq_nocase(word, span_str(mode_names[i]))) {
            *ret_mode = (enum mode)i;
            return true;
        }
    }
    return false;
}

/* What the mode says of the stored one; by the item's own etag where it counts. */
static struct core_match match_of(const struct bulk *b, const json *item)
{
    struct core_match match = http_match_of(json_text(json_member(item, "etag")));

    switch (b->mode) {
    case MODE_CREATE:
        return (struct core_match){ 0 };
    case MODE_UPDATE:
        return (struct core_match){ .is_given = true, .is_any = true, .may_be_absent = true };
    case MODE_UPDATE_IF_MATCH:
        match.is_given = true; /* without an etag nothing matches */
        return match;
    case MODE_DELETE:
    case MODES:
        break;
    }
    return match;
}

/* ---- reading ---- */

/* `far`: for what is of use no longer than this. */
static err read_put(const struct bulk *b, json *given, struct arena *far, struct item *item)
{
    struct env *env = b->call->env;
    struct env far_env = *env;
    struct enrollment_json_put put = { .id_scope = b->id_scope,
                                       .kind = b->kind,
                                       .api_version = b->call->api_version };
    struct enrollment stored;
    struct verdict v;

    far_env.arena = far;
    if (b->mode != MODE_CREATE) { /* what is there already is refused, whatever it holds */
        TRY(core_enrollment_get(&far_env, b->id_scope, b->kind, item->id, &stored, &v));
        put.stored = verdict_is_granted(v) ? &stored : NULL;
    }
    TRY(enrollment_json_decode(env, &put, given, &item->e, item->how.keep_slot, &item->verdict));
    return verdict_is_granted(item->verdict)
               ? core_enrollment_prepare(env, &item->how, &item->e, &item->verdict)
               : OK;
}

/* With what is stored in the arena's far half: ten of these do not fit beside ten new ones. */
static err read_put_halved(const struct bulk *b, json *given, struct item *item)
{
    struct arena *arena = b->call->env->arena;
    size_t whole = arena->size;
    struct arena far;
    err e;

    arena->size -= (arena->size - arena->used) / 2;
    arena_init(&far, arena->block + arena->size, whole - arena->size);
    e = read_put(b, given, &far, item);
    arena->size = whole;
    return e;
}

static err read_item(const struct bulk *b, json *given, struct item *item)
{
    *item = (struct item){ .id = json_text(json_member(given, b->id_name)),
                           .how.match = match_of(b, given),
                           .e = { .id_scope = b->id_scope, .kind = b->kind } };
    if (span_is_empty(item->id)) {
        item->verdict = VERDICT(FIELD_INVALID);
        item->verdict.detail = SPAN("The ID is missing.");
    } else if (b->mode == MODE_DELETE) {
        TRY(model_fold(b->call->env->arena, item->id, &item->e.key));
    } else {
        TRY(read_put_halved(b, given, item));
    }
    item->is_ready = verdict_is_granted(item->verdict);
    return OK;
}

/* ---- doing ---- */

/* All but the verdict's words is of no use afterwards. */
static err do_item(const struct bulk *b, struct store_tx *tx, struct item *item)
{
    const struct env *env = b->call->env;
    size_t mark = env->arena->used;
    struct enrollment stored;

    if (b->mode == MODE_DELETE) {
        TRY(core_enrollment_delete_in(env, tx, &item->e, &item->how.match, &item->verdict));
    } else {
        TRY(core_enrollment_put_in(env, tx, &item->how, &item->e, &stored, &item->verdict));
    }
    env->arena->used = mark;
    return arena_copy(env->arena, item->verdict.detail, &item->verdict.detail);
}

static err do_items(struct store_tx *tx, void *arg)
{
    struct bulk *b = arg;

    b->call->env->arena->used = b->mark; /* it may be run again */
    for (size_t i = 0; i < b->n_items; i++) {
        if (b->items[i].is_ready) {
            TRY(do_item(b, tx, &b->items[i]));
        }
    }
    return OK;
}

static void write_error(const struct bulk *b, const struct item *item, struct json_writer *w)
{
    const struct reason_info *info = reason_info(item->verdict.reason);
    struct span detail = item->verdict.detail;

    json_write_begin_object(w, NULL);
    json_write_text(w, b->id_name, item->id);
    json_write_int(w, "errorCode", info->error_code);
    json_write_text(w, "errorStatus", span_is_empty(detail) ? span_str(info->message) : detail);
    json_write_end_object(w);
}

static err answer(const struct bulk *b)
{
    struct arena *arena = b->call->env->arena;
    struct buf out = arena_buf(arena);
    struct json_writer w = json_writer_over(&out);
    bool all_ok = true;
    struct span text;

    json_write_begin_object(&w, NULL);
    json_write_begin_array(&w, "errors");
    for (size_t i = 0; i < b->n_items; i++) {
        if (!verdict_is_granted(b->items[i].verdict)) {
            write_error(b, &b->items[i], &w);
            all_ok = false;
        }
    }
    json_write_end_array(&w);
    json_write_bool(&w, "isSuccessful", all_ok);
    json_write_end_object(&w);
    TRY(arena_buf_end(arena, &out, &text));
    return http_call_json(b->call, 200, text);
}

static err run(struct bulk *b, json *items)
{
    b->n_items = json_array_len(items);
    for (size_t i = 0; i < b->n_items; i++) {
        TRY(read_item(b, json_array_at(items, i), &b->items[i]));
        b->n_ready += b->items[i].is_ready;
    }
    b->mark = b->call->env->arena->used;
    if (b->n_ready > 0) {
        TRY(store_write(b->call->env->store, do_items, b));
    }
    return answer(b);
}

static err bulk(struct http_call *call, enum enrollment_kind kind)
{
    bool is_group = kind == ENROLLMENT_GROUP;
    const char *name = is_group ? "enrollmentGroups" : "enrollments";
    struct bulk b = { .call = call,
                      .kind = kind,
                      .id_name = is_group ? "enrollmentGroupId" : "registrationId" };
    AUTO(json) json *document = NULL;
    struct instance instance;
    struct verdict v;
    json *items;

    TRY(http_call_authorize_instance(call, RIGHT_ENROLLMENT_WRITE, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(http_call_body_object(call, false, &document, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    b.id_scope = instance.id_scope;
    items = json_member(document, name);
    if (!parse_mode(json_text(json_member(document, "mode")), &b.mode)) {
        return http_call_refuse_with(call, REASON_FIELD_INVALID,
                                     "mode is none of create, update, updateIfMatchETag, delete.");
    }
    if (!json_is_array(items) || json_array_len(items) > LIMIT_BULK) {
        return http_call_refuse_with(call, REASON_FIELD_INVALID,
                                     "%s is not an array of at most %d items.", name, LIMIT_BULK);
    }
    return run(&b, items);
}

err service_bulk_enrollments(struct http_call *call)
{
    return bulk(call, ENROLLMENT_INDIVIDUAL);
}

err service_bulk_groups(struct http_call *call)
{
    return bulk(call, ENROLLMENT_GROUP);
}
