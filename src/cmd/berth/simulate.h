/* cmd/berth/simulate.h: the life of one simulated device: provision, connect to the hub, send,
 * stay. Blocking; one thread each. */
#ifndef CMD_BERTH_SIMULATE_H
#define CMD_BERTH_SIMULATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "berth/hub_client.h"
#include "berth/provisioning.h"
#include "cmd/berth/cli.h"
#include "cmd/berth/provision_tpm.h"

enum { SIMULATE_PROPERTIES_MAX = 16 };

/* The same for all devices; read-only while they run. */
struct simulate_plan {
    struct endpoint endpoint;
    const char *id_scope;
    int64_t count, interval_ms;
    const char *message; /* {n} and {device} are replaced */
    struct berth_property properties[SIMULATE_PROPERTIES_MAX];
    size_t n_properties;
    bool stay;
    bool receives;               /* messages, method calls, its twin */
    int64_t method_status;       /* of its answer to a method call */
    const char *method_answer;   /* JSON; NULL: what it was called with */
    bool tells;                  /* narrates on stdout */
    pthread_mutex_t *tells_once; /* held while a line is printed */
    const atomic_bool *interrupted;
    /* For a single device alone: signs the tokens of a symmetric key; provisions one with a TPM,
     * over HTTPS. */
    struct crypto *crypto;
    struct cli *cli;
    struct endpoint https;
};

enum simulate_outcome {
    SIMULATE_DONE,
    SIMULATE_FAILED, /* no connection, broken protocol */
    SIMULATE_REFUSED /* by the provisioning service or by the hub */
};

struct simulate_device {
    const char *registration_id;
    bool is_provisioned;   /* `result` tells the hub and the device ID already */
    const char *module_id; /* a module of that device; NULL: the device itself */
    /* One of the three; else absent. */
    struct span chain_pem, key_pem;
    struct span symmetric_key;
    const struct provision_tpm_device *tpm;
    /* What became of it. */
    enum simulate_outcome outcome;
    struct berth_provisioning_result result;
    uint64_t sent;               /* messages that the hub has acknowledged */
    uint64_t received, answered; /* messages; method calls */
    char why[400];               /* "" when done */
};

/* A line for people, of one device at a time. */
void berth_simulate_tell(const struct simulate_plan *plan, const struct simulate_device *device,
                         const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Runs to the end, or until interrupted. */
void berth_simulate_run(const struct simulate_plan *plan, struct simulate_device *device);

#endif
