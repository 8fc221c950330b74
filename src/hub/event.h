/* hub/event.h: what happens to devices and modules, as events in the telemetry log (reference
 * iothub-service-api.md 15). An event tells of what is durable: it is appended after the commit. An
 * operator who is answered, and a device whose report is, finds the event in the log (why so:
 * doc/adr/0020). Kinds that the sink does not want, and all without a sink, are passed over. */
#ifndef HUB_EVENT_H
#define HUB_EVENT_H

#include "model/env.h"
#include "model/records.h"
#include "store/sink.h"
#include "json/json.h"

/* "telemetry", "twinChangeEvents", …: the source in streams and settings. */
const char *hub_event_source_word(enum sink_source source);
/* False: there is no such source. Case does not matter. */
bool hub_event_find_source(struct span word, enum sink_source *ret_source);

enum hub_event_op { HUB_EVENT_CREATED, HUB_EVENT_DELETED };

/* A device or module, as it was made or as it was before it went; its body is the twin. Waits until
 * the event is durable; for workers. ERR_BUSY: the log's queue stayed full; ERR_IO. */
err hub_event_lifecycle(const struct env *env, enum hub_event_op op, const struct device *d);
/* The same without waiting; may be lost. */
err hub_event_lifecycle_post(const struct env *env, enum hub_event_op op, const struct device *d);

/* Sections that were changed; the others are absent. */
struct hub_event_sections {
    json *tags, *desired, *reported; /* as they were written, or NULL */
    bool is_replace;
};
/* `now`: what it became. Waits as above. Inside bus_order where that is held, so that events come
 * in the order of the changes. */
err hub_event_twin(const struct env *env, const struct device *now,
                   const struct hub_event_sections *sections);

/* All of a twin became another, of a device as it is now. Without waiting; may be lost. */
err hub_event_twin_replaced_post(const struct env *env, const struct device *now);

/* A session began or ended; for loops: never blocks. May be lost. */
struct hub_event_connection {
    struct span hub, client_id;
    struct span generation_id;
    bool is_connected;
    uint64_t run, number; /* together they rise with each such event of a hub's device */
    int64_t now_ms;
};
err hub_event_connection(struct sink *sink, const struct hub_event_connection *c);

#endif
