/* cmd/berth/import_batch.h: some records of a file as one bulk request (reference
 * dps-service-api.md 5.2), and which of them the service took. Records that never were fit to send
 * are part of it, so that everything is told in the order of the file. */
#ifndef CMD_BERTH_IMPORT_BATCH_H
#define CMD_BERTH_IMPORT_BATCH_H

#include "cmd/berth/records.h"
#include "cmd/berth/transfer.h"
#include "model/limits.h"
#include "model/records.h"

enum { IMPORT_ITEMS_MAX = 4 * LIMIT_BULK };

enum import_outcome {
    IMPORT_DONE,
    IMPORT_THERE, /* done before: by a request without an answer, or before an interruption */
    IMPORT_FAILED,
};

struct import_item {
    int64_t line, offset;
    struct span raw; /* as it stands in the file */
    struct span id;
    bool is_sent;
    enum import_outcome outcome; /* once judged */
    struct span why;             /* IMPORT_FAILED: a sentence */
};

struct import_batch {
    struct transfer_job job;
    struct import_item items[IMPORT_ITEMS_MAX];
    size_t n_items, n_sent;
    int64_t end_offset, end_line; /* behind its last record */
    struct buf body, texts;       /* texts: raw records, IDs and sentences */
    void *memory;
};

/* What all batches of an import have in common. */
struct import_kind {
    enum enrollment_kind kind;
    const char *mode;       /* "create" */
    const char *collection; /* "enrollments": the name of the array, too */
    const char *id_name;
    const char *path;
};

/* ERR_NOMEM. Memory that no batch touches costs nothing. */
err berth_import_batch_open(struct import_batch *b);
void berth_import_batch_close(struct import_batch *b);

/* Empty again. */
void berth_import_batch_begin(struct import_batch *b, const struct import_kind *kind);
/* Is there room for one more? An ID is there once: errors are told by it. */
bool berth_import_batch_fits(const struct import_batch *b, struct span raw, struct span body,
                             struct span id);
/* body: the enrollment; absent: not fit to send, as `why` says. Copies them. It fits. */
void berth_import_batch_add(struct import_batch *b, const struct record *record, struct span raw,
                            struct span body, struct span id, struct span why);
/* Ends the body; true: there is something to send. */
bool berth_import_batch_end(struct import_batch *b);

/* Once the job is done: an outcome for every item. What was sent up to the offset `known` may have
 * been done before. ERR_IO, ERR_DENIED …: the request as a whole failed, for a reason that is no
 * item's. */
err berth_import_batch_judge(struct import_batch *b, const struct import_kind *kind, int64_t known);

#endif
