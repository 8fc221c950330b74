/* cmd/berth/tpm_client.h: the TPM 2.0 of a device, as TPM attestation uses one (reference
 * dps-device-api.md 6.5): its endorsement key and storage root key, taking in the key that a
 * service sends, and signing with it. Any TPM that tpm2-tss reaches. Blocks; one thread at a time.
 */
#ifndef CMD_BERTH_TPM_CLIENT_H
#define CMD_BERTH_TPM_CLIENT_H

#include "util/buf.h"
#include "util/cleanup.h"
#include "util/err.h"
#include "util/span.h"

enum {
    BERTH_TPM_CLIENT_MAC_LEN = 32,
    BERTH_TPM_CLIENT_TEXT_MAX = 1024,       /* what can be signed at once in any TPM */
    BERTH_TPM_CLIENT_CERTIFICATE_MAX = 8192 /* bytes of DER in NV memory */
};

struct tpm_client;

/* tcti: which TPM, as tpm2-tss names it: "device:/dev/tpmrm0", "swtpm:port=2321"; NULL: what
 * TPM2TOOLS_TCTI says, or else the first that is found. Takes the endorsement key at 0x81010001 and
 * the storage root key at 0x81000001, both RSA 2048. One that is missing is made from the TCG's
 * template and stays in the TPM; where another kind of key is, it is made too, the same each time,
 * but not kept. ERR_IO: no TPM answers; ERR_DENIED: it wants an authorization. err_detail is a
 * sentence, as for all functions below. */
err berth_tpm_client_open(const char *tcti, struct tpm_client **ret_client);
/* Leaves nothing loaded in the TPM. */
void berth_tpm_client_close(struct tpm_client *t);
AUTO_DEFINE(tpm_client, struct tpm_client *, berth_tpm_client_close)

/* TPM2B_PUBLIC, as the wire has it; lives as long as the client. */
struct span berth_tpm_client_endorsement_key(const struct tpm_client *t);
struct span berth_tpm_client_storage_root_key(const struct tpm_client *t);

/* The endorsement certificate that the TPM's manufacturer left at NV index 0x01c00002, DER.
 * ERR_NOT_FOUND: there is none; ERR_MALFORMED: what is there is no certificate; ERR_NOMEM. */
err berth_tpm_client_read_certificate(struct tpm_client *t, struct buf *out);

/* Takes in the key of an authenticationKey blob; the one before is gone, even on failure.
 * ERR_MALFORMED: the blob breaks its grammar; ERR_DENIED: the TPM finds that it was not made for
 * its two keys, or was changed on its way; ERR_IO. */
err berth_tpm_client_activate(struct tpm_client *t, struct span blob);
/* Keeps the activated key in the TPM at 0x81000100, where SDKs look for it. ERR_PRECONDITION: none
 * is activated. */
err berth_tpm_client_persist(struct tpm_client *t);
/* HMAC-SHA256 by the activated key. ERR_PRECONDITION: none is; ERR_TOO_LARGE: text. */
err berth_tpm_client_sign(struct tpm_client *t, struct span text,
                          uint8_t ret_mac[BERTH_TPM_CLIENT_MAC_LEN]);

#endif
