/* api/hub_http_message.c: headers and batches as messages. A header that is no property of a
 * message is passed over, so a batch's property that is none is, too. */
#include "api/hub_http_message.h"

#include "model/limits.h"
#include "util/base64.h"

static const struct {
    const char *name, *key;
} system_names[] = {
    { "iothub-messageid", "$.mid" },
    { "iothub-correlationid", "$.cid" },
    { "iothub-userid", "$.uid" },
    { "iothub-to", "$.to" },
    { "iothub-contenttype", "$.ct" },
    { "iothub-contentencoding", "$.ce" },
    { "iothub-expiry", "$.exp" },
    { "iothub-creation-time-utc", "$.ctime" },
    { "iothub-outputname", "$.on" },
    { "iothub-interface-id", "$.ifid" },
    { "iothub-message-schema", "$.schema" },
    { "dt-subject", "$.sub" },
};

bool hub_http_message_is_batch(struct span content_type)
{
    struct span kind = span_trim(span_first(content_type, span_find(content_type, ';')));

    return span_eq_nocase(kind, SPAN("application/vnd.microsoft.iothub.json"));
}

struct span hub_http_message_key(struct span name)
{
    const struct span prefix = SPAN("iothub-app-");

    if (span_starts_with_nocase(name, prefix)) {
        return name.len > prefix.len ? span_from(name, prefix.len) : SPAN_NONE;
    }
    for (size_t i = 0; i < sizeof(system_names) / sizeof(system_names[0]); i++) {
        if (span_eq_nocase(name, span_str(system_names[i].name))) {
            return span_str(system_names[i].key);
        }
    }
    return SPAN_NONE;
}

static bool add_property(struct hub_message *m, struct span name, struct span value)
{
    struct span key = hub_http_message_key(name);

    if (span_is_absent(key)) {
        return true;
    }
    if (m->n_properties == HUB_PROPERTIES_MAX) {
        return false;
    }
    m->properties[m->n_properties++] = (struct hub_property){ .name = key, .value = value };
    return true;
}

void hub_http_message_read(const struct http1_request *request, struct hub_message *ret_message)
{
    _Static_assert((int)HTTP1_HEADERS_MAX <= (int)HUB_PROPERTIES_MAX, "a property a header");
    ret_message->n_properties = 0;
    for (size_t i = 0; i < request->n_headers; i++) {
        (void)add_property(ret_message, request->headers[i].name, request->headers[i].value);
    }
    ret_message->body = request->body;
}

/* ---- batches ---- */

err hub_http_message_parse_batch(struct span text, struct arena *arena, json **ret_document,
                                 struct verdict *ret_verdict)
{
    struct verdict v = VERDICT(BODY_MALFORMED);
    AUTO(json) json *document = NULL;
    err e = json_parse(text, LIMIT_JSON_DEPTH, &document);

    if (err_is(e, ERR_NOMEM)) {
        return e;
    }
    if (!err_is_ok(e)) {
        TRY(arena_copy(arena, span_str(err_detail()), &v.detail));
    } else if (!json_is_array(document) || json_array_len(document) == 0) {
        v.detail = SPAN("A batch is an array of messages.");
    } else if (json_array_len(document) > LIMIT_BATCH_MESSAGES) {
        v = VERDICT(MESSAGE_TOO_LARGE);
        TRY(arena_printf(arena, &v.detail, "At most %d messages a batch.", LIMIT_BATCH_MESSAGES));
    } else {
        v = VERDICT(GRANTED);
        *ret_document = document;
        document = NULL;
    }
    *ret_verdict = v;
    return OK;
}

static err refuse(struct arena *arena, size_t i, const char *why, struct verdict *ret_verdict)
{
    *ret_verdict = VERDICT(FIELD_INVALID);
    return arena_printf(arena, &ret_verdict->detail, "Message %zu: %s.", i, why);
}

/* Base64 unless it says that it is not. */
static err read_body(const json *element, size_t i, struct arena *arena, struct span *ret_body,
                     struct verdict *ret_verdict)
{
    struct span text = SPAN_NONE;
    bool is_encoded = true;
    struct buf out;
    err e = json_get_text(element, "body", &text);

    if (err_is_ok(e)) {
        e = json_get_bool(element, "base64Encoded", &is_encoded);
    }
    if (err_is(e, ERR_MALFORMED)) {
        return refuse(arena, i, err_detail(), ret_verdict);
    }
    TRY(e);
    if (span_is_absent(text)) {
        return refuse(arena, i, "body is missing", ret_verdict);
    }
    if (!is_encoded) {
        *ret_body = text;
        return OK;
    }
    out = arena_buf(arena);
    e = base64_decode(text, &out);
    if (err_is(e, ERR_MALFORMED)) {
        return refuse(arena, i, "body is not base64", ret_verdict);
    }
    TRY(e);
    return arena_buf_end(arena, &out, ret_body);
}

static err read_properties(json *properties, size_t i, struct arena *arena, struct hub_message *m,
                           struct verdict *ret_verdict)
{
    if (properties == NULL || json_is_null(properties)) {
        return OK;
    }
    if (!json_is_object(properties)) {
        return refuse(arena, i, "properties is no object", ret_verdict);
    }
    for (struct json_iter it = json_first(properties); it.name != NULL; json_next(&it)) {
        if (!json_is_string(it.value)) {
            return refuse(arena, i, "a property is no text", ret_verdict);
        }
        if (!add_property(m, span_str(it.name), json_text(it.value))) {
            return refuse(arena, i, "it has too many properties", ret_verdict);
        }
    }
    return OK;
}

err hub_http_message_read_element(const json *batch, size_t i, struct arena *arena,
                                  struct hub_message *ret_message, struct verdict *ret_verdict)
{
    const json *element = json_array_at(batch, i);

    *ret_verdict = VERDICT(GRANTED);
    if (!json_is_object(element)) {
        return refuse(arena, i, "it is no object", ret_verdict);
    }
    ret_message->n_properties = 0;
    TRY(read_body(element, i, arena, &ret_message->body, ret_verdict));
    return verdict_is_granted(*ret_verdict) ? read_properties(json_member(element, "properties"), i,
                                                              arena, ret_message, ret_verdict)
                                            : OK;
}
