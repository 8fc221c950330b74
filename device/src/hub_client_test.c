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
};

static void connect_device(struct play *p, enum mqtt_connack_code code)
{
    struct berth_hub_client_config config = { .host_name = "hub.example",
                                              .device_id = "d",
                                              .keep_alive_s = 30 };
    struct berth_buffers buffers = { p->in, sizeof(p->in), p->out, sizeof(p->out) };
    uint8_t memory[64];
    struct buf answer = buf_over(memory, sizeof(memory));
    struct mqtt_packet packet;
    struct span out;
    err e;

    assert_true(err_is_ok(berth_hub_client_init(&p->device, &config, &buffers)));
    out = berth_hub_client_output(&p->device);
    assert_true(err_is_ok(mqtt_codec_decode(out, &packet)));
    assert_true(span_eq(packet.connect.username, SPAN("hub.example/d/?api-version=2021-04-12")));
    assert_int_equal(packet.connect.keep_alive_s, 30);
    berth_hub_client_sent(&p->device, out.len);
    mqtt_codec_encode_connack(&(struct mqtt_connack){ .code = (uint8_t)code }, &answer);
    e = berth_hub_client_input(&p->device, buf_span(&answer));
    assert_int_equal(err_is_ok(e), code == MQTT_ACCEPTED);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_telemetry),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
