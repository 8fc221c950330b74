/* cmd/berth/tpm_blob.h: the authenticationKey that a provisioning service sends to a device with a
 * TPM (reference dps-device-api.md 6.5). Reads its structure; only the TPM can open it. */
#ifndef CMD_BERTH_TPM_BLOB_H
#define CMD_BERTH_TPM_BLOB_H

#include <tss2/tss2_tpm2_types.h>

#include "util/err.h"
#include "util/span.h"

struct tpm_blob {
    /* For TPM2_ActivateCredential: a secret for the endorsement key, bound to the storage root
     * key's name. */
    TPM2B_ID_OBJECT credential;
    TPM2B_ENCRYPTED_SECRET credential_secret;
    /* For TPM2_Import: a keyed-hash key duplicated to the storage root key, wrapped again by that
     * secret. */
    TPM2B_PRIVATE duplicate;
    TPM2B_ENCRYPTED_SECRET duplicate_seed;
    TPM2B_PUBLIC key;
};

/* What stands behind the five parts is passed over. ERR_MALFORMED. */
err berth_tpm_blob_decode(struct span bytes, struct tpm_blob *ret_blob);

#endif
