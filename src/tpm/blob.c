/* tpm/blob.c: the activation blob. Knows the order of its parts; what each is made of, wrap.c.
 *
 *     1  TPM2B_ID_OBJECT         a credential for EK and SRK: the key of the inner wrapper
 *     2  TPM2B_ENCRYPTED_SECRET  its seed, for the EK
 *     3  TPM2B_PRIVATE           the HMAC key, duplicated to the SRK
 *     4  TPM2B_ENCRYPTED_SECRET  its seed, for the SRK
 *     5  TPM2B_PUBLIC            of the HMAC key
 *     6  UINT16 size, data       "encrypted URI": left empty; clients read the size and go on
 *
 * The sixth would be encrypted by the key of the inner wrapper once more and from the same
 * initialization vector, which would show a part of what that wrapper hides; no client uses it. */
#include "tpm/blob.h"

#include "tpm/wrap.h"

err tpm_blob_make(const struct env *env, const struct tpm_public *ek, const struct tpm_public *srk,
                  const uint8_t key[TPM_BLOB_KEY_LEN], struct buf *out)
{
    uint8_t inner_key[CRYPTO_WRAP_AES_KEY_LEN], name[TPM_PUBLIC_NAME_LEN];
    err e = tpm_public_name(env->crypto, srk, name);

    env->random(inner_key, sizeof(inner_key));
    if (err_is_ok(e)) {
        e = tpm_wrap_credential(env, ek, name, span_of(inner_key, sizeof(inner_key)), out);
    }
    if (err_is_ok(e)) {
        e = tpm_wrap_key(env, srk, inner_key, span_of(key, TPM_BLOB_KEY_LEN), out);
    }
    crypto_wipe(inner_key, sizeof(inner_key));
    TRY(e);
    buf_add_u16(out, 0);
    return buf_ok(out);
}
