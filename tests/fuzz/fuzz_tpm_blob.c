// links: berth_cli
/* tests/fuzz/fuzz_tpm_blob.c: what a provisioning service sends to a device with a TPM, as the
 * device takes it apart before the TPM sees it. */
#include "cmd/berth/tpm_blob.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tpm_blob b;

    if (err_is_ok(berth_tpm_blob_decode(span_of(data, size), &b))) {
        FUZZ_CHECK(b.credential.size <= sizeof b.credential.credential);
        FUZZ_CHECK(b.duplicate.size <= sizeof b.duplicate.buffer);
        FUZZ_CHECK(b.key.publicArea.type == TPM2_ALG_KEYEDHASH);
    }
    return 0;
}
