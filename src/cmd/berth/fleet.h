/* cmd/berth/fleet.h: a load of devices on one thread: plan, identities, and the engine that runs
 * them. */
#ifndef CMD_BERTH_FLEET_H
#define CMD_BERTH_FLEET_H

#include <openssl/ssl.h>

#include "cmd/berth/cli.h"
#include "cmd/berth/fleet_stats.h"

enum fleet_mode {
    FLEET_HANDSHAKE, /* TLS, then close */
    FLEET_MQTT,      /* up to CONNACK */
    FLEET_REGISTER,  /* until the service has decided */
    FLEET_TELEMETRY, /* and then messages to the hub */
    FLEET_HOLD       /* and stays there; when all have stayed long enough, all connect anew */
};

struct fleet_identity {
    const char *name;
    X509 *certificate;
    EVP_PKEY *key;
};

struct fleet_plan {
    enum fleet_mode mode;
    struct endpoint endpoint;
    const char *id_scope;
    const struct fleet_identity *identities;
    size_t n_identities;
    uint64_t total; /* runs: each takes the next identity, round and round */
    size_t concurrency;
    int64_t rate; /* begun a second; 0: as soon as there is a free slot */
    int64_t timeout_ns;
    int messages; /* each; with FLEET_HOLD as many as there is time for */
    int64_t hold_ns, keep_alive_ns, interval_ns; /* FLEET_HOLD; no interval: no messages */
    size_t message_size, window;
    bool waits; /* retry-after before a poll */
    SSL_CTX *tls;
};

/* Runs all of it on the calling thread. ERR_IO: sockets or epoll cannot be had at all. */
err berth_fleet_engine_run(struct arena *arena, const struct fleet_plan *plan,
                           struct fleet_stats *stats);

#endif
