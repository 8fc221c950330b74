/* cmd/berth/manage.h: what the nouns of management have in common (doc/wire/manage.md): lists in
 * pages, deletions that may take several requests. */
#ifndef CMD_BERTH_MANAGE_H
#define CMD_BERTH_MANAGE_H

#include "cmd/berth/http.h"
#include "cmd/berth/view.h"

/* All pages from `path` on. what: "certificates". */
err berth_manage_list(struct cli *cli, const struct endpoint *to, const char *path,
                      const struct view_column *columns, const char *what);
/* Hands each item of all pages from `path` on to fn, which keeps nothing of it in cli->arena: the
 * memory of a page is given up with it. Any number of items takes the room of a page. */
struct manage_each {
    const char *method, *path;
    const char *what; /* "certificates" */
    err (*fn)(struct cli *cli, const json *item, void *arg);
    void *arg;
    void (*end_page)(void *arg); /* before its memory is given up; NULL: nobody wants to know */
};
err berth_manage_each(struct cli *cli, const struct endpoint *to, const struct manage_each *each);
/* Sends, and again for as long as it is told to come back later (429), within reason. */
err berth_manage_ask(struct cli *cli, const struct endpoint *to, const struct http_request *request,
                     struct http_reply *ret_reply);
/* Sends, and shows the object that comes back. */
err berth_manage_send(struct cli *cli, const struct endpoint *to,
                      const struct http_request *request, const struct view_column *columns);
/* Asks "Delete policy 'x'? [y/N]" when there is a terminal and no --yes. ERR_CLOSED: the answer was
 * no. */
err berth_manage_confirm(struct cli *cli, const char *verb, const char *what);
/* Asks first when there is a terminal and no --yes, then sends DELETE until all is gone.
 * ERR_CLOSED: the answer was no. what: "policy 'x'". */
err berth_manage_delete(struct cli *cli, const struct endpoint *to, const char *path,
                        const char *what, bool is_forced);

#endif
