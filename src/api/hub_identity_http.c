/* api/hub_identity_http.c: identities of devices and modules for the back end (reference
 * iothub-service-api.md 3.2, 4). The path says which of the two: what is done is the same. */
#include "api/error.h"
#include "api/hub_http.h"
#include "api/hub_identity_json.h"
#include "core/enrollment.h"
#include "hub/hub.h"
#include "hub/registry.h"
#include "model/limits.h"

/* ---- answers ---- */

static err add_etag(struct http_call *call, const struct device *d)
{
    struct buf out = arena_buf(call->env->arena);
    struct span etag;

    hub_identity_json_etag(d->etag, &out);
    TRY(arena_buf_end(call->env->arena, &out, &etag));
    return http_call_etag(call, etag);
}

static err answer(struct http_call *call, const struct device *d, const struct hub_standing *s)
{
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    TRY(add_etag(call, d));
    out = http_call_body_room(call);
    hub_identity_json_write(d, s, &w);
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

/* ---- reading ---- */

err hub_identity_http_get(struct http_call *call)
{
    struct hub hub;
    struct span client_id;
    struct registry_row row;
    struct verdict v;

    TRY(http_call_authorize_hub(call, RIGHT_REGISTRY_READ, &hub, &v));
    if (verdict_is_granted(v)) {
        TRY(hub_http_client_id(call, &client_id, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(hub_registry_get(call->env, call->service->bus, hub.host_name, client_id, &row, &v));
    }
    return verdict_is_granted(v) ? answer(call, &row.device, &row.standing)
                                 : http_call_refuse(call, v);
}

/* Rows are read a few at a time: twins may be long, identities are not. */
static err write_rows(struct http_call *call, struct registry_page *page, size_t most,
                      struct json_writer *w, struct verdict *ret_verdict)
{
    struct arena *arena = call->env->arena;
    uint8_t last[LIMIT_CLIENT_ID];
    size_t mark = arena->used;
    size_t n = 1;

    *ret_verdict = VERDICT(GRANTED);
    for (size_t done = 0; done < most && n > 0; done += n) {
        struct registry_row *rows;
        struct buf key = buf_over(last, sizeof(last));

        arena->used = mark;
        page->limit = most - done < LIMIT_DEVICE_BATCH ? most - done : LIMIT_DEVICE_BATCH;
        TRY(hub_registry_list(call->env, call->service->bus, page, &rows, &n, ret_verdict));
        for (size_t i = 0; i < n; i++) {
            hub_identity_json_write(&rows[i].device, &rows[i].standing, w);
        }
        if (n > 0) {
            buf_add(&key, rows[n - 1].device.device_id);
            TRY(buf_ok(&key));
            page->after = buf_span(&key);
        }
    }
    return OK;
}

static err answer_rows(struct http_call *call, struct registry_page *page, size_t most)
{
    struct buf out = http_call_body_room(call);
    struct json_writer w = json_writer_over(&out);
    struct verdict v;

    json_write_begin_array(&w, NULL);
    TRY(write_rows(call, page, most, &w, &v));
    json_write_end_array(&w);
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

err hub_identity_http_list(struct http_call *call)
{
    struct registry_page page = { 0 };
    struct hub hub;
    struct verdict v;
    struct span text;
    int64_t top = LIMIT_PAGE;

    TRY(http_call_authorize_hub(call, RIGHT_REGISTRY_READ, &hub, &v));
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    TRY(http_call_query(call, SPAN("top"), &text));
    if ((!span_is_empty(text) && !span_parse_int(text, &top)) || top < 1) {
        return http_call_refuse_with(call, REASON_FIELD_INVALID, "top is not between 1 and %d.",
                                     LIMIT_PAGE);
    }
    page.hub = hub.host_name;
    return answer_rows(call, &page, (size_t)(top < LIMIT_PAGE ? top : LIMIT_PAGE));
}

err hub_identity_http_list_modules(struct http_call *call)
{
    struct registry_page page = { 0 };
    struct hub hub;
    struct verdict v;

    TRY(http_call_authorize_hub(call, RIGHT_REGISTRY_READ, &hub, &v));
    if (verdict_is_granted(v)) {
        TRY(hub_http_client_id(call, &page.device_id, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    page.hub = hub.host_name;
    return answer_rows(call, &page, LIMIT_PAGE);
}

/* ---- changing ---- */

static bool is_id(const json *document, const char *name, struct span expected)
{
    struct span id = expected;

    return err_is_ok(json_get_text(document, name, &id)) && span_eq(id, expected);
}

static bool is_of_path(const json *document, struct span client_id)
{
    struct span module = hub_identity_module(client_id);

    return is_id(document, "deviceId", hub_identity_device(client_id)) &&
           (span_is_absent(module) || is_id(document, "moduleId", module));
}

/* Without If-Match it is to be made, with it to be there (section 3.2). */
static err read_put(struct http_call *call, const json *document, struct registry_change *c,
                    struct verdict *ret_verdict)
{
    struct core_match match;

    TRY(http_call_if_match(call, &match));
    c->mode = match.is_given ? REGISTRY_UPDATE : REGISTRY_CREATE;
    if (!is_of_path(document, c->given.device_id)) {
        *ret_verdict = verdict_invalid("The ID in the body is not the ID in the "
                                       "path.");
        return OK;
    }
    c->if_etag = hub_identity_json_match(&match);
    TRY(hub_identity_json_read(call->env, document, &c->given, ret_verdict));
    if (verdict_is_granted(*ret_verdict)) {
        TRY(hub_registry_prepare(call->env, c));
        *ret_verdict = c->verdict;
    }
    return OK;
}

static err run(struct http_call *call, struct registry_change *c, struct verdict *ret_verdict)
{
    TRY(hub_registry_run(call->env, call->service->bus, c, 1));
    *ret_verdict = c->verdict;
    return OK;
}

err hub_identity_http_put(struct http_call *call)
{
    AUTO(json) json *document = NULL;
    struct registry_change c = { 0 };
    struct hub_standing standing;
    struct hub hub;
    struct verdict v;

    TRY(http_call_authorize_hub(call, RIGHT_REGISTRY_WRITE, &hub, &v));
    if (verdict_is_granted(v)) {
        c.given.hub = hub.host_name;
        TRY(hub_http_client_id(call, &c.given.device_id, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(http_call_body_object(call, false, &document, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(read_put(call, document, &c, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(run(call, &c, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    TRY(hub_identity_standing_now(call->env, call->service->bus, &c.device, &standing));
    return answer(call, &c.device, &standing);
}

static err read_delete(struct http_call *call, struct registry_change *c,
                       struct verdict *ret_verdict)
{
    struct core_match match;

    c->mode = REGISTRY_DELETE;
    TRY(http_call_if_match(call, &match));
    if (!match.is_given) {
        *ret_verdict = VERDICT(ETAG_MISSING);
        return OK;
    }
    c->if_etag = hub_identity_json_match(&match);
    TRY(hub_registry_prepare(call->env, c));
    *ret_verdict = c->verdict;
    return OK;
}

err hub_identity_http_delete(struct http_call *call)
{
    struct registry_change c = { 0 };
    struct hub hub;
    struct verdict v;

    TRY(http_call_authorize_hub(call, RIGHT_REGISTRY_WRITE, &hub, &v));
    if (verdict_is_granted(v)) {
        c.given.hub = hub.host_name;
        TRY(hub_http_client_id(call, &c.given.device_id, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(read_delete(call, &c, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(run(call, &c, &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    call->status = 204;
    return OK;
}

/* ---- statistics ---- */

err hub_identity_http_count_devices(struct http_call *call)
{
    struct buf out = arena_buf(call->env->arena);
    struct json_writer w = json_writer_over(&out);
    struct registry_count count;
    struct hub hub;
    struct span text;
    struct verdict v;

    TRY(http_call_authorize_hub(call, RIGHT_REGISTRY_READ, &hub, &v));
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    TRY(hub_registry_count(call->env, hub.host_name, &count));
    out = arena_buf(call->env->arena);
    json_write_begin_object(&w, NULL);
    json_write_int(&w, "totalDeviceCount", count.devices);
    json_write_int(&w, "enabledDeviceCount", count.devices - count.disabled);
    json_write_int(&w, "disabledDeviceCount", count.disabled);
    json_write_end_object(&w);
    TRY(arena_buf_end(call->env->arena, &out, &text));
    return http_call_json(call, 200, text);
}

err hub_identity_http_count_connected(struct http_call *call)
{
    struct hub hub;
    struct span text;
    struct verdict v;

    TRY(http_call_authorize_hub(call, RIGHT_REGISTRY_READ, &hub, &v));
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    TRY(arena_printf(call->env->arena, &text, "{\"connectedDeviceCount\":%zu}",
                     bus_count_devices(call->service->bus, hub.host_name)));
    return http_call_json(call, 200, text);
}
