/* api/hub_identity_json.h: identities of devices and modules as the back end sees them (reference
 * iothub-service-api.md 3.1, 4), and their ETags. */
#ifndef API_HUB_IDENTITY_JSON_H
#define API_HUB_IDENTITY_JSON_H

#include "hub/identity.h"
#include "model/records.h"
#include "json/writer.h"

/* Members in the order of the real hub. */
void hub_identity_json_write_device(const struct device *d, const struct hub_standing *s,
                                    struct json_writer *w);

/* An identity's ETag without quotes: base64 of a decimal number. */
void hub_identity_json_etag(int64_t etag, struct buf *out);

/* "sas", "selfSigned", "certificateAuthority" */
const char *hub_identity_json_auth_word(enum device_auth auth);
void hub_identity_json_write_thumbprints(const struct device *d, struct json_writer *w);
/* deviceScope and parentScopes, as far as there are any. */
void hub_identity_json_write_scopes(const struct device *d, struct json_writer *w);
/* "0001-01-01T00:00:00Z" when it never happened: 0. */
void hub_identity_json_write_time(struct json_writer *w, const char *name, int64_t time_ms);

#endif
