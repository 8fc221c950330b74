/* cmd/berth/resource.h: what enrollments, groups and registrations have in common on the service
 * API: one resource under a path, and queries in pages. */
#ifndef CMD_BERTH_RESOURCE_H
#define CMD_BERTH_RESOURCE_H

#include "cmd/berth/http.h"
#include "cmd/berth/view.h"

struct resource {
    const char *collection;    /* "/enrollments" */
    const char *option;        /* "enrollment-id": the option that names one */
    const char *word, *plural; /* "enrollment", "enrollments" */
    const struct view_column *list, *show;
};

/* A request about the one that the option names. */
struct http_request berth_resource_request(struct cli *cli, const struct resource *r,
                                           const char *method);
/* Sends to the service and prints the resource that comes back. */
err berth_resource_send(struct cli *cli, const struct resource *r,
                        const struct http_request *request);
err berth_resource_show(struct cli *cli, const struct resource *r);
/* --etag is optional. */
err berth_resource_delete(struct cli *cli, const struct resource *r);
/* Reads the stored one and readies its PUT: only over --etag, or else over what was just read, so
 * that nobody's change is lost. The body is the caller's to fill in. */
err berth_resource_begin_update(struct cli *cli, const struct resource *r,
                                struct http_request *ret_put, json **ret_stored);
/* All pages of POST `path`, at most --top rows; query: "SELECT *", or NULL for no body. */
err berth_resource_list(struct cli *cli, const struct resource *r, const char *path,
                        const char *query);

#endif
