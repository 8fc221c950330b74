/* hub/bus.h: how an event reaches a session that lives on another loop: a newer connection takes
 * over, an operator cuts a device off, telemetry has become readable. In-process; the interface is
 * what a message bus between processes will implement. All functions are thread-safe and quick. */
#ifndef HUB_BUS_H
#define HUB_BUS_H

#include <stdbool.h>

#include "util/err.h"
#include "util/span.h"

enum bus_signal {
    BUS_TAKEN_OVER = 1 << 0, /* another connection of this device was accepted */
    BUS_CUT_OFF = 1 << 1,    /* the identity was disabled, deleted or given another credential */
    BUS_EVENTS = 1 << 2,     /* telemetry became durable */
};

struct bus;

/* A connection's place on the bus. Memory is the caller's; spans must stay valid until bus_leave.
 * `tell` is called on any thread, with a lock of the bus held: it must only pass the signal on. */
struct bus_member {
    struct bus_member *next_, *prev_;
    bool is_session_;
    struct span hub, device_id; /* device_id absent: listens to the hub's events only */
    void (*tell)(struct bus_member *m, unsigned signals);
};

err bus_new(struct bus **ret_bus);
void bus_free(struct bus *b);

/* From now on the member is told BUS_CUT_OFF (and BUS_EVENTS without a device ID). Join before the
 * identity is read, so that no change slips between. */
void bus_join(struct bus *b, struct bus_member *m);
/* Makes the joined member the device's one session; the one that was is told BUS_TAKEN_OVER. */
void bus_claim(struct bus *b, struct bus_member *m);
/* No `tell` runs or will run after this returns. Harmless when not joined. */
void bus_leave(struct bus *b, struct bus_member *m);

void bus_cut_off(struct bus *b, struct span hub, struct span device_id);
void bus_events(struct bus *b);
/* Has the device a session? */
bool bus_is_connected(struct bus *b, struct span hub, struct span device_id);
size_t bus_sessions(struct bus *b);

#endif
