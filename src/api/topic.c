/* api/topic.c: user names and topics taken apart. Knows spelling alone; who may use which is for
 * dps_mqtt.c and hub_mqtt.c. */
#include "api/topic.h"

#include "model/limits.h"
#include "util/percent.h"

/* The value of a parameter in k=v&k=v, not decoded: the first of that name; absent when missing. */
static struct span find_parameter(struct span parameters, struct span name)
{
    while (!span_is_absent(parameters)) {
        struct span value = span_cut(&parameters, '&');
        struct span key = span_cut(&value, '=');

        if (!span_is_absent(value) && span_eq(key, name)) {
            return value;
        }
    }
    return SPAN_NONE;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_char(uint8_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

bool topic_is_api_version(struct span text)
{
    static const char shape[] = "dddd-dd-dd";
    const size_t date_len = sizeof(shape) - 1;

    if (text.len < date_len || text.len == date_len + 1 || text.len > LIMIT_API_VERSION) {
        return false;
    }
    for (size_t i = 0; i < date_len; i++) {
        if (shape[i] == 'd' ? !is_digit(text.data[i]) : text.data[i] != '-') {
            return false;
        }
    }
    for (size_t i = date_len; i < text.len; i++) {
        if (i == date_len ? text.data[i] != '-' : !is_word_char(text.data[i])) {
            return false;
        }
    }
    return true;
}

/* ---- user names ---- */

/* Is this the tail of a hub's user name rather than a module's ID? Old clients leave the '?' out.
 */
static bool is_hub_tail(struct span part)
{
    return span_starts_with(part, SPAN("?")) || span_starts_with(part, SPAN("api-version=")) ||
           span_starts_with(part, SPAN("DeviceClientType="));
}

bool topic_is_dps_user(struct span username)
{
    struct span rest = username;
    struct span id;

    (void)span_cut(&rest, '/');
    if (!span_eq_nocase(span_cut(&rest, '/'), SPAN("registrations")) || span_is_absent(rest)) {
        return false;
    }
    /* A hub may have a device of that name: it has a tail where the registration ID would be, or a
     * tail with '?' behind its module's ID. */
    if (is_hub_tail(rest)) {
        return false;
    }
    id = span_cut(&rest, '/');
    return !(span_is_empty(id) && span_is_absent(rest)) && !span_starts_with(rest, SPAN("?"));
}

err topic_parse_dps_user(struct span username, struct topic_dps_user *ret_user)
{
    struct span rest = username;
    struct topic_dps_user u = { .id_scope = span_cut(&rest, '/') };
    struct span fixed = span_cut(&rest, '/');

    u.registration_id = span_cut(&rest, '/');
    u.api_version = find_parameter(rest, SPAN("api-version"));
    if (u.id_scope.len == 0 || !span_eq_nocase(fixed, SPAN("registrations")) ||
        u.registration_id.len == 0 || !topic_is_api_version(u.api_version)) {
        return ERR(MALFORMED);
    }
    *ret_user = u;
    return OK;
}

err topic_parse_hub_user(struct span username, struct topic_hub_user *ret_user)
{
    struct span rest = username;
    struct topic_hub_user u = { .hub = span_cut(&rest, '/') };

    u.device_id = span_cut(&rest, '/');
    if (u.hub.len == 0 || u.device_id.len == 0) {
        return ERR(MALFORMED);
    }
    if (rest.len > 0 && !is_hub_tail(rest)) {
        u.module_id = span_cut(&rest, '/');
        if (u.module_id.len == 0 || (rest.len > 0 && !is_hub_tail(rest))) {
            return ERR(MALFORMED);
        }
    }
    if (span_starts_with(rest, SPAN("?"))) {
        rest = span_from(rest, 1);
    }
    u.api_version = find_parameter(rest, SPAN("api-version"));
    u.model_id = find_parameter(rest, SPAN("model-id"));
    *ret_user = u;
    return OK;
}

/* ---- provisioning ---- */

static const struct {
    const char *verb, *operation;
    int value;
} dps_operations[] = {
    { "PUT", "iotdps-register", TOPIC_DPS_REGISTER },
    { "GET", "iotdps-get-operationstatus", TOPIC_DPS_POLL },
};

err topic_parse_dps_request(struct span topic, struct topic_dps_request *ret_request)
{
    const struct span prefix = SPAN("$dps/registrations/");
    struct topic_dps_request r = { .operation = TOPIC_DPS_UNKNOWN };
    struct span rest, verb, operation;

    if (!span_starts_with(topic, prefix)) {
        return ERR(MALFORMED);
    }
    rest = span_from(topic, prefix.len);
    verb = span_cut(&rest, '/');
    operation = span_cut(&rest, '/');
    if (verb.len == 0 || operation.len == 0 || !span_starts_with(rest, SPAN("?"))) {
        return ERR(MALFORMED);
    }
    rest = span_from(rest, 1);
    r.rid = find_parameter(rest, SPAN("$rid"));
    r.operation_id = find_parameter(rest, SPAN("operationId"));
    if (r.rid.len == 0) {
        return ERR(MALFORMED); /* nowhere to answer to */
    }
    for (size_t i = 0; i < sizeof(dps_operations) / sizeof(dps_operations[0]); i++) {
        if (span_eq(verb, span_str(dps_operations[i].verb)) &&
            span_eq(operation, span_str(dps_operations[i].operation))) {
            r.operation = dps_operations[i].value;
        }
    }
    *ret_request = r;
    return OK;
}

/* ---- telemetry ---- */

/* "devices/{device}[/modules/{module}]" at the front, of this very client? */
static bool cut_client(struct span *rest, struct span client_id)
{
    struct span module = client_id;
    struct span device = span_cut(&module, '/');

    return span_eq(span_cut(rest, '/'), SPAN("devices")) && span_eq(span_cut(rest, '/'), device) &&
           (span_is_absent(module) || (span_eq(span_cut(rest, '/'), SPAN("modules")) &&
                                       span_eq(span_cut(rest, '/'), module)));
}

err topic_parse_telemetry(struct span topic, struct span client_id, struct span *ret_bag)
{
    struct span rest = topic;

    if (!cut_client(&rest, client_id) || !span_eq(span_cut(&rest, '/'), SPAN("messages")) ||
        !span_eq(span_cut(&rest, '/'), SPAN("events"))) {
        return ERR(MALFORMED);
    }
    if (span_starts_with(rest, SPAN("?"))) {
        rest = span_from(rest, 1);
    }
    if (span_ends_with(rest, SPAN("/"))) {
        rest.len--;
    }
    *ret_bag = rest;
    return OK;
}

/* ---- twins ---- */

err topic_parse_twin_request(struct span topic, struct topic_twin_request *ret_request)
{
    const struct span get = SPAN("$iothub/twin/GET/?");
    const struct span patch = SPAN("$iothub/twin/PATCH/properties/reported/?");
    struct topic_twin_request r = { .operation = TOPIC_TWIN_GET, .if_version = -1 };
    struct span parameters, version;

    if (span_starts_with(topic, get)) {
        parameters = span_from(topic, get.len);
    } else if (span_starts_with(topic, patch)) {
        parameters = span_from(topic, patch.len);
        r.operation = TOPIC_TWIN_REPORT;
    } else {
        return ERR(MALFORMED);
    }
    r.rid = find_parameter(parameters, SPAN("$rid"));
    version = find_parameter(parameters, SPAN("$version"));
    if (r.operation == TOPIC_TWIN_GET && span_is_empty(r.rid)) {
        return ERR(MALFORMED); /* nowhere to answer to */
    }
    if (span_find(r.rid, '/') < r.rid.len) {
        return ERR(MALFORMED);
    }
    if (!span_is_absent(version) && (!span_parse_int(version, &r.if_version) || r.if_version < 0)) {
        return ERR(MALFORMED);
    }
    *ret_request = r;
    return OK;
}

/* ---- direct methods ---- */

bool topic_is_method(struct span topic)
{
    return span_starts_with(topic, SPAN("$iothub/methods/"));
}

err topic_parse_method_response(struct span topic, struct topic_method_response *ret_response)
{
    const struct span prefix = SPAN("$iothub/methods/res/");
    struct topic_method_response r;
    struct span rest, status;
    bool is_negative;

    if (!span_starts_with(topic, prefix)) {
        return ERR(MALFORMED);
    }
    rest = span_from(topic, prefix.len);
    status = span_cut(&rest, '/');
    is_negative = span_starts_with(status, SPAN("-"));
    if (!span_parse_int(span_from(status, is_negative), &r.status) ||
        !span_starts_with(rest, SPAN("?"))) {
        return ERR(MALFORMED);
    }
    r.status = is_negative ? -r.status : r.status;
    r.rid = find_parameter(span_from(rest, 1), SPAN("$rid"));
    if (span_is_empty(r.rid)) {
        return ERR(MALFORMED); /* whom it answers nobody can know */
    }
    *ret_response = r;
    return OK;
}

size_t topic_count_properties(struct span bag)
{
    size_t n = 0;

    while (!span_is_absent(bag)) {
        n += span_cut(&bag, '&').len > 0;
    }
    return n;
}

static err decode_text(struct span text, struct arena *arena, struct span *ret_text)
{
    struct buf out;

    if (span_find(text, '%') == text.len) {
        return arena_copy(arena, span_is_absent(text) ? SPAN("") : text, ret_text);
    }
    out = arena_buf(arena);
    if (err_is(percent_decode(text, &out), ERR_MALFORMED)) {
        return arena_copy(arena, text, ret_text);
    }
    return arena_buf_end(arena, &out, ret_text);
}

static struct hub_property *find_property(struct hub_property *properties, size_t n,
                                          struct span name)
{
    for (size_t i = 0; i < n; i++) {
        if (span_eq(properties[i].name, name)) {
            return &properties[i];
        }
    }
    return NULL;
}

err topic_parse_properties(struct span bag, struct arena *arena,
                           struct hub_property ret_properties[HUB_PROPERTIES_MAX], size_t *ret_n)
{
    size_t n = 0;

    while (!span_is_absent(bag)) {
        struct span value = span_cut(&bag, '&');
        struct span name = span_cut(&value, '=');
        struct hub_property p;
        struct hub_property *same;

        if (name.len == 0) {
            continue;
        }
        TRY(decode_text(name, arena, &p.name));
        TRY(decode_text(value, arena, &p.value));
        same = find_property(ret_properties, n, p.name);
        if (same != NULL) {
            same->value = p.value;
            continue;
        }
        if (n == HUB_PROPERTIES_MAX) {
            return ERR(TOO_LARGE);
        }
        ret_properties[n++] = p;
    }
    *ret_n = n;
    return OK;
}
