/* hub/event.c: builds the events that are not telemetry, and appends them. Knows their properties
 * and bodies; when something happened is its caller's to say. */
#include "hub/event.h"

#include <time.h>

#include "hub/identity.h"
#include "hub/twin.h"
#include "model/limits.h"
#include "json/writer.h"

enum { CONNECTION_ROOM = 4096 };

static const struct source {
    const char *word;
    const char *device_schema, *module_schema;
} sources[SINK_SOURCES] = {
    [SINK_TELEMETRY] = { "telemetry", NULL, NULL },
    [SINK_TWIN_CHANGE] = { "twinChangeEvents", "twinChangeNotification", "twinChangeNotification" },
    [SINK_DEVICE_LIFECYCLE] = { "deviceLifecycleEvents", "deviceLifecycleNotification",
                                "moduleLifecycleNotification" },
    [SINK_CONNECTION_STATE] = { "deviceConnectionStateEvents", "deviceConnectionStateNotification",
                                "moduleConnectionStateNotification" },
};

const char *hub_event_source_word(enum sink_source source)
{
    return sources[source].word;
}

bool hub_event_find_source(struct span word, enum sink_source *ret_source)
{
    for (size_t i = 0; i < SINK_SOURCES; i++) {
        if (span_eq_nocase(word, span_str(sources[i].word))) {
            *ret_source = (enum sink_source)i;
            return true;
        }
    }
    return false;
}

/* ---- properties ---- */

struct notice {
    enum sink_source source;
    const char *op;
    struct span hub, client_id;
    struct span generation_id;  /* or absent */
    struct span correlation_id; /* or absent */
    int64_t now_ms;
};

static void write_system(struct json_writer *w, const struct notice *n)
{
    json_write_begin_object(w, "system");
    json_write_text_if(w, "correlation-id", n->correlation_id);
    json_write_str(w, "content-type", "application/json");
    json_write_str(w, "content-encoding", "utf-8");
    json_write_text(w, "iothub-connection-device-id", hub_identity_device(n->client_id));
    json_write_text_if(w, "iothub-connection-module-id", hub_identity_module(n->client_id));
    json_write_text_if(w, "iothub-connection-auth-generation-id", n->generation_id);
    json_write_time(w, "iothub-enqueuedtime", n->now_ms);
    json_write_str(w, "iothub-message-source", sources[n->source].word);
    json_write_end_object(w);
}

/* hubName is the host name's first part: with Azure that is the hub's name. */
static void write_application(struct json_writer *w, const struct notice *n)
{
    const struct source *source = &sources[n->source];
    bool is_module = hub_identity_is_module(n->client_id);

    json_write_begin_object(w, "application");
    json_write_text(w, "hubName", span_first(n->hub, span_find(n->hub, '.')));
    json_write_text(w, "deviceId", hub_identity_device(n->client_id));
    json_write_text_if(w, "moduleId", hub_identity_module(n->client_id));
    json_write_str(w, "opType", n->op);
    json_write_time(w, "operationTimestamp", n->now_ms);
    json_write_str(w, "iothub-message-schema",
                   is_module ? source->module_schema : source->device_schema);
    json_write_end_object(w);
}

static void write_properties(const struct notice *n, struct buf *out)
{
    struct json_writer w = json_writer_over(out);

    json_write_begin_object(&w, NULL);
    write_system(&w, n);
    write_application(&w, n);
    json_write_end_object(&w);
}

static struct sink_event event_of(const struct notice *n, struct span properties, struct span body)
{
    return (struct sink_event){ .hub = n->hub,
                                .device_id = hub_identity_device(n->client_id),
                                .module_id = hub_identity_module(n->client_id),
                                .source = n->source,
                                .enqueued_ms = n->now_ms,
                                .properties = properties,
                                .body = body };
}

static struct notice notice_of(const struct env *env, const struct device *d,
                               enum sink_source source, const char *op)
{
    return (struct notice){ .source = source,
                            .op = op,
                            .hub = d->hub,
                            .client_id = d->device_id,
                            .generation_id = d->generation_id,
                            .correlation_id = env->tracking_id[0] != '\0'
                                                  ? span_str(env->tracking_id)
                                                  : SPAN_NONE,
                            .now_ms = env->now_ms };
}

static bool is_wanted(const struct env *env, enum sink_source source)
{
    return env->sink != NULL && sink_wants(env->sink, source);
}

static err finish_event(const struct env *env, const struct notice *n, struct buf *body,
                        struct sink_event *ret_event)
{
    struct span body_text, properties;
    struct buf out;

    TRY(arena_buf_end(env->arena, body, &body_text));
    out = arena_buf(env->arena);
    write_properties(n, &out);
    TRY(arena_buf_end(env->arena, &out, &properties));
    *ret_event = event_of(n, properties, body_text);
    return OK;
}

/* What it tells of cannot be undone: a full queue is waited for. */
static err append_durably(const struct env *env, struct sink_event *event)
{
    const struct timespec pause = { .tv_nsec = 1000000 };
    size_t mark = env->arena->used;
    err e = sink_append_wait(env->sink, env->arena, event, 1);

    for (int ms = 0; err_is(e, ERR_BUSY) && ms < LIMIT_APPEND_WAIT_MS; ms++) {
        (void)nanosleep(&pause, NULL);
        env->arena->used = mark;
        e = sink_append_wait(env->sink, env->arena, event, 1);
    }
    env->arena->used = mark;
    return e;
}

/* ---- lifecycle ---- */

static void begin_stored(struct json_writer *w, const char *name, struct span object)
{
    json_write_begin_object(w, name);
    if (object.len > 2) {
        buf_add(w->out, span_of(object.data + 1, object.len - 2));
        w->need_comma = true;
    }
}

/* The metadata of what was never written to is that of its birth. */
static void write_section(struct json_writer *w, const char *name, struct span values,
                          struct span metadata, int64_t version, const struct device *d)
{
    begin_stored(w, name, values);
    if (span_is_absent(metadata)) {
        json_write_begin_object(w, "$metadata");
        json_write_time(w, "$lastUpdated", d->created_ms);
        json_write_end_object(w);
    } else {
        json_write_raw_if(w, "$metadata", metadata);
    }
    json_write_int(w, "$version", version);
    json_write_end_object(w);
}

static void write_both_sections(struct json_writer *w, const struct device *d)
{
    json_write_begin_object(w, "properties");
    write_section(w, "desired", d->desired, d->desired_metadata, d->desired_version, d);
    write_section(w, "reported", d->reported, d->reported_metadata, d->reported_version, d);
    json_write_end_object(w);
}

static void write_twin(const struct device *d, struct buf *out)
{
    struct json_writer w = json_writer_over(out);
    uint8_t room[32];
    struct buf etag = buf_over(room, sizeof(room));

    hub_twin_etag(d->twin_etag, &etag);
    json_write_begin_object(&w, NULL);
    json_write_text(&w, "deviceId", hub_identity_device(d->device_id));
    json_write_text_if(&w, "moduleId", hub_identity_module(d->device_id));
    json_write_text(&w, "etag", buf_span(&etag));
    json_write_int(&w, "version", d->version);
    if (d->tags.len > 2) {
        json_write_raw_if(&w, "tags", d->tags);
    }
    write_both_sections(&w, d);
    json_write_end_object(&w);
}

static err make_lifecycle(const struct env *env, enum hub_event_op op, const struct device *d,
                          struct sink_event *ret_event)
{
    static const char *const ops[2][2] = {
        [HUB_EVENT_CREATED] = { "createDeviceIdentity", "createModuleIdentity" },
        [HUB_EVENT_DELETED] = { "deleteDeviceIdentity", "deleteModuleIdentity" },
    };
    struct notice n =
        notice_of(env, d, SINK_DEVICE_LIFECYCLE, ops[op][hub_identity_is_module(d->device_id)]);
    struct buf body = arena_buf(env->arena);

    write_twin(d, &body);
    return finish_event(env, &n, &body, ret_event);
}

static err append_soon(const struct env *env, struct sink_event *event)
{
    return sink_append_copy(env->sink, event);
}

static err tell_lifecycle(const struct env *env, enum hub_event_op op, const struct device *d,
                          err (*append)(const struct env *env, struct sink_event *event))
{
    size_t mark = env->arena->used;
    struct sink_event event;

    if (!is_wanted(env, SINK_DEVICE_LIFECYCLE)) {
        return OK;
    }
    TRY(make_lifecycle(env, op, d, &event));
    TRY(append(env, &event));
    env->arena->used = mark;
    return OK;
}

err hub_event_lifecycle(const struct env *env, enum hub_event_op op, const struct device *d)
{
    return tell_lifecycle(env, op, d, append_durably);
}

err hub_event_lifecycle_post(const struct env *env, enum hub_event_op op, const struct device *d)
{
    return tell_lifecycle(env, op, d, append_soon);
}

/* ---- twins ---- */

/* Members as they were written, but those that are the hub's to say. */
static void write_change(struct json_writer *w, const char *name, json *change, int64_t version,
                         int64_t now_ms)
{
    json_write_begin_object(w, name);
    for (struct json_iter it = json_first(change); it.name != NULL; json_next(&it)) {
        if (it.name[0] != '$') {
            json_write_name(w, span_str(it.name));
            json_write_value(w, NULL, it.value);
        }
    }
    if (version >= 0) {
        json_write_begin_object(w, "$metadata");
        json_write_time(w, "$lastUpdated", now_ms);
        json_write_end_object(w);
        json_write_int(w, "$version", version);
    }
    json_write_end_object(w);
}

static void write_sections(const struct device *now, const struct hub_event_sections *s,
                           int64_t now_ms, struct buf *out)
{
    struct json_writer w = json_writer_over(out);

    json_write_begin_object(&w, NULL);
    json_write_int(&w, "version", now->version);
    if (s->tags != NULL) {
        write_change(&w, "tags", s->tags, -1, now_ms);
    } else if (s->is_replace) {
        json_write_raw_if(&w, "tags", SPAN("{}"));
    }
    json_write_begin_object(&w, "properties");
    if (s->desired != NULL || s->is_replace) {
        write_change(&w, "desired", s->desired, now->desired_version, now_ms);
    }
    if (s->reported != NULL) {
        write_change(&w, "reported", s->reported, now->reported_version, now_ms);
    }
    json_write_end_object(&w);
    json_write_end_object(&w);
}

err hub_event_twin(const struct env *env, const struct device *now,
                   const struct hub_event_sections *sections)
{
    size_t mark = env->arena->used;
    struct notice n =
        notice_of(env, now, SINK_TWIN_CHANGE, sections->is_replace ? "replaceTwin" : "updateTwin");
    struct sink_event event;
    struct buf body;

    if (!is_wanted(env, SINK_TWIN_CHANGE)) {
        return OK;
    }
    body = arena_buf(env->arena);
    write_sections(now, sections, env->now_ms, &body);
    TRY(finish_event(env, &n, &body, &event));
    TRY(append_durably(env, &event));
    env->arena->used = mark;
    return OK;
}

err hub_event_twin_replaced_post(const struct env *env, const struct device *now)
{
    size_t mark = env->arena->used;
    struct notice n = notice_of(env, now, SINK_TWIN_CHANGE, "replaceTwin");
    struct sink_event event;
    struct json_writer w;
    struct buf body;

    if (!is_wanted(env, SINK_TWIN_CHANGE)) {
        return OK;
    }
    body = arena_buf(env->arena);
    w = json_writer_over(&body);
    json_write_begin_object(&w, NULL);
    json_write_int(&w, "version", now->version);
    json_write_raw_if(&w, "tags", span_is_absent(now->tags) ? SPAN("{}") : now->tags);
    write_both_sections(&w, now);
    json_write_end_object(&w);
    TRY(finish_event(env, &n, &body, &event));
    TRY(append_soon(env, &event));
    env->arena->used = mark;
    return OK;
}

/* ---- connections ---- */

err hub_event_connection(struct sink *sink, const struct hub_event_connection *c)
{
    static const char *const ops[2][2] = {
        { "deviceDisconnected", "deviceConnected" },
        { "moduleDisconnected", "moduleConnected" },
    };
    struct notice n = { .source = SINK_CONNECTION_STATE,
                        .op = ops[hub_identity_is_module(c->client_id)][c->is_connected],
                        .hub = c->hub,
                        .client_id = c->client_id,
                        .generation_id = c->generation_id,
                        .now_ms = c->now_ms };
    uint8_t properties_room[CONNECTION_ROOM], body_room[96];
    struct buf properties = buf_over(properties_room, sizeof(properties_room));
    struct buf body = buf_over(body_room, sizeof(body_room));
    struct sink_event event;

    if (sink == NULL || !sink_wants(sink, SINK_CONNECTION_STATE)) {
        return OK;
    }
    write_properties(&n, &properties);
    buf_printf(&body, "{\"sequenceNumber\":\"%016llX%016llX\"}", (unsigned long long)c->run,
               (unsigned long long)c->number);
    TRY(buf_ok(&properties));
    TRY(buf_ok(&body));
    event = event_of(&n, buf_span(&properties), buf_span(&body));
    return sink_append_copy(sink, &event);
}
