/* cmd/berth/simulate_receive.h: what a simulated device does with what the hub sends: it tells of
 * messages and of its twin, and answers method calls. */
#ifndef CMD_BERTH_SIMULATE_RECEIVE_H
#define CMD_BERTH_SIMULATE_RECEIVE_H

#include "cmd/berth/simulate.h"

struct simulate_receiver {
    const struct simulate_plan *plan;
    struct simulate_device *device;
    struct berth_hub_client *client; /* connected */
};

/* Subscribes to all there is. */
err berth_simulate_receive_begin(struct simulate_receiver *r);
/* Once the subscriptions are answered: asks for the twin as it is now. */
err berth_simulate_receive_twin(struct simulate_receiver *r);
/* For struct berth_hub_client_config; context: the receiver. */
void berth_simulate_receive_event(void *context, const struct berth_hub_event *event);

/* "name=value, name=value" of a message's properties, decoded, with its ID but no others of the
 * system's; for people: control characters are '?'. As much as there is room for. */
void berth_simulate_receive_properties(struct span properties, struct buf *out);

#endif
