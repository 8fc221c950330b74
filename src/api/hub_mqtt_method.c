/* api/hub_mqtt_method.c: a direct method on its way to the device, and the device's answer
 * (reference iothub-device-api.md 9). Both pass on the loop: who called waits on another
 * connection, and judges the answer. Nothing is kept here of a call. */
#include "api/hub_mqtt_job.h"
#include "hub/bus_call.h"

/* The rid ends the topic: some SDKs take all that is left for it. */
void hub_mqtt_method_send(struct hub_mqtt *h, struct bus_letter *letter, struct surface_io *io)
{
    uint8_t room[LIMIT_METHOD_NAME + 96];
    struct buf topic = buf_over(room, sizeof(room));
    struct mqtt_publish p = { .payload = letter->payload };

    buf_add_str(&topic, "$iothub/methods/POST/");
    buf_add(&topic, letter->name);
    buf_add_str(&topic, "/?$rid=");
    buf_add(&topic, letter->rid);
    p.topic = buf_span(&topic);
    if (filters_match(&h->filters, p.topic) < 0) {
        bus_call_decline(h->surface->service->bus, &h->member, letter);
        return;
    }
    mqtt_codec_encode_publish(&p, io->out); /* QoS 0, whatever was granted */
    bus_letter_free(letter);
}

/* An answer that nobody waits for, for it is late or was never asked for, is dropped. */
enum surface_step hub_mqtt_method_publish(struct hub_mqtt *h, const struct mqtt_publish *p,
                                          struct surface_io *io)
{
    struct bus_letter answer = { .kind = BUS_LETTER_ANSWER, .payload = p->payload };
    struct topic_method_response response;

    if (!err_is_ok(topic_parse_method_response(p->topic, &response))) {
        return hub_mqtt_close(h, REASON_TOPIC_FORBIDDEN, "not an answer to a method", io);
    }
    if (p->qos > 0 && h->appends_in_flight > 0) {
        return SURFACE_IDLE; /* PUBACKs go out in the order of what they acknowledge */
    }
    answer.number = response.status;
    (void)bus_call_answer(h->surface->service->bus, &h->member, response.rid, &answer);
    if (p->qos > 0) {
        mqtt_codec_encode_puback(p->packet_id, io->out);
    }
    return SURFACE_AGAIN;
}
