/* model/env.h: what is handed in with each request, so that nothing below front/ asks the time,
 * draws a random byte or knows a backend. Made by front/ for each task, by hub/keeper.c for each
 * chore; lives as long as that. */
#ifndef MODEL_ENV_H
#define MODEL_ENV_H

#include <stddef.h>
#include <stdint.h>

#include "util/guid.h"

struct arena;
struct core_errands;
struct core_key_groups;
struct core_links_cache;
struct crypto;
struct crypto_cert_cache;
struct geo;
struct hub_limits;
struct sink;
struct store;

struct env {
    struct store *store;
    struct sink *sink;                  /* where events go; NULL: nobody wants them */
    struct crypto *crypto;              /* this worker's library context */
    struct crypto_cert_cache *certs;    /* this worker's parsed CA certificates */
    struct core_key_groups *key_groups; /* this worker's group keys; NULL: none are kept */
    struct core_links_cache *links;     /* this worker's links; NULL: none are kept */
    struct geo *geo;                    /* the process's (geo/geo.h); NULL: no database */
    struct hub_limits *limits;          /* the process's (hub/limits.h); NULL: none are kept */
    struct core_errands *errands;       /* the process's (core/errands.h); NULL: nobody runs them */
    struct arena *arena;                /* the request's memory */
    int64_t now_ms;                     /* when the request was whole */
    void (*random)(void *ret_bytes, size_t len);
    char tracking_id[GUID_TEXT_LEN + 1];
};

#endif
