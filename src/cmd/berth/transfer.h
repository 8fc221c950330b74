/* cmd/berth/transfer.h: many POSTs to one server at once, on connections that stay open. A request
 * that the server was too busy for, or that got no answer, is sent again a few times before it
 * counts as failed: the first may have been done then. No threads: whoever waits does the work. */
#ifndef CMD_BERTH_TRANSFER_H
#define CMD_BERTH_TRANSFER_H

#include "cmd/berth/cli.h"

enum {
    TRANSFER_CONNECTIONS_MAX = 256,
    TRANSFER_REPLY_MAX = 32 * 1024,
    TRANSFER_WHY_MAX = 400,
};

struct transfer;

/* The caller's, from berth_transfer_send until is_done. */
struct transfer_job {
    const char *path; /* with its query */
    struct span body;
    const char *what; /* "enrollments": for `why` */

    bool is_done;
    int status;    /* HTTP; 0: no answer */
    bool is_again; /* sent more than once */
    struct buf reply;
    char why[TRANSFER_WHY_MAX]; /* a sentence, unless the status is 2xx */

    struct transfer_job *next; /* transfer.c's, as is the rest */
    int n_attempts;
    int64_t due_ms;
    uint8_t reply_memory[TRANSFER_REPLY_MAX];
};

/* At most n_connections at a time. The transfer is of the command's memory; close it. */
err berth_transfer_open(struct cli *cli, const struct endpoint *to, size_t n_connections,
                        struct transfer **ret_transfer);
/* Requests under way are broken off. */
void berth_transfer_close(struct transfer *t);
AUTO_DEFINE(transfer, struct transfer *, berth_transfer_close)

/* Queues it. Set path, body and what before. */
void berth_transfer_send(struct transfer *t, struct transfer_job *job);
/* Works until some request is done, or for so long. ERR_NOMEM, ERR_MALFORMED (the login's key). */
err berth_transfer_wait(struct transfer *t, int timeout_ms);
/* From now on nothing is sent again: what waits for that is done, as failed. */
void berth_transfer_give_up(struct transfer *t);

#endif
