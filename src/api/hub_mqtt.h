/* api/hub_mqtt.h: one MQTT connection of a device to its hub (reference iothub-device-api.md 2 to
 * 6). Part of the MQTT surface: mqtt.c hands on what concerns it. */
#ifndef API_HUB_MQTT_H
#define API_HUB_MQTT_H

#include "api/filters.h"
#include "api/surface.h"
#include "api/topic.h"
#include "model/limits.h"
#include "proto/mqtt/codec.h"

enum { HUB_MQTT_GENERATION_MAX = 64 };

/* Telemetry kept for an end without DISCONNECT. */
struct hub_mqtt_will {
    bool is_set, retain;
    size_t bag_len, body_len; /* one behind the other in `bytes` */
    uint8_t bytes[LIMIT_WILL];
};

struct hub_mqtt {
    struct surface *surface;
    struct bus_member member;
    enum { HUB_MQTT_AT_THE_DOOR, HUB_MQTT_OPEN, HUB_MQTT_OVER } state;
    bool had_session;
    bool is_clean;           /* what it subscribes to ends with the connection */
    bool has_letters;        /* something may be in the box */
    uint16_t last_packet_id; /* of what was sent with QoS 1 */
    unsigned appends_in_flight;
    enum hub_credential credential;
    int64_t until_ms; /* the token's expiry: the session ends; INT64_MAX: it has none */
    size_t hub_len, client_len, generation_len, model_len;
    uint8_t hub[LIMIT_HOST_NAME];    /* folded */
    uint8_t client[LIMIT_CLIENT_ID]; /* its ID: "{device}" or "{device}/{module}" */
    uint8_t generation[HUB_MQTT_GENERATION_MAX];
    uint8_t model[LIMIT_MODEL_ID]; /* that it says it is of */
    struct filters filters;
    struct hub_mqtt_will will;
};

/* *h may be anything before. A device that is refused here never joined the bus. */
enum surface_step hub_mqtt_connect(struct hub_mqtt *h, struct surface *surface,
                                   const struct mqtt_connect *c, struct surface_io *io);
/* SUBSCRIBE, UNSUBSCRIBE: answered once what outlives the connection is kept. SURFACE_IDLE: not
 * taken, offer it again. */
enum surface_step hub_mqtt_subscribe(struct hub_mqtt *h, const struct mqtt_packet *p,
                                     struct surface_io *io);
/* Sends what the box has, while the device takes it. */
void hub_mqtt_deliver(struct hub_mqtt *h, struct surface_io *io);
/* SURFACE_IDLE: not taken, offer the same packet again after a finish. */
enum surface_step hub_mqtt_publish(struct hub_mqtt *h, const struct mqtt_publish *p,
                                   struct surface_io *io);
/* Has as many messages on their way to the log as it may: read no further until one is through. */
bool hub_mqtt_is_full(const struct hub_mqtt *h);
/* Is the device's answer waited for? */
bool hub_mqtt_is_busy(const struct hub_mqtt *h);
/* DISCONNECT: the will is void. */
void hub_mqtt_disconnect(struct hub_mqtt *h);
enum surface_step hub_mqtt_finish(struct hub_mqtt *h, struct task *t, struct surface_io *io);
enum surface_step hub_mqtt_on_signal(struct hub_mqtt *h, unsigned signals, struct surface_io *io);
enum surface_step hub_mqtt_closed(struct hub_mqtt *h, struct surface_io *io);
/* Ends the connection with a line in the log. `why` may be NULL. */
enum surface_step hub_mqtt_close(struct hub_mqtt *h, enum reason reason, const char *why,
                                 struct surface_io *io);

#endif
