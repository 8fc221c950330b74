/* hub/twin.h: device twins: what their sections may hold, how a change is merged into them and
 * stamped (reference iothub-service-api.md 5, iothub-device-api.md 8). */
#ifndef HUB_TWIN_H
#define HUB_TWIN_H

#include "hub/bus.h"
#include "model/env.h"
#include "model/reason.h"
#include "model/records.h"
#include "json/json.h"

struct store_tx;

/* A device's own change of its reported properties, as it wrote it. */
struct hub_twin_report {
    struct span patch;         /* JSON object: members replace, null deletes (RFC 7386) */
    int64_t if_version;        /* only if this is still their version; negative: whatever it is */
    struct span generation_id; /* of the device that says so: another of its ID is not it */
};
/* *ret_version: theirs afterwards. BODY_MALFORMED, FIELD_INVALID (a limit; detail names the
 * member), ETAG_MISMATCH, DEVICE_NOT_FOUND, MODULE_NOT_FOUND. */
err hub_twin_report(const struct env *env, struct span hub, struct span client_id,
                    const struct hub_twin_report *report, int64_t *ret_version,
                    struct verdict *ret_verdict);

/* The operator's change of tags and desired properties. */
struct hub_twin_change {
    json *tags;      /* object, or NULL: not named */
    json *desired;   /* the same */
    bool is_replace; /* both sections become what is given; otherwise merged into them */
    int64_t if_etag; /* twin_etag; negative: whatever it is */
    json *reported;  /* where state is imported: merged as the device's own; else NULL */
};
/* The connected device or module is told of a change of its desired properties, in the order of
 * their versions. FIELD_INVALID, ETAG_MISMATCH, DEVICE_NOT_FOUND, MODULE_NOT_FOUND. */
err hub_twin_change(const struct env *env, struct bus *bus, struct span hub, struct span client_id,
                    const struct hub_twin_change *change, struct device *ret_device,
                    struct verdict *ret_verdict);

/* The same in steps, for who changes an identity together with its twin. Does it keep the rules?
 * FIELD_INVALID. */
err hub_twin_check(const struct env *env, const struct hub_twin_change *change,
                   struct verdict *ret_verdict);
/* Merges a change that was checked into a device as it was read and will be put; if_etag is not
 * looked at. FIELD_INVALID: the result is too large. */
err hub_twin_merge(const struct env *env, struct store_tx *tx, const struct hub_twin_change *change,
                   struct device *d, struct verdict *ret_verdict);
/* Gives a device that is being made the sections of a change that was checked; the index of tags
 * (hub/tags.h) is the caller's. FIELD_INVALID. */
err hub_twin_import(const struct env *env, const struct hub_twin_change *change, struct device *d,
                    struct verdict *ret_verdict);
/* Tells the session of desired properties that were changed, and the log of all; between
 * bus_order_begin and _end, once the change is durable. */
err hub_twin_tell(const struct env *env, struct bus *bus, const struct hub_twin_change *change,
                  const struct device *d);

/* As hub_device_get; devices from before metadata was kept have that of their birth. */
err hub_twin_get(const struct env *env, struct span hub, struct span client_id,
                 struct device *ret_device, struct verdict *ret_verdict);

/* A twin's ETag: base64 of the counter, big-endian. */
void hub_twin_etag(int64_t etag, struct buf *out);

/* A row from before metadata was kept gets that of its birth, in the arena. ERR_CORRUPT. */
err hub_twin_complete(struct arena *arena, struct device *d);

/* Gives a device that is being made its first tags and desired properties, stamped; NULL: none. */
err hub_twin_begin(const struct env *env, json *tags, json *desired, struct device *d);

#endif
