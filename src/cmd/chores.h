/* cmd/chores.h: what berthd's keeper does, in one table. */
#ifndef CMD_CHORES_H
#define CMD_CHORES_H

#include "api/surface.h"
#include "hub/keeper.h"

/* Starts the keeper (the presence it flushes is the service's); faults of chores go to the log.
 * *service must outlive it. */
err chores_start(const struct service *service, struct hub_keeper **ret_keeper);

#endif
