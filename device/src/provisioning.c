/* device/src/provisioning.c: the order of a registration over MQTT: CONNECT, SUBSCRIBE, register,
 * poll (reference dps-device-api.md 3). What an answer says is response.c's; when to ask again is
 * the caller's. */
#include "berth/provisioning.h"

enum { TOPIC_MAX = 192, USERNAME_MAX = 512, SUBSCRIBE_PACKET_ID = 1, RETRY_DEFAULT_S = 2 };

static err fail(struct berth_provisioning *p, err e)
{
    p->state_ = BERTH_PROVISIONING_FAILED;
    p->fault_ = e;
    return e;
}

/* {idScope}/registrations/{registrationId}/api-version={v}[&ClientVersion={v}] */
static err encode_connect(struct berth_provisioning *p)
{
    const struct berth_provisioning_config *c = &p->config_;
    uint8_t memory[USERNAME_MAX];
    struct buf username = buf_over(memory, sizeof(memory));

    buf_printf(&username, "%s/registrations/%s/api-version=" BERTH_PROVISIONING_API_VERSION,
               c->id_scope, c->registration_id);
    if (c->user_agent != NULL) {
        buf_printf(&username, "&ClientVersion=%s", c->user_agent);
    }
    TRY(buf_ok(&username));
    mqtt_codec_encode_connect(&(struct mqtt_connect){ .protocol = SPAN("MQTT"),
                                                      .level = MQTT_LEVEL_311,
                                                      .client_id = span_str(c->registration_id),
                                                      .username = buf_span(&username),
                                                      .password = span_str(c->token),
                                                      .keep_alive_s = c->keep_alive_s,
                                                      .clean_session = true },
                              &p->wire_.out_);
    return buf_ok(&p->wire_.out_);
}

err berth_provisioning_init(struct berth_provisioning *p,
                            const struct berth_provisioning_config *config,
                            const struct berth_buffers *buffers)
{
    *p = (struct berth_provisioning){ .config_ = *config,
                                      .state_ = BERTH_PROVISIONING_CONNECTING,
                                      .packet_id_ = SUBSCRIBE_PACKET_ID };
    berth_wire_init(&p->wire_, buffers);
    if (config->id_scope == NULL || config->registration_id == NULL) {
        return fail(p, ERR(MALFORMED));
    }
    err e = encode_connect(p);
    return err_is_ok(e) ? OK : fail(p, e);
}

static err publish(struct berth_provisioning *p, const struct buf *topic, struct span payload)
{
    TRY(buf_ok(topic));
    p->packet_id_ = (uint16_t)(p->packet_id_ == UINT16_MAX ? 1 : p->packet_id_ + 1);
    mqtt_codec_encode_publish(
        &(struct mqtt_publish){
            .topic = buf_span(topic), .payload = payload, .packet_id = p->packet_id_, .qos = 1 },
        &p->wire_.out_);
    return buf_ok(&p->wire_.out_);
}

/* A registration ID has no character that JSON would escape. */
static err send_register(struct berth_provisioning *p)
{
    uint8_t topic_memory[TOPIC_MAX], body_memory[BERTH_DEVICE_ID_MAX + 64];
    struct buf topic = buf_over(topic_memory, sizeof(topic_memory));
    struct buf body = buf_over(body_memory, sizeof(body_memory));

    buf_printf(&topic, "$dps/registrations/PUT/iotdps-register/?$rid=%u", ++p->request_id_);
    buf_printf(&body, "{\"registrationId\":\"%s\"}", p->config_.registration_id);
    TRY(buf_ok(&body));
    TRY(publish(p, &topic,
                p->config_.body_json ? span_str(p->config_.body_json) : buf_span(&body)));
    p->state_ = BERTH_PROVISIONING_REGISTERING;
    return OK;
}

static err send_poll(struct berth_provisioning *p)
{
    uint8_t memory[TOPIC_MAX];
    struct buf topic = buf_over(memory, sizeof(memory));

    buf_printf(&topic, "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=%u&operationId=%s",
               ++p->request_id_, p->result_.operation_id);
    TRY(publish(p, &topic, SPAN("")));
    p->state_ = BERTH_PROVISIONING_POLLING;
    return OK;
}

static err on_connack(struct berth_provisioning *p, const struct mqtt_connack *connack)
{
    if (p->state_ != BERTH_PROVISIONING_CONNECTING) {
        return ERR(MALFORMED);
    }
    p->connack_code_ = connack->code;
    if (connack->code != MQTT_ACCEPTED) {
        return ERR(DENIED);
    }
    mqtt_codec_encode_subscribe(SUBSCRIBE_PACKET_ID, SPAN("$dps/registrations/res/#"), 1,
                                &p->wire_.out_);
    p->state_ = BERTH_PROVISIONING_SUBSCRIBING;
    return buf_ok(&p->wire_.out_);
}

static err on_suback(struct berth_provisioning *p, const struct mqtt_suback *suback)
{
    if (p->state_ != BERTH_PROVISIONING_SUBSCRIBING || suback->packet_id != SUBSCRIBE_PACKET_ID ||
        suback->codes.len != 1) {
        return ERR(MALFORMED);
    }
    if (suback->codes.data[0] == MQTT_SUBACK_FAILURE) {
        return ERR(DENIED);
    }
    return send_register(p);
}

/* Waits when the service is still at it (assigning) or had no time (429, 5xx). */
static err on_response(struct berth_provisioning *p, const struct mqtt_publish *publish_in)
{
    struct berth_provisioning_result r;
    bool is_busy;

    if (p->state_ != BERTH_PROVISIONING_REGISTERING && p->state_ != BERTH_PROVISIONING_POLLING) {
        return OK; /* an answer to nothing we asked */
    }
    TRY(berth_provisioning_decode_response(publish_in->topic, publish_in->payload, &r));
    if (publish_in->qos == 1) {
        mqtt_codec_encode_puback(publish_in->packet_id, &p->wire_.out_);
    }
    is_busy = r.topic_status == 429 || r.topic_status >= 500;
    if (!is_busy && r.status != BERTH_STATUS_ASSIGNING) {
        p->result_ = r;
        p->state_ = BERTH_PROVISIONING_DONE;
        return buf_ok(&p->wire_.out_);
    }
    if (r.operation_id[0] == '\0') { /* the operation goes on, though this answer is none of its */
        memcpy(r.operation_id, p->result_.operation_id, sizeof(r.operation_id));
    }
    r.retry_after_s = r.retry_after_s > 0 ? r.retry_after_s : RETRY_DEFAULT_S;
    if (!is_busy && r.operation_id[0] == '\0') {
        return ERR(MALFORMED);
    }
    p->result_ = r;
    p->state_ = BERTH_PROVISIONING_WAITING;
    return buf_ok(&p->wire_.out_);
}

static err on_packet(struct berth_provisioning *p, const struct mqtt_packet *packet)
{
    switch (packet->type) {
    case MQTT_CONNACK:
        return on_connack(p, &packet->connack);
    case MQTT_SUBACK:
        return on_suback(p, &packet->suback);
    case MQTT_PUBLISH:
        return on_response(p, &packet->publish);
    case MQTT_PUBACK:
    case MQTT_PINGRESP:
        return OK;
    default:
        return ERR(MALFORMED);
    }
}

static bool is_over(const struct berth_provisioning *p)
{
    return p->state_ == BERTH_PROVISIONING_DONE || p->state_ == BERTH_PROVISIONING_FAILED;
}

err berth_provisioning_input(struct berth_provisioning *p, struct span bytes)
{
    while (!is_over(p)) {
        struct mqtt_packet packet;
        size_t taken = berth_wire_put(&p->wire_, bytes), len = 0;
        err e = berth_wire_peek(&p->wire_, &packet, &len);

        bytes = span_from(bytes, taken);
        if (err_is(e, ERR_NOT_FOUND)) {
            return OK; /* a packet that fits is never short of room, so all bytes were taken */
        }
        if (err_is_ok(e)) {
            e = on_packet(p, &packet);
            berth_wire_drop(&p->wire_, len);
        }
        if (!err_is_ok(e)) {
            return fail(p, e);
        }
    }
    return p->fault_;
}

struct span berth_provisioning_output(const struct berth_provisioning *p)
{
    return berth_wire_output(&p->wire_);
}

void berth_provisioning_sent(struct berth_provisioning *p, size_t n)
{
    berth_wire_sent(&p->wire_, n);
}

enum berth_provisioning_state berth_provisioning_state(const struct berth_provisioning *p)
{
    return p->state_;
}

err berth_provisioning_resume(struct berth_provisioning *p)
{
    if (p->state_ != BERTH_PROVISIONING_WAITING) {
        return OK;
    }
    err e = p->result_.operation_id[0] == '\0' ? send_register(p) : send_poll(p);
    return err_is_ok(e) ? OK : fail(p, e);
}

const struct berth_provisioning_result *
berth_provisioning_result(const struct berth_provisioning *p)
{
    return &p->result_;
}

bool berth_provisioning_is_assigned(const struct berth_provisioning *p)
{
    return p->state_ == BERTH_PROVISIONING_DONE && p->result_.status == BERTH_STATUS_ASSIGNED;
}

err berth_provisioning_fault(const struct berth_provisioning *p, int *ret_connack_code)
{
    *ret_connack_code = p->connack_code_;
    return p->fault_;
}

void berth_provisioning_disconnect(struct berth_provisioning *p)
{
    mqtt_codec_encode_disconnect(&p->wire_.out_);
}
