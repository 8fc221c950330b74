/* cmd/berth/simulate_receive.c: events of the device library to lines for people, and answers. */
#include "cmd/berth/simulate_receive.h"

#include "util/percent.h"

enum { SHOWN_BYTES = 1000, PROPERTY_BYTES = 1024 };

#define TWIN_REQUEST "twin"

/* Bytes that may not reach a terminal as they are. */
static void add_shown(struct span text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        buf_add_u8(out, c < 0x20 || c == 0x7f ? '?' : c);
    }
}

void berth_simulate_receive_properties(struct span properties, struct buf *out)
{
    while (properties.len > 0) {
        uint8_t memory[PROPERTY_BYTES];
        struct buf decoded = buf_over(memory, sizeof(memory));
        struct span pair = span_cut(&properties, '&'), text;
        bool is_id;

        if (pair.len == 0 || !err_is_ok(percent_decode(pair, &decoded))) {
            continue;
        }
        text = buf_span(&decoded);
        is_id = span_starts_with(text, SPAN("$.mid="));
        if (span_starts_with(text, SPAN("$.")) && !is_id) {
            continue;
        }
        buf_add_str(out, out->len > 0 ? ", " : "");
        buf_add_str(out, is_id ? "message ID " : "");
        add_shown(span_from(text, is_id ? strlen("$.mid=") : 0), out);
    }
}

err berth_simulate_receive_begin(struct simulate_receiver *r)
{
    return berth_hub_client_subscribe(r->client, BERTH_HUB_MESSAGE | BERTH_HUB_METHOD |
                                                     BERTH_HUB_DESIRED | BERTH_HUB_TWIN);
}

err berth_simulate_receive_twin(struct simulate_receiver *r)
{
    return berth_hub_client_get_twin(r->client, TWIN_REQUEST);
}

static void on_message(struct simulate_receiver *r, const struct berth_hub_event *event,
                       struct span body)
{
    char memory[SHOWN_BYTES];
    struct buf properties = buf_over(memory, sizeof(memory));

    berth_simulate_receive_properties(event->properties, &properties);
    r->device->received++;
    berth_simulate_tell(r->plan, r->device, "message: %.*s%s%.*s%s", SPAN_FMT(body),
                        properties.len > 0 ? " (" : "", SPAN_FMT(buf_span(&properties)),
                        properties.len > 0 ? ")" : "");
}

/* With what it was called with, unless the plan has an answer. */
static void on_method(struct simulate_receiver *r, const struct berth_hub_event *event,
                      struct span body)
{
    int status = (int)r->plan->method_status;
    struct span answer = span_str(r->plan->method_answer);
    err e;

    answer = span_is_absent(answer) ? event->payload : answer;
    e = berth_hub_client_respond(r->client, event->request_id, status, answer);
    r->device->answered++;
    berth_simulate_tell(r->plan, r->device, "method %.*s called with %.*s; %s %d",
                        SPAN_FMT(span_first(event->name, 100)), SPAN_FMT(body),
                        err_is_ok(e) ? "answered" : "could not answer", status);
}

void berth_simulate_receive_event(void *context, const struct berth_hub_event *event)
{
    struct simulate_receiver *r = context;
    char memory[SHOWN_BYTES];
    struct buf body = buf_over(memory, sizeof(memory));

    add_shown(span_first(event->payload, SHOWN_BYTES), &body);
    switch (event->kind) {
    case BERTH_HUB_MESSAGE:
        on_message(r, event, buf_span(&body));
        return;
    case BERTH_HUB_METHOD:
        on_method(r, event, buf_span(&body));
        return;
    case BERTH_HUB_DESIRED:
        berth_simulate_tell(r->plan, r->device, "desired properties, version %lld: %.*s",
                            (long long)event->version, SPAN_FMT(buf_span(&body)));
        return;
    case BERTH_HUB_TWIN:
        berth_simulate_tell(r->plan, r->device, "twin%s: %.*s",
                            event->status == 200 ? "" : " refused", SPAN_FMT(buf_span(&body)));
        return;
    }
}
