/* berth/provisioning.h: registering one device with a provisioning service (Azure DPS or berthd)
 * over MQTT 3.1.1. No allocation, no sockets, no clock: bytes in, bytes out, and a state to ask
 * for. The caller makes the TLS connection with the device's certificate, carries the bytes and
 * keeps the time.
 *
 *     berth_provisioning_init(&p, &config, &buffers)
 *     while not DONE or FAILED:
 *         send berth_provisioning_output(&p), tell berth_provisioning_sent(&p, n)
 *         if WAITING: sleep berth_provisioning_result(&p)->retry_after_s, berth_provisioning_resume
 *         else: receive, berth_provisioning_input(&p, bytes)
 */
#ifndef BERTH_PROVISIONING_H
#define BERTH_PROVISIONING_H

#include "berth/wire.h"

enum {
    BERTH_HOST_NAME_MAX = 254, /* with the NUL, as all below */
    BERTH_DEVICE_ID_MAX = 129,
    BERTH_OPERATION_ID_MAX = 65,
    BERTH_TRACKING_ID_MAX = 65,
    BERTH_MESSAGE_MAX = 257,        /* a longer message is cut */
    BERTH_RESPONSE_TOKENS_MAX = 128 /* JSON values and names in one response */
};

#define BERTH_PROVISIONING_API_VERSION "2021-06-01"

/*                 CONNACK       SUBACK           "assigning"     resume
 * CONNECTING -> SUBSCRIBING -> REGISTERING ------------------> WAITING -> POLLING -> DONE
 *                                   |  429, 5xx: WAITING, then again          |
 *  any: bytes that break MQTT or JSON, a CONNACK or SUBACK that refuses -> FAILED */
enum berth_provisioning_state {
    BERTH_PROVISIONING_CONNECTING,
    BERTH_PROVISIONING_SUBSCRIBING,
    BERTH_PROVISIONING_REGISTERING,
    BERTH_PROVISIONING_WAITING, /* result has retry_after_s; then berth_provisioning_resume */
    BERTH_PROVISIONING_POLLING,
    BERTH_PROVISIONING_DONE,  /* the service has decided: see the result */
    BERTH_PROVISIONING_FAILED /* nobody has decided: see berth_provisioning_fault */
};

enum berth_provisioning_status {
    BERTH_STATUS_NONE, /* an error answer has none */
    BERTH_STATUS_UNASSIGNED,
    BERTH_STATUS_ASSIGNING,
    BERTH_STATUS_ASSIGNED,
    BERTH_STATUS_FAILED,
    BERTH_STATUS_DISABLED
};

/* Texts are borrowed and must outlive the client. NULL: left out. */
struct berth_provisioning_config {
    const char *id_scope;
    const char *registration_id;
    const char *token;      /* shared access signature; NULL with a client certificate */
    const char *user_agent; /* percent-encoded already */
    const char *body_json;  /* the whole register body, {"payload":…}; NULL: the ID alone */
    uint16_t keep_alive_s;
};

/* What the service said last. Texts are NUL-terminated, "" when absent. */
struct berth_provisioning_result {
    int topic_status; /* 200, 202, 401, 429, ...; 0: no answer yet */
    enum berth_provisioning_status status;
    int retry_after_s; /* 0: none given */
    int error_code;    /* 0: none */
    char operation_id[BERTH_OPERATION_ID_MAX];
    char assigned_hub[BERTH_HOST_NAME_MAX];
    char device_id[BERTH_DEVICE_ID_MAX];
    char message[BERTH_MESSAGE_MAX];
    char tracking_id[BERTH_TRACKING_ID_MAX];
};

struct berth_provisioning {
    struct berth_provisioning_config config_;
    struct berth_provisioning_result result_;
    struct berth_wire wire_;
    enum berth_provisioning_state state_;
    err fault_;
    int connack_code_;
    uint16_t packet_id_;
    unsigned request_id_;
};

/* Writes CONNECT into the output. ERR_NOMEM: the out buffer is too small for it; ERR_MALFORMED: no
 * ID scope or registration ID. */
err berth_provisioning_init(struct berth_provisioning *p,
                            const struct berth_provisioning_config *config,
                            const struct berth_buffers *buffers);

/* Takes received bytes; all of them, or fails: ERR_MALFORMED, ERR_TOO_LARGE, ERR_NOMEM (the state
 * is FAILED then). Bytes after DONE are passed over. */
err berth_provisioning_input(struct berth_provisioning *p, struct span bytes);

/* Bytes to send now, and how many of them were sent. */
struct span berth_provisioning_output(const struct berth_provisioning *p);
void berth_provisioning_sent(struct berth_provisioning *p, size_t n);

enum berth_provisioning_state berth_provisioning_state(const struct berth_provisioning *p);

/* Ends WAITING: asks for the operation's status, or registers again when the service had no time.
 * Elsewhere nothing happens. ERR_NOMEM. */
err berth_provisioning_resume(struct berth_provisioning *p);

/* Valid in every state; owned by p. */
const struct berth_provisioning_result *
berth_provisioning_result(const struct berth_provisioning *p);

/* Has the service assigned a hub? */
bool berth_provisioning_is_assigned(const struct berth_provisioning *p);

/* Why FAILED: ERR_DENIED (CONNACK or SUBACK refused; *ret_connack_code has the code),
 * ERR_MALFORMED, ERR_TOO_LARGE, ERR_NOMEM. OK otherwise. */
err berth_provisioning_fault(const struct berth_provisioning *p, int *ret_connack_code);

/* Adds DISCONNECT to the output. */
void berth_provisioning_disconnect(struct berth_provisioning *p);

/* "assigned"; "" for BERTH_STATUS_NONE. */
const char *berth_provisioning_status_name(enum berth_provisioning_status status);

/* Reads one answer: topic $dps/registrations/res/{status}/?$rid={rid}[&retry-after={seconds}] and
 * its JSON. *ret_result is written whole on success only. ERR_MALFORMED: not such a topic or no
 * JSON object; ERR_TOO_LARGE: too many JSON values, or an ID too long for its member. */
err berth_provisioning_decode_response(struct span topic, struct span payload,
                                       struct berth_provisioning_result *ret_result);
/* The JSON alone, for who speaks HTTPS: the status is HTTP's, retry_after_s is left 0. */
err berth_provisioning_decode_body(int status, struct span body,
                                   struct berth_provisioning_result *ret_result);

#endif
