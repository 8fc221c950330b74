/* cmd/berth/enrollment_body.h: the PUT body of an enrollment or a group, from options and, for an
 * update, from what is stored (reference dps-service-api.md 4). */
#ifndef CMD_BERTH_ENROLLMENT_BODY_H
#define CMD_BERTH_ENROLLMENT_BODY_H

#include "cmd/berth/cli.h"
#include "model/records.h"

#define BERTH_SERVICE_API_VERSION "api-version=2021-10-01"

/* stored: what GET gave; NULL: a new one. Options not given leave the stored members as they are;
 * read-only members are left out. A usage error when a new one has no way of proving itself. */
err berth_enrollment_body_make(struct cli *cli, enum enrollment_kind kind, const json *stored,
                               struct span *ret_body);

#endif
