/* tpm/blob.h: an HMAC key that one TPM alone can load: the activation blob of reference
 * dps-device-api.md 6.5. */
#ifndef TPM_BLOB_H
#define TPM_BLOB_H

#include "model/env.h"
#include "tpm/public.h"

enum {
    TPM_BLOB_KEY_LEN = 32,
    TPM_BLOB_MAX = 1024, /* bytes; it is some 800 */
};

/* Wraps `key` so that only the TPM that holds ek and srk, both at once, can load it below its SRK,
 * and then only use it, not read it. Two blobs of one key have nothing in common that can be seen.
 * ERR_CRYPTO, ERR_NOMEM. */
err tpm_blob_make(const struct env *env, const struct tpm_public *ek, const struct tpm_public *srk,
                  const uint8_t key[TPM_BLOB_KEY_LEN], struct buf *out);

#endif
