/* front/listen.h: listening sockets. */
#ifndef FRONT_LISTEN_H
#define FRONT_LISTEN_H

#include "front/front.h"

/* Binds one socket for each of n_fds loops to the endpoint (SO_REUSEPORT), listening, non-blocking.
 * *ret_port is the port, also when any was asked for. ERR_DENIED, ERR_EXISTS, ERR_MALFORMED
 * (address), ERR_IO: err_detail is a sentence with the remedy; nothing stays open. */
err front_listen_open(const struct front_endpoint *e, int *ret_fds, int n_fds, int *ret_port);

/* May sockets be bound to it here? False for an IPv6 address on a machine without IPv6. */
bool front_listen_has_address(const char *address);

#endif
