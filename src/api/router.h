/* api/router.h: which route a request takes: its path against the tables of api/http.h. */
#ifndef API_ROUTER_H
#define API_ROUTER_H

#include "api/http.h"

struct router_match {
    const struct http_route *route; /* NULL: none */
    const struct http_route *near;  /* the first whose path fits but not its method; or NULL */
    struct span params[HTTP_PATH_PARAMS]; /* of `route`, still percent-encoded */
};

/* The path decides, not the host: what a path means is the same on every host of this server. */
void router_find(struct span method, struct span path, struct router_match *ret_match);

/* The methods that the path takes, comma-joined, for Allow. */
void router_methods(struct span path, struct buf *out);

#endif
