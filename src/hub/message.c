/* hub/message.c: a telemetry message as the event that back ends read. Knows the short names of
 * MQTT property bags, what the hub stamps on each message and never takes from a device (reference
 * iothub-device-api.md 6); topics are api/'s. Does not block: event loops call it. */
#include "hub/hub.h"
#include "hub/identity.h"
#include "model/limits.h"
#include "json/writer.h"

/* Wire key to downstream name. "$" keys that are not here are dropped, $.cdid and $.cmid among
 * them: an ordinary device may not speak for another. */
static const struct {
    const char *key, *name;
} system_names[] = {
    { "$.mid", "message-id" },
    { "$.cid", "correlation-id" },
    { "$.uid", "user-id" },
    { "$.to", "to" },
    { "$.ct", "content-type" },
    { "$.ce", "content-encoding" },
    { "$.exp", "absolute-expiry-time" },
    { "$.ctime", "iothub-creation-time-utc" },
    { "$.on", "iothub-outputname" },
    { "$.ifid", "iothub-interface-id" },
    { "$.sub", "dt-subject" },
    { "$.schema", "iothub-message-schema" },
    { "$.diagid", "Diagnostic-Id" },
    { "$.diagctx", "Correlation-Context" },
};

/* Only the hub says these, so a device's application property of such a name is dropped. */
static const char *const stamps[] = {
    "iothub-connection-device-id",
    "iothub-connection-module-id",
    "iothub-connection-auth-method",
    "iothub-connection-auth-generation-id",
    "iothub-enqueuedtime",
    "iothub-message-source",
    "dt-dataschema",
};

static bool is_stamp(struct span name)
{
    for (size_t i = 0; i < sizeof stamps / sizeof *stamps; i++) {
        if (span_eq_nocase(name, span_str(stamps[i]))) {
            return true;
        }
    }
    return false;
}

static bool is_system(struct span name)
{
    return name.len > 0 && name.data[0] == '$';
}

/* NULL: no system property that is passed on. */
static const char *system_name(struct span key)
{
    for (size_t i = 0; i < sizeof system_names / sizeof *system_names; i++) {
        if (span_eq(key, span_str(system_names[i].key))) {
            return system_names[i].name;
        }
    }
    return NULL;
}

/* Of equal names the last one counts. */
static bool is_overridden(const struct hub_message *m, size_t i)
{
    for (size_t k = i + 1; k < m->n_properties; k++) {
        if (span_eq(m->properties[k].name, m->properties[i].name)) {
            return true;
        }
    }
    return false;
}

/* Body, values of system properties, names and values of the others. */
static size_t message_size(const struct hub_message *m)
{
    size_t size = m->body.len;

    for (size_t i = 0; i < m->n_properties; i++) {
        size += m->properties[i].value.len;
        if (!is_system(m->properties[i].name)) {
            size += m->properties[i].name.len;
        }
    }
    return size;
}

static void write_value(struct json_writer *w, const char *name, struct span value)
{
    json_write_text(w, name, span_is_absent(value) ? SPAN("") : value);
}

/* JSON in a text. */
static void write_auth_method(struct json_writer *w, const struct hub_message *m)
{
    const char *scope = m->credential == HUB_BY_POLICY         ? "hub"
                        : hub_identity_is_module(m->client_id) ? "module"
                                                               : "device";
    uint8_t room[128];
    struct buf text = buf_over(room, sizeof room);

    buf_printf(&text,
               "{\"scope\":\"%s\",\"type\":\"%s\",\"issuer\":\"iothub\","
               "\"acceptingIpFilterRule\":null}",
               scope, m->credential == HUB_BY_CERTIFICATE ? "x509" : "sas");
    json_write_text(w, "iothub-connection-auth-method", buf_span(&text));
}

static void write_system(struct json_writer *w, const struct hub_message *m)
{
    json_write_begin_object(w, "system");
    for (size_t i = 0; i < m->n_properties; i++) {
        const char *name = system_name(m->properties[i].name);

        if (name != NULL && !is_overridden(m, i)) {
            write_value(w, name, m->properties[i].value);
        }
    }
    json_write_text(w, "iothub-connection-device-id", hub_identity_device(m->client_id));
    json_write_text_if(w, "iothub-connection-module-id", hub_identity_module(m->client_id));
    write_auth_method(w, m);
    json_write_text_if(w, "iothub-connection-auth-generation-id", m->generation_id);
    json_write_time(w, "iothub-enqueuedtime", m->now_ms);
    json_write_str(w, "iothub-message-source", "Telemetry");
    if (m->model_id.len > 0) {
        json_write_text(w, "dt-dataschema", m->model_id);
    }
    json_write_end_object(w);
}

/* What the hub itself adds to the application properties (reference 2.5, 5). */
static const char *const added[] = { "iothub-MessageType", "mqtt-retain" };

static bool is_added(const struct hub_message *m, struct span name)
{
    return (m->is_will && span_eq(name, span_str(added[0]))) ||
           (m->retain && span_eq(name, span_str(added[1])));
}

static void write_application(struct json_writer *w, const struct hub_message *m)
{
    json_write_begin_object(w, "application");
    for (size_t i = 0; i < m->n_properties; i++) {
        struct span name = m->properties[i].name;

        if (!is_system(name) && !is_stamp(name) && !is_added(m, name) && !is_overridden(m, i)) {
            json_write_name(w, name);
            write_value(w, NULL, m->properties[i].value);
        }
    }
    if (m->is_will) {
        json_write_str(w, added[0], "Will");
    }
    if (m->retain) {
        json_write_str(w, added[1], "true");
    }
    json_write_end_object(w);
}

err hub_message_event(const struct hub_message *m, struct arena *arena,
                      struct sink_event *ret_event)
{
    struct sink_event event = { .enqueued_ms = m->now_ms };
    struct json_writer w;
    struct buf text;

    if (message_size(m) > LIMIT_TELEMETRY_MESSAGE) {
        return ERR(TOO_LARGE);
    }
    TRY(arena_copy(arena, m->hub, &event.hub));
    TRY(arena_copy(arena, hub_identity_device(m->client_id), &event.device_id));
    TRY(arena_copy(arena, hub_identity_module(m->client_id), &event.module_id));
    TRY(arena_copy(arena, span_is_absent(m->body) ? SPAN("") : m->body, &event.body));
    text = arena_buf(arena);
    w = json_writer_over(&text);
    json_write_begin_object(&w, NULL);
    write_system(&w, m);
    write_application(&w, m);
    json_write_end_object(&w);
    TRY(arena_buf_end(arena, &text, &event.properties));
    *ret_event = event;
    return OK;
}
