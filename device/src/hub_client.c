/* device/src/hub_client.c: a device's session with a hub: CONNECT, telemetry, acknowledgements
 * (reference iothub-device-api.md 2, 5, 6). Twins, methods and messages to the device are not
 * subscribed to. */
#include "berth/hub_client.h"

#include "util/percent.h"

enum { USERNAME_MAX = 768, TOPIC_MAX = 1024 };

static err fail(struct berth_hub_client *h, err e)
{
    h->state_ = BERTH_HUB_CLIENT_FAILED;
    h->fault_ = e;
    return e;
}

/* {hub}/{device}/?api-version={v}[&DeviceClientType={v}] */
static err encode_connect(struct berth_hub_client *h)
{
    const struct berth_hub_client_config *c = &h->config_;
    uint8_t memory[USERNAME_MAX];
    struct buf username = buf_over(memory, sizeof(memory));

    buf_printf(&username, "%s/%s/?api-version=" BERTH_HUB_API_VERSION, c->host_name, c->device_id);
    if (c->user_agent != NULL) {
        buf_printf(&username, "&DeviceClientType=%s", c->user_agent);
    }
    TRY(buf_ok(&username));
    mqtt_codec_encode_connect(&(struct mqtt_connect){ .protocol = SPAN("MQTT"),
                                                      .level = MQTT_LEVEL_311,
                                                      .client_id = span_str(c->device_id),
                                                      .username = buf_span(&username),
                                                      .password = span_str(c->token),
                                                      .keep_alive_s = c->keep_alive_s,
                                                      .clean_session = true },
                              &h->wire_.out_);
    return buf_ok(&h->wire_.out_);
}

err berth_hub_client_init(struct berth_hub_client *h, const struct berth_hub_client_config *config,
                          const struct berth_buffers *buffers)
{
    *h = (struct berth_hub_client){ .config_ = *config, .state_ = BERTH_HUB_CLIENT_CONNECTING };
    berth_wire_init(&h->wire_, buffers);
    err e = encode_connect(h);
    return err_is_ok(e) ? OK : fail(h, e);
}

static err on_connack(struct berth_hub_client *h, const struct mqtt_connack *connack)
{
    if (h->state_ != BERTH_HUB_CLIENT_CONNECTING) {
        return ERR(MALFORMED);
    }
    h->connack_code_ = connack->code;
    if (connack->code != MQTT_ACCEPTED) {
        return ERR(DENIED);
    }
    h->state_ = BERTH_HUB_CLIENT_CONNECTED;
    return OK;
}

static err on_packet(struct berth_hub_client *h, const struct mqtt_packet *packet)
{
    switch (packet->type) {
    case MQTT_CONNACK:
        return on_connack(h, &packet->connack);
    case MQTT_PUBACK:
        h->acknowledged_ += h->acknowledged_ < h->sent_;
        return OK;
    case MQTT_PUBLISH:
        if (packet->publish.qos == 1) {
            mqtt_codec_encode_puback(packet->publish.packet_id, &h->wire_.out_);
        }
        return buf_ok(&h->wire_.out_);
    case MQTT_PINGRESP:
        return OK;
    default:
        return ERR(MALFORMED);
    }
}

err berth_hub_client_input(struct berth_hub_client *h, struct span bytes)
{
    while (h->state_ != BERTH_HUB_CLIENT_FAILED) {
        struct mqtt_packet packet;
        size_t taken = berth_wire_put(&h->wire_, bytes), len = 0;
        err e = berth_wire_peek(&h->wire_, &packet, &len);

        bytes = span_from(bytes, taken);
        if (err_is(e, ERR_NOT_FOUND)) {
            return OK;
        }
        if (err_is_ok(e)) {
            e = on_packet(h, &packet);
            berth_wire_drop(&h->wire_, len);
        }
        if (!err_is_ok(e)) {
            return fail(h, e);
        }
    }
    return h->fault_;
}

struct span berth_hub_client_output(const struct berth_hub_client *h)
{
    return berth_wire_output(&h->wire_);
}

void berth_hub_client_sent(struct berth_hub_client *h, size_t n)
{
    berth_wire_sent(&h->wire_, n);
}

enum berth_hub_client_state berth_hub_client_state(const struct berth_hub_client *h)
{
    return h->state_;
}

err berth_hub_client_fault(const struct berth_hub_client *h, int *ret_connack_code)
{
    *ret_connack_code = h->connack_code_;
    return h->fault_;
}

void berth_hub_client_telemetry_topic(const char *device_id,
                                      const struct berth_property *properties, size_t n_properties,
                                      struct buf *out)
{
    buf_printf(out, "devices/%s/messages/events/", device_id);
    for (size_t i = 0; i < n_properties; i++) {
        buf_add_str(out, i > 0 ? "&" : "");
        percent_encode(span_str(properties[i].name), out);
        buf_add_u8(out, '=');
        percent_encode(span_str(properties[i].value), out);
    }
}

err berth_hub_client_send(struct berth_hub_client *h, struct span message,
                          const struct berth_property *properties, size_t n_properties)
{
    uint8_t memory[TOPIC_MAX];
    struct buf topic = buf_over(memory, sizeof(memory));
    struct buf *out = &h->wire_.out_;
    size_t len = out->len;

    if (h->state_ != BERTH_HUB_CLIENT_CONNECTED) {
        return ERR(PRECONDITION);
    }
    berth_hub_client_telemetry_topic(h->config_.device_id, properties, n_properties, &topic);
    TRY(buf_ok(&topic));
    h->packet_id_ = (uint16_t)(h->packet_id_ == UINT16_MAX ? 1 : h->packet_id_ + 1);
    mqtt_codec_encode_publish(
        &(struct mqtt_publish){
            .topic = buf_span(&topic), .payload = message, .packet_id = h->packet_id_, .qos = 1 },
        out);
    if (out->failed) { /* nothing of it was written: the session goes on */
        out->failed = false;
        out->len = len;
        return ERR(NOMEM);
    }
    h->sent_++;
    return OK;
}

uint64_t berth_hub_client_pending(const struct berth_hub_client *h)
{
    return h->sent_ - h->acknowledged_;
}

void berth_hub_client_ping(struct berth_hub_client *h)
{
    mqtt_codec_encode_pingreq(&h->wire_.out_);
}

void berth_hub_client_disconnect(struct berth_hub_client *h)
{
    mqtt_codec_encode_disconnect(&h->wire_.out_);
}
