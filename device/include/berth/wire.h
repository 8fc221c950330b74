/* berth/wire.h: the bytes of one MQTT connection on their way in and out, in the caller's memory.
 * Part of both clients of this library; an application only fills in the four members of a
 * struct berth_buffers. */
#ifndef BERTH_WIRE_H
#define BERTH_WIRE_H

#include "proto/mqtt/codec.h"

/* in: must hold the largest packet the server sends (a registration answer with a certificate
 * chain: 8 KiB; without: 2 KiB). out: the largest packet sent. Both live as long as the client. */
struct berth_buffers {
    void *in;
    size_t in_size;
    void *out;
    size_t out_size;
};

struct berth_wire {
    struct buf in_, out_;
};

void berth_wire_init(struct berth_wire *w, const struct berth_buffers *buffers);
/* Takes as many of the bytes as there is room for and returns how many. */
size_t berth_wire_put(struct berth_wire *w, struct span bytes);
/* The first whole packet, still in the buffer: *ret_len of its bytes are to be dropped with
 * berth_wire_drop once it has been looked at. ERR_NOT_FOUND: none is whole yet; ERR_MALFORMED;
 * ERR_TOO_LARGE: it will never fit. */
err berth_wire_peek(struct berth_wire *w, struct mqtt_packet *ret_packet, size_t *ret_len);
void berth_wire_drop(struct berth_wire *w, size_t len);
struct span berth_wire_output(const struct berth_wire *w);
void berth_wire_sent(struct berth_wire *w, size_t n);

#endif
