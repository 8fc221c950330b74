/* cmd/berth/provision_tpm.h: registering a device by TPM attestation over HTTPS (reference
 * dps-device-api.md 4.2), one request at a time: ask for a challenge, register, poll.
 *
 *     while (p.step != PROVISION_TPM_DONE) {
 *         TRY(berth_provision_tpm_next(&p));
 *         wait p.result.retry_after_s
 *     } */
#ifndef CMD_BERTH_PROVISION_TPM_H
#define CMD_BERTH_PROVISION_TPM_H

#include "berth/provisioning.h"
#include "cmd/berth/cli.h"
#include "cmd/berth/tpm_client.h"

/* 32 bytes in base32, and the NUL. */
enum { PROVISION_TPM_REGISTRATION_ID_MAX = 53, PROVISION_TPM_CERTIFICATES_MAX = 8 };

enum provision_tpm_step {
    PROVISION_TPM_CHALLENGE,   /* to be asked for */
    PROVISION_TPM_REGISTERING, /* the TPM has taken in the key that signs the tokens */
    PROVISION_TPM_POLLING,
    PROVISION_TPM_DONE /* decided: see the result; when assigned, the TPM has the hub's key */
};

struct provision_tpm_device {
    struct tpm_client *tpm;
    /* DER: the endorsement key's certificate and its intermediates; for groups that trust a
     * manufacturer. */
    struct span certificates[PROVISION_TPM_CERTIFICATES_MAX];
    size_t n_certificates;
    bool persists; /* keeps the hub's key in the TPM */
};

struct provision_tpm {
    struct cli *cli;
    const struct endpoint *endpoint; /* HTTPS */
    const char *id_scope, *registration_id;
    const struct provision_tpm_device *device;
    /* What became of it. */
    enum provision_tpm_step step;
    struct berth_provisioning_result result;
};

/* One request and its answer. ERR_IO: no connection; ERR_MALFORMED: an answer that is none; else as
 * the TPM's functions. */
err berth_provision_tpm_next(struct provision_tpm *p);

/* A shared access signature by the key that the TPM has taken in. key_name absent: without skn. */
err berth_provision_tpm_token(struct tpm_client *tpm, struct span resource, struct span key_name,
                              struct buf *out);
/* The registration ID that an endorsement key has by itself (reference 6.5), NUL-terminated. */
err berth_provision_tpm_registration_id(struct crypto *c, struct span endorsement_key,
                                        char ret_id[PROVISION_TPM_REGISTRATION_ID_MAX]);

#endif
