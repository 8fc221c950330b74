/* api/hub_bulk_http.c: several identities in one request: POST /devices (reference
 * iothub-service-api.md 3.3). What is refused is listed, the rest is done. */
#include "api/error.h"
#include "api/hub_http.h"
#include "api/hub_identity_json.h"
#include "api/hub_twin_json.h"
#include "core/enrollment.h"
#include "hub/hub.h"
#include "hub/registry.h"
#include "model/limits.h"

static const struct import_mode {
    const char *word;
    enum registry_mode mode;
    bool has_match; /* the item's eTag, or twinETag, counts */
} modes[] = {
    { "create", REGISTRY_CREATE, false },
    { "update", REGISTRY_UPDATE, false },
    { "updateIfMatchETag", REGISTRY_UPDATE, true },
    { "createOrUpdate", REGISTRY_CREATE_OR_UPDATE, false },
    { "createOrUpdateIfMatchETag", REGISTRY_CREATE_OR_UPDATE, true },
    { "delete", REGISTRY_DELETE, false },
    { "deleteIfMatchETag", REGISTRY_DELETE, true },
    { "updateTwin", REGISTRY_UPDATE_TWIN, false },
    { "updateTwinIfMatchETag", REGISTRY_UPDATE_TWIN, true },
};

struct item {
    struct span device_id, module_id; /* as given; module_id absent: a device */
    const struct import_mode *mode;   /* NULL: none of them */
};

struct bulk {
    struct http_call *call;
    struct span hub;
    size_t n;
    struct item items[LIMIT_HUB_BULK];
    struct registry_change changes[LIMIT_HUB_BULK];
};

static const struct import_mode *find_mode(struct span word)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (span_eq_nocase(word, span_str(modes[i].word))) {
            return &modes[i];
        }
    }
    return NULL;
}

/* ---- reading ---- */

/* Without an ETag nothing matches. */
static void read_match(const json *given, struct registry_change *c)
{
    const bool is_twin = c->mode == REGISTRY_UPDATE_TWIN;
    struct core_match match =
        http_match_of(json_text(json_member(given, is_twin ? "twinETag" : "eTag")));

    if (!is_twin && !match.is_given) {
        match = http_match_of(json_text(json_member(given, "etag"))); /* as devices are got */
    }
    match.is_given = true;
    if (is_twin) {
        c->twin.if_etag = hub_twin_json_match(&match);
    } else {
        c->if_etag = hub_identity_json_match(&match);
    }
}

static bool is_named_before(const struct bulk *b, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (span_eq(b->changes[j].given.device_id, b->changes[i].given.device_id)) {
            return true;
        }
    }
    return false;
}

static err read_ids(struct bulk *b, size_t i, const json *given)
{
    struct item *item = &b->items[i];
    struct registry_change *c = &b->changes[i];
    err e;

    item->device_id = json_text(json_member(given, "id"));
    e = json_get_text(given, "moduleId", &item->module_id);
    if (err_is_ok(e)) {
        e = hub_identity_join(b->call->env->arena, item->device_id, item->module_id,
                              &c->given.device_id);
    }
    if (err_is(e, ERR_MALFORMED)) {
        c->verdict = verdict_invalid("id or moduleId is not an ID.");
        return OK;
    }
    TRY(e);
    if (is_named_before(b, i)) {
        c->verdict = VERDICT(DEVICE_DEFINED_TWICE);
    }
    return OK;
}

static err read_change(struct bulk *b, const struct import_mode *mode, const json *given,
                       struct registry_change *c)
{
    c->mode = mode->mode;
    if (mode->has_match) {
        read_match(given, c);
    }
    if (mode->mode == REGISTRY_DELETE || !verdict_is_granted(c->verdict)) {
        return OK;
    }
    hub_twin_json_read(given, &c->twin, &c->verdict);
    if (mode->mode == REGISTRY_UPDATE_TWIN || !verdict_is_granted(c->verdict)) {
        return OK;
    }
    return hub_identity_json_read(b->call->env, given, &c->given, &c->verdict);
}

static err read_item(struct bulk *b, size_t i, const json *given)
{
    struct item *item = &b->items[i];
    struct registry_change *c = &b->changes[i];

    c->given.hub = b->hub;
    c->if_etag = c->twin.if_etag = -1;
    item->mode = find_mode(json_text(json_member(given, "importMode")));
    TRY(read_ids(b, i, given));
    if (!verdict_is_granted(c->verdict)) {
        return OK;
    }
    if (item->mode == NULL) {
        c->verdict =
            verdict_invalid("importMode is none of create, update, updateIfMatchETag, "
                            "createOrUpdate, createOrUpdateIfMatchETag, delete, deleteIfMatchETag, "
                            "updateTwin, updateTwinIfMatchETag.");
        return OK;
    }
    TRY(read_change(b, item->mode, given, c));
    return verdict_is_granted(c->verdict) ? hub_registry_prepare(b->call->env, c) : OK;
}

/* ---- the answer ---- */

static void write_error(const struct bulk *b, size_t i, struct json_writer *w)
{
    const struct item *item = &b->items[i];
    const struct verdict *v = &b->changes[i].verdict;

    json_write_begin_object(w, NULL);
    json_write_text(w, "deviceId", span_is_absent(item->device_id) ? SPAN("") : item->device_id);
    json_write_str(w, "errorCode", error_hub_name(v->reason));
    json_write_text(w, "errorStatus",
                    span_is_empty(v->detail) ? span_str(reason_info(v->reason)->message)
                                             : v->detail);
    json_write_text_if(w, "moduleId", span_is_empty(item->module_id) ? SPAN_NONE : item->module_id);
    if (item->mode != NULL) {
        json_write_str(w, "operation", item->mode->word);
    }
    json_write_end_object(w);
}

static size_t count_refused(const struct bulk *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n; i++) {
        n += !verdict_is_granted(b->changes[i].verdict);
    }
    return n;
}

static err answer(const struct bulk *b)
{
    struct arena *arena = b->call->env->arena;
    const bool is_successful = count_refused(b) == 0;
    struct buf out = arena_buf(arena);
    struct json_writer w = json_writer_over(&out);
    struct span text;

    json_write_begin_object(&w, NULL);
    json_write_bool(&w, "isSuccessful", is_successful);
    json_write_begin_array(&w, "errors");
    for (size_t i = 0; i < b->n; i++) {
        if (!verdict_is_granted(b->changes[i].verdict)) {
            write_error(b, i, &w);
        }
    }
    json_write_end_array(&w);
    json_write_begin_array(&w, "warnings"); /* of devices without a twin: there are none */
    json_write_end_array(&w);
    json_write_end_object(&w);
    TRY(arena_buf_end(arena, &out, &text));
    if (!is_successful) { /* for its headers; the body is the list */
        TRY(http_call_refuse(b->call, VERDICT(BULK_FAILED)));
        b->call->body = text;
        return OK;
    }
    return http_call_json(b->call, 200, text);
}

static err run(struct bulk *b, const json *items)
{
    b->n = json_array_len(items);
    for (size_t i = 0; i < b->n; i++) {
        TRY(read_item(b, i, json_array_at(items, i)));
    }
    if (b->n > 0) {
        TRY(hub_registry_run(b->call->env, b->call->service->bus, b->changes, b->n));
    }
    return answer(b);
}

err hub_bulk_http_post(struct http_call *call)
{
    AUTO(json) json *items = NULL;
    struct bulk *b;
    struct hub hub;
    struct verdict v;

    TRY(http_call_authorize_hub(call, RIGHT_REGISTRY_WRITE, &hub, &v));
    if (verdict_is_granted(v)) {
        TRY(http_call_body_array(call, &items, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    if (json_array_len(items) > LIMIT_HUB_BULK) {
        return http_call_refuse_with(call, REASON_FIELD_INVALID,
                                     "The array has more than %d operations.", LIMIT_HUB_BULK);
    }
    b = ARENA_NEW(call->env->arena, struct bulk);
    if (b == NULL) {
        return ERR(NOMEM);
    }
    b->call = call;
    b->hub = hub.host_name;
    return run(b, items);
}
