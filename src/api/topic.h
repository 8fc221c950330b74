/* api/topic.h: reading MQTT user names and topics of both services. Pure functions over what a
 * stranger sent; results point into it, unless said otherwise. ERR_MALFORMED: not of that form. */
#ifndef API_TOPIC_H
#define API_TOPIC_H

#include "hub/hub.h"
#include "util/arena.h"
#include "util/err.h"
#include "util/span.h"

/* Does the user name speak to provisioning ("…/registrations/…/…")? All others are a hub's. */
bool topic_is_dps_user(struct span username);

/* {scope}/registrations/{id}/api-version={v}[&ClientVersion={v}]        dps-device-api.md 3.1 */
struct topic_dps_user {
    struct span id_scope, registration_id; /* not empty; otherwise unchecked */
    struct span api_version;               /* well-formed */
};
err topic_parse_dps_user(struct span username, struct topic_dps_user *ret_user);

/* {hub}/{device}[/{module}]/?api-version={v}[&…], the older forms, and without a tail: iothub-
 * device-api.md 2.2 */
struct topic_hub_user {
    struct span hub, device_id; /* not empty; otherwise unchecked */
    struct span module_id;      /* absent: a device */
    struct span api_version;    /* as sent, or absent */
    struct span model_id;       /* as sent, percent-encoded; or absent */
};
err topic_parse_hub_user(struct span username, struct topic_hub_user *ret_user);

/* yyyy-MM-dd[-word]: any date. */
bool topic_is_api_version(struct span text);

/* $dps/registrations/{verb}/{operation}/?$rid={rid}[&operationId={id}]       dps-device-api.md 3.4
 */
struct topic_dps_request {
    enum { TOPIC_DPS_UNKNOWN, TOPIC_DPS_REGISTER, TOPIC_DPS_POLL } operation;
    struct span rid;          /* not empty; opaque */
    struct span operation_id; /* or absent */
};
err topic_parse_dps_request(struct span topic, struct topic_dps_request *ret_request);

/* devices/{device}[/modules/{module}]/messages/events[/[?]{bag}[/]], of this very client
 * ("{device}[/{module}]")                                                  iothub-device-api.md 6.
 * *ret_bag: the properties, undecoded; empty when there are none. */
err topic_parse_telemetry(struct span topic, struct span client_id, struct span *ret_bag);

/* $iothub/twin/GET/?$rid={rid}, $iothub/twin/PATCH/properties/reported/?$rid={rid}[&$version={v}]
 * iothub-device-api.md 8 */
struct topic_twin_request {
    enum { TOPIC_TWIN_GET, TOPIC_TWIN_REPORT } operation;
    struct span rid;    /* opaque; empty: no answer is wanted (REPORT alone) */
    int64_t if_version; /* REPORT: negative: not given */
};
err topic_parse_twin_request(struct span topic, struct topic_twin_request *ret_request);

/* $iothub/methods/res/{status}/?$rid={rid}[&…]: the answer to a direct method
 * iothub-device-api.md 9 */
struct topic_method_response {
    int64_t status;  /* any integer */
    struct span rid; /* not empty; opaque */
};
bool topic_is_method(struct span topic);
err topic_parse_method_response(struct span topic, struct topic_method_response *ret_response);

/* How many properties a bag holds at most. */
size_t topic_count_properties(struct span bag);
/* k=v joined by '&', percent-decoded into the arena; '+' is a plus. A '%' that starts no escape
 * stands for itself, a key without '=' has an empty value, the last of equal keys wins, a pair
 * without key is dropped. ERR_TOO_LARGE beyond HUB_PROPERTIES_MAX; ERR_NOMEM. */
err topic_parse_properties(struct span bag, struct arena *arena,
                           struct hub_property ret_properties[HUB_PROPERTIES_MAX], size_t *ret_n);

#endif
