/* berth/hub_event.h: what a hub sends to a device, as MQTT topics say it: messages, method calls,
 * changes of its twin. Bytes in, meaning out; no memory of its own. */
#ifndef BERTH_HUB_EVENT_H
#define BERTH_HUB_EVENT_H

#include "util/err.h"
#include "util/span.h"

/* May be combined, for berth_hub_client_subscribe. */
enum berth_hub_event_kind {
    BERTH_HUB_MESSAGE = 1, /* from a back end to this device */
    BERTH_HUB_METHOD = 2,  /* a call that waits for berth_hub_client_respond */
    BERTH_HUB_DESIRED = 4, /* desired properties that were changed: the change alone */
    BERTH_HUB_TWIN = 8,    /* the answer to berth_hub_client_get_twin or _report */
};

/* Spans point into the packet. */
struct berth_hub_event {
    enum berth_hub_event_kind kind;
    struct span payload;
    struct span properties; /* BERTH_HUB_MESSAGE: name=value&…, both percent-encoded */
    struct span name;       /* BERTH_HUB_METHOD: which */
    struct span request_id; /* BERTH_HUB_METHOD, BERTH_HUB_TWIN */
    int64_t version;        /* BERTH_HUB_DESIRED */
    int64_t status;         /* BERTH_HUB_TWIN: as of HTTP */
};

/* device_id: whose messages; a module's "{device}/modules/{module}". ERR_UNSUPPORTED: a topic that
 * is none of these; ERR_MALFORMED: begins as one, but is none. */
err berth_hub_event_decode(struct span topic, struct span payload, struct span device_id,
                           struct berth_hub_event *ret_event);

#endif
