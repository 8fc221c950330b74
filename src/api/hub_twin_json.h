/* api/hub_twin_json.h: a twin as its device sees it and as the operator does (reference
 * iothub-device-api.md 8, iothub-service-api.md 5). */
#ifndef API_HUB_TWIN_JSON_H
#define API_HUB_TWIN_JSON_H

#include "hub/identity.h"
#include "model/records.h"
#include "json/json.h"
#include "json/writer.h"

/* {"desired":{…,"$version"},"reported":{…,"$version"}}: no tags, no metadata. */
void hub_twin_json_write_own(const struct device *d, struct json_writer *w);
void hub_twin_json_write(const struct device *d, const struct hub_standing *s,
                         struct json_writer *w);
/* Parts of it, under a name. A section that nothing was ever written to has the metadata of its
 * birth: absent. */
void hub_twin_json_write_properties(const struct device *d, const char *name,
                                    struct json_writer *w);
void hub_twin_json_write_desired(const struct device *d, const char *name, struct json_writer *w);
void hub_twin_json_write_reported(const struct device *d, const char *name, struct json_writer *w);
void hub_twin_json_write_metadata(struct span metadata, int64_t created_ms, const char *name,
                                  struct json_writer *w);
/* The sections that somebody gives: tags, properties.desired and properties.reported; one that is
 * null is as if it were not named. GRANTED, or FIELD_INVALID: properties is no object. */
struct hub_twin_change;
void hub_twin_json_read(const json *twin, struct hub_twin_change *change,
                        struct verdict *ret_verdict);
/* Base64 of the counter, big-endian. */
void hub_twin_json_etag(int64_t etag, struct buf *out);
/* As hub_identity_json_match, of a twin. */
struct core_match;
int64_t hub_twin_json_match(const struct core_match *match);

#endif
