/* front/front.h: the server: listening sockets, event loops with TLS, workers. Knows connections
 * and time, no protocol: what bytes mean is a surface's (api/surface.h). */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

#include "api/surface.h"
#include "front/tls.h"
#include "model/limits.h"

/* One address and port that one surface is served on. Texts must outlive the front. */
struct front_endpoint {
    const struct surface_ops *surface;
    enum transport transport;
    const char *address; /* numeric, IPv4 or IPv6 */
    int port;            /* 0: any, see front_port */
    const char *option;  /* "https-port", for messages */
    int instead;         /* a port that any user may bind, for messages */
};

/* Times in milliseconds; counts for the whole process. */
struct front_limits {
    int64_t handshake_ms, handshake_slot_ms;
    int64_t write_stall_ms, linger_ms, drain_ms;
    size_t handshakes_per_loop, connections;
};
#define FRONT_LIMITS_DEFAULT                                                                       \
    ((struct front_limits){ .handshake_ms = LIMIT_HANDSHAKE_MS,                                    \
                            .handshake_slot_ms = LIMIT_HANDSHAKE_SLOT_MS,                          \
                            .write_stall_ms = LIMIT_WRITE_STALL_MS,                                \
                            .linger_ms = LIMIT_LINGER_MS,                                          \
                            .drain_ms = LIMIT_DRAIN_MS,                                            \
                            .handshakes_per_loop = LIMIT_HANDSHAKES_IN_FLIGHT,                     \
                            .connections = LIMIT_CONNECTIONS })

/* A request that has ended. Valid during the call. */
struct front_access {
    const struct access_note *note;
    const struct peer *peer;
    const char *tracking_id; /* "": decided without a task */
    int64_t duration_us;     /* from the whole request to its answer */
};

enum front_event_level { FRONT_DEBUG, FRONT_INFO, FRONT_WARNING, FRONT_ERROR };

struct front_config {
    const struct service *service;
    const struct front_endpoint *endpoints;
    size_t n_endpoints;
    struct front_tls_files tls;
    struct front_limits limits;
    int loops, workers; /* at least 1 */
    bool pin_loops;     /* each to a core */
    /* Called on any thread of the front's; must not block for long. */
    void (*on_access)(void *arg, const struct front_access *a);
    void (*on_event)(void *arg, enum front_event_level level, const char *event, const char *text);
    /* SIGHUP came, and the certificates were read again; NULL: nobody wants to know. On the thread
     * of front_serve; may block. */
    void (*on_reload)(void *arg);
    void *arg;
};

/* Once, first thing in main(), before any thread: the signals that front_serve waits for are
 * blocked, SIGPIPE is ignored, OpenSSL's configuration file is kept out. */
void front_init(void);

/* Binds, reads the certificates, starts the threads: connections are served when it returns.
 * *config is copied, what it points to must live until front_free. ERR_DENIED and ERR_EXISTS (a
 * port may not be bound, is in use) and whatever front_tls_new gives: err_detail is a sentence for
 * the operator. */
struct front;
err front_open(const struct front_config *config, struct front **ret_front);

/* The port that endpoint i is bound to. */
int front_port(const struct front *f, size_t i);

/* Reads the certificate files again; all loops change over, connections live on. On failure
 * everything stays as it was. May block. */
err front_reload(struct front *f);

/* Stops listening; what was begun is finished, idle connections are closed; what is left after
 * drain_ms is cut. Any thread. */
void front_drain(struct front *f);
/* Waits for all that and for the threads. ERR_TIMEOUT: a task does not return; the front must not
 * be freed. */
err front_join(struct front *f);

/* Serves until SIGTERM or SIGINT, then drains and joins; SIGHUP reloads; a second SIGTERM or SIGINT
 * ends the process at once with 1. */
err front_serve(struct front *f);

/* After front_join, and after the sink was closed: its threads may still be leaving a callback.
 * NULL-safe. */
void front_free(struct front *f);

/* For struct service: has draining begun? */
bool front_is_draining(void);

#endif
