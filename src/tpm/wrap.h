/* tpm/wrap.h: what TPM2_ActivateCredential and TPM2_Import take: values that were encrypted for a
 * TPM outside of it. Inside tpm/ only. */
#ifndef TPM_WRAP_H
#define TPM_WRAP_H

#include "model/env.h"
#include "tpm/public.h"

/* TPM2_MakeCredential: `value` (at most 32 bytes) for the TPM that holds ek and, loaded, the object
 * of that name. Writes TPM2B_ID_OBJECT, then TPM2B_ENCRYPTED_SECRET. */
err tpm_wrap_credential(const struct env *env, const struct tpm_public *ek,
                        const uint8_t name[TPM_PUBLIC_NAME_LEN], struct span value,
                        struct buf *out);

/* TPM2_Duplicate of a fresh KEYEDHASH object with the HMAC key `key` (32 bytes) to the new parent
 * srk, under the inner wrapper `inner_key`. Writes TPM2B_PRIVATE, TPM2B_ENCRYPTED_SECRET,
 * TPM2B_PUBLIC. */
err tpm_wrap_key(const struct env *env, const struct tpm_public *srk,
                 const uint8_t inner_key[CRYPTO_WRAP_AES_KEY_LEN], struct span key,
                 struct buf *out);

#endif
