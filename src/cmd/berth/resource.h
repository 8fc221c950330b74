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
/* A query in pages. */
struct resource_query {
    const char *path, *what; /* of POST; "enrollments" */
    const char *text;        /* "SELECT *"; NULL: no body */
    int64_t top;             /* at most so many rows; 0: all */
    /* Whose query it is; NULL: the service's. */
    err (*find_endpoint)(struct cli *cli, struct endpoint *ret_endpoint);
    /* Takes a page; its document and the memory of the command that it uses are given up after. */
    err (*on_page)(void *context, json *page);
    void *context;
};
/* However many rows there are, one page is in memory. ERR_MALFORMED with a query that the service
 * does not understand: the detail shows where. */
err berth_resource_query(struct cli *cli, const struct resource_query *query);
/* All pages of POST `path`, at most --top rows, printed as they come; query: as above. */
err berth_resource_list(struct cli *cli, const struct resource *r, const char *path,
                        const char *query);
/* The same for enrollments: --where, --order-by and --count make the query. */
err berth_resource_list_where(struct cli *cli, const struct resource *r);
/* "SELECT what WHERE … ORDER BY …", the condition by --where; of the command's memory. order: NULL:
 * none. */
const char *berth_resource_query_text(struct cli *cli, const char *what, const char *order);

#endif
