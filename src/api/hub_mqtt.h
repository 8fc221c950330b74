/* api/hub_mqtt.h: one MQTT connection of a device to its hub (reference iothub-device-api.md 2 to
 * 6). Part of the MQTT surface: mqtt.c hands on what concerns it. */
#ifndef API_HUB_MQTT_H
#define API_HUB_MQTT_H

#include "api/filters.h"
#include "api/surface.h"
#include "api/topic.h"
#include "hub/limits.h"
#include "model/limits.h"
#include "proto/mqtt/codec.h"

enum { HUB_MQTT_GENERATION_MAX = 64 };

/* Telemetry kept for an end without DISCONNECT. */
struct hub_mqtt_will {
    bool is_set, retain;
    size_t bag_len, body_len; /* one behind the other in `bytes` */
    uint8_t *bytes;           /* the session's; NULL without a will */
};

/* What was sent of the device's queue and not yet acknowledged: hub_mqtt_c2d.c. */
struct hub_mqtt_c2d {
    bool may_have;    /* something may wait that was not sent */
    bool is_held_off; /* until then */
    int64_t retry_ms; /* when to look again; INT64_MAX: when told */
    size_t n;
    unsigned n_acknowledged; /* of them */
    unsigned packets;        /* taken in since the first of those */
    struct {
        int64_t sequence;
        uint16_t packet_id;
        bool is_acknowledged; /* but not yet completed */
    } sent[LIMIT_C2D_IN_FLIGHT];
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
    int64_t active_ms; /* when it was noted last that it was heard of */
    int64_t until_ms;  /* the token's expiry: the session ends; INT64_MAX: it has none */
    size_t hub_len, client_len, generation_len, model_len;
    uint8_t hub[LIMIT_HOST_NAME];    /* folded */
    uint8_t client[LIMIT_CLIENT_ID]; /* its ID: "{device}" or "{device}/{module}" */
    uint8_t generation[HUB_MQTT_GENERATION_MAX];
    uint8_t model[LIMIT_MODEL_ID];      /* that it says it is of */
    char session_id[GUID_TEXT_LEN + 1]; /* of the bus; the tracking ID of its login */
    struct hub_limits_hub *limits;      /* the hub's; held */
    struct hub_turn turn;               /* of the next message: it is read no further until then */
    struct filters filters;
    struct hub_mqtt_c2d c2d;
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
/* Sends what waits in the queue, and settles what the device acknowledged. SURFACE_IDLE: there is
 * nothing to do as yet. `is_quiet`: the device has sent nothing that is still to be read. */
enum surface_step hub_mqtt_deliver_c2d(struct hub_mqtt *h, bool is_quiet, struct surface_io *io);
void hub_mqtt_puback(struct hub_mqtt *h, uint16_t packet_id);
/* When hub_mqtt_on_retry is due; INT64_MAX: never. */
int64_t hub_mqtt_retry_ms(const struct hub_mqtt *h);
void hub_mqtt_on_retry(struct hub_mqtt *h);
/* SURFACE_IDLE: not taken, offer the same packet again after a finish. */
enum surface_step hub_mqtt_publish(struct hub_mqtt *h, const struct mqtt_publish *p,
                                   struct surface_io *io);
/* Has as many messages on their way to the log as it may: read no further until one is through. */
bool hub_mqtt_is_full(const struct hub_mqtt *h);
/* Is the device's answer waited for? */
bool hub_mqtt_is_busy(const struct hub_mqtt *h);
/* Waits for its turn to send: read no further until turn.until_ms. */
static inline bool hub_mqtt_is_held_up(const struct hub_mqtt *h, int64_t now_ms)
{
    return hub_turn_waits(&h->turn, now_ms);
}
/* DISCONNECT: the will is void. Not closed before what the device acknowledged is completed. */
enum surface_step hub_mqtt_disconnect(struct hub_mqtt *h, struct surface_io *io);
enum surface_step hub_mqtt_finish(struct hub_mqtt *h, struct task *t, struct surface_io *io);
enum surface_step hub_mqtt_on_signal(struct hub_mqtt *h, unsigned signals, struct surface_io *io);
enum surface_step hub_mqtt_closed(struct hub_mqtt *h, struct surface_io *io);
/* Ends the connection with a line in the log. `why` may be NULL. */
enum surface_step hub_mqtt_close(struct hub_mqtt *h, enum reason reason, const char *why,
                                 struct surface_io *io);

#endif
