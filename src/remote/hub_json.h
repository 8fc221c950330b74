/* remote/hub_json.h: identities and twins as a hub's REST API has them (reference
 * iothub-service-api.md 3, 5). */
#ifndef REMOTE_HUB_JSON_H
#define REMOTE_HUB_JSON_H

#include "model/placement.h"
#include "util/arena.h"
#include "json/json.h"

/* Is there a twin to be written: one that is carried, or an initial one? */
bool remote_hub_json_has_twin(const struct placement *p);
bool remote_hub_json_has_reported(const struct placement *p);

/* Bodies, into the arena. ERR_MALFORMED: p's own JSON is none. */
err remote_hub_json_new(struct arena *arena, const struct placement *p, struct span *ret_body);
/* The array of one for POST /devices, with the twin. */
err remote_hub_json_bulk(struct arena *arena, const struct placement *p, bool with_reported,
                         struct span *ret_body);
/* The device that is there with p's credential, and all else as it is, but for whether it is barred
 * and, with p->reset_twin, its capabilities. */
err remote_hub_json_changed(struct arena *arena, const struct placement *p, const json *device,
                            struct span *ret_body);
/* tags and properties.desired: what is carried and kept, else the initial ones. */
err remote_hub_json_twin(struct arena *arena, const struct placement *p, struct span *ret_body);

/* Would remote_hub_json_changed change nothing? */
bool remote_hub_json_is_same(const struct placement *p, const json *device);
/* What the device would take along: with $version, without $metadata. */
err remote_hub_json_state(struct arena *arena, const json *twin, struct device_state *ret_state);

#endif
