/* api/enrollment_custom.h: an enrollment as a webhook and a rule see it (reference
 * dps-device-api.md 7.1). */
#ifndef API_ENROLLMENT_CUSTOM_H
#define API_ENROLLMENT_CUSTOM_H

#include "model/env.h"
#include "model/records.h"

/* core_tools.write_enrollment: as enrollment_json_write in the shape of the api-version (absent:
 * the newest), without keys; of the webhook's URL the query, which may hold one, is replaced by
 * "****", and a rule's source is left out. */
err enrollment_custom_write(const struct env *env, const struct enrollment *e,
                            struct span api_version, struct span *ret_json);

#endif
