/* tpm/public.c: TPM2B_PUBLIC, taken apart by tpm2-tss. What it reads is written again and compared,
 * so that there is one spelling of a key and no byte that nobody looked at; then each member is
 * held against what keys of these roles must be. */
#include "tpm/public.h"

#include <tss2/tss2_mu.h>

/* TPM2_PolicySecret(TPM_RH_ENDORSEMENT) alone: TCG EK Credential Profile for TPM 2.0, B.6.2. */
static const uint8_t endorsement_policy[32] = {
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
};

/* A private half that never leaves the TPM it was made in, and only decrypts what the TPM knows. */
static const TPMA_OBJECT storage_attributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                              TPMA_OBJECT_SENSITIVEDATAORIGIN |
                                              TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;

/* Too short, too long, no such structure, or a spelling that is not the one. */
static err unmarshal(struct span bytes, TPM2B_PUBLIC *ret)
{
    uint8_t again[TPM_PUBLIC_MAX];
    size_t read = 0, written = 0;

    if (bytes.len < sizeof(UINT16) || bytes.len > TPM_PUBLIC_MAX ||
        (size_t)(bytes.data[0] << 8 | bytes.data[1]) != bytes.len - sizeof(UINT16)) {
        return err_set(ERR_MALFORMED, "it is not a TPM2B_PUBLIC: its length is wrong");
    }
    if (Tss2_MU_TPM2B_PUBLIC_Unmarshal(bytes.data, bytes.len, &read, ret) != TSS2_RC_SUCCESS ||
        read != bytes.len) {
        return err_set(ERR_MALFORMED, "it is not a TPM2B_PUBLIC");
    }
    if (Tss2_MU_TPM2B_PUBLIC_Marshal(ret, again, sizeof(again), &written) != TSS2_RC_SUCCESS ||
        !span_eq(bytes, span_of(again, written))) {
        return err_set(ERR_MALFORMED, "it is not a TPM2B_PUBLIC: there are bytes left over");
    }
    return OK;
}

/* NULL: what a key of a storage hierarchy must be. */
static const char *wrong_storage_key(const TPMT_PUBLIC *p)
{
    const TPMS_RSA_PARMS *rsa = &p->parameters.rsaDetail;

    if (p->type != TPM2_ALG_RSA || rsa->keyBits != 2048) {
        return "it is not an RSA key of 2048 bits";
    }
    if (p->nameAlg != TPM2_ALG_SHA256) {
        return "its name algorithm is not SHA-256";
    }
    if ((p->objectAttributes & storage_attributes) != storage_attributes ||
        (p->objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT) != 0) {
        return "its attributes are not those of a restricted decryption key bound to its TPM";
    }
    if (rsa->symmetric.algorithm != TPM2_ALG_AES || rsa->symmetric.keyBits.aes != 128 ||
        rsa->symmetric.mode.aes != TPM2_ALG_CFB) {
        return "its symmetric algorithm is not AES-128-CFB";
    }
    if (rsa->scheme.scheme != TPM2_ALG_NULL) {
        return "it has a scheme of its own";
    }
    if (p->unique.rsa.size != TPM_PUBLIC_MODULUS_LEN || (p->unique.rsa.buffer[0] & 0x80) == 0 ||
        (p->unique.rsa.buffer[TPM_PUBLIC_MODULUS_LEN - 1] & 1) == 0) {
        return "its modulus is not one of 2048 bits";
    }
    return NULL;
}

/* 0 stands for 65537 (part 2, 12.2.3.5); the templates write 0. */
static const char *wrong_for_role(const TPMT_PUBLIC *p, enum tpm_role role)
{
    UINT32 exponent = p->parameters.rsaDetail.exponent;

    if (role == TPM_ROLE_STORAGE) {
        /* Devices activate and import below it by its password, which is empty. */
        if ((p->objectAttributes & TPMA_OBJECT_USERWITHAUTH) == 0) {
            return "its attributes lack userWithAuth";
        }
        return exponent == 0 || exponent == 65537 ? NULL : "its exponent is not 65537";
    }
    if (exponent != 0) {
        return "its exponent is not the default one";
    }
    if (p->objectAttributes != (storage_attributes | TPMA_OBJECT_ADMINWITHPOLICY)) {
        return "its attributes are not those of the TCG's endorsement key template";
    }
    if (!span_eq(span_of(p->authPolicy.buffer, p->authPolicy.size),
                 span_of(endorsement_policy, sizeof(endorsement_policy)))) {
        return "its policy is not that of the TCG's endorsement key template";
    }
    return NULL;
}

err tpm_public_decode(struct span bytes, enum tpm_role role, struct tpm_public *ret_public)
{
    TPM2B_PUBLIC p = { 0 };
    const char *wrong;

    TRY(unmarshal(bytes, &p));
    wrong = wrong_storage_key(&p.publicArea);
    wrong = wrong != NULL ? wrong : wrong_for_role(&p.publicArea, role);
    if (wrong != NULL) {
        return err_set(ERR_MALFORMED, "%s", wrong);
    }
    /* The modulus is the last member: "unique". */
    *ret_public = (struct tpm_public){
        .bytes = bytes,
        .key = { .modulus = span_from(bytes, bytes.len - TPM_PUBLIC_MODULUS_LEN),
                 .exponent = 65537 },
    };
    return OK;
}

err tpm_public_name(struct crypto *c, const struct tpm_public *p,
                    uint8_t ret_name[TPM_PUBLIC_NAME_LEN])
{
    struct span area = span_from(p->bytes, sizeof(UINT16));
    uint8_t digest[CRYPTO_SHA256_LEN];

    TRY(crypto_sha256(c, area, digest));
    ret_name[0] = TPM2_ALG_SHA256 >> 8;
    ret_name[1] = TPM2_ALG_SHA256 & 0xff;
    memcpy(ret_name + 2, digest, sizeof(digest));
    return OK;
}
