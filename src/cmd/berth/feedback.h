/* cmd/berth/feedback.h: what became of messages, as the hub tells it: batches of records, each
 * locked for who reads it until it is completed (reference iothub-service-api.md 8.2). */
#ifndef CMD_BERTH_FEEDBACK_H
#define CMD_BERTH_FEEDBACK_H

#include "cmd/berth/http.h"

enum { FEEDBACK_LOCK_MAX = 80 };

struct feedback_batch {
    json *records; /* an array; NULL: none waits. Its taker's to free */
    char lock[FEEDBACK_LOCK_MAX];
};

/* The next batch that nobody has locked. */
err berth_feedback_next(struct cli *cli, const struct endpoint *hub, struct feedback_batch *ret);
/* Its records are gone from the hub, or come again. */
err berth_feedback_complete(struct cli *cli, const struct endpoint *hub, const char *lock);
err berth_feedback_abandon(struct cli *cli, const struct endpoint *hub, const char *lock);

/* Waits for the record of a message, without taking from others what is theirs: their batches come
 * again. Records that share a batch with it are shown on stderr, as they are completed together.
 * *ret_record is of the command's memory; NULL: interrupted, or the deadline (wall clock) came. */
err berth_feedback_wait(struct cli *cli, const struct endpoint *hub, const char *message_id,
                        int64_t deadline_ms, json **ret_record);

#endif
