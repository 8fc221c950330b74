/* remote/remote.h: systems elsewhere: hubs that are not in this store, by their REST API, and
 * webhooks. Alone in the server in making connections of its own (libcurl). What may be
 * asked, and what each answer means, is model/elsewhere.h; which calls are made,
 * doc/wire/remote-hubs.md. */
#ifndef REMOTE_REMOTE_H
#define REMOTE_REMOTE_H

#include "model/elsewhere.h"
#include "util/cleanup.h"

struct remote;

struct remote_config {
    const char *ca_file; /* PEM: whom to trust where a link names nobody; NULL: the system's */
    bool is_public_only; /* connects to no private, local or reserved address */
};

/* Before there are threads that use libcurl. ERR_NOMEM; ERR_IO: the CA file cannot be read. */
err remote_open(const struct remote_config *config, struct remote **ret_remote);
/* What it gives may be called by any number of threads, each with an env of its own; lives until
 * remote_close. */
const struct elsewhere *remote_elsewhere(const struct remote *r);
/* When nobody calls any more. NULL-safe. */
void remote_close(struct remote *r);
AUTO_DEFINE(remote, struct remote *, remote_close)

#endif
