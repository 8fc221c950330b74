/* berth/hub_client.h: a device's or a module's session with its hub (Azure IoT Hub or berthd) over
 * MQTT 3.1.1: connect, send telemetry, stay alive; and, when subscribed to, messages, method calls
 * and its twin. No allocation, no sockets, no clock; used like berth/provisioning.h. */
#ifndef BERTH_HUB_CLIENT_H
#define BERTH_HUB_CLIENT_H

#include "berth/hub_event.h"
#include "berth/wire.h"

#define BERTH_HUB_API_VERSION "2021-04-12"

enum berth_hub_client_state {
    BERTH_HUB_CLIENT_CONNECTING,
    BERTH_HUB_CLIENT_CONNECTED,
    BERTH_HUB_CLIENT_FAILED /* see berth_hub_client_fault */
};

/* Texts are borrowed and must outlive the client. */
struct berth_hub_client_config {
    const char *host_name; /* of the hub: what provisioning assigned */
    const char *device_id;
    const char *module_id;  /* a module of the device; NULL: the device itself */
    const char *token;      /* shared access signature; NULL with a client certificate */
    const char *user_agent; /* percent-encoded already; NULL: none */
    uint16_t keep_alive_s;  /* send berth_hub_client_ping within it; 0: the server's own limit */
    /* What was subscribed to, from within berth_hub_client_input; NULL: passed over. A message of
     * QoS 1 is acknowledged, and so gone from the hub, when it returns. */
    void (*on_event)(void *context, const struct berth_hub_event *event);
    void *context;
};

struct berth_property {
    const char *name, *value;
};

struct berth_hub_client {
    struct berth_hub_client_config config_;
    struct berth_wire wire_;
    enum berth_hub_client_state state_;
    err fault_;
    int connack_code_;
    uint16_t packet_id_;
    uint64_t sent_, acknowledged_;
    unsigned asked_, answered_; /* SUBSCRIBEs */
};

/* Writes CONNECT into the output. ERR_NOMEM: the out buffer is too small. */
err berth_hub_client_init(struct berth_hub_client *h, const struct berth_hub_client_config *config,
                          const struct berth_buffers *buffers);
/* As berth_provisioning_input. ERR_DENIED too when the hub refuses a subscription. */
err berth_hub_client_input(struct berth_hub_client *h, struct span bytes);
struct span berth_hub_client_output(const struct berth_hub_client *h);
void berth_hub_client_sent(struct berth_hub_client *h, size_t n);
enum berth_hub_client_state berth_hub_client_state(const struct berth_hub_client *h);
err berth_hub_client_fault(const struct berth_hub_client *h, int *ret_connack_code);

/* One message, QoS 1. properties: $.ct, $.ce and so on for the system's, any other name for the
 * application's. ERR_NOMEM: the output has no room (send some first); ERR_PRECONDITION: not
 * connected. */
err berth_hub_client_send(struct berth_hub_client *h, struct span message,
                          const struct berth_property *properties, size_t n_properties);
/* Messages sent that the hub has not acknowledged: not yet stored. */
uint64_t berth_hub_client_pending(const struct berth_hub_client *h);

/* Asks for events of these kinds, joined by '|'; one may be asked for again. ERR_NOMEM,
 * ERR_PRECONDITION: as berth_hub_client_send. */
err berth_hub_client_subscribe(struct berth_hub_client *h, unsigned kinds);
/* Has the hub answered every subscription? */
bool berth_hub_client_is_subscribed(const struct berth_hub_client *h);
/* The answer to a method call: any status; payload: JSON, or empty. May be called by on_event. */
err berth_hub_client_respond(struct berth_hub_client *h, struct span request_id, int status,
                             struct span payload);
/* Asks for the twin: {"desired":{…},"reported":{…}} comes as BERTH_HUB_TWIN with status 200. */
err berth_hub_client_get_twin(struct berth_hub_client *h, const char *request_id);
/* Changes the reported properties; patch: JSON, null deletes. Answered by BERTH_HUB_TWIN: 204. */
err berth_hub_client_report(struct berth_hub_client *h, const char *request_id, struct span patch);

void berth_hub_client_ping(struct berth_hub_client *h);
void berth_hub_client_disconnect(struct berth_hub_client *h);

/* devices/{id}[/modules/{id}]/messages/events/{name=value&...}, both percent-encoded. */
void berth_hub_client_telemetry_topic(const char *device_id, const char *module_id,
                                      const struct berth_property *properties, size_t n_properties,
                                      struct buf *out);

#endif
