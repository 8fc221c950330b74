// links: berth_tpm
/* tests/fuzz/fuzz_tpm_public.c: a TPM's public keys. What is taken in either role is exactly as
 * long as it says, ends in its modulus, and is taken again. */
#include "fuzz.h"
#include "tpm/public.h"

static void check(struct span bytes, enum tpm_role role)
{
    struct tpm_public p, again;
    err e = tpm_public_decode(bytes, role, &p);

    if (!err_is_ok(e)) {
        FUZZ_CHECK(err_is(e, ERR_MALFORMED) && err_detail()[0] != '\0');
        return;
    }
    FUZZ_CHECK(bytes.len <= TPM_PUBLIC_MAX);
    FUZZ_CHECK(bytes.len - 2 == (size_t)(bytes.data[0] << 8 | bytes.data[1]));
    FUZZ_CHECK(p.key.modulus.len == TPM_PUBLIC_MODULUS_LEN);
    FUZZ_CHECK(p.key.modulus.data + p.key.modulus.len == bytes.data + bytes.len);
    FUZZ_CHECK(err_is_ok(tpm_public_decode(p.bytes, role, &again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check(span_of(data, size), TPM_ROLE_ENDORSEMENT);
    check(span_of(data, size), TPM_ROLE_STORAGE);
    return 0;
}
