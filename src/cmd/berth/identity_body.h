/* cmd/berth/identity_body.h: the JSON of a device's or module's identity (reference
 * iothub-service-api.md 3.1, 4), made of options and of what is stored. A PUT replaces the whole:
 * what is not named goes back as it was. */
#ifndef CMD_BERTH_IDENTITY_BODY_H
#define CMD_BERTH_IDENTITY_BODY_H

#include "cmd/berth/hub_api.h"

/* By the options that the command has: --auth-method, --primary-key, --secondary-key,
 * --primary-thumbprint, --secondary-thumbprint, --managed-by; of a device also --status,
 * --status-reason, --edge-enabled, --device-scope. stored: NULL: a new one. A usage error (exit
 * status 2): they contradict each other, or say nothing of a stored one. */
err berth_identity_body(struct cli *cli, struct hub_who who, json *stored, struct span *ret_body);

/* The stored one with other keys. */
err berth_identity_body_keys(struct cli *cli, json *stored, struct span primary,
                             struct span secondary, struct span *ret_body);
/* The stored one with another status and reason; reason NULL: none. */
err berth_identity_body_status(struct cli *cli, json *stored, const char *status,
                               const char *reason, struct span *ret_body);

#endif
