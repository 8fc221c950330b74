/* store/sink_backend.h: what a backend gives sink.c. The contract of each call is sink.h's. */
#ifndef STORE_SINK_BACKEND_H
#define STORE_SINK_BACKEND_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/sink.h"
#include "store/writer.h"

struct sink_backend {
    /* The writer has ended. */
    void (*close)(struct sink *s);
    /* Makes n appends durable, gives each its offset, partition and sequence; does not call `done`.
     */
    err (*store)(struct sink *s, struct sink_append *first, size_t n);
    err (*read)(struct sink *s, const struct sink_query *q, struct arena *arena,
                struct sink_reading *ret_reading);
    err (*find_time)(struct sink *s, int64_t time_ms, int64_t *ret_after);
};

/* First member of each backend's own struct. */
struct sink {
    const struct sink_backend *backend;
    struct sink_config config; /* partitions: those of the log */
    struct store_writer *writer;
    atomic_size_t queued;     /* appends taken and not yet ended */
    pthread_mutex_t listener; /* guards tell and tell_arg */
    void (*tell)(void *arg);
    void *tell_arg;
    unsigned unwanted; /* sources, as bits */
    /* Written by the writer's thread. */
    _Atomic int64_t last_offset; /* durable */
    _Atomic int64_t bytes, dropped;
};

/* Readies the common part and starts the writer's thread; on a fault nothing is left of it. config
 * is set. */
err sink_start(struct sink *s, const struct sink_backend *backend);

/* The partition never changes: it is where a device's old events are. */
int sink_hash_partition(struct span device_id, int partitions);
/* 31 bits. */
int64_t sink_hash_device(int64_t hub_no, struct span device_id);

/* ---- events being collected for sink_read ---- */

struct sink_page {
    struct arena *arena;
    const struct sink_query *query;
    struct sink_event *events;
    size_t n, room, bytes;
    int64_t seen; /* offset of the last event that was added or passed over */
    bool is_full;
};
/* Takes the next event of those asked for (its spans are still the backend's): copies it to the
 * end, or passes it over because it is too old, or finds the page full. ERR_NOMEM. */
err sink_page_take(struct sink_page *page, const struct sink_event *event);

/* ---- what may be dropped with one batch ----
 *
 * From the oldest on, as long as events are too old or too many bytes are there; about twice of
 * what the batch adds, so that the log is caught up with in bounded steps. */

struct sink_drop {
    int64_t expired_ms; /* older ones go; INT64_MIN: none for their age */
    int64_t excess;     /* bytes that are to go; <= 0: none */
    size_t n_added;
    int64_t bytes_added;
    /* so far */
    size_t n;
    int64_t bytes;
};
/* Does this one, the oldest there is, go? Then it is counted. */
bool sink_drop_takes(struct sink_drop *d, int64_t enqueued_ms, int64_t bytes);
/* What an event takes beside its body and properties, about. */
enum { SINK_EVENT_OVERHEAD = 96 };
int64_t sink_event_bytes(const struct sink_event *event);

#endif
