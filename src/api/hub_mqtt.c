/* api/hub_mqtt.c: a device's or a module's session with its hub over MQTT: which file answers what,
 * what it is sent, how it ends. The door is hub_mqtt_door.c, subscriptions hub_mqtt_filters.c,
 * telemetry hub_mqtt_telemetry.c, twins hub_mqtt_twin.c, messages to the device hub_mqtt_c2d.c,
 * direct methods hub_mqtt_method.c; the rules are hub/'s.
 *
 *     AT_THE_DOOR --login granted--> OPEN --DISCONNECT, refusal, cut off, gone--> OVER
 *          \--login refused------------------------------------------------------/
 */
#include "api/hub_mqtt_job.h"

#include <assert.h>
#include <stdlib.h>

#include "hub/bus_call.h"
#include "hub/presence.h"

static const char SURFACE_NAME[] = "hub-mqtt";

struct access_note hub_mqtt_note(const struct hub_mqtt *h, const char *operation)
{
    return (struct access_note){ .surface = SURFACE_NAME,
                                 .operation = operation,
                                 .scope = hub_mqtt_hub(h),
                                 .id = hub_mqtt_client_id(h) };
}

enum surface_step hub_mqtt_close(struct hub_mqtt *h, enum reason reason, const char *why,
                                 struct surface_io *io)
{
    struct access_note note = hub_mqtt_note(h, "close");

    h->state = HUB_MQTT_OVER;
    note.reason = reason;
    note.fault = why;
    io->note(io, &note);
    return SURFACE_CLOSE;
}

struct hub_job *hub_mqtt_new_job(struct hub_mqtt *h, struct task *t, enum hub_job_kind kind,
                                 const char *operation)
{
    struct hub_job *job = ARENA_NEW(&t->arena, struct hub_job);

    assert(job != NULL); /* first allocation in a fresh arena */
    job->kind = kind;
    t->run = NULL;
    t->state = job;
    t->note = hub_mqtt_note(h, operation);
    return job;
}

/* ---- what the device is sent ---- */

uint16_t hub_mqtt_new_packet_id(struct hub_mqtt *h)
{
    do {
        h->last_packet_id = h->last_packet_id == UINT16_MAX ? 1 : h->last_packet_id + 1;
    } while (hub_mqtt_c2d_is_in_flight(h, h->last_packet_id));
    return h->last_packet_id;
}

void hub_mqtt_send(struct hub_mqtt *h, struct span topic, struct span payload,
                   struct surface_io *io)
{
    int qos = filters_match(&h->filters, topic);
    struct mqtt_publish p = { .topic = topic, .payload = payload, .qos = (uint8_t)(qos > 0) };

    if (qos < 0) {
        return;
    }
    if (qos > 0) {
        p.packet_id = hub_mqtt_new_packet_id(h);
    }
    mqtt_codec_encode_publish(&p, io->out);
}

static void send_letter(struct hub_mqtt *h, const struct bus_letter *letter, struct surface_io *io)
{
    uint8_t room[96];
    struct buf topic = buf_over(room, sizeof(room));

    buf_printf(&topic, "$iothub/twin/PATCH/properties/desired/?$version=%lld",
               (long long)letter->number);
    hub_mqtt_send(h, buf_span(&topic), letter->payload, io);
}

void hub_mqtt_deliver(struct hub_mqtt *h, struct surface_io *io)
{
    while (h->has_letters && h->state == HUB_MQTT_OPEN && io->out->len <= LIMIT_UNSENT) {
        struct bus_letter *letter = bus_take(h->surface->service->bus, &h->member);

        h->has_letters = letter != NULL;
        if (letter != NULL && letter->kind == BUS_LETTER_METHOD) {
            hub_mqtt_method_send(h, letter, io);
            continue;
        }
        if (letter != NULL) {
            send_letter(h, letter, io);
        }
        bus_letter_free(letter);
    }
}

/* ---- what the device sends ---- */

bool hub_mqtt_is_full(const struct hub_mqtt *h)
{
    const struct sink *sink = h->surface->service->sink;

    return h->appends_in_flight >= (sink != NULL ? sink_share(sink) : LIMIT_APPENDS_IN_FLIGHT);
}

static void note_activity(struct hub_mqtt *h, int64_t now_ms)
{
    if (now_ms - h->active_ms >= LIMIT_ACTIVITY_MS) {
        h->active_ms = now_ms;
        hub_presence_active(h->surface->service->presence, hub_mqtt_hub(h), hub_mqtt_client_id(h),
                            span_of(h->generation, h->generation_len), now_ms);
    }
}

enum surface_step hub_mqtt_publish(struct hub_mqtt *h, const struct mqtt_publish *p,
                                   struct surface_io *io)
{
    note_activity(h, io->now_ms);
    if (p->qos > 1) {
        return hub_mqtt_close(h, REASON_PROTOCOL_VIOLATION, "PUBLISH with QoS 2", io);
    }
    if (p->topic.len > LIMIT_MQTT_TOPIC) {
        return hub_mqtt_close(h, REASON_TOPIC_FORBIDDEN, "the topic is too long", io);
    }
    if (topic_is_method(p->topic)) {
        return hub_mqtt_method_publish(h, p, io);
    }
    if (span_starts_with(p->topic, SPAN("$iothub/"))) {
        return hub_mqtt_twin_publish(h, p, io);
    }
    return hub_mqtt_telemetry_publish(h, p, io);
}

bool hub_mqtt_is_busy(const struct hub_mqtt *h)
{
    return h->state == HUB_MQTT_OPEN && bus_call_is_awaited(h->surface->service->bus, &h->member);
}

/* ---- the end ---- */

enum surface_step hub_mqtt_disconnect(struct hub_mqtt *h, struct surface_io *io)
{
    enum surface_step next;

    h->will.is_set = false;
    h->c2d.may_have = false; /* it is sent nothing more */
    next = hub_mqtt_deliver_c2d(h, true, io);
    h->state = HUB_MQTT_OVER;
    return next == SURFACE_WORK ? next : SURFACE_CLOSE;
}

enum surface_step hub_mqtt_finish(struct hub_mqtt *h, struct task *t, struct surface_io *io)
{
    struct hub_job *job = t->state;

    switch (job->kind) {
    case HUB_JOB_LOGIN:
        return hub_mqtt_door_finish(h, t, io);
    case HUB_JOB_TELEMETRY:
        return hub_mqtt_telemetry_finish(h, t, io);
    case HUB_JOB_KEEP:
        return hub_mqtt_filters_finish(h, t, io);
    case HUB_JOB_TWIN:
        return hub_mqtt_twin_finish(h, t, io);
    case HUB_JOB_C2D:
        return hub_mqtt_c2d_finish(h, t, io);
    default:
        t->note.reason = job->verdict.reason;
        h->state = HUB_MQTT_OVER;
        return SURFACE_CLOSE;
    }
}

enum surface_step hub_mqtt_on_signal(struct hub_mqtt *h, unsigned signals, struct surface_io *io)
{
    if (h->state == HUB_MQTT_OVER) {
        return SURFACE_IDLE;
    }
    if ((signals & BUS_CUT_OFF) != 0) {
        return hub_mqtt_close(h, REASON_SESSION_CUT_OFF, NULL, io);
    }
    if ((signals & BUS_TAKEN_OVER) != 0) {
        return hub_mqtt_close(h, REASON_SESSION_TAKEN_OVER, NULL, io);
    }
    h->has_letters |= (signals & BUS_LETTERS) != 0;
    h->c2d.may_have |= (signals & BUS_C2D) != 0;
    return SURFACE_AGAIN;
}

enum surface_step hub_mqtt_closed(struct hub_mqtt *h, struct surface_io *io)
{
    enum surface_step next;

    h->state = HUB_MQTT_OVER;
    h->member.now_ms = io->now_ms;
    bus_leave(h->surface->service->bus, &h->member);
    hub_limits_release(h->limits);
    next = h->had_session && h->will.is_set ? hub_mqtt_telemetry_will(h, io) : SURFACE_IDLE;
    free(h->will.bytes);
    filters_free(&h->filters);
    return next;
}
