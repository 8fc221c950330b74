/* api/manage_link.c: the hubs linked to the operator's own instance, in the shape of ARM's iotHubs
 * (reference dps-service-api.md 8.2). A connection string is shown with its key masked. */
#include "api/manage_http.h"
#include "core/link.h"
#include "core/placements.h"
#include "util/connection_string.h"

#define MASK "****"

enum { UDEG = 1000 * 1000 };

static err mask(struct http_call *call, struct span text, struct span *ret_masked)
{
    struct connection_string parts;

    *ret_masked = SPAN_NONE;
    if (span_is_absent(text) || !err_is_ok(connection_string_parse(text, &parts))) {
        return OK;
    }
    return arena_printf(call->env->arena, ret_masked,
                        "HostName=%.*s;SharedAccessKeyName=%.*s;SharedAccessKey=" MASK,
                        SPAN_FMT(parts.host), SPAN_FMT(parts.policy));
}

static void write_degrees(struct json_writer *w, const char *name, int64_t udeg)
{
    json_write_number(w, name,
                      (struct json_number){ .is_integer = udeg % UDEG == 0,
                                            .integer = udeg / UDEG,
                                            .real = (double)udeg / UDEG });
}

/* devices: how many registrations of the instance have there; negative: not said. */
static err write_with(struct http_call *call, const struct linked_hub *link, int64_t devices,
                      struct json_writer *w)
{
    struct span masked;

    TRY(mask(call, link->connection_string, &masked));
    json_write_begin_object(w, NULL);
    json_write_text(w, "name", link->host_name);
    json_write_text_if(w, "connectionString", masked);
    json_write_bool(w, "isRemote", link->is_remote != 0);
    json_write_text_if(w, "address", link->address);
    json_write_text_if(w, "ca", link->ca);
    json_write_text_if(w, "location", link->location);
    if (link->has_coordinates) {
        write_degrees(w, "latitude", link->latitude_udeg);
        write_degrees(w, "longitude", link->longitude_udeg);
    }
    json_write_int(w, "allocationWeight", link->weight);
    json_write_bool(w, "applyAllocationPolicy", link->apply_allocation_policy != 0);
    json_write_bool(w, "draining", link->is_draining != 0);
    if (devices >= 0) {
        json_write_int(w, "devices", devices);
    }
    json_write_end_object(w);
    return OK;
}

err manage_link_write(struct http_call *call, const struct linked_hub *link, struct json_writer *w)
{
    return write_with(call, link, -1, w);
}

static err write_counted(struct http_call *call, const struct linked_hub *link,
                         struct json_writer *w)
{
    int64_t devices;

    TRY(core_placements_count(call->env, link->id_scope, link->host_name, &devices));
    return write_with(call, link, devices, w);
}

err manage_link_answer(struct http_call *call, const struct linked_hub *link, struct verdict v)
{
    struct buf out;
    struct json_writer w = json_writer_over(&out);

    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    out = http_call_body_room(call);
    TRY(write_counted(call, link, &w));
    TRY(buf_ok(&out));
    return http_call_json(call, 200, buf_span(&out));
}

static err write_all(struct http_call *call, const struct instance *instance, struct json_writer *w)
{
    struct linked_hub *rows = NULL;
    size_t n = 0;

    TRY(core_link_list(call->env, instance->id_scope, &rows, &n));
    for (size_t i = 0; i < n; i++) {
        TRY(write_counted(call, &rows[i], w));
    }
    return OK;
}

err manage_link_list(struct http_call *call)
{
    return manage_answer_list(call, write_all);
}

err manage_link_get(struct http_call *call)
{
    struct instance instance;
    struct linked_hub link;
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(core_link_get(call->env, instance.id_scope, call->params[0], &link, &v));
    }
    return manage_link_answer(call, &link, v);
}

/* Degrees as decimals, to a millionth. Far outside of any range is as wrong as just outside. */
static err read_degrees(const json *document, const char *name, int64_t *ret_udeg, int *n_given)
{
    const json *v = json_member(document, name);
    struct json_number number;

    if (v == NULL || json_is_null(v)) {
        return OK;
    }
    if (!json_find_number(v, &number)) {
        return err_set(ERR_MALFORMED, "%s is not a number", name);
    }
    if (number.is_integer) {
        number.real = (double)number.integer;
    }
    if (!(number.real >= -1000 && number.real <= 1000)) {
        return err_set(ERR_MALFORMED, "%s is out of range", name);
    }
    *ret_udeg = (int64_t)(number.real * UDEG + (number.real < 0 ? -0.5 : 0.5));
    ++*n_given;
    return OK;
}

static err read_coordinates(const json *document, struct linked_hub *link)
{
    int n = 0;

    TRY(read_degrees(document, "latitude", &link->latitude_udeg, &n));
    TRY(read_degrees(document, "longitude", &link->longitude_udeg, &n));
    link->has_coordinates = n == 2;
    return n == 1 ? err_set(ERR_MALFORMED, "latitude and longitude go together") : OK;
}

static err read_way(const json *document, struct linked_hub *link)
{
    TRY(json_get_text(document, "address", &link->address));
    TRY(json_get_text(document, "ca", &link->ca));
    link->address = span_is_empty(link->address) ? SPAN_NONE : link->address;
    link->ca = span_is_empty(link->ca) ? SPAN_NONE : link->ca;
    return read_coordinates(document, link);
}

static err read_link(struct http_call *call, const json *document, struct linked_hub *link,
                     struct verdict *ret_verdict)
{
    bool apply = true;
    err e = json_get_text(document, "connectionString", &link->connection_string);

    if (err_is_ok(e)) {
        e = json_get_text(document, "location", &link->location);
    }
    if (err_is_ok(e)) {
        e = json_get_int(document, "allocationWeight", &link->weight);
    }
    if (err_is_ok(e)) {
        e = json_get_bool(document, "applyAllocationPolicy", &apply);
    }
    if (err_is_ok(e)) {
        e = read_way(document, link);
    }
    link->apply_allocation_policy = apply;
    /* What was shown may be sent back. */
    if (span_is_empty(link->connection_string) ||
        span_ends_with(link->connection_string, SPAN("SharedAccessKey=" MASK))) {
        link->connection_string = SPAN_NONE;
    }
    return manage_refuse_member(call, e, ret_verdict);
}

err manage_link_put(struct http_call *call)
{
    AUTO(json) json *document = NULL;
    struct instance instance;
    struct linked_hub link = { .host_name = call->params[0], .weight = 1 };
    struct verdict v;

    TRY(manage_begin_change(call, &instance, &document, &v));
    if (verdict_is_granted(v)) {
        link.id_scope = instance.id_scope;
        TRY(read_link(call, document, &link, &v));
    }
    if (verdict_is_granted(v)) {
        TRY(core_link_put(call->env, &link, CORE_LINK_ASKED, &link, &v));
    }
    return manage_link_answer(call, &link, v);
}

err manage_link_delete(struct http_call *call)
{
    struct instance instance;
    struct verdict v;

    TRY(http_call_authorize_instance(call, RIGHT_SERVICE_CONFIG, &instance, &v));
    if (verdict_is_granted(v)) {
        TRY(core_link_delete(call->env, instance.id_scope, call->params[0], &v));
    }
    if (!verdict_is_granted(v)) {
        return http_call_refuse(call, v);
    }
    call->status = 204;
    return OK;
}
