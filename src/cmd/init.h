/* cmd/init.h: `berthd init`: the first ID scope of a server that is not --dev. */
#ifndef CMD_INIT_H
#define CMD_INIT_H

#include "cmd/config.h"

/* Makes the instance, and the hub when one is named, in c->store, and prints their connection
 * strings. ERR_EXISTS: one of that host name is there. ERR_BUSY: a berthd has the store open.
 * ERR_SEALED: as seal_open.
 * Faults: err_detail is a sentence. What was printed was made. */
err init_run(const struct config *c, FILE *out);

#endif
