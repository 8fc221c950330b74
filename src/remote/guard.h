/* remote/guard.h: which addresses may be connected to. Host names come from whoever runs an
 * instance, who may be another than who runs the machine. */
#ifndef REMOTE_GUARD_H
#define REMOTE_GUARD_H

#include <stdbool.h>

struct sockaddr;

/* Link-local addresses never, as a cloud's metadata service is there; with is_public_only none that
 * is private, of this machine, or reserved. What is written inside an IPv6 address (mapped, NAT64)
 * counts. */
bool remote_guard_allows(const struct sockaddr *address, bool is_public_only);

#endif
