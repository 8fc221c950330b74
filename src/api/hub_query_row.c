/* api/hub_query_row.c: one table of all that can be named in a twin. A member is absent exactly
 * when hub_twin_json.c leaves it out. Keys are in no twin, so none can be asked for. */
#include "api/hub_query_row.h"

#include "api/hub_identity_json.h"
#include "api/hub_twin_json.h"
#include "hub/identity.h"
#include "hub/twin.h"

enum { DEVICES = 1 << HUB_QUERY_DEVICES, MODULES = 1 << HUB_QUERY_MODULES };
enum { TWINS = DEVICES | MODULES, JOBS = 1 << HUB_QUERY_JOBS };
enum document { TAGS, DESIRED, REPORTED, DESIRED_METADATA, REPORTED_METADATA, PARENT_SCOPES };

/* When what never happened happened: 0001-01-01T00:00:00Z. */
static const int64_t NEVER_MS = INT64_C(-62135596800000);

static const struct device *device_of(const struct query_row *row)
{
    return ((const struct hub_query_record *)row->record)->device;
}

static struct query_value undefined(void)
{
    return query_row_of_text(SPAN_NONE);
}

static struct query_value time_or_never(int64_t time_ms)
{
    return query_row_of_time(time_ms == 0 ? NEVER_MS : time_ms);
}

static err read_standing(struct query_row *row, struct hub_standing *ret_standing)
{
    const struct hub_query_record *r = row->record;

    return hub_identity_standing(r->tx, r->bus, r->device, row->env->arena, ret_standing);
}

/* ---- values ---- */

#define READ(name, expression)                                                                     \
    static err read_##name(struct query_row *row, const struct query_member *m,                    \
                           struct query_value *ret_value)                                          \
    {                                                                                              \
        (void)m;                                                                                   \
        *ret_value = (expression);                                                                 \
        return OK;                                                                                 \
    }

READ(nothing, ((void)row, undefined()))
READ(whole, ((void)row, (struct query_value){ .type = QUERY_VALUE_OBJECT }))
READ(device_id, query_row_of_text(hub_identity_device(device_of(row)->device_id)))
READ(module_id, query_row_of_text(hub_identity_module(device_of(row)->device_id)))
READ(status, query_row_of_text(device_of(row)->status == DEVICE_ENABLED ? SPAN("enabled")
                                                                        : SPAN("disabled")))
READ(status_reason, query_row_of_text(device_of(row)->status_reason))
READ(status_updated, time_or_never(device_of(row)->status_updated_ms))
READ(auth, query_row_of_text(span_str(hub_identity_json_auth_word(device_of(row)->auth))))
READ(version, query_row_of_int(device_of(row)->version))
READ(desired_version, query_row_of_int(device_of(row)->desired_version))
READ(reported_version, query_row_of_int(device_of(row)->reported_version))
READ(edge, query_row_of_bool(device_of(row)->iot_edge != 0))
READ(model, query_row_of_text(span_is_absent(device_of(row)->model_id) ? SPAN("")
                                                                       : device_of(row)->model_id))

static struct query_value text_or_null(struct span text)
{
    return span_is_absent(text) ? (struct query_value){ .type = QUERY_VALUE_NULL }
                                : query_row_of_text(text);
}
READ(primary_thumbprint, text_or_null(device_of(row)->primary_thumbprint))
READ(secondary_thumbprint, text_or_null(device_of(row)->secondary_thumbprint))

static err read_etag(struct query_row *row, const struct query_member *m,
                     struct query_value *ret_value)
{
    struct buf out = arena_buf(row->env->arena);
    struct span text;

    if (strcmp(m->name, "etag") == 0) {
        hub_twin_json_etag(device_of(row)->twin_etag, &out);
    } else {
        hub_identity_json_etag(device_of(row)->etag, &out);
    }
    TRY(arena_buf_end(row->env->arena, &out, &text));
    *ret_value = query_row_of_text(text);
    return OK;
}

static err read_connected(struct query_row *row, const struct query_member *m,
                          struct query_value *ret_value)
{
    const struct hub_query_record *r = row->record;

    (void)m;
    *ret_value = query_row_of_text(bus_is_connected(r->bus, r->device->hub, r->device->device_id)
                                       ? SPAN("Connected")
                                       : SPAN("Disconnected"));
    return OK;
}

static err read_activity(struct query_row *row, const struct query_member *m,
                         struct query_value *ret_value)
{
    struct hub_standing s;

    (void)m;
    TRY(read_standing(row, &s));
    *ret_value = time_or_never(s.last_activity_ms);
    return OK;
}

static err read_messages(struct query_row *row, const struct query_member *m,
                         struct query_value *ret_value)
{
    struct hub_standing s;

    (void)m;
    TRY(read_standing(row, &s));
    *ret_value = query_row_of_int(s.c2d_messages);
    return OK;
}

static err read_document(struct query_row *row, enum document which, struct span text,
                         struct query_value *ret_value)
{
    json *document;

    TRY(query_row_document(row, which, text, &document));
    *ret_value = query_row_of_json(document);
    return OK;
}

/* Empty tags are left out of twins. */
static err read_tags(struct query_row *row, const struct query_member *m,
                     struct query_value *ret_value)
{
    struct span tags = device_of(row)->tags;

    (void)m;
    return read_document(row, TAGS, tags.len > 2 ? tags : SPAN_NONE, ret_value);
}

/* Sections are there also when they hold nothing. */
static err read_desired(struct query_row *row, const struct query_member *m,
                        struct query_value *ret_value)
{
    struct span text = device_of(row)->desired;

    (void)m;
    return read_document(row, DESIRED, span_is_absent(text) ? SPAN("{}") : text, ret_value);
}

static err read_reported(struct query_row *row, const struct query_member *m,
                         struct query_value *ret_value)
{
    struct span text = device_of(row)->reported;

    (void)m;
    return read_document(row, REPORTED, span_is_absent(text) ? SPAN("{}") : text, ret_value);
}

/* As they are written: hub_twin_json.c makes those of sections that were never written to. */
static err metadata_of(struct query_row *row, bool is_reported, struct span *ret_text)
{
    struct device d = *device_of(row);
    struct buf out;
    struct json_writer w = json_writer_over(&out);
    struct span stored;

    TRY(hub_twin_complete(row->env->arena, &d));
    stored = is_reported ? d.reported_metadata : d.desired_metadata;
    if (!span_is_absent(stored)) {
        *ret_text = stored;
        return OK;
    }
    out = arena_buf(row->env->arena);
    hub_twin_json_write_metadata(stored, d.created_ms, NULL, &w);
    return arena_buf_end(row->env->arena, &out, ret_text);
}

static err read_metadata(struct query_row *row, const struct query_member *m,
                         struct query_value *ret_value)
{
    bool is_reported = strcmp(m->name, "properties.reported.$metadata") == 0;
    struct span text;

    TRY(metadata_of(row, is_reported, &text));
    return read_document(row, is_reported ? REPORTED_METADATA : DESIRED_METADATA, text, ret_value);
}

static err read_device_scope(struct query_row *row, const struct query_member *m,
                             struct query_value *ret_value)
{
    struct span scope = device_of(row)->device_scope;

    (void)m;
    if (device_of(row)->iot_edge) { /* its own (reference 3.1) */
        TRY(hub_identity_scope(device_of(row), row->env->arena, &scope));
    }
    *ret_value = query_row_of_text(scope);
    return OK;
}

static err read_parent_scopes(struct query_row *row, const struct query_member *m,
                              struct query_value *ret_value)
{
    (void)m;
    return read_document(row, PARENT_SCOPES, device_of(row)->parent_scopes, ret_value);
}

/* ---- objects that are made of columns, and times ---- */

static err write_thumbprints(struct query_row *row, const char *name, struct json_writer *w)
{
    struct query_value primary = text_or_null(device_of(row)->primary_thumbprint);
    struct query_value secondary = text_or_null(device_of(row)->secondary_thumbprint);

    json_write_begin_object(w, name);
    query_row_write_value(&primary, "primaryThumbprint", w);
    query_row_write_value(&secondary, "secondaryThumbprint", w);
    json_write_end_object(w);
    return OK;
}

static err write_capabilities(struct query_row *row, const char *name, struct json_writer *w)
{
    json_write_begin_object(w, name);
    json_write_bool(w, "iotEdge", device_of(row)->iot_edge != 0);
    json_write_end_object(w);
    return OK;
}

static err write_part(struct query_row *row, const char *name, struct json_writer *w,
                      void (*print)(const struct device *d, const char *name,
                                    struct json_writer *w))
{
    struct device d = *device_of(row);

    TRY(hub_twin_complete(row->env->arena, &d));
    print(&d, name, w);
    return OK;
}

static err write_properties(struct query_row *row, const char *name, struct json_writer *w)
{
    return write_part(row, name, w, hub_twin_json_write_properties);
}

static err write_desired(struct query_row *row, const char *name, struct json_writer *w)
{
    return write_part(row, name, w, hub_twin_json_write_desired);
}

static err write_reported(struct query_row *row, const char *name, struct json_writer *w)
{
    return write_part(row, name, w, hub_twin_json_write_reported);
}

static err write_status_updated(struct query_row *row, const char *name, struct json_writer *w)
{
    hub_identity_json_write_time(w, name, device_of(row)->status_updated_ms);
    return OK;
}

static err write_activity(struct query_row *row, const char *name, struct json_writer *w)
{
    struct hub_standing s;

    TRY(read_standing(row, &s));
    hub_identity_json_write_time(w, name, s.last_activity_ms);
    return OK;
}

err hub_query_row_write_whole(struct query_row *row, struct json_writer *w)
{
    struct device d = *device_of(row);
    struct hub_standing s;

    TRY(hub_twin_complete(row->env->arena, &d));
    TRY(read_standing(row, &s));
    hub_twin_json_write(&d, &s, w);
    return OK;
}

/* ---- the table ---- */

static const char *const status_words[] = { "enabled", "disabled", NULL };
static const char *const connection_words[] = { "Connected", "Disconnected", NULL };
static const char *const auth_words[] = { "sas", "selfSigned", "certificateAuthority", NULL };

/* clang-format off: one member a line */
#define T(name_, of_, read_)                                                                       \
    {                                                                                              \
        .name = name_, .of = of_, .type = QUERY_VALUE_TEXT, .read = read_                          \
    }
#define N(name_, of_, read_)                                                                       \
    {                                                                                              \
        .name = name_, .of = of_, .type = QUERY_VALUE_NUMBER, .read = read_                        \
    }
#define B(name_, of_, read_)                                                                       \
    {                                                                                              \
        .name = name_, .of = of_, .type = QUERY_VALUE_BOOL, .read = read_                          \
    }
#define LIST(name_, of_, read_)                                                                    \
    {                                                                                              \
        .name = name_, .of = of_, .type = QUERY_VALUE_LIST, .read = read_                          \
    }
#define WORD(name_, of_, read_, words_)                                                            \
    {                                                                                              \
        .name = name_, .of = of_, .type = QUERY_VALUE_TEXT, .is_caseless = true, .words = words_,  \
        .read = read_                                                                              \
    }
#define TIME(name_, of_, read_, write_)                                                            \
    {                                                                                              \
        .name = name_, .of = of_, .type = QUERY_VALUE_TIME, .read = read_, .write = write_         \
    }
#define MADE(name_, of_, write_)                                                                   \
    {                                                                                              \
        .name = name_, .of = of_, .type = QUERY_VALUE_OBJECT, .read = read_whole, .write = write_  \
    }
#define OPEN(name_, of_, read_, write_)                                                            \
    {                                                                                              \
        .name = name_, .of = of_, .type = QUERY_VALUE_OBJECT, .is_open = true, .read = read_,      \
        .write = write_                                                                            \
    }

static const struct query_member members[] = {
    T("deviceId", TWINS, read_device_id),
    T("moduleId", MODULES, read_module_id),
    T("etag", TWINS, read_etag),
    T("deviceEtag", TWINS, read_etag),
    WORD("status", TWINS, read_status, status_words),
    T("statusReason", TWINS, read_status_reason),
    TIME("statusUpdateTime", TWINS, read_status_updated, write_status_updated),
    WORD("connectionState", TWINS, read_connected, connection_words),
    TIME("lastActivityTime", TWINS, read_activity, write_activity),
    N("cloudToDeviceMessageCount", TWINS, read_messages),
    WORD("authenticationType", TWINS, read_auth, auth_words),
    MADE("x509Thumbprint", TWINS, write_thumbprints),
    T("x509Thumbprint.primaryThumbprint", TWINS, read_primary_thumbprint),
    T("x509Thumbprint.secondaryThumbprint", TWINS, read_secondary_thumbprint),
    T("modelId", TWINS, read_model),
    N("version", TWINS, read_version),
    OPEN("tags", TWINS, read_tags, NULL),
    MADE("properties", TWINS, write_properties),
    N("properties.desired.$version", TWINS, read_desired_version),
    OPEN("properties.desired.$metadata", TWINS, read_metadata, NULL),
    OPEN("properties.desired", TWINS, read_desired, write_desired),
    N("properties.reported.$version", TWINS, read_reported_version),
    OPEN("properties.reported.$metadata", TWINS, read_metadata, NULL),
    OPEN("properties.reported", TWINS, read_reported, write_reported),
    MADE("capabilities", TWINS, write_capabilities),
    B("capabilities.iotEdge", TWINS, read_edge),
    T("deviceScope", TWINS, read_device_scope),
    LIST("parentScopes", TWINS, read_parent_scopes),
    OPEN("configurations", TWINS, read_nothing, NULL),

    T("jobId", JOBS, read_nothing),
    T("jobType", JOBS, read_nothing),
    T("deviceId", JOBS, read_nothing),
    T("status", JOBS, read_nothing),
    T("startTimeUtc", JOBS, read_nothing),
    T("endTimeUtc", JOBS, read_nothing),
    T("createdDateTimeUtc", JOBS, read_nothing),
    T("lastUpdatedDateTimeUtc", JOBS, read_nothing),
    OPEN("outcome", JOBS, read_nothing, NULL),
    OPEN("error", JOBS, read_nothing, NULL),
};
/* clang-format on */
enum { MEMBERS = sizeof(members) / sizeof(members[0]) };

#define SCHEMA(from_, of_)                                                                         \
    {                                                                                              \
        .from = from_, .members = members, .n_members = MEMBERS, .of = of_, .is_hub = true         \
    }

static const struct query_schema devices = SCHEMA("devices", DEVICES);
static const struct query_schema modules = SCHEMA("devices.modules", MODULES);
static const struct query_schema jobs = SCHEMA("devices.jobs", JOBS);

const struct query_schema *const HUB_QUERY_SCHEMAS[HUB_QUERY_SOURCES] = {
    [HUB_QUERY_DEVICES] = &devices,
    [HUB_QUERY_MODULES] = &modules,
    [HUB_QUERY_JOBS] = &jobs,
};
