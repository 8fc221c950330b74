/* remote/hub_json.c: prints what provisioning places, reads what is there. What a hub adds to a
 * twin ($metadata, $version) is its own and never sent to another. */
#include "remote/hub_json.h"

#include "model/limits.h"
#include "util/base64.h"
#include "json/writer.h"

/* ---- sections of a twin ---- */

static bool is_hubs_own(const char *name)
{
    return strcmp(name, "$metadata") == 0 || strcmp(name, "$version") == 0;
}

static bool is_empty_section(json *section)
{
    for (struct json_iter it = json_first(section); it.name != NULL; json_next(&it)) {
        if (!is_hubs_own(it.name)) {
            return false;
        }
    }
    return true;
}

static bool keeps_twin(const struct placement *p)
{
    return p->keeps_twin && p->carried != NULL;
}

bool remote_hub_json_has_twin(const struct placement *p)
{
    return keeps_twin(p) || !span_is_absent(p->initial_twin);
}

bool remote_hub_json_has_reported(const struct placement *p)
{
    AUTO(json) json *reported = NULL;

    return keeps_twin(p) && !span_is_absent(p->carried->reported) &&
           err_is_ok(json_parse(p->carried->reported, LIMIT_JSON_DEPTH, &reported)) &&
           !is_empty_section(reported);
}

/* Who was barred where it comes from is not let in here. */
static bool is_barred(const struct placement *p)
{
    return p->carried != NULL && p->carried->status == DEVICE_DISABLED;
}

static bool is_edge(const struct placement *p)
{
    return (keeps_twin(p) ? p->carried->iot_edge : p->iot_edge) != 0;
}

/* ---- printing ---- */

static void write_key(struct json_writer *w, const char *name, struct span key)
{
    if (span_is_absent(key)) { /* the hub makes one */
        json_write_str(w, name, "");
    } else {
        json_write_base64(w, name, key);
    }
}

/* A hub takes both keys or none, and both thumbprints alike. */
static void write_authentication(struct json_writer *w, const struct placement *p)
{
    json_write_begin_object(w, "authentication");
    if (p->auth == DEVICE_AUTH_SAS) {
        json_write_str(w, "type", "sas");
        json_write_begin_object(w, "symmetricKey");
        write_key(w, "primaryKey", p->primary_key);
        write_key(w, "secondaryKey",
                  span_is_absent(p->secondary_key) ? p->primary_key : p->secondary_key);
    } else {
        json_write_str(w, "type", "selfSigned");
        json_write_begin_object(w, "x509Thumbprint");
        json_write_text_if(w, "primaryThumbprint", p->primary_thumbprint);
        json_write_text_if(w, "secondaryThumbprint", p->secondary_thumbprint);
    }
    json_write_end_object(w);
    json_write_end_object(w);
}

static void write_capabilities(struct json_writer *w, bool is_edge)
{
    json_write_begin_object(w, "capabilities");
    json_write_bool(w, "iotEdge", is_edge);
    json_write_end_object(w);
}

static void write_barred(struct json_writer *w, const struct placement *p)
{
    json_write_str(w, "status", "disabled");
    json_write_text_if(w, "statusReason", p->carried->status_reason);
}

static void write_new(struct json_writer *w, const struct placement *p, const char *id_name)
{
    json_write_text(w, id_name, p->device_id);
    if (is_barred(p)) {
        write_barred(w, p);
    } else {
        json_write_str(w, "status", "enabled");
    }
    write_authentication(w, p);
    write_capabilities(w, is_edge(p));
}

static void write_section(struct json_writer *w, const char *name, const json *section)
{
    if (section != NULL && !json_is_null(section)) {
        json_write_value(w, name, section);
    }
}

/* Without what is a hub's own; nothing when it is absent. */
static err write_carried_section(struct json_writer *w, const char *name, struct span text)
{
    AUTO(json) json *section = NULL;

    if (span_is_absent(text)) {
        return OK;
    }
    TRY(json_parse(text, LIMIT_JSON_DEPTH, &section));
    json_write_begin_object(w, name);
    for (struct json_iter it = json_first(section); it.name != NULL; json_next(&it)) {
        if (!is_hubs_own(it.name)) {
            json_write_name(w, span_str(it.name));
            json_write_value(w, NULL, it.value);
        }
    }
    json_write_end_object(w);
    return OK;
}

static err write_carried(struct json_writer *w, const struct device_state *s, bool with_reported)
{
    TRY(write_carried_section(w, "tags", s->tags));
    json_write_begin_object(w, "properties");
    TRY(write_carried_section(w, "desired", s->desired));
    if (with_reported) {
        TRY(write_carried_section(w, "reported", s->reported));
    }
    json_write_end_object(w);
    return OK;
}

static err write_initial(struct json_writer *w, struct span text)
{
    AUTO(json) json *twin = NULL;

    if (!span_is_absent(text)) {
        TRY(json_parse(text, LIMIT_JSON_DEPTH, &twin));
    }
    write_section(w, "tags", json_member(twin, "tags"));
    json_write_begin_object(w, "properties");
    write_section(w, "desired", json_member(json_member(twin, "properties"), "desired"));
    json_write_end_object(w);
    return OK;
}

static err write_twin(struct json_writer *w, const struct placement *p, bool with_reported)
{
    return keeps_twin(p) ? write_carried(w, p->carried, with_reported)
                         : write_initial(w, p->initial_twin);
}

err remote_hub_json_new(struct arena *arena, const struct placement *p, struct span *ret_body)
{
    struct buf out = arena_buf(arena);
    struct json_writer w = json_writer_over(&out);

    json_write_begin_object(&w, NULL);
    write_new(&w, p, "deviceId");
    json_write_end_object(&w);
    return arena_buf_end(arena, &out, ret_body);
}

err remote_hub_json_bulk(struct arena *arena, const struct placement *p, bool with_reported,
                         struct span *ret_body)
{
    struct buf out = arena_buf(arena);
    struct json_writer w = json_writer_over(&out);

    json_write_begin_array(&w, NULL);
    json_write_begin_object(&w, NULL);
    json_write_str(&w, "importMode", "create");
    write_new(&w, p, "id");
    TRY(write_twin(&w, p, with_reported));
    json_write_end_object(&w);
    json_write_end_array(&w);
    return arena_buf_end(arena, &out, ret_body);
}

static void write_kept(struct json_writer *w, const json *device, const char *const *names,
                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        write_section(w, names[i], json_member(device, names[i]));
    }
}

err remote_hub_json_changed(struct arena *arena, const struct placement *p, const json *device,
                            struct span *ret_body)
{
    static const char *const standing[] = { "status", "statusReason" };
    static const char *const scopes[] = { "deviceScope", "parentScopes" };
    struct buf out = arena_buf(arena);
    struct json_writer w = json_writer_over(&out);

    json_write_begin_object(&w, NULL);
    json_write_text(&w, "deviceId", p->device_id);
    if (is_barred(p)) {
        write_barred(&w, p);
    } else {
        write_kept(&w, device, standing, sizeof standing / sizeof *standing);
    }
    write_kept(&w, device, scopes, sizeof scopes / sizeof *scopes);
    write_authentication(&w, p);
    if (p->reset_twin) {
        write_capabilities(&w, is_edge(p));
    } else {
        write_section(&w, "capabilities", json_member(device, "capabilities"));
    }
    json_write_end_object(&w);
    return arena_buf_end(arena, &out, ret_body);
}

err remote_hub_json_twin(struct arena *arena, const struct placement *p, struct span *ret_body)
{
    struct buf out = arena_buf(arena);
    struct json_writer w = json_writer_over(&out);

    json_write_begin_object(&w, NULL);
    TRY(write_twin(&w, p, false));
    json_write_end_object(&w);
    return arena_buf_end(arena, &out, ret_body);
}

/* ---- reading ---- */

static bool is_key(const json *keys, const char *name, struct span key)
{
    uint8_t bytes[LIMIT_SYMMETRIC_KEY + 1];
    struct buf there = buf_over(bytes, sizeof(bytes));

    return err_is_ok(base64_decode(json_text(json_member(keys, name)), &there)) &&
           span_eq(buf_span(&there), key);
}

static bool is_thumbprint(const json *thumbprints, const char *name, struct span thumbprint)
{
    struct span there = json_text(json_member(thumbprints, name));

    return span_is_empty(there) == span_is_empty(thumbprint) && span_eq_nocase(there, thumbprint);
}

static bool is_credential(const struct placement *p, const json *a)
{
    const json *keys = json_member(a, "symmetricKey");
    const json *thumbprints = json_member(a, "x509Thumbprint");
    const char *type = p->auth == DEVICE_AUTH_SAS ? "sas" : "selfSigned";

    if (!span_eq_nocase(json_text(json_member(a, "type")), span_str(type))) {
        return false;
    }
    if (p->auth != DEVICE_AUTH_SAS) {
        return is_thumbprint(thumbprints, "primaryThumbprint", p->primary_thumbprint) &&
               is_thumbprint(thumbprints, "secondaryThumbprint", p->secondary_thumbprint);
    }
    return span_is_absent(p->primary_key) ||
           (is_key(keys, "primaryKey", p->primary_key) &&
            is_key(keys, "secondaryKey",
                   span_is_absent(p->secondary_key) ? p->primary_key : p->secondary_key));
}

static bool is_disabled(const json *device)
{
    return span_eq_nocase(json_text(json_member(device, "status")), SPAN("disabled"));
}

bool remote_hub_json_is_same(const struct placement *p, const json *device)
{
    bool was_edge = false;

    (void)json_find_bool(json_member(json_member(device, "capabilities"), "iotEdge"), &was_edge);
    return is_credential(p, json_member(device, "authentication")) &&
           (!p->reset_twin || was_edge == is_edge(p)) && (!is_barred(p) || is_disabled(device));
}

/* As the hub shows it, but for what it says of each member; absent when there is nothing in it. */
static err print_section(struct arena *arena, json *section, struct span *ret_text)
{
    struct buf out = arena_buf(arena);
    struct json_writer w = json_writer_over(&out);
    size_t n = 0;

    json_write_begin_object(&w, NULL);
    for (struct json_iter it = json_first(section); it.name != NULL; json_next(&it)) {
        if (strcmp(it.name, "$metadata") != 0) {
            json_write_name(&w, span_str(it.name));
            json_write_value(&w, NULL, it.value);
            n++;
        }
    }
    json_write_end_object(&w);
    *ret_text = SPAN_NONE;
    return n > 0 ? arena_buf_end(arena, &out, ret_text) : OK;
}

err remote_hub_json_state(struct arena *arena, const json *twin, struct device_state *ret_state)
{
    const json *properties = json_member(twin, "properties");
    struct device_state s = { .iot_edge = 0 };
    bool was_edge = false;

    (void)json_find_bool(json_member(json_member(twin, "capabilities"), "iotEdge"), &was_edge);
    s.iot_edge = was_edge;
    s.status = is_disabled(twin) ? DEVICE_DISABLED : DEVICE_ENABLED;
    TRY(arena_copy(arena, json_text(json_member(twin, "statusReason")), &s.status_reason));
    TRY(print_section(arena, json_member(twin, "tags"), &s.tags));
    TRY(print_section(arena, json_member(properties, "desired"), &s.desired));
    TRY(print_section(arena, json_member(properties, "reported"), &s.reported));
    *ret_state = s;
    return OK;
}
