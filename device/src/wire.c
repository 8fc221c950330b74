/* device/src/wire.c: frames of one MQTT connection over the caller's two buffers. Knows where a
 * packet ends, not what it means. */
#include "berth/wire.h"

void berth_wire_init(struct berth_wire *w, const struct berth_buffers *buffers)
{
    w->in_ = buf_over(buffers->in, buffers->in_size);
    w->out_ = buf_over(buffers->out, buffers->out_size);
}

size_t berth_wire_put(struct berth_wire *w, struct span bytes)
{
    struct span fitting = span_first(bytes, w->in_.cap - w->in_.len);

    buf_add(&w->in_, fitting);
    return fitting.len;
}

err berth_wire_peek(struct berth_wire *w, struct mqtt_packet *ret_packet, size_t *ret_len)
{
    struct span in = buf_span(&w->in_);
    size_t len = 0;

    TRY(mqtt_codec_frame_len(in, &len));
    if (len > w->in_.cap) {
        return ERR(TOO_LARGE);
    }
    if (len == 0 || len > in.len) {
        return ERR(NOT_FOUND);
    }
    TRY(mqtt_codec_decode(span_first(in, len), ret_packet));
    *ret_len = len;
    return OK;
}

void berth_wire_drop(struct berth_wire *w, size_t len)
{
    buf_consume(&w->in_, len);
}

struct span berth_wire_output(const struct berth_wire *w)
{
    return buf_span(&w->out_);
}

void berth_wire_sent(struct berth_wire *w, size_t n)
{
    buf_consume(&w->out_, n);
}
