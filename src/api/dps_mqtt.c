/* api/dps_mqtt.c: provisioning over MQTT: CONNECT to a name, PUBLISH to a request, a reply to a
 * response topic. The order of packets to the device is fixed by the C# SDK: PUBACK of a request
 * always stands before its response. What is decided and what it says is dps.c's. */
#include "api/dps_mqtt.h"

#include <assert.h>

#include "api/dps.h"
#include "api/error.h"
#include "util/err.h"

static const char SURFACE_NAME[] = "dps-mqtt";

enum { RESPONSE_TOPIC_EXTRA = 96 }; /* all of a response topic but the rid */

/* One request, in its task's arena. */
struct dps_job {
    struct topic_dps_request topic;
    struct dps_request request;
    struct dps_reply reply;
    uint16_t packet_id; /* to acknowledge; 0: QoS 0 */
};

static struct span scope_of(const struct dps_mqtt *d)
{
    return span_of(d->scope, d->scope_len);
}

static struct span id_of(const struct dps_mqtt *d)
{
    return span_of(d->id, d->id_len);
}

static void write_note(const struct dps_mqtt *d, struct access_note note, struct surface_io *io)
{
    note.surface = SURFACE_NAME;
    note.scope = scope_of(d);
    note.id = id_of(d);
    io->note(io, &note);
}

enum surface_step dps_mqtt_close(const struct dps_mqtt *d, enum reason reason, const char *why,
                                 struct surface_io *io)
{
    write_note(d, (struct access_note){ .operation = "close", .reason = reason, .fault = why }, io);
    return SURFACE_CLOSE;
}

/* ---- CONNECT ---- */

/* A span into memory of the connection's; false when it has no room. */
static bool keep(struct span s, uint8_t *memory, size_t max, size_t *ret_len)
{
    if (s.len > max) {
        return false;
    }
    if (s.len > 0) {
        memcpy(memory, s.data, s.len);
    }
    *ret_len = s.len;
    return true;
}

static enum mqtt_connack_code judge_connect(struct dps_mqtt *d, const struct mqtt_connect *c,
                                            const char **ret_why)
{
    struct topic_dps_user user;

    if (!err_is_ok(topic_parse_dps_user(c->username, &user)) ||
        !keep(user.id_scope, d->scope, sizeof(d->scope), &d->scope_len) ||
        !keep(user.registration_id, d->id, sizeof(d->id), &d->id_len)) {
        *ret_why = "the user name is not {scope}/registrations/{id}/api-version={version}";
        return MQTT_BAD_CREDENTIALS;
    }
    if (!keep(c->password, d->token, sizeof(d->token), &d->token_len)) {
        *ret_why = "the password is longer than a token may be";
        return MQTT_BAD_CREDENTIALS;
    }
    if (!span_eq_nocase(c->client_id, user.registration_id)) {
        *ret_why = "the client ID is not the registration ID";
        return MQTT_BAD_CLIENT_ID;
    }
    return MQTT_ACCEPTED;
}

enum surface_step dps_mqtt_connect(struct dps_mqtt *d, const struct mqtt_connect *c,
                                   struct surface_io *io)
{
    const char *why = NULL;
    struct mqtt_connack ack = { 0 }; /* never a session: C# stops at one */

    *d = (struct dps_mqtt){ 0 };
    ack.code = (uint8_t)judge_connect(d, c, &why);
    mqtt_codec_encode_connack(&ack, io->out);
    if (ack.code == MQTT_ACCEPTED) {
        return SURFACE_AGAIN;
    }
    write_note(d,
               (struct access_note){ .operation = "connect",
                                     .reason = REASON_REQUEST_MALFORMED,
                                     .status = ack.code,
                                     .fault = why },
               io);
    return SURFACE_CLOSE;
}

/* ---- SUBSCRIBE ---- */

static struct span response_filter(void)
{
    return SPAN("$dps/registrations/res/#");
}

uint8_t dps_mqtt_subscribe(struct dps_mqtt *d, struct span filter, uint8_t qos,
                           struct surface_io *io)
{
    if (!span_eq(filter, response_filter())) {
        write_note(d,
                   (struct access_note){ .operation = "subscribe",
                                         .reason = REASON_TOPIC_FORBIDDEN,
                                         .status = MQTT_SUBACK_FAILURE },
                   io);
        return MQTT_SUBACK_FAILURE;
    }
    d->is_subscribed = true;
    d->granted_qos = qos > 1 ? 1 : qos;
    return d->granted_qos;
}

void dps_mqtt_unsubscribe(struct dps_mqtt *d, struct span filter)
{
    if (span_eq(filter, response_filter())) {
        d->is_subscribed = false;
    }
}

/* ---- PUBLISH ---- */

static uint16_t next_packet_id(struct dps_mqtt *d)
{
    d->last_packet_id = d->last_packet_id == UINT16_MAX ? 1 : (uint16_t)(d->last_packet_id + 1);
    return d->last_packet_id;
}

/* $dps/registrations/res/{status}/?$rid={rid}[&retry-after={seconds}], in this very order: parsers
 * depend on it (reference 3.5). Without a subscription the response is lost, as MQTT has it. */
static void respond(struct dps_mqtt *d, struct span rid, const struct dps_reply *reply,
                    struct surface_io *io)
{
    uint8_t bytes[LIMIT_MQTT_TOPIC + RESPONSE_TOPIC_EXTRA];
    struct buf topic = buf_over(bytes, sizeof(bytes));
    struct mqtt_publish p = { .payload = reply->body, .qos = d->granted_qos };

    if (!d->is_subscribed) {
        return;
    }
    buf_printf(&topic, "$dps/registrations/res/%d/?$rid=", reply->status);
    buf_add(&topic, rid);
    if (reply->retry_after_s > 0) {
        buf_printf(&topic, "&retry-after=%d", reply->retry_after_s);
    }
    assert(!topic.failed);
    p.topic = buf_span(&topic);
    p.packet_id = p.qos == 0 ? 0 : next_packet_id(d);
    mqtt_codec_encode_publish(&p, io->out);
}

static const char *operation_name(const struct topic_dps_request *r)
{
    switch (r->operation) {
    case TOPIC_DPS_REGISTER:
        return "register";
    case TOPIC_DPS_POLL:
        return "get-operation-status";
    default:
        return "unknown";
    }
}

static void acknowledge(uint16_t packet_id, struct surface_io *io)
{
    if (packet_id != 0) {
        mqtt_codec_encode_puback(packet_id, io->out);
    }
}

/* The server is at its limit: there is no task, so no tracking ID either. */
static enum surface_step throttle(struct dps_mqtt *d, const struct mqtt_publish *p,
                                  const struct topic_dps_request *r, struct surface_io *io)
{
    struct env env = { .now_ms = io->now_ms };
    uint8_t bytes[512];
    struct buf body = buf_over(bytes, sizeof(bytes));
    struct dps_reply reply = { .verdict = VERDICT(THROTTLED),
                               .status = reason_info(REASON_THROTTLED)->http_status,
                               .retry_after_s = io->retry_after_s };

    error_write_provisioning(&env, reply.verdict, &body);
    reply.body = buf_span(&body);
    acknowledge(p->packet_id, io);
    respond(d, r->rid, &reply, io);
    write_note(d,
               (struct access_note){ .operation = operation_name(r),
                                     .reason = REASON_THROTTLED,
                                     .status = reply.status },
               io);
    return SURFACE_AGAIN;
}

/* On a worker. */
static err run_request(struct task *t, struct dps_job *job)
{
    struct dps_reply *reply = &job->reply;
    struct buf out;

    if (job->topic.operation == TOPIC_DPS_UNKNOWN) {
        reply->verdict = VERDICT(ROUTE_NOT_FOUND);
        reply->status = reason_info(reply->verdict.reason)->http_status;
    } else {
        TRY(dps_answer(&t->env, t->service, t->peer, &job->request, reply));
    }
    if (span_is_absent(reply->body)) {
        out = arena_buf(&t->arena);
        error_write_provisioning(&t->env, reply->verdict, &out);
        TRY(arena_buf_end(&t->arena, &out, &reply->body));
    }
    return OK;
}

static void run(struct task *t)
{
    struct dps_job *job = t->state;
    err e = run_request(t, job);

    if (err_is_ok(e)) {
        t->note.reason = job->reply.verdict.reason;
        t->note.status = job->reply.status;
        return;
    }
    t->note.reason = REASON_INTERNAL;
    t->note.status = reason_info(REASON_INTERNAL)->http_status;
    t->note.fault = error_fault_text(&t->arena, e);
}

enum surface_step dps_mqtt_publish(struct dps_mqtt *d, const struct mqtt_publish *p,
                                   struct surface_io *io)
{
    struct topic_dps_request r;
    struct dps_job *job;
    struct task *t;

    if (p->qos > 1) {
        return dps_mqtt_close(d, REASON_PROTOCOL_VIOLATION, "PUBLISH with QoS 2", io);
    }
    if (p->topic.len > LIMIT_MQTT_TOPIC || !err_is_ok(topic_parse_dps_request(p->topic, &r))) {
        return dps_mqtt_close(d, REASON_TOPIC_FORBIDDEN, NULL, io);
    }
    io->turn = r.operation == TOPIC_DPS_POLL ? SURFACE_TURN_FINISH : SURFACE_TURN_BEGIN;
    t = io->new_task(io);
    if (t == NULL) {
        return throttle(d, p, &r, io);
    }
    job = ARENA_NEW(&t->arena, struct dps_job);
    assert(job != NULL); /* first allocation in a fresh arena */
    *job = (struct dps_job){
        .topic = r,
        .packet_id = p->packet_id,
        .request = {
            .operation = r.operation == TOPIC_DPS_POLL ? OPERATION_STATUS : OPERATION_REGISTER,
            .id_scope = scope_of(d),
            .registration_id = id_of(d),
            .token = d->token_len > 0 ? span_of(d->token, d->token_len) : SPAN_NONE,
            .operation_id = r.operation_id,
            .body = p->payload,
        },
    };
    t->run = run;
    t->state = job;
    t->note = (struct access_note){ .surface = SURFACE_NAME,
                                    .operation = operation_name(&r),
                                    .scope = scope_of(d),
                                    .id = id_of(d) };
    io->task = t;
    return SURFACE_WORK;
}

enum surface_step dps_mqtt_finish(struct dps_mqtt *d, struct task *t, struct surface_io *io)
{
    struct dps_job *job = t->state;
    struct dps_reply *reply = &job->reply;
    uint8_t bytes[512];
    struct buf body = buf_over(bytes, sizeof(bytes));

    if (t->note.reason == REASON_INTERNAL) {
        *reply = (struct dps_reply){ .status = t->note.status };
        error_write_provisioning(&t->env, VERDICT(INTERNAL), &body);
        reply->body = buf_span(&body);
    } else if (t->note.reason == REASON_THROTTLED) {
        reply->retry_after_s = io->retry_after_s;
    }
    acknowledge(job->packet_id, io);
    respond(d, job->topic.rid, reply, io);
    return SURFACE_AGAIN;
}
