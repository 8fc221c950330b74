/* api/hub_c2d_text.h: cloud-to-device messages' addresses and topics (reference
 * iothub-device-api.md 7, iothub-service-api.md 8.1). Pure functions. */
#ifndef API_HUB_C2D_TEXT_H
#define API_HUB_C2D_TEXT_H

#include "model/limits.h"
#include "model/records.h"
#include "util/arena.h"

/* /devices/{device}[/modules/{module}]/messages/deviceBound, parts percent-encoded, fixed parts
 * without case: whose queue, into the arena. ERR_MALFORMED. */
err hub_c2d_text_parse_to(struct span to, struct arena *arena, struct span *ret_client_id);

/* devices/{device}[/modules/{module}]/messages/devicebound/: what a message's topic begins with. */
enum { HUB_C2D_TEXT_PREFIX_MAX = LIMIT_CLIENT_ID + 48 };
void hub_c2d_text_prefix(struct span client_id, struct buf *out);
/* The topic of a message, with its properties; ends in "%24.to=…" or more, never in '/'. */
err hub_c2d_text_topic(const struct c2d_message *m, struct arena *arena, struct span *ret_topic);

#endif
