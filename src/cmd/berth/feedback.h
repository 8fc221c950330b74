/* cmd/berth/feedback.h: what became of messages, as the hub tells it: batches of records, each
 * locked for who reads it until it is completed (reference iothub-service-api.md 8.2). */
#ifndef CMD_BERTH_FEEDBACK_H
#define CMD_BERTH_FEEDBACK_H

#include "cmd/berth/http.h"

/* Waits for the record of a message, without taking from others what is theirs: their batches come
 * again. Records that share a batch with it are shown on stderr, as they are completed together.
 * *ret_record is of the command's memory; NULL: interrupted, or the deadline (wall clock) came. */
err berth_feedback_wait(struct cli *cli, const struct endpoint *hub, const char *message_id,
                        int64_t deadline_ms, json **ret_record);

#endif
