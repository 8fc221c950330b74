/* model/env.h: what is handed in with each request, so that nothing below front/ asks the time,
 * draws a random byte or knows a backend. Made by front/ for each task, by hub/keeper.c for each
 * chore; lives as long as that. */
#ifndef MODEL_ENV_H
#define MODEL_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/guid.h"
#include "util/span.h"

struct arena;
struct core_errands;
struct core_key_groups;
struct core_links_cache;
struct core_loads;
struct crypto;
struct crypto_cert_cache;
struct geo;
struct hub_limits;
struct sink;
struct store;

/* A request's place among those of others. For who has proven whose it is, before anything dear is
 * begun for it. */
struct env_turn {
    /* It is of this instance and this group of it; group absent: of an individual enrollment;
     * id_scope absent: nobody's. False: others come first. Then it must be left with ERR_BUSY
     * before it has changed anything: it is run again from its beginning, or refused. */
    bool (*take)(struct env_turn *t, struct span id_scope, struct span group);
    /* How long what waits now in the same place will take. */
    int64_t (*wait_ms)(struct env_turn *t);
};

struct env {
    struct env_turn *turn; /* NULL: it is always its turn */
    struct store *store;
    struct sink *sink;                  /* where events go; NULL: nobody wants them */
    struct crypto *crypto;              /* this worker's library context */
    struct crypto_cert_cache *certs;    /* this worker's parsed CA certificates */
    struct core_key_groups *key_groups; /* this worker's group keys; NULL: none are kept */
    struct core_links_cache *links;     /* this worker's links; NULL: none are kept */
    struct geo *geo;                    /* the process's (geo/geo.h); NULL: no database */
    struct core_loads *loads;           /* the process's (core/loads.h); NULL: none are kept */
    struct hub_limits *limits;          /* the process's (hub/limits.h); NULL: none are kept */
    struct core_errands *errands;       /* the process's (core/errands.h); NULL: nobody runs them */
    struct arena *arena;                /* the request's memory */
    int64_t now_ms;                     /* when the request was whole */
    void (*random)(void *ret_bytes, size_t len);
    char tracking_id[GUID_TEXT_LEN + 1];
};

#endif
