/* api/service_bulk.c: several enrollments in one request (reference dps-service-api.md 5.2), each
 * on its own: what fails is listed, the rest is done, and the answer is 200 either way. */
#include "api/service_http.h"

#include "api/enrollment_json.h"
#include "model/limits.h"

enum mode { MODE_CREATE, MODE_UPDATE, MODE_UPDATE_IF_MATCH, MODE_DELETE, MODES };

static const char *const mode_names[MODES] = { "create", "update", "updateIfMatchETag", "delete" };

struct bulk {
    struct http_call *call;
    struct span id_scope;
    enum enrollment_kind kind;
    const char *id_name;
    enum mode mode;
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
        return (struct core_match){ .is_given = true, .is_any = true };
    case MODE_UPDATE_IF_MATCH:
        match.is_given = true; /* without an etag nothing matches */
        return match;
    case MODE_DELETE:
    case MODES:
        break;
    }
    return match;
}

static err put_item(const struct bulk *b, json *item, struct span id, struct verdict *ret_verdict)
{
    struct env *env = b->call->env;
    struct core_enrollment_put how = { .match = match_of(b, item) };
    struct enrollment e, stored;
    struct verdict v;
    struct enrollment_json_put put = { .id_scope = b->id_scope,
                                       .kind = b->kind,
                                       .api_version = b->call->api_version };

    TRY(core_enrollment_get(env, b->id_scope, b->kind, id, &stored, &v));
    put.stored = verdict_is_granted(v) ? &stored : NULL;
    if (b->mode == MODE_UPDATE && put.stored == NULL) {
        how.match = (struct core_match){ 0 }; /* "update" overwrites; what is absent is created */
    }
    TRY(enrollment_json_decode(env, &put, item, &e, how.keep_slot, ret_verdict));
    return verdict_is_granted(*ret_verdict) ? core_enrollment_put(env, &how, &e, ret_verdict) : OK;
}

static err do_item(const struct bulk *b, json *item, struct json_writer *w, bool *ret_ok)
{
    struct span id = json_text(json_member(item, b->id_name));
    struct core_match match = match_of(b, item);
    struct verdict v = VERDICT(FIELD_INVALID);
    const struct reason_info *info;

    if (span_is_empty(id)) {
        v.detail = SPAN("The ID is missing.");
    } else if (b->mode == MODE_DELETE) {
        TRY(core_enrollment_delete(b->call->env, b->id_scope, b->kind, id, &match, &v));
    } else {
        TRY(put_item(b, item, id, &v));
    }
    *ret_ok = verdict_is_granted(v);
    if (*ret_ok) {
        return OK;
    }
    info = reason_info(v.reason);
    json_write_begin_object(w, NULL);
    json_write_text(w, b->id_name, id);
    json_write_int(w, "errorCode", info->error_code);
    json_write_text(w, "errorStatus", span_is_empty(v.detail) ? span_str(info->message) : v.detail);
    json_write_end_object(w);
    return OK;
}

static err do_items(const struct bulk *b, json *items)
{
    struct buf out = http_call_body_room(b->call);
    struct json_writer w = json_writer_over(&out);
    struct arena *arena = b->call->env->arena;
    size_t mark = arena->used;
    bool all_ok = true;

    json_write_begin_object(&w, NULL);
    json_write_begin_array(&w, "errors");
    for (size_t i = 0; i < json_array_len(items); i++) {
        bool is_ok = true;

        TRY(do_item(b, json_array_at(items, i), &w, &is_ok));
        all_ok = all_ok && is_ok;
        arena->used = mark; /* ten enrollments and what they replace do not fit at once */
    }
    json_write_end_array(&w);
    json_write_bool(&w, "isSuccessful", all_ok);
    json_write_end_object(&w);
    TRY(buf_ok(&out));
    return http_call_json(b->call, 200, buf_span(&out));
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
    return do_items(&b, items);
}

err service_bulk_enrollments(struct http_call *call)
{
    return bulk(call, ENROLLMENT_INDIVIDUAL);
}

err service_bulk_groups(struct http_call *call)
{
    return bulk(call, ENROLLMENT_GROUP);
}
