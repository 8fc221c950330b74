/* cmd/berth/sse.c: the line grammar of server-sent events. A line ends with CR, LF or CR LF; an
 * empty one sends the event off; an event without data is none. */
#include "cmd/berth/sse.h"

void berth_sse_init(struct sse *s, void *line, size_t line_size, void *data, size_t data_size)
{
    s->line = buf_over(line, line_size);
    s->data = buf_over(data, data_size);
    s->id = buf_over(s->id_memory, sizeof(s->id_memory));
    s->name = buf_over(s->name_memory, sizeof(s->name_memory));
    s->has_data = s->after_cr = false;
    s->last_id[0] = '\0';
}

static void dispatch(struct sse *s)
{
    struct sse_event event = {
        .id = s->id.len > 0 ? buf_span(&s->id) : SPAN_NONE,
        .name = s->name.len > 0 ? buf_span(&s->name) : SPAN_NONE,
        .data = buf_span(&s->data),
    };

    if (s->id.len > 0 && s->id.len < sizeof(s->last_id)) {
        memcpy(s->last_id, s->id.data, s->id.len);
        s->last_id[s->id.len] = '\0';
    }
    if (s->has_data) {
        s->on_event(s->context, &event);
    }
    s->data.len = s->name.len = 0; /* the id stays until another comes */
    s->has_data = false;
}

static void replace(struct buf *b, struct span value)
{
    b->len = 0;
    buf_add(b, value);
}

static void end_line(struct sse *s)
{
    struct span value = buf_span(&s->line), field;

    if (value.len == 0) {
        dispatch(s);
        return;
    }
    field = span_cut(&value, ':');
    if (value.len > 0 && value.data[0] == ' ') {
        value = span_from(value, 1);
    }
    if (span_eq(field, SPAN("data"))) {
        if (s->has_data) {
            buf_add_u8(&s->data, '\n');
        }
        buf_add(&s->data, value);
        s->has_data = true;
    } else if (span_eq(field, SPAN("id"))) {
        replace(&s->id, value);
    } else if (span_eq(field, SPAN("event"))) {
        replace(&s->name, value);
    }
    s->line.len = 0;
}

err berth_sse_input(struct sse *s, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = bytes.data[i];

        if (c == '\n' && s->after_cr) {
            s->after_cr = false;
            continue;
        }
        s->after_cr = c == '\r';
        if (c == '\r' || c == '\n') {
            end_line(s);
        } else {
            buf_add_u8(&s->line, c);
        }
        if (s->line.failed || s->data.failed || s->id.failed || s->name.failed) {
            return ERR(TOO_LARGE);
        }
    }
    return OK;
}
