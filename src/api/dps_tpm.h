/* api/dps_tpm.h: what registrations by TPM have in their bodies besides the rest (reference
 * dps-device-api.md 4.2, 6.5; doc/wire/tpm.md). */
#ifndef API_DPS_TPM_H
#define API_DPS_TPM_H

#include "attest/attest.h"
#include "model/limits.h"
#include "json/json.h"

/* The member "tpm", its base64 undone. */
struct dps_tpm {
    struct span endorsement_key; /* absent: there is no member "tpm" */
    struct span storage_root_key;
    struct span certificates[LIMIT_CHAIN_CERTIFICATES]; /* DER, or whatever was sent as such */
    size_t n_certificates;
};
/* Into the arena. Refusal: FIELD_INVALID, naming the member. ERR_NOMEM. */
err dps_tpm_decode(json *tpm, struct arena *arena, struct dps_tpm *ret_tpm,
                   struct verdict *ret_verdict);

/* Its certificates, parsed. Those made are the caller's to free, also after a failure: *n.
 * ERR_NOMEM, ERR_MALFORMED: one is no certificate. */
err dps_tpm_parse_certificates(struct crypto *c, const struct dps_tpm *tpm,
                               struct crypto_cert *ret_certs[LIMIT_CHAIN_CERTIFICATES], size_t *n);

/* The answer to TPM_CHALLENGED: has no "status", by which C knows it. */
err dps_tpm_write_challenge(const struct env *env, struct span blob, struct span *ret_body);

#endif
