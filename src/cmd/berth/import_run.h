/* cmd/berth/import_run.h: an import, and the work of it (import_run.c); how it begins and what it
 * says at the end is import.c's. */
#ifndef CMD_BERTH_IMPORT_RUN_H
#define CMD_BERTH_IMPORT_RUN_H

#include <signal.h>

#include "cmd/berth/import_batch.h"
#include "cmd/berth/import_state.h"
#include "cmd/berth/progress.h"
#include "cmd/berth/rows.h"

struct import {
    const volatile sig_atomic_t *interrupted; /* not 0: end soon */
    struct cli *cli;
    struct import_kind kind;
    struct rows rows; /* of CSV */
    const char *file, *dir;
    bool is_csv, is_stdin, stops_on_error;
    int64_t size; /* of the file; 0: not known */
    struct records records;
    struct transfer *transfer;
    struct import_batch *batches; /* a ring: [first, first + n_batches), the last is being filled */
    size_t ring, first, n_batches;
    const char *state_path; /* NULL: it is not kept */
    struct import_state state;
    int64_t known;  /* what an earlier run may have sent ends here */
    int64_t before; /* done by it */
    FILE *errors;
    const char *errors_path;
    struct progress progress;
    uint8_t *scratch; /* LIMIT_HTTP_BODY: the JSON of a row */
    bool has_error;   /* with --stop-on-error: enough */
};

/* Connections, and memory for what is on them, as --concurrency says. Close also when it failed. */
err berth_import_open(struct import *im, const struct endpoint *service);
void berth_import_close(struct import *im);
/* To the end of the file, or until is_stopped; what was begun is ended either way. A fault: nothing
 * more can be done; im->state tells how far it is. */
err berth_import_run(struct import *im);
bool berth_import_is_stopped(const struct import *im);
/* Writes how far it is. When it cannot be written, a warning, and im->state_path is NULL from then
 * on. ERR_IO: the lines that failed cannot be written. */
err berth_import_save(struct import *im);

#endif
