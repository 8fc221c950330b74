/* proto/mqtt/conn.h: the server's side of one MQTT 3.1.1 connection: which packet may come when,
 * and until when the next one must have come. Bytes in, packets out; no sockets, no clock, no
 * memory of its own. What a packet means is api/'s. */
#ifndef PROTO_MQTT_CONN_H
#define PROTO_MQTT_CONN_H

#include "proto/mqtt/codec.h"

struct mqtt_conn_limits {
    size_t packet_max;         /* bytes of one packet, fixed header included */
    int64_t connect_within_ms; /* from init to a whole CONNECT */
    int64_t packet_within_ms;  /* from a packet's first byte to its last */
    int64_t keep_alive_cap_ms; /* longest silence granted; 0: none, a keep-alive of 0 is honoured */
};

enum mqtt_conn_state { MQTT_CONN_OPENING, MQTT_CONN_OPEN, MQTT_CONN_CLOSED };

struct mqtt_conn {
    const struct mqtt_conn_limits *limits;
    enum mqtt_conn_state state;
    uint16_t keep_alive_s;
    int64_t silent_until_ms; /* 0: may be silent for ever */
    int64_t packet_until_ms; /* 0: no packet has begun */
};

enum mqtt_conn_event {
    MQTT_CONN_MORE,      /* no whole packet yet */
    MQTT_CONN_PACKET,    /* one packet, taken off the front of the input */
    MQTT_CONN_VIOLATION, /* close without a word; *ret_why says what was broken */
};

void mqtt_conn_init(struct mqtt_conn *c, const struct mqtt_conn_limits *limits, int64_t now_ms);

/* Looks at the bytes received and not yet consumed. On MQTT_CONN_PACKET decodes the first packet
 * (spans point into the old *in) and moves *in behind it. Refuses a packet before CONNECT, a second
 * CONNECT, anything after DISCONNECT, packets only a server sends, and one beyond packet_max as
 * soon as its length is known. A CONNECT of another level is an event like any: the caller answers
 * CONNACK 1. */
enum mqtt_conn_event mqtt_conn_next(struct mqtt_conn *c, struct span *in, int64_t now_ms,
                                    struct mqtt_packet *ret_packet, const char **ret_why);

/* Other limits from now on, which must outlive the connection: who the client is, and so what it
 * may do, is known only from its CONNECT. A silence granted beyond the new cap is cut to it. */
void mqtt_conn_adopt(struct mqtt_conn *c, const struct mqtt_conn_limits *limits, int64_t now_ms);

/* When to close unless something arrives first, ms; INT64_MAX: never. */
int64_t mqtt_conn_deadline(const struct mqtt_conn *c);

#endif
