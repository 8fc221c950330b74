/* cmd/berth/tpm_blob.c: TPM structures one after the other, each marshalled as in TPM 2.0 part 2.
 * tpm2-tss knows their grammar. */
#include "cmd/berth/tpm_blob.h"

#include <tss2/tss2_mu.h>

static err malformed(void)
{
    return err_set(ERR_MALFORMED, "the authentication key that the service sent is not one");
}

/* blob = TPM2B_ID_OBJECT TPM2B_ENCRYPTED_SECRET TPM2B_PRIVATE TPM2B_ENCRYPTED_SECRET TPM2B_PUBLIC
 * [data for the device, that of an SDK of Azure's alone] */
err berth_tpm_blob_decode(struct span bytes, struct tpm_blob *ret_blob)
{
    struct tpm_blob b = { .credential.size = 0 };
    const uint8_t *from = bytes.data;
    size_t n = bytes.len, at = 0, key_at = 0;

    if (Tss2_MU_TPM2B_ID_OBJECT_Unmarshal(from, n, &at, &b.credential) ||
        Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal(from, n, &at, &b.credential_secret) ||
        Tss2_MU_TPM2B_PRIVATE_Unmarshal(from, n, &at, &b.duplicate) ||
        Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal(from, n, &at, &b.duplicate_seed)) {
        return malformed();
    }
    key_at = at + sizeof(b.key.size);
    if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(from, n, &at, &b.key) || at != key_at + b.key.size ||
        b.key.publicArea.type != TPM2_ALG_KEYEDHASH) {
        return malformed();
    }
    *ret_blob = b;
    return OK;
}
