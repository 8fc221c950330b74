/* proto/mqtt/codec.h: MQTT 3.1.1 (OASIS, 29 October 2014) packets to structs and back, both
 * directions: berthd decodes what clients send, the device library what servers send. Bytes only;
 * not their order (conn.h), not their meaning (api/). No allocation: spans in a result point into
 * the input. */
#ifndef PROTO_MQTT_CODEC_H
#define PROTO_MQTT_CODEC_H

#include "util/buf.h"
#include "util/err.h"
#include "util/span.h"

enum mqtt_type {
    MQTT_CONNECT = 1,
    MQTT_CONNACK = 2,
    MQTT_PUBLISH = 3,
    MQTT_PUBACK = 4,
    MQTT_SUBSCRIBE = 8,
    MQTT_SUBACK = 9,
    MQTT_UNSUBSCRIBE = 10,
    MQTT_UNSUBACK = 11,
    MQTT_PINGREQ = 12,
    MQTT_PINGRESP = 13,
    MQTT_DISCONNECT = 14,
};

/* CONNACK return codes (3.2.2.3). */
enum mqtt_connack_code {
    MQTT_ACCEPTED = 0,
    MQTT_BAD_PROTOCOL = 1,
    MQTT_BAD_CLIENT_ID = 2,
    MQTT_UNAVAILABLE = 3,
    MQTT_BAD_CREDENTIALS = 4,
    MQTT_NOT_AUTHORIZED = 5,
};

enum {
    MQTT_LEVEL_311 = 4,
    MQTT_SUBACK_FAILURE = 0x80,
    MQTT_FIXED_HEADER_MAX = 5,
    MQTT_REMAINING_LENGTH_MAX = 268435455,
};

struct mqtt_publish {
    struct span topic;
    struct span payload;
    uint16_t packet_id; /* 0 with QoS 0 */
    uint8_t qos;        /* 0 to 2 */
    bool dup, retain;
};

struct mqtt_connect {
    struct span protocol; /* "MQTT" */
    uint8_t level;        /* 4; others are decoded as far as this and left to the caller */
    struct span client_id;
    struct span username; /* absent when its flag is not set */
    struct span password;
    uint16_t keep_alive_s;
    bool clean_session;
    bool has_will;
    struct mqtt_publish will; /* topic, payload, qos, retain */
};

struct mqtt_connack {
    bool session_present;
    uint8_t code;
};

/* SUBSCRIBE and UNSUBSCRIBE: walk `filters` with mqtt_codec_next_filter. */
struct mqtt_subscribe {
    uint16_t packet_id;
    struct span filters; /* the undecoded list; checked: at least one, each whole and non-empty */
    size_t n_filters;
};

struct mqtt_suback {
    uint16_t packet_id;
    struct span codes;
};

struct mqtt_packet {
    enum mqtt_type type;
    union {
        struct mqtt_connect connect;
        struct mqtt_connack connack;
        struct mqtt_publish publish;
        struct mqtt_subscribe subscribe; /* SUBSCRIBE, UNSUBSCRIBE */
        struct mqtt_suback suback;
        uint16_t packet_id; /* PUBACK, UNSUBACK */
    };
};

/* How long the packet at the front of `in` is, fixed header included. *ret_len 0: not known yet.
 * ERR_MALFORMED: no packet starts so (type 0, 5-7 or 15, wrong flags, length over four bytes). */
err mqtt_codec_frame_len(struct span in, size_t *ret_len);

/* Decodes exactly one whole packet (fixed header included). ERR_MALFORMED on any breach of
 * section 2 or 3: lengths, flags, reserved bits, ill-formed UTF-8, U+0000, packet id 0, empty
 * topic, a wildcard in a PUBLISH topic, QoS 3, bytes left over. A CONNECT of another level than 4
 * is given back with protocol and level only. A PUBACK may carry packet id 0: an official SDK
 * acknowledges QoS 0 so (reference dps-device-api.md 3.4). Whether a filter is well-formed is asked
 * with mqtt_codec_is_filter: a bad one is refused alone, not together with its packet. */
err mqtt_codec_decode(struct span frame, struct mqtt_packet *ret_packet);

/* The next filter and its QoS (0 for UNSUBSCRIBE); false at the end. */
bool mqtt_codec_next_filter(const struct mqtt_packet *p, struct span *rest, struct span *ret_filter,
                            uint8_t *ret_qos);

/* Is this a well-formed topic filter (4.7)? */
bool mqtt_codec_is_filter(struct span filter);
/* Does a filter match a topic name (4.7)? '#' and '+' at the front do not match '$' topics. */
bool mqtt_codec_matches(struct span filter, struct span topic);

/* Each appends one whole packet, or nothing: `out` fails sticky when it has no room, or when a part
 * is longer than MQTT can say. Values are the caller's to keep within the standard. */
void mqtt_codec_encode_connect(const struct mqtt_connect *c, struct buf *out);
void mqtt_codec_encode_connack(const struct mqtt_connack *c, struct buf *out);
void mqtt_codec_encode_publish(const struct mqtt_publish *p, struct buf *out);
void mqtt_codec_encode_puback(uint16_t packet_id, struct buf *out);
/* One filter. */
void mqtt_codec_encode_subscribe(uint16_t packet_id, struct span filter, uint8_t qos,
                                 struct buf *out);
void mqtt_codec_encode_suback(uint16_t packet_id, struct span codes, struct buf *out);
void mqtt_codec_encode_unsuback(uint16_t packet_id, struct buf *out);
void mqtt_codec_encode_pingreq(struct buf *out);
void mqtt_codec_encode_pingresp(struct buf *out);
void mqtt_codec_encode_disconnect(struct buf *out);

#endif
