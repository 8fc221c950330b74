/* store/writer.h: a bounded queue and the one thread that empties it, batch by batch. What a job is
 * and how a batch is done is its owner's (sqlite.c, sink_sqlite.c). There is no timer: a batch is
 * whatever waits when the thread comes back, so batches grow with the load. */
#ifndef STORE_WRITER_H
#define STORE_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct store_writer;

struct store_writer_config {
    size_t queue_limit, batch_limit;
    /* Does the n jobs from `first` on, in order, on the writer's thread. It ends each job itself;
     * a job's memory may be gone right after. Jobs are linked by store_writer_next. */
    void (*run)(void *context, void *first, size_t n);
    void *context;
};

err store_writer_open(const struct store_writer_config *config, struct store_writer **ret_writer);
/* Finishes what is queued, then ends the thread. Nothing may be pushed any more. NULL-safe. */
void store_writer_close(struct store_writer *w);

/* `job`: any struct whose first member is `void *next`, the writer's to use. Never blocks for long.
 * ERR_BUSY: the queue is full. */
err store_writer_push(struct store_writer *w, void *job);
/* The job behind; read it before ending `job`. */
void *store_writer_next(const void *job);

size_t store_writer_backlog(struct store_writer *w);
void store_writer_totals(struct store_writer *w, uint64_t *ret_jobs, uint64_t *ret_batches);

#endif
