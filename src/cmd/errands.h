/* cmd/errands.h: the process's errands (core/errands.h): what they know of hubs, and where they
 * say what became of them. */
#ifndef CMD_ERRANDS_H
#define CMD_ERRANDS_H

#include "core/errands.h"

/* Fills in hubs and on_event. Faults: core_errands_start's. */
err errands_start(const struct core_errands_config *config, struct core_errands **ret_errands);

#endif
