/* api/enrollment_x509.h: the x509 member of an enrollment's attestation (reference
 * dps-service-api.md 4.4): certificates in all spellings that clients send, names of CA
 * certificates, and back as information only. */
#ifndef API_ENROLLMENT_X509_H
#define API_ENROLLMENT_X509_H

#include "core/enrollment.h"
#include "json/json.h"
#include "json/writer.h"

/* Reads the value of "x509", or of a group's "tpm", into e (kind, id_scope and attestation are
 * set). Refusals as
 * enrollment_json_decode. */
err enrollment_x509_decode(const struct env *env, json *x509, struct enrollment *e,
                           bool ret_keep_slot[SLOTS], struct verdict *ret_verdict);

err enrollment_x509_write(const struct env *env, const struct enrollment *e, const char *name,
                          struct json_writer *w);

#endif
