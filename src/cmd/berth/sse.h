/* cmd/berth/sse.h: server-sent events (WHATWG HTML section 9.2): bytes in, events out. */
#ifndef CMD_BERTH_SSE_H
#define CMD_BERTH_SSE_H

#include "util/buf.h"

struct sse_event {
    struct span id, name, data; /* absent when the event had none; they point into the parser */
};

/* Memory is the caller's: one for the line being read, one for the data of the event. */
struct sse {
    struct buf line, data, id, name;
    bool has_data, after_cr;
    /* The ID of the last event, also of one without data: where to go on when the stream breaks. */
    char last_id[64]; /* "": none yet */
    void (*on_event)(void *context, const struct sse_event *event);
    void *context;
    uint8_t id_memory[64], name_memory[64];
};

void berth_sse_init(struct sse *s, void *line, size_t line_size, void *data, size_t data_size);
/* Calls on_event for each event that is whole. ERR_TOO_LARGE: a line or an event's data does not
 * fit. Comments and unknown fields are passed over. */
err berth_sse_input(struct sse *s, struct span bytes);

#endif
