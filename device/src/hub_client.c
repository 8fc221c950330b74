/* device/src/hub_client.c: a device's session with a hub: CONNECT, telemetry, acknowledgements
 * (reference iothub-device-api.md 2, 5, 6), and what the hub sends (hub_event.c reads it). */
#include "berth/hub_client.h"

#include "util/percent.h"

enum { USERNAME_MAX = 768, TOPIC_MAX = 1024 };

#define MODULES "/modules/"

static const enum berth_hub_event_kind KINDS[] = { BERTH_HUB_MESSAGE, BERTH_HUB_METHOD,
                                                   BERTH_HUB_DESIRED, BERTH_HUB_TWIN };

static err fail(struct berth_hub_client *h, err e)
{
    h->state_ = BERTH_HUB_CLIENT_FAILED;
    h->fault_ = e;
    return e;
}

/* "{device}", or "{device}{between}{module}". */
static void add_who(const char *device_id, const char *between, const char *module_id,
                    struct buf *out)
{
    buf_printf(out, "%s%s%s", device_id, module_id ? between : "", module_id ? module_id : "");
}

/* {hub}/{device}[/{module}]/?api-version={v}[&DeviceClientType={v}]; the client ID is its middle.
 */
static err encode_connect(struct berth_hub_client *h)
{
    const struct berth_hub_client_config *c = &h->config_;
    uint8_t memory[USERNAME_MAX];
    struct buf username = buf_over(memory, sizeof(memory));
    struct span client_id;

    buf_printf(&username, "%s/", c->host_name);
    add_who(c->device_id, "/", c->module_id, &username);
    client_id = span_from(buf_span(&username), strlen(c->host_name) + 1);
    buf_add_str(&username, "/?api-version=" BERTH_HUB_API_VERSION);
    if (c->user_agent != NULL) {
        buf_printf(&username, "&DeviceClientType=%s", c->user_agent);
    }
    TRY(buf_ok(&username));
    mqtt_codec_encode_connect(&(struct mqtt_connect){ .protocol = SPAN("MQTT"),
                                                      .level = MQTT_LEVEL_311,
                                                      .client_id = client_id,
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

/* A topic that is none of ours is the hub's affair. */
static err on_publish(struct berth_hub_client *h, const struct mqtt_publish *p)
{
    struct berth_hub_event event;
    uint8_t memory[TOPIC_MAX];
    struct buf who = buf_over(memory, sizeof(memory));

    add_who(h->config_.device_id, MODULES, h->config_.module_id, &who);
    TRY(buf_ok(&who));
    if (h->config_.on_event != NULL &&
        err_is_ok(berth_hub_event_decode(p->topic, p->payload, buf_span(&who), &event))) {
        h->config_.on_event(h->config_.context, &event);
    }
    if (p->qos == 1) {
        mqtt_codec_encode_puback(p->packet_id, &h->wire_.out_);
    }
    return buf_ok(&h->wire_.out_);
}

static err on_suback(struct berth_hub_client *h, struct span codes)
{
    if (h->answered_ == h->asked_) {
        return ERR(MALFORMED);
    }
    h->answered_++;
    return codes.len > 0 && codes.data[0] == MQTT_SUBACK_FAILURE ? ERR(DENIED) : OK;
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
        return on_publish(h, &packet->publish);
    case MQTT_SUBACK:
        return on_suback(h, packet->suback.codes);
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

void berth_hub_client_telemetry_topic(const char *device_id, const char *module_id,
                                      const struct berth_property *properties, size_t n_properties,
                                      struct buf *out)
{
    buf_add_str(out, "devices/");
    add_who(device_id, MODULES, module_id, out);
    buf_add_str(out, "/messages/events/");
    for (size_t i = 0; i < n_properties; i++) {
        buf_add_str(out, i > 0 ? "&" : "");
        percent_encode(span_str(properties[i].name), out);
        buf_add_u8(out, '=');
        percent_encode(span_str(properties[i].value), out);
    }
}

/* Nothing of what does not fit is written: the session goes on. */
static err check_room(struct buf *out, size_t len)
{
    if (!out->failed) {
        return OK;
    }
    out->failed = false;
    out->len = len;
    return ERR(NOMEM);
}

static uint16_t next_packet_id(struct berth_hub_client *h)
{
    h->packet_id_ = (uint16_t)(h->packet_id_ == UINT16_MAX ? 1 : h->packet_id_ + 1);
    return h->packet_id_;
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
    berth_hub_client_telemetry_topic(h->config_.device_id, h->config_.module_id, properties,
                                     n_properties, &topic);
    TRY(buf_ok(&topic));
    mqtt_codec_encode_publish(&(struct mqtt_publish){ .topic = buf_span(&topic),
                                                      .payload = message,
                                                      .packet_id = next_packet_id(h),
                                                      .qos = 1 },
                              out);
    TRY(check_room(out, len));
    h->sent_++;
    return OK;
}

uint64_t berth_hub_client_pending(const struct berth_hub_client *h)
{
    return h->sent_ - h->acknowledged_;
}

static void filter_of(const struct berth_hub_client *h, enum berth_hub_event_kind kind,
                      struct buf *filter)
{
    switch (kind) {
    case BERTH_HUB_MESSAGE:
        buf_add_str(filter, "devices/");
        add_who(h->config_.device_id, MODULES, h->config_.module_id, filter);
        buf_add_str(filter, "/messages/devicebound/#");
        return;
    case BERTH_HUB_METHOD:
        buf_add_str(filter, "$iothub/methods/POST/#");
        return;
    case BERTH_HUB_DESIRED:
        buf_add_str(filter, "$iothub/twin/PATCH/properties/desired/#");
        return;
    case BERTH_HUB_TWIN:
        buf_add_str(filter, "$iothub/twin/res/#");
        return;
    }
}

/* A message is not to be lost: QoS 1. Calls and twins are asked for again. */
static err subscribe_to(struct berth_hub_client *h, enum berth_hub_event_kind kind)
{
    uint8_t memory[TOPIC_MAX];
    struct buf filter = buf_over(memory, sizeof(memory));
    struct buf *out = &h->wire_.out_;
    size_t len = out->len;

    filter_of(h, kind, &filter);
    TRY(buf_ok(&filter));
    mqtt_codec_encode_subscribe(next_packet_id(h), buf_span(&filter), kind == BERTH_HUB_MESSAGE,
                                out);
    TRY(check_room(out, len));
    h->asked_++;
    return OK;
}

err berth_hub_client_subscribe(struct berth_hub_client *h, unsigned kinds)
{
    if (h->state_ != BERTH_HUB_CLIENT_CONNECTED) {
        return ERR(PRECONDITION);
    }
    for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
        if ((kinds & KINDS[i]) != 0) {
            TRY(subscribe_to(h, KINDS[i]));
        }
    }
    return OK;
}

bool berth_hub_client_is_subscribed(const struct berth_hub_client *h)
{
    return h->answered_ == h->asked_;
}

/* QoS 0, as the official devices do: each of these is answered by the hub, or by nobody. */
static err publish(struct berth_hub_client *h, const struct buf *topic, struct span payload)
{
    struct buf *out = &h->wire_.out_;
    size_t len = out->len;

    if (h->state_ != BERTH_HUB_CLIENT_CONNECTED) {
        return ERR(PRECONDITION);
    }
    TRY(buf_ok(topic));
    mqtt_codec_encode_publish(
        &(struct mqtt_publish){ .topic = buf_span(topic), .payload = payload }, out);
    return check_room(out, len);
}

err berth_hub_client_respond(struct berth_hub_client *h, struct span request_id, int status,
                             struct span payload)
{
    uint8_t memory[TOPIC_MAX];
    struct buf topic = buf_over(memory, sizeof(memory));

    buf_printf(&topic, "$iothub/methods/res/%d/?$rid=%.*s", status, SPAN_FMT(request_id));
    return publish(h, &topic, payload);
}

err berth_hub_client_get_twin(struct berth_hub_client *h, const char *request_id)
{
    uint8_t memory[TOPIC_MAX];
    struct buf topic = buf_over(memory, sizeof(memory));

    buf_printf(&topic, "$iothub/twin/GET/?$rid=%s", request_id);
    return publish(h, &topic, SPAN(""));
}

err berth_hub_client_report(struct berth_hub_client *h, const char *request_id, struct span patch)
{
    uint8_t memory[TOPIC_MAX];
    struct buf topic = buf_over(memory, sizeof(memory));

    buf_printf(&topic, "$iothub/twin/PATCH/properties/reported/?$rid=%s", request_id);
    return publish(h, &topic, patch);
}

void berth_hub_client_ping(struct berth_hub_client *h)
{
    mqtt_codec_encode_pingreq(&h->wire_.out_);
}

void berth_hub_client_disconnect(struct berth_hub_client *h)
{
    mqtt_codec_encode_disconnect(&h->wire_.out_);
}
