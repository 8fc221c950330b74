/* api/hub_twin_json.h: a twin as its device sees it and as the operator does (reference
 * iothub-device-api.md 8, iothub-service-api.md 5). */
#ifndef API_HUB_TWIN_JSON_H
#define API_HUB_TWIN_JSON_H

#include "hub/bus.h"
#include "model/records.h"
#include "json/writer.h"

/* {"desired":{…,"$version"},"reported":{…,"$version"}}: no tags, no metadata. */
void hub_twin_json_write_own(const struct device *d, struct json_writer *w);
void hub_twin_json_write(struct bus *bus, const struct device *d, struct json_writer *w);
/* Base64 of the counter, big-endian. */
void hub_twin_json_etag(int64_t etag, struct buf *out);
/* False: it is none of ours. */
bool hub_twin_json_parse_etag(struct span text, int64_t *ret_etag);

/* "sas", "selfSigned", "certificateAuthority" */
const char *hub_twin_json_auth_word(enum device_auth auth);

#endif
