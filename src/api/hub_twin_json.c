/* api/hub_twin_json.c: prints twins. Sections are stored as JSON text, to which versions and
 * metadata are added on the way out. */
#include "api/hub_twin_json.h"

#include "api/hub_identity_json.h"
#include "core/enrollment.h"
#include "hub/twin.h"
#include "util/base64.h"
#include "util/cursor.h"

enum { ETAG_BYTES = 8 };

/* Stored JSON text of an object without its closing brace; the writer is inside the object then. */
static void begin_stored(struct json_writer *w, const char *name, struct span object)
{
    json_write_begin_object(w, name);
    if (object.len > 2) {
        buf_add(w->out, span_of(object.data + 1, object.len - 2));
        w->need_comma = true;
    }
}

static void write_own_section(struct json_writer *w, const char *name, struct span values,
                              int64_t version)
{
    begin_stored(w, name, values);
    json_write_int(w, "$version", version);
    json_write_end_object(w);
}

void hub_twin_json_write_own(const struct device *d, struct json_writer *w)
{
    json_write_begin_object(w, NULL);
    write_own_section(w, "desired", d->desired, d->desired_version);
    write_own_section(w, "reported", d->reported, d->reported_version);
    json_write_end_object(w);
}

void hub_twin_json_write_metadata(struct span metadata, int64_t created_ms, const char *name,
                                  struct json_writer *w)
{
    if (span_is_absent(metadata)) {
        json_write_begin_object(w, name);
        json_write_time(w, "$lastUpdated", created_ms);
        json_write_end_object(w);
    } else {
        json_write_raw_if(w, name, metadata);
    }
}

static void write_section(struct json_writer *w, const char *name, struct span values,
                          struct span metadata, const struct device *d, int64_t version)
{
    begin_stored(w, name, values);
    hub_twin_json_write_metadata(metadata, d->created_ms, "$metadata", w);
    json_write_int(w, "$version", version);
    json_write_end_object(w);
}

void hub_twin_json_write_desired(const struct device *d, const char *name, struct json_writer *w)
{
    write_section(w, name, d->desired, d->desired_metadata, d, d->desired_version);
}

void hub_twin_json_write_reported(const struct device *d, const char *name, struct json_writer *w)
{
    write_section(w, name, d->reported, d->reported_metadata, d, d->reported_version);
}

void hub_twin_json_write_properties(const struct device *d, const char *name, struct json_writer *w)
{
    json_write_begin_object(w, name);
    hub_twin_json_write_desired(d, "desired", w);
    hub_twin_json_write_reported(d, "reported", w);
    json_write_end_object(w);
}

static json *section_of(const json *object, const char *name)
{
    json *section = json_member(object, name);

    return json_is_null(section) ? NULL : section;
}

void hub_twin_json_read(const json *twin, struct hub_twin_change *change,
                        struct verdict *ret_verdict)
{
    const json *properties = section_of(twin, "properties");

    if (properties != NULL && !json_is_object(properties)) {
        *ret_verdict = verdict_invalid("properties is not a JSON object.");
        return;
    }
    change->tags = section_of(twin, "tags");
    change->desired = section_of(properties, "desired");
    change->reported = section_of(properties, "reported");
    *ret_verdict = VERDICT(GRANTED);
}

void hub_twin_json_etag(int64_t etag, struct buf *out)
{
    hub_twin_etag(etag, out);
}

int64_t hub_twin_json_match(const struct core_match *match)
{
    uint8_t bytes[ETAG_BYTES];
    struct buf counter = buf_over(bytes, sizeof(bytes));
    struct cursor c;
    uint64_t etag;

    if (!match->is_given || match->is_any) {
        return -1;
    }
    if (!err_is_ok(base64_decode(match->etag, &counter)) || counter.len != ETAG_BYTES) {
        return INT64_MAX;
    }
    c = cursor_over(buf_span(&counter));
    etag = (uint64_t)cursor_u32(&c) << 32;
    etag |= cursor_u32(&c);
    return etag < INT64_MAX ? (int64_t)etag : INT64_MAX;
}

static void write_identity(const struct device *d, const struct hub_standing *s,
                           struct json_writer *w)
{
    json_write_str(w, "status", d->status == DEVICE_ENABLED ? "enabled" : "disabled");
    json_write_text_if(w, "statusReason", d->status_reason);
    hub_identity_json_write_time(w, "statusUpdateTime", d->status_updated_ms);
    json_write_str(w, "connectionState", s->is_connected ? "Connected" : "Disconnected");
    hub_identity_json_write_time(w, "lastActivityTime", s->last_activity_ms);
    json_write_int(w, "cloudToDeviceMessageCount", s->c2d_messages);
    json_write_str(w, "authenticationType", hub_identity_json_auth_word(d->auth));
    hub_identity_json_write_thumbprints(d, w);
    json_write_text(w, "modelId", span_is_absent(d->model_id) ? SPAN("") : d->model_id);
}

static void write_etags(const struct device *d, struct json_writer *w)
{
    uint8_t twin_room[32], identity_room[48];
    struct buf twin_etag = buf_over(twin_room, sizeof(twin_room));
    struct buf identity_etag = buf_over(identity_room, sizeof(identity_room));

    hub_twin_json_etag(d->twin_etag, &twin_etag);
    hub_identity_json_etag(d->etag, &identity_etag);
    json_write_text(w, "etag", buf_span(&twin_etag));
    json_write_text(w, "deviceEtag", buf_span(&identity_etag));
}

/* Members in the order of the real hub. */
void hub_twin_json_write(const struct device *d, const struct hub_standing *s,
                         struct json_writer *w)
{
    json_write_begin_object(w, NULL);
    json_write_text(w, "deviceId", hub_identity_device(d->device_id));
    json_write_text_if(w, "moduleId", hub_identity_module(d->device_id));
    write_etags(d, w);
    write_identity(d, s, w);
    json_write_int(w, "version", d->version);
    if (d->tags.len > 2) {
        json_write_raw_if(w, "tags", d->tags);
    }
    hub_twin_json_write_properties(d, "properties", w);
    json_write_begin_object(w, "capabilities");
    json_write_bool(w, "iotEdge", d->iot_edge != 0);
    json_write_end_object(w);
    hub_identity_json_write_scopes(d, w);
    json_write_end_object(w);
}
