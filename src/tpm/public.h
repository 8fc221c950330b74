/* tpm/public.h: the public halves of a TPM's endorsement key (EK) and storage root key (SRK), as a
 * device sends them: TPM2B_PUBLIC (reference dps-device-api.md 6.5; TPM 2.0 Library, part 2, 12.2).
 */
#ifndef TPM_PUBLIC_H
#define TPM_PUBLIC_H

#include "crypto/crypto.h"
#include "crypto/wrap.h"

enum tpm_role { TPM_ROLE_ENDORSEMENT, TPM_ROLE_STORAGE };

enum {
    TPM_PUBLIC_MODULUS_LEN = 256,
    TPM_PUBLIC_NAME_LEN = 2 + CRYPTO_SHA256_LEN,
    /* TPM2B_PUBLIC of an EK is 316 bytes, that of an SRK 284, or more with a policy. */
    TPM_PUBLIC_MAX = 512,
};

struct tpm_public {
    struct span bytes; /* the whole TPM2B_PUBLIC, as given */
    struct crypto_wrap_rsa key;
};

/* Reads one TPM2B_PUBLIC with no byte behind it. Both: RSA-2048, restricted decryption, bound to
 * its TPM, names by SHA-256, AES-128-CFB for what is below it. An EK is that of the TCG's default
 * template, down to each attribute and the policy: so one RSA key has one spelling, and one
 * registration ID. ERR_MALFORMED: err_detail says what is wrong, fit for who sent it. The result
 * points into `bytes`. */
err tpm_public_decode(struct span bytes, enum tpm_role role, struct tpm_public *ret_public);

/* The Name that a TPM gives it: algorithm, then digest of the public area. */
err tpm_public_name(struct crypto *c, const struct tpm_public *p,
                    uint8_t ret_name[TPM_PUBLIC_NAME_LEN]);

#endif
