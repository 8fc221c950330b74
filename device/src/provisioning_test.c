/* device/src/provisioning_test.c: a registration over two buffers, the service played by the
 * codec. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "berth/provisioning.h"

struct play {
    struct berth_provisioning device;
    uint8_t in[2048], out[1024], service[2048];
    struct buf to_device;
    size_t step; /* bytes handed over at a time */
};

static void start(struct play *p, size_t step)
{
    struct berth_provisioning_config config = { .id_scope = "0ne00000001",
                                                .registration_id = "sensor-1" };
    struct berth_buffers buffers = { p->in, sizeof(p->in), p->out, sizeof(p->out) };

    p->step = step;
    p->to_device = buf_over(p->service, sizeof(p->service));
    assert_true(err_is_ok(berth_provisioning_init(&p->device, &config, &buffers)));
}

/* The next packet the device has written; it must be of the type. */
static struct mqtt_packet expect(struct play *p, enum mqtt_type type)
{
    static uint8_t copy[1024];
    struct span out = berth_provisioning_output(&p->device);
    struct mqtt_packet packet = { 0 };
    size_t len = 0;

    assert_true(err_is_ok(mqtt_codec_frame_len(out, &len)));
    assert_true(len > 0 && len <= out.len);
    memcpy(copy, out.data, len);
    berth_provisioning_sent(&p->device, len);
    assert_true(err_is_ok(mqtt_codec_decode(span_of(copy, len), &packet)));
    assert_int_equal(packet.type, type);
    return packet;
}

static err deliver(struct play *p)
{
    struct span rest = buf_span(&p->to_device);
    err e = OK;

    while (rest.len > 0 && err_is_ok(e)) {
        struct span part = span_first(rest, p->step);

        e = berth_provisioning_input(&p->device, part);
        rest = span_from(rest, part.len);
    }
    p->to_device.len = 0;
    return e;
}

static err answer(struct play *p, const char *topic, const char *payload)
{
    mqtt_codec_encode_publish(
        &(struct mqtt_publish){
            .topic = span_str(topic), .payload = span_str(payload), .packet_id = 9, .qos = 1 },
        &p->to_device);
    return deliver(p);
}

static void connect_and_register(struct play *p, size_t step)
{
    struct mqtt_packet packet;

    start(p, step);
    packet = expect(p, MQTT_CONNECT);
    assert_true(span_eq(packet.connect.client_id, SPAN("sensor-1")));
    assert_true(span_eq(packet.connect.username,
                        SPAN("0ne00000001/registrations/sensor-1/api-version=2021-06-01")));
    assert_true(span_is_absent(packet.connect.password));
    mqtt_codec_encode_connack(&(struct mqtt_connack){ .code = MQTT_ACCEPTED }, &p->to_device);
    assert_true(err_is_ok(deliver(p)));

    packet = expect(p, MQTT_SUBSCRIBE);
    mqtt_codec_encode_suback(packet.subscribe.packet_id, SPAN("\1"), &p->to_device);
    assert_true(err_is_ok(deliver(p)));

    packet = expect(p, MQTT_PUBLISH);
    assert_true(
        span_eq(packet.publish.topic, SPAN("$dps/registrations/PUT/iotdps-register/?$rid=1")));
    assert_true(span_eq(packet.publish.payload, SPAN("{\"registrationId\":\"sensor-1\"}")));
    mqtt_codec_encode_puback(packet.publish.packet_id, &p->to_device);
    assert_true(err_is_ok(deliver(p)));
    assert_int_equal(berth_provisioning_state(&p->device), BERTH_PROVISIONING_REGISTERING);
}

static void test_assigned_whatever_the_pieces(void **state)
{
    static const size_t steps[] = { 1, 2, 7, 4096 };

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct play p;
        struct mqtt_packet packet;

        connect_and_register(&p, steps[i]);
        assert_true(err_is_ok(answer(&p, "$dps/registrations/res/202/?$rid=1&retry-after=3",
                                     "{\"operationId\":\"5.op\",\"status\":\"assigning\"}")));
        assert_int_equal(berth_provisioning_state(&p.device), BERTH_PROVISIONING_WAITING);
        assert_int_equal(berth_provisioning_result(&p.device)->retry_after_s, 3);
        expect(&p, MQTT_PUBACK);

        assert_true(err_is_ok(berth_provisioning_resume(&p.device)));
        packet = expect(&p, MQTT_PUBLISH);
        assert_true(
            span_eq(packet.publish.topic, SPAN("$dps/registrations/GET/iotdps-get-operationstatus/"
                                               "?$rid=2&operationId=5.op")));
        assert_true(err_is_ok(
            answer(&p, "$dps/registrations/res/200/?$rid=2",
                   "{\"operationId\":\"5.op\",\"status\":\"assigned\",\"registrationState\":{"
                   "\"assignedHub\":\"hub.example\",\"deviceId\":\"sensor-1\"}}")));
        assert_true(berth_provisioning_is_assigned(&p.device));
        assert_string_equal(berth_provisioning_result(&p.device)->assigned_hub, "hub.example");
        expect(&p, MQTT_PUBACK);
        berth_provisioning_disconnect(&p.device);
        expect(&p, MQTT_DISCONNECT);
    }
}

static void test_refused_by_the_service(void **state)
{
    struct play p;

    (void)state;
    connect_and_register(&p, 4096);
    assert_true(err_is_ok(answer(&p, "$dps/registrations/res/401/?$rid=1",
                                 "{\"errorCode\":401002,\"trackingId\":\"t\"}")));
    assert_int_equal(berth_provisioning_state(&p.device), BERTH_PROVISIONING_DONE);
    assert_false(berth_provisioning_is_assigned(&p.device));
    assert_int_equal(berth_provisioning_result(&p.device)->error_code, 401002);
}

static void test_throttled_registers_again(void **state)
{
    struct play p;
    struct mqtt_packet packet;

    (void)state;
    connect_and_register(&p, 4096);
    assert_true(err_is_ok(
        answer(&p, "$dps/registrations/res/429/?$rid=1&retry-after=5", "{\"errorCode\":429001}")));
    assert_int_equal(berth_provisioning_state(&p.device), BERTH_PROVISIONING_WAITING);
    expect(&p, MQTT_PUBACK);
    assert_true(err_is_ok(berth_provisioning_resume(&p.device)));
    packet = expect(&p, MQTT_PUBLISH);
    assert_true(
        span_eq(packet.publish.topic, SPAN("$dps/registrations/PUT/iotdps-register/?$rid=2")));
}

/* A poll that is throttled is asked again: the operation is not forgotten. */
static void test_throttled_poll(void **state)
{
    struct play p;
    struct mqtt_packet packet;

    (void)state;
    connect_and_register(&p, 4096);
    assert_true(err_is_ok(answer(&p, "$dps/registrations/res/202/?$rid=1",
                                 "{\"operationId\":\"5.op\",\"status\":\"assigning\"}")));
    expect(&p, MQTT_PUBACK);
    assert_true(err_is_ok(berth_provisioning_resume(&p.device)));
    expect(&p, MQTT_PUBLISH);
    assert_true(err_is_ok(answer(&p, "$dps/registrations/res/503/?$rid=2", "{}")));
    expect(&p, MQTT_PUBACK);
    assert_true(err_is_ok(berth_provisioning_resume(&p.device)));
    packet = expect(&p, MQTT_PUBLISH);
    assert_true(span_ends_with(packet.publish.topic, SPAN("?$rid=3&operationId=5.op")));
}

static void test_connack_refuses(void **state)
{
    struct play p;
    int code = 0;

    (void)state;
    start(&p, 4096);
    mqtt_codec_encode_connack(&(struct mqtt_connack){ .code = MQTT_NOT_AUTHORIZED }, &p.to_device);
    assert_true(err_is(deliver(&p), ERR_DENIED));
    assert_int_equal(berth_provisioning_state(&p.device), BERTH_PROVISIONING_FAILED);
    assert_true(err_is(berth_provisioning_fault(&p.device, &code), ERR_DENIED));
    assert_int_equal(code, MQTT_NOT_AUTHORIZED);
}

static void test_bytes_that_are_none(void **state)
{
    struct play p;

    (void)state;
    start(&p, 4096);
    assert_true(
        err_is(berth_provisioning_input(&p.device, SPAN("HTTP/1.1 400 Bad")), ERR_MALFORMED));
    connect_and_register(&p, 4096); /* a packet that can never fit */
    assert_true(
        err_is(berth_provisioning_input(&p.device, SPAN("\x30\xff\xff\x03")), ERR_TOO_LARGE));
    connect_and_register(&p, 4096);
    assert_true(
        err_is(answer(&p, "$dps/registrations/res/200/?$rid=1", "not json"), ERR_MALFORMED));
}

static void test_out_buffer_too_small(void **state)
{
    struct berth_provisioning device;
    struct berth_provisioning_config config = { .id_scope = "s", .registration_id = "d" };
    uint8_t in[64], out[16];
    struct berth_buffers buffers = { in, sizeof(in), out, sizeof(out) };

    (void)state;
    assert_true(err_is(berth_provisioning_init(&device, &config, &buffers), ERR_NOMEM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_assigned_whatever_the_pieces),
        cmocka_unit_test(test_refused_by_the_service),
        cmocka_unit_test(test_throttled_registers_again),
        cmocka_unit_test(test_throttled_poll),
        cmocka_unit_test(test_connack_refuses),
        cmocka_unit_test(test_bytes_that_are_none),
        cmocka_unit_test(test_out_buffer_too_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
