/* api/hub_mqtt_job.h: what the files of a hub's MQTT session share: its tasks and its names. Inside
 * api/ only. */
#ifndef API_HUB_MQTT_JOB_H
#define API_HUB_MQTT_JOB_H

#include "api/hub_mqtt.h"
#include "hub/c2d.h"
#include "hub/hub.h"

enum hub_job_kind {
    HUB_JOB_LOGIN,
    HUB_JOB_TELEMETRY,
    HUB_JOB_REFUSED,
    HUB_JOB_KEEP,
    HUB_JOB_TWIN,
    HUB_JOB_C2D,
};

/* A turn at the device's queue. */
struct hub_c2d_job {
    struct hub_c2d_turn turn;
    int64_t completed[LIMIT_C2D_IN_FLIGHT];
    struct hub_c2d_hand hand;
    struct span topics[LIMIT_C2D_IN_FLIGHT]; /* one a message of the hand */
    err result;
};

/* A task's work, in its arena. */
struct hub_job {
    enum hub_job_kind kind;
    struct verdict verdict;
    uint16_t packet_id; /* to acknowledge; 0: QoS 0, or a will */
    union {
        struct {
            struct hub_login login;
            struct hub_session session;
            struct hub_limits_hub *limits; /* held */
        };
        struct { /* KEEP: subscriptions, before they are granted */
            struct session kept;
            const struct bus_member *member;
            uint8_t codes[LIMIT_SUBSCRIPTIONS];
            size_t n_codes; /* 0: UNSUBSCRIBE */
        };
        struct { /* TWIN */
            struct topic_twin_request request;
            struct span hub, device_id, generation, patch;
            int64_t version; /* of the reported properties, after REPORT */
            struct span body;
        };
        struct hub_c2d_job *c2d;
    };
};

static inline struct span hub_mqtt_hub(const struct hub_mqtt *h)
{
    return span_of(h->hub, h->hub_len);
}

static inline struct span hub_mqtt_client_id(const struct hub_mqtt *h)
{
    return span_of(h->client, h->client_len);
}

/* Absent: it named none. */
static inline struct span hub_mqtt_model_id(const struct hub_mqtt *h)
{
    return h->model_len > 0 ? span_of(h->model, h->model_len) : SPAN_NONE;
}

struct access_note hub_mqtt_note(const struct hub_mqtt *h, const char *operation);
struct hub_job *hub_mqtt_new_job(struct hub_mqtt *h, struct task *t, enum hub_job_kind kind,
                                 const char *operation);

/* hub_mqtt_door.c, hub_mqtt_filters.c: what a worker found out about a CONNECT, a SUBSCRIBE. */
enum surface_step hub_mqtt_door_finish(struct hub_mqtt *h, struct task *t, struct surface_io *io);
enum surface_step hub_mqtt_filters_finish(struct hub_mqtt *h, struct task *t,
                                          struct surface_io *io);

/* hub_mqtt_telemetry.c: PUBLISH to any topic but $iothub/. TOPIC_FORBIDDEN closes. */
enum surface_step hub_mqtt_telemetry_publish(struct hub_mqtt *h, const struct mqtt_publish *p,
                                             struct surface_io *io);
enum surface_step hub_mqtt_telemetry_finish(struct hub_mqtt *h, struct task *t,
                                            struct surface_io *io);
/* The will, which is set: SURFACE_APPEND, or SURFACE_IDLE when there is no room for it. */
enum surface_step hub_mqtt_telemetry_will(struct hub_mqtt *h, struct surface_io *io);

/* hub_mqtt_twin.c: PUBLISH to a topic of the twin. TOPIC_FORBIDDEN closes. */
enum surface_step hub_mqtt_twin_publish(struct hub_mqtt *h, const struct mqtt_publish *p,
                                        struct surface_io *io);
enum surface_step hub_mqtt_twin_finish(struct hub_mqtt *h, struct task *t, struct surface_io *io);

/* hub_mqtt_method.c: a direct method for the device, which it is sent if it subscribed to methods;
 * else it is declined. Owns the letter. */
void hub_mqtt_method_send(struct hub_mqtt *h, struct bus_letter *letter, struct surface_io *io);
/* PUBLISH to a topic of methods. TOPIC_FORBIDDEN closes. */
enum surface_step hub_mqtt_method_publish(struct hub_mqtt *h, const struct mqtt_publish *p,
                                          struct surface_io *io);

/* hub_mqtt_c2d.c: what a turn at the queue brought. */
enum surface_step hub_mqtt_c2d_finish(struct hub_mqtt *h, struct task *t, struct surface_io *io);
bool hub_mqtt_c2d_is_in_flight(const struct hub_mqtt *h, uint16_t packet_id);

/* For one PUBLISH with QoS 1: none that waits for its PUBACK. */
uint16_t hub_mqtt_new_packet_id(struct hub_mqtt *h);
/* Sends to the device if it subscribed to the topic. */
void hub_mqtt_send(struct hub_mqtt *h, struct span topic, struct span payload,
                   struct surface_io *io);

#endif
