/* api/error.h: refusals as the JSON bodies that clients of each surface expect. */
#ifndef API_ERROR_H
#define API_ERROR_H

#include "model/env.h"
#include "model/reason.h"
#include "util/arena.h"
#include "util/buf.h"

/* {"errorCode","trackingId","message","timestampUtc"}: ProvisioningServiceErrorDetails (reference
 * dps-device-api.md 2.5). message: the reason's, followed by the
 * verdict's detail. */
void error_write_provisioning(const struct env *env, struct verdict v, struct buf *out);
/* The management plane's {"code","httpStatusCode","message","details"} (reference
 * dps-service-api.md 8.3). */
void error_write_management(const struct env *env, struct verdict v, struct buf *out);
/* The hub's REST envelope A: {"Message":"ErrorCode:DeviceNotFound;…","ExceptionMessage":"Tracking
 * ID:…-TimeStamp:…"}, and for what only modules have B: {"errorCode","message","trackingId",
 * "timestampUtc"} (reference iothub-service-api.md 11.1). */
void error_write_hub(const struct env *env, struct verdict v, struct buf *out);
/* The hub's envelope C, for what becomes of direct methods: {"Message":"{\"errorCode\":404103,…}",
 * "ExceptionMessage":""}, JSON in a text. `info`: JSON, or absent: null. */
void error_write_hub_nested(const struct env *env, struct verdict v, struct span info,
                            struct buf *out);
/* C for the reasons DEVICE_NOT_ONLINE, DEVICE_TIMEOUT and DEVICE_ANSWER_INVALID, A for all others.
 */
void error_write_hub_method(const struct env *env, struct verdict v, struct buf *out);
/* The word in envelope A and in the iothub-errorcode header: "DeviceNotFound". */
const char *error_hub_name(enum reason reason);

/* A fault of this thread for the log: its code, and the detail left by err_set. In the arena; the
 * code alone when that is full. */
const char *error_fault_text(struct arena *arena, err fault);

#endif
