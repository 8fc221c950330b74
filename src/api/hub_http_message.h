/* api/hub_http_message.h: telemetry as HTTPS devices spell it (reference iothub-device-api.md 11):
 * properties in headers, or many messages in one JSON array. Pure; what a message may say is
 * hub/message.c's. */
#ifndef API_HUB_HTTP_MESSAGE_H
#define API_HUB_HTTP_MESSAGE_H

#include "hub/hub.h"
#include "proto/http1/request.h"
#include "json/json.h"

/* The content type of a batch? Parameters behind it do not matter. */
bool hub_http_message_is_batch(struct span content_type);

/* Property of a header's name, or of a batch's: "iothub-app-k" is "k", "iothub-messageid" is
 * "$.mid"; names are compared without case. Absent: it is none. */
struct span hub_http_message_key(struct span name);

/* Body and properties of one message; spans point into the request. */
void hub_http_message_read(const struct http1_request *request, struct hub_message *ret_message);

/* [{"body":text,"base64Encoded":bool?,"properties":{…}?},…], 1 to LIMIT_BATCH_MESSAGES of them.
 * Granted: the document is the caller's. BODY_MALFORMED, FIELD_INVALID, MESSAGE_TOO_LARGE. */
err hub_http_message_parse_batch(struct span text, struct arena *arena, json **ret_document,
                                 struct verdict *ret_verdict);
/* Body and properties of one of its elements, the i-th; spans point into document and arena. */
err hub_http_message_read_element(const json *batch, size_t i, struct arena *arena,
                                  struct hub_message *ret_message, struct verdict *ret_verdict);

#endif
