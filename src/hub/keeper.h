/* hub/keeper.h: what a hub does unasked: one thread that does a list of chores about once a second,
 * one after another. A chore does a bounded piece of work and comes back for the rest. */
#ifndef HUB_KEEPER_H
#define HUB_KEEPER_H

#include "model/env.h"
#include "util/err.h"

struct bus;
struct hub_limits;
struct hub_keeper;

struct hub_chore {
    const char *name; /* for on_fault */
    /* May block. env has store, sink, limits, time, arena (reset before each call) and no
     * certificates. A fault is reported, and the chore tried again after LIMIT_KEEPER_PAUSE_MS.
     * *again: there is more to do at once. */
    err (*run)(const struct env *env, struct bus *bus, void *arg, bool *again);
    void *arg;
};

struct hub_keeper_config {
    struct store *store;
    struct sink *sink;
    struct bus *bus;
    struct hub_limits *limits;      /* or NULL */
    const struct hub_chore *chores; /* must outlive the keeper */
    size_t n_chores;
    /* On the keeper's thread. NULL: nobody wants to know. */
    void (*on_fault)(void *arg, const char *chore, err fault);
    void *arg;
};

/* ERR_NOMEM, ERR_CRYPTO, ERR_IO (no thread). */
err hub_keeper_start(const struct hub_keeper_config *config, struct hub_keeper **ret_keeper);
/* Runs every chore once more, and on while one has more to do, but no more than
 * LIMIT_KEEPER_LAST_ROUNDS times; then ends. Before the store and the sink are closed. NULL-safe.
 */
void hub_keeper_stop(struct hub_keeper *k);

#endif
