/* api/enrollment_tpm.h: the tpm member of an enrollment's attestation: one TPM's keys (reference
 * dps-service-api.md 4.3), or, in a group, the CA certificates of TPM manufacturers in the spelling
 * of x509 (doc/wire/tpm.md). */
#ifndef API_ENROLLMENT_TPM_H
#define API_ENROLLMENT_TPM_H

#include "core/enrollment.h"
#include "json/json.h"
#include "json/writer.h"

/* Reads the value of "tpm" into e (kind, id_scope and attestation are set). What keys may be is
 * core's. Refusals as enrollment_json_decode. */
err enrollment_tpm_decode(const struct env *env, json *tpm, struct enrollment *e,
                          bool ret_keep_slot[SLOTS], struct verdict *ret_verdict);

/* Writes it as member "tpm". ERR_CORRUPT. */
err enrollment_tpm_write(const struct env *env, const struct enrollment *e, struct json_writer *w);

#endif
