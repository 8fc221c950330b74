/* api/dps_mqtt.h: one MQTT connection of a device that registers (reference dps-device-api.md 3).
 * Part of the MQTT surface: mqtt.c hands on what concerns it. */
#ifndef API_DPS_MQTT_H
#define API_DPS_MQTT_H

#include "api/surface.h"
#include "api/topic.h"
#include "model/limits.h"
#include "proto/mqtt/codec.h"

enum {
    /* Names that break their rules still reach the decision, and its record, unless longer. */
    DPS_MQTT_SCOPE_MAX = 2 * LIMIT_ID_SCOPE,
    DPS_MQTT_ID_MAX = 2 * LIMIT_REGISTRATION_ID,
};

struct dps_mqtt {
    bool is_subscribed;
    uint8_t granted_qos; /* of the response topic */
    uint16_t last_packet_id;
    size_t scope_len, id_len, token_len;
    uint8_t scope[DPS_MQTT_SCOPE_MAX];
    uint8_t id[DPS_MQTT_ID_MAX];
    uint8_t token[LIMIT_SAS_TOKEN];
};

/* Answers CONNECT. Who the device is will be asked when it registers, so that a refusal has a body.
 */
enum surface_step dps_mqtt_connect(struct dps_mqtt *d, const struct mqtt_connect *c,
                                   struct surface_io *io);
/* The SUBACK code. */
uint8_t dps_mqtt_subscribe(struct dps_mqtt *d, struct span filter, uint8_t qos,
                           struct surface_io *io);
void dps_mqtt_unsubscribe(struct dps_mqtt *d, struct span filter);
enum surface_step dps_mqtt_publish(struct dps_mqtt *d, const struct mqtt_publish *p,
                                   struct surface_io *io);
enum surface_step dps_mqtt_finish(struct dps_mqtt *d, struct task *t, struct surface_io *io);
/* Ends the connection with a line in the log. `why` may be NULL. */
enum surface_step dps_mqtt_close(const struct dps_mqtt *d, enum reason reason, const char *why,
                                 struct surface_io *io);

#endif
