/* api/dps_json.h: the bodies of provisioning's device API, both directions (reference
 * dps-device-api.md 2), the same over every transport. */
#ifndef API_DPS_JSON_H
#define API_DPS_JSON_H

#include "api/dps_tpm.h"
#include "model/reason.h"
#include "model/records.h"
#include "util/arena.h"
#include "json/writer.h"

/* DeviceRegistration (2.1), as far as it is acted on. */
struct dps_json_body {
    struct span payload; /* JSON of any type, canonical, in the arena; absent: none or null */
    struct dps_tpm tpm;
};
/* Reads the body of a register or a status lookup. Empty, blank and {} are the same. Refusals:
 * BODY_MALFORMED (no JSON object), BODY_TOO_LARGE, FIELD_INVALID (a registrationId that is not the
 * authenticated one, a csr: certificates are not issued, a tpm that is not one). ERR_NOMEM. */
err dps_json_parse_body(struct span text, struct span registration_id, struct arena *arena,
                        struct dps_json_body *ret_body, struct verdict *ret_verdict);

/* RegistrationOperationStatus (2.2). state NULL: without registrationState. */
void dps_json_write_operation(struct span operation_id, enum registration_status status,
                              const struct registration *state, struct buf *out);
/* The members of a registration that devices and operators see alike, without the braces. */
void dps_json_write_state(const struct registration *r, struct json_writer *w);
/* DeviceRegistrationResult (2.3). name NULL: as the whole body. */
void dps_json_write_result(const struct registration *r, const char *name, struct json_writer *w);

#endif
