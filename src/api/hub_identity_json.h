/* api/hub_identity_json.h: identities of devices and modules as the back end sees them (reference
 * iothub-service-api.md 3.1, 4), and their ETags. */
#ifndef API_HUB_IDENTITY_JSON_H
#define API_HUB_IDENTITY_JSON_H

#include "hub/identity.h"
#include "model/records.h"
#include "json/json.h"
#include "json/writer.h"

/* Of a device or a module, members in the order of the real hub. */
void hub_identity_json_write(const struct device *d, const struct hub_standing *s,
                             struct json_writer *w);

/* What is asked for in a body, or in an item of a bulk request, as struct registry_change wants it
 * in `given`: d->device_id, which is there already, says whether it is a module's. What is the
 * hub's to say, and what nobody knows, is passed over. FIELD_INVALID. Spans are the document's or
 * in the arena. */
err hub_identity_json_read(const struct env *env, const json *document, struct device *d,
                           struct verdict *ret_verdict);

/* An identity's ETag without quotes: base64 of a decimal number. */
void hub_identity_json_etag(int64_t etag, struct buf *out);
/* What If-Match, or a member, asks for. Negative: any will do. INT64_MAX, which no identity has: it
 * is none of ours. */
struct core_match;
int64_t hub_identity_json_match(const struct core_match *match);

/* "sas", "selfSigned", "certificateAuthority", "none" */
const char *hub_identity_json_auth_word(enum device_auth auth);
void hub_identity_json_write_thumbprints(const struct device *d, struct json_writer *w);
/* deviceScope and parentScopes, as far as there are any. */
void hub_identity_json_write_scopes(const struct device *d, struct json_writer *w);
/* "0001-01-01T00:00:00Z" when it never happened: 0. */
void hub_identity_json_write_time(struct json_writer *w, const char *name, int64_t time_ms);

#endif
