/* api/hub_twin_json.c: prints twins. Sections are stored as JSON text, to which versions and
 * metadata are added on the way out. */
#include "api/hub_twin_json.h"

#include "util/base64.h"
#include "util/cursor.h"

enum { ETAG_BYTES = 8 };

static const char never[] = "0001-01-01T00:00:00Z";

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

/* A section that nothing was ever written to has the metadata of its birth. */
static void write_metadata(struct json_writer *w, struct span metadata, int64_t created_ms)
{
    if (span_is_absent(metadata)) {
        json_write_begin_object(w, "$metadata");
        json_write_time(w, "$lastUpdated", created_ms);
        json_write_end_object(w);
    } else {
        json_write_raw_if(w, "$metadata", metadata);
    }
}

static void write_section(struct json_writer *w, const char *name, struct span values,
                          struct span metadata, const struct device *d, int64_t version)
{
    begin_stored(w, name, values);
    write_metadata(w, metadata, d->created_ms);
    json_write_int(w, "$version", version);
    json_write_end_object(w);
}

const char *hub_twin_json_auth_word(enum device_auth auth)
{
    switch (auth) {
    case DEVICE_AUTH_SELF_SIGNED:
        return "selfSigned";
    case DEVICE_AUTH_CERTIFICATE_AUTHORITY:
        return "certificateAuthority";
    default:
        return "sas";
    }
}

void hub_twin_json_etag(int64_t etag, struct buf *out)
{
    uint8_t bytes[ETAG_BYTES];
    struct buf counter = buf_over(bytes, sizeof(bytes));

    buf_add_u32(&counter, (uint32_t)((uint64_t)etag >> 32));
    buf_add_u32(&counter, (uint32_t)etag);
    base64_encode(buf_span(&counter), out);
}

bool hub_twin_json_parse_etag(struct span text, int64_t *ret_etag)
{
    uint8_t bytes[ETAG_BYTES];
    struct buf counter = buf_over(bytes, sizeof(bytes));
    struct cursor c;
    uint64_t high;

    if (!err_is_ok(base64_decode(text, &counter)) || counter.len != ETAG_BYTES) {
        return false;
    }
    c = cursor_over(buf_span(&counter));
    high = cursor_u32(&c);
    *ret_etag = (int64_t)(high << 32 | cursor_u32(&c));
    return *ret_etag >= 0;
}

static void write_text_or_null(struct json_writer *w, const char *name, struct span text)
{
    if (span_is_absent(text)) {
        json_write_null(w, name);
    } else {
        json_write_text(w, name, text);
    }
}

static void write_identity(struct bus *bus, const struct device *d, struct json_writer *w)
{
    bool is_connected = bus_is_connected(bus, d->hub, d->device_id);

    json_write_str(w, "status", d->status == DEVICE_ENABLED ? "enabled" : "disabled");
    json_write_text_if(w, "statusReason", d->status_reason);
    if (d->status_updated_ms == 0) {
        json_write_str(w, "statusUpdateTime", never);
    } else {
        json_write_time(w, "statusUpdateTime", d->status_updated_ms);
    }
    json_write_str(w, "connectionState", is_connected ? "Connected" : "Disconnected");
    json_write_str(w, "lastActivityTime", never);
    json_write_int(w, "cloudToDeviceMessageCount", 0);
    json_write_str(w, "authenticationType", hub_twin_json_auth_word(d->auth));
    json_write_begin_object(w, "x509Thumbprint");
    write_text_or_null(w, "primaryThumbprint", d->primary_thumbprint);
    write_text_or_null(w, "secondaryThumbprint", d->secondary_thumbprint);
    json_write_end_object(w);
    json_write_str(w, "modelId", "");
}

/* Members in the order of the real hub. */
void hub_twin_json_write(struct bus *bus, const struct device *d, struct json_writer *w)
{
    uint8_t twin_room[32], identity_room[48], digits_room[24];
    struct buf twin_etag = buf_over(twin_room, sizeof(twin_room));
    struct buf identity_etag = buf_over(identity_room, sizeof(identity_room));
    struct buf digits = buf_over(digits_room, sizeof(digits_room));

    hub_twin_json_etag(d->twin_etag, &twin_etag);
    buf_add_int(&digits, d->etag);
    base64_encode(buf_span(&digits), &identity_etag);
    json_write_begin_object(w, NULL);
    json_write_text(w, "deviceId", d->device_id);
    json_write_text(w, "etag", buf_span(&twin_etag));
    json_write_text(w, "deviceEtag", buf_span(&identity_etag));
    write_identity(bus, d, w);
    json_write_int(w, "version", d->version);
    if (d->tags.len > 2) {
        json_write_raw_if(w, "tags", d->tags);
    }
    json_write_begin_object(w, "properties");
    write_section(w, "desired", d->desired, d->desired_metadata, d, d->desired_version);
    write_section(w, "reported", d->reported, d->reported_metadata, d, d->reported_version);
    json_write_end_object(w);
    json_write_begin_object(w, "capabilities");
    json_write_bool(w, "iotEdge", d->iot_edge != 0);
    json_write_end_object(w);
    json_write_end_object(w);
}
