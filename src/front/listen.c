/* front/listen.c: makes listening sockets. What accepted connections inherit (TCP_NODELAY, keep-
 * alive probes) is set here once instead of on each of them. */
#include "front/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PROBE_IDLE_S = 120, PROBE_INTERVAL_S = 30, PROBES = 4 };

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t len;
};

static bool parse_address(const char *text, int port, struct address *ret)
{
    struct address a = { 0 };

    if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1) {
        a.v4.sin_family = AF_INET;
        a.v4.sin_port = htons((uint16_t)port);
        a.len = sizeof(a.v4);
    } else if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) == 1) {
        a.v6.sin6_family = AF_INET6;
        a.v6.sin6_port = htons((uint16_t)port);
        a.len = sizeof(a.v6);
    } else {
        return false;
    }
    *ret = a;
    return true;
}

static err fail(const struct front_endpoint *e)
{
    switch (errno) {
    case EACCES:
    case EPERM:
        return err_set(ERR_DENIED,
                       "Port %d may not be bound by this user: run as root, grant "
                       "CAP_NET_BIND_SERVICE (setcap cap_net_bind_service=+ep on the program), or "
                       "choose another with --%s %d.",
                       e->port, e->option, e->instead);
    case EADDRINUSE:
        return err_set(ERR_EXISTS,
                       "Port %d on %s is in use by another program: stop it, or choose another "
                       "port with --%s %d.",
                       e->port, e->address, e->option, e->instead);
    case EADDRNOTAVAIL:
        return err_set(ERR_MALFORMED,
                       "Address %s is not one of this machine: choose another with --bind.",
                       e->address);
    default:
        return err_set(ERR_IO, "Port %d on %s cannot be listened on: %s.", e->port, e->address,
                       strerror(errno));
    }
}

static bool set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

static bool set_up(int fd, const struct address *a, bool is_shared)
{
    return set(fd, SOL_SOCKET, SO_REUSEADDR, 1) &&
           (!is_shared || set(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
           (a->any.sa_family != AF_INET6 || set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)) &&
           set(fd, IPPROTO_TCP, TCP_NODELAY, 1) && set(fd, SOL_SOCKET, SO_KEEPALIVE, 1) &&
           set(fd, IPPROTO_TCP, TCP_KEEPIDLE, PROBE_IDLE_S) &&
           set(fd, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_INTERVAL_S) &&
           set(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
}

/* -1: see errno. */
static int listening_socket(const struct address *a, bool is_shared)
{
    int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int why;

    if (fd >= 0 && set_up(fd, a, is_shared) && bind(fd, &a->any, a->len) == 0 &&
        listen(fd, LIMIT_LISTEN_BACKLOG) == 0) {
        return fd;
    }
    why = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    errno = why;
    return -1;
}

/* Shared ports are shared with any process of this user: a second berthd would silently take half
 * of the connections. So see first whether the port is free for one that does not share. */
static bool is_free(const struct address *a)
{
    int fd = listening_socket(a, false);

    if (fd >= 0) {
        (void)close(fd);
    }
    return fd >= 0;
}

bool front_listen_has_address(const char *address)
{
    struct address a;
    int fd;

    if (!parse_address(address, 0, &a)) {
        return false;
    }
    fd = listening_socket(&a, false);
    if (fd >= 0) {
        (void)close(fd);
    }
    return fd >= 0 || (errno != EADDRNOTAVAIL && errno != EAFNOSUPPORT);
}

static int bound_port(int fd)
{
    struct address a = { .len = sizeof(a.v6) };

    if (getsockname(fd, &a.any, &a.len) != 0) {
        return 0;
    }
    return ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
}

err front_listen_open(const struct front_endpoint *e, int *ret_fds, int n_fds, int *ret_port)
{
    struct address a;
    int port = e->port;
    err result;

    if (!parse_address(e->address, port, &a)) {
        return err_set(ERR_MALFORMED, "%s is not an IPv4 or IPv6 address.", e->address);
    }
    if (!is_free(&a)) {
        return fail(e);
    }
    for (int i = 0; i < n_fds; i++) {
        (void)parse_address(e->address, port, &a);
        ret_fds[i] = listening_socket(&a, true);
        if (ret_fds[i] < 0) {
            result = fail(e);
            while (i-- > 0) {
                (void)close(ret_fds[i]);
            }
            return result;
        }
        port = bound_port(ret_fds[i]);
    }
    *ret_port = port;
    return OK;
}
