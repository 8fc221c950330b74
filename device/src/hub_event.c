/* device/src/hub_event.c: topics from a hub, taken apart (reference iothub-device-api.md 7 to 9).
 *
 *   devices/{device}/messages/devicebound/{properties}
 *   $iothub/methods/POST/{name}/?$rid={request}
 *   $iothub/twin/PATCH/properties/desired/?$version={version}
 *   $iothub/twin/res/{status}/?$rid={request}[&$version={version}] */
#include "berth/hub_event.h"

static bool take(struct span *rest, struct span prefix)
{
    bool is_there = span_starts_with(*rest, prefix);

    *rest = is_there ? span_from(*rest, prefix.len) : *rest;
    return is_there;
}

static bool decode_message(struct span topic, struct span device_id, struct berth_hub_event *e)
{
    e->kind = BERTH_HUB_MESSAGE;
    if (!take(&topic, SPAN("devices/")) || !take(&topic, device_id) ||
        !take(&topic, SPAN("/messages/devicebound"))) {
        return false;
    }
    e->properties = span_from(topic, 1);
    return topic.len == 0 || topic.data[0] == '/';
}

/* {name}/?$rid={request} */
static bool decode_method(struct span rest, struct berth_hub_event *e)
{
    e->kind = BERTH_HUB_METHOD;
    e->name = span_cut(&rest, '/');
    if (e->name.len == 0 || !take(&rest, SPAN("?$rid="))) {
        return false;
    }
    e->request_id = rest;
    return rest.len > 0;
}

/* {status}/?$rid={request}[&$version={version}] */
static bool decode_answer(struct span rest, struct berth_hub_event *e)
{
    e->kind = BERTH_HUB_TWIN;
    if (!span_parse_int(span_cut(&rest, '/'), &e->status) || !take(&rest, SPAN("?$rid="))) {
        return false;
    }
    e->request_id = span_cut(&rest, '&');
    return true;
}

err berth_hub_event_decode(struct span topic, struct span payload, struct span device_id,
                           struct berth_hub_event *ret_event)
{
    struct berth_hub_event e = { .payload = payload };
    bool is_good;

    if (take(&topic, SPAN("$iothub/methods/POST/"))) {
        is_good = decode_method(topic, &e);
    } else if (take(&topic, SPAN("$iothub/twin/PATCH/properties/desired/?$version="))) {
        e.kind = BERTH_HUB_DESIRED;
        is_good = span_parse_int(topic, &e.version);
    } else if (take(&topic, SPAN("$iothub/twin/res/"))) {
        is_good = decode_answer(topic, &e);
    } else if (decode_message(topic, device_id, &e)) {
        is_good = true;
    } else {
        return ERR(UNSUPPORTED);
    }
    if (!is_good) {
        return ERR(MALFORMED);
    }
    *ret_event = e;
    return OK;
}
