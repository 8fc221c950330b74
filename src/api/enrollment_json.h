/* api/enrollment_json.h: enrollments and registrations in the service API's JSON, both directions
 * (reference dps-service-api.md 4). */
#ifndef API_ENROLLMENT_JSON_H
#define API_ENROLLMENT_JSON_H

#include "core/enrollment.h"
#include "json/json.h"
#include "json/writer.h"

/* What a PUT is judged against besides its body. */
struct enrollment_json_put {
    struct span id_scope;
    enum enrollment_kind kind;
    struct span id;                  /* of the path; absent: the body's alone (bulk) */
    struct span api_version;         /* members it does not know keep their stored value */
    const struct enrollment *stored; /* what is there now, or NULL */
};

/* Reads IndividualEnrollment or EnrollmentGroup. Read-only members are passed over, certificates
 * become DER, members that are not acted on go to `extra`. keep_slot: info without certificate.
 * Spans are in the arena. Refusals: FIELD_INVALID, CERTIFICATE_INVALID; the detail names the
 * member. May read the store (names of CA certificates). */
err enrollment_json_decode(const struct env *env, const struct enrollment_json_put *put,
                           json *document, struct enrollment *ret_enrollment,
                           bool ret_keep_slot[SLOTS], struct verdict *ret_verdict);

/* How much of an enrollment is shown. */
struct enrollment_json_view {
    struct span api_version; /* members that it does not know are left out; absent: none is */
    bool with_keys;          /* symmetric keys too: for who has just put them (4.5) */
    const struct registration *registration; /* NULL: without registrationState */
};
/* Writes it as an unnamed value. ERR_CORRUPT: a stored certificate is unreadable. */
err enrollment_json_write(const struct env *env, const struct enrollment *e,
                          const struct enrollment_json_view *view, struct json_writer *w);
/* AttestationMechanism. */
err enrollment_json_write_attestation(const struct env *env, const struct enrollment *e,
                                      bool with_keys, const char *name, struct json_writer *w);
/* DeviceRegistrationState of the service API (4.7): no attestation members. */
void enrollment_json_write_registration(const struct registration *r, const char *name,
                                        struct json_writer *w);

#endif
