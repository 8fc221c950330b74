/* cmd/berth/enrollment_keys.h: the symmetric keys of enrollments, which the service shows only when
 * asked for them (reference dps-service-api.md 4.5), and the keys of devices derived from them. */
#ifndef CMD_BERTH_ENROLLMENT_KEYS_H
#define CMD_BERTH_ENROLLMENT_KEYS_H

#include "cmd/berth/resource.h"

/* `show`, with the keys when --show-keys is given. */
err berth_enrollment_keys_show(struct cli *cli, const struct resource *r);
/* The enrollment with another attestation, as JSON text of the command's memory. */
err berth_enrollment_keys_merge(struct cli *cli, json *enrollment, const json *mechanism,
                                struct span *ret_text);
/* For an update that names one of the two keys: a stored document of that kind gets the other. */
err berth_enrollment_keys_complete(struct cli *cli, const struct resource *r, json **stored);
/* `compute-device-key`: from --key, or from the primary key of the group that the option names. */
err berth_enrollment_keys_compute(struct cli *cli, const struct resource *group);
/* Base64 of 16 to 64 bytes, decoded, in the command's memory. ERR_MALFORMED: a usage error. */
err berth_enrollment_keys_parse(struct cli *cli, const char *option, struct span *ret_key);

#endif
