/* cmd/berth/tpm.h: the TPM of this machine, or another that --tcti names, as the commands use it.
 */
#ifndef CMD_BERTH_TPM_H
#define CMD_BERTH_TPM_H

#include "cmd/berth/provision_tpm.h"

/* The TPM of --tcti with its endorsement certificate, if it holds one, and its registration ID. The
 * caller closes ret_device->tpm. */
err berth_tpm_open(struct cli *cli, struct provision_tpm_device *ret_device,
                   const char **ret_registration_id);
/* Adds the certificates of a file behind those of the TPM, but not one of them twice. */
err berth_tpm_add_certificates(struct cli *cli, const char *path,
                               struct provision_tpm_device *device);

#endif
