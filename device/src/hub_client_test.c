/* device/src/hub_client_test.c: a device's session over two buffers, the hub played by the
 * codec. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "berth/hub_client.h"

struct play {
    struct berth_hub_client device;
    uint8_t in[512], out[512];
    struct berth_hub_event events[4];
    size_t n_events;
};

static void on_event(void *context, const struct berth_hub_event *event)
{
    struct play *p = context;

    p->events[p->n_events++] = *event;
    if (event->kind == BERTH_HUB_METHOD) {
        assert_true(err_is_ok(
            berth_hub_client_respond(&p->device, event->request_id, 200, event->payload)));
    }
}

static void connect_as(struct play *p, enum mqtt_connack_code code, const char *module,
                       struct span client_id, struct span username)
{
    struct berth_hub_client_config config = { .host_name = "hub.example",
                                              .device_id = "d",
                                              .module_id = module,
                                              .keep_alive_s = 30,
                                              .on_event = on_event,
                                              .context = p };
    struct berth_buffers buffers = { p->in, sizeof(p->in), p->out, sizeof(p->out) };
    uint8_t memory[64];
    struct buf answer = buf_over(memory, sizeof(memory));
    struct mqtt_packet packet;
    struct span out;
    err e;

    p->n_events = 0;
    assert_true(err_is_ok(berth_hub_client_init(&p->device, &config, &buffers)));
    out = berth_hub_client_output(&p->device);
    assert_true(err_is_ok(mqtt_codec_decode(out, &packet)));
    assert_true(span_eq(packet.connect.client_id, client_id));
    assert_true(span_eq(packet.connect.username, username));
    assert_int_equal(packet.connect.keep_alive_s, 30);
    berth_hub_client_sent(&p->device, out.len);
    mqtt_codec_encode_connack(&(struct mqtt_connack){ .code = (uint8_t)code }, &answer);
    e = berth_hub_client_input(&p->device, buf_span(&answer));
    assert_int_equal(err_is_ok(e), code == MQTT_ACCEPTED);
}

static void connect_device(struct play *p, enum mqtt_connack_code code)
{
    connect_as(p, code, NULL, SPAN("d"), SPAN("hub.example/d/?api-version=2021-04-12"));
}

static void test_telemetry(void **state)
{
    static const struct berth_property properties[] = { { "$.ct", "application/json" },
                                                        { "a b", "1&2" } };
    struct play p;
    struct mqtt_packet packet;
    struct span out;
    uint8_t memory[8];
    struct buf ack = buf_over(memory, sizeof(memory));

    (void)state;
    connect_device(&p, MQTT_ACCEPTED);
    assert_true(err_is_ok(berth_hub_client_send(&p.device, SPAN("{}"), properties, 2)));
    out = berth_hub_client_output(&p.device);
    assert_true(err_is_ok(mqtt_codec_decode(out, &packet)));
    assert_true(span_eq(packet.publish.topic,
                        SPAN("devices/d/messages/events/%24.ct=application%2Fjson&a%20b=1%262")));
    assert_true(span_eq(packet.publish.payload, SPAN("{}")));
    assert_int_equal(packet.publish.qos, 1);
    assert_int_equal(berth_hub_client_pending(&p.device), 1);
    mqtt_codec_encode_puback(packet.publish.packet_id, &ack);
    assert_true(err_is_ok(berth_hub_client_input(&p.device, buf_span(&ack))));
    assert_int_equal(berth_hub_client_pending(&p.device), 0);
}

/* A message that does not fit leaves the session and what waits to be sent as it was. */
static void test_no_room(void **state)
{
    static const char big[600] = { 0 };
    struct play p;

    (void)state;
    connect_device(&p, MQTT_ACCEPTED);
    assert_true(
        err_is(berth_hub_client_send(&p.device, span_of(big, sizeof(big)), NULL, 0), ERR_NOMEM));
    assert_int_equal(berth_hub_client_output(&p.device).len, 0);
    assert_int_equal(berth_hub_client_pending(&p.device), 0);
    assert_true(err_is_ok(berth_hub_client_send(&p.device, SPAN("ok"), NULL, 0)));
}

/* The next packet that the device sends. */
static struct mqtt_packet sent(struct play *p)
{
    struct span out = berth_hub_client_output(&p->device);
    static uint8_t copy[512];
    struct mqtt_packet packet;
    size_t len = 0;

    assert_true(err_is_ok(mqtt_codec_frame_len(out, &len)));
    assert_true(len > 0 && len <= out.len && len <= sizeof(copy));
    memcpy(copy, out.data, len);
    berth_hub_client_sent(&p->device, len);
    assert_true(err_is_ok(mqtt_codec_decode(span_of(copy, len), &packet)));
    return packet;
}

static err publish(struct play *p, const char *topic, const char *payload, uint8_t qos)
{
    uint8_t memory[256];
    struct buf packet = buf_over(memory, sizeof(memory));

    mqtt_codec_encode_publish(&(struct mqtt_publish){ .topic = span_str(topic),
                                                      .payload = span_str(payload),
                                                      .qos = qos,
                                                      .packet_id = qos ? 9 : 0 },
                              &packet);
    return berth_hub_client_input(&p->device, buf_span(&packet));
}

static err answer_subscription(struct play *p, uint8_t code)
{
    struct mqtt_packet packet = sent(p);
    uint8_t memory[8];
    struct buf ack = buf_over(memory, sizeof(memory));

    assert_int_equal(packet.type, MQTT_SUBSCRIBE);
    mqtt_codec_encode_suback(packet.subscribe.packet_id, span_of(&code, 1), &ack);
    return berth_hub_client_input(&p->device, buf_span(&ack));
}

static void test_events(void **state)
{
    struct play p;
    struct mqtt_packet packet;

    (void)state;
    connect_device(&p, MQTT_ACCEPTED);
    assert_true(
        err_is_ok(berth_hub_client_subscribe(&p.device, BERTH_HUB_MESSAGE | BERTH_HUB_METHOD)));
    assert_false(berth_hub_client_is_subscribed(&p.device));
    assert_true(err_is_ok(answer_subscription(&p, 1)));
    assert_true(err_is_ok(answer_subscription(&p, 0)));
    assert_true(berth_hub_client_is_subscribed(&p.device));
    assert_true(err_is_ok(publish(&p, "devices/d/messages/devicebound/a=b", "hello", 1)));
    assert_int_equal(p.events[0].kind, BERTH_HUB_MESSAGE);
    packet = sent(&p);
    assert_int_equal(packet.type, MQTT_PUBACK);
    assert_int_equal(packet.packet_id, 9);
    assert_true(err_is_ok(publish(&p, "$iothub/methods/POST/m/?$rid=1f", "[1]", 0)));
    packet = sent(&p);
    assert_true(span_eq(packet.publish.topic, SPAN("$iothub/methods/res/200/?$rid=1f")));
    assert_true(span_eq(packet.publish.payload, SPAN("[1]")));
    assert_true(err_is_ok(publish(&p, "$iothub/never/heard/of", "", 0)));
    assert_int_equal(p.n_events, 2);
    assert_true(err_is_ok(berth_hub_client_get_twin(&p.device, "g")));
    packet = sent(&p);
    assert_true(span_eq(packet.publish.topic, SPAN("$iothub/twin/GET/?$rid=g")));
    assert_true(err_is_ok(berth_hub_client_report(&p.device, "r", SPAN("{}"))));
    packet = sent(&p);
    assert_true(
        span_eq(packet.publish.topic, SPAN("$iothub/twin/PATCH/properties/reported/?$rid=r")));
}

static void test_subscription_refused(void **state)
{
    struct play p;

    (void)state;
    connect_device(&p, MQTT_ACCEPTED);
    assert_true(err_is_ok(berth_hub_client_subscribe(&p.device, BERTH_HUB_DESIRED)));
    assert_true(err_is(answer_subscription(&p, MQTT_SUBACK_FAILURE), ERR_DENIED));
    assert_true(err_is(berth_hub_client_subscribe(&p.device, BERTH_HUB_DESIRED), ERR_PRECONDITION));
}

static void test_refused(void **state)
{
    struct play p;
    int code = 0;

    (void)state;
    connect_device(&p, MQTT_NOT_AUTHORIZED);
    assert_int_equal(berth_hub_client_state(&p.device), BERTH_HUB_CLIENT_FAILED);
    assert_true(err_is(berth_hub_client_fault(&p.device, &code), ERR_DENIED));
    assert_int_equal(code, MQTT_NOT_AUTHORIZED);
    assert_true(err_is(berth_hub_client_send(&p.device, SPAN("x"), NULL, 0), ERR_PRECONDITION));
}

/* Everything of a module is under its device's name and its own. */
static void test_module(void **state)
{
    struct play p;

    (void)state;
    connect_as(&p, MQTT_ACCEPTED, "m", SPAN("d/m"),
               SPAN("hub.example/d/m/?api-version=2021-04-12"));
    assert_true(err_is_ok(berth_hub_client_send(&p.device, SPAN("1"), NULL, 0)));
    assert_true(span_eq(sent(&p).publish.topic, SPAN("devices/d/modules/m/messages/events/")));
    assert_true(err_is_ok(berth_hub_client_subscribe(&p.device, BERTH_HUB_MESSAGE)));
    assert_true(span_starts_with(span_from(sent(&p).subscribe.filters, 2), /* its length */
                                 SPAN("devices/d/modules/m/messages/devicebound/#")));
    assert_true(err_is_ok(publish(&p, "devices/d/modules/m/messages/devicebound/a=1", "hi", 1)));
    assert_true(err_is_ok(publish(&p, "devices/d/messages/devicebound/a=1", "hi", 0)));
    assert_int_equal(p.n_events, 1);
    assert_true(span_eq(p.events[0].properties, SPAN("a=1")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_telemetry), cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_events),    cmocka_unit_test(test_subscription_refused),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_module),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
