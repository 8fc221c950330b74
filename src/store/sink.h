/* store/sink.h: where telemetry goes: an append-only log, read back by offset. An event is accepted
 * once it is durable. Appending never blocks, so event loops call it; reading may block. */
#ifndef STORE_SINK_H
#define STORE_SINK_H

#include "util/arena.h"
#include "util/err.h"
#include "util/span.h"

struct sink;

/* What an event tells of; as bits, which an operator wants. */
enum sink_source {
    SINK_TELEMETRY = 0,
    SINK_TWIN_CHANGE,
    SINK_DEVICE_LIFECYCLE,
    SINK_CONNECTION_STATE,
    SINK_SOURCES,
};
enum { SINK_ALL_SOURCES = (1 << SINK_SOURCES) - 1 };

struct sink_event {
    int64_t offset;  /* given by the sink: rises by at least 1 with each event, over all hubs, never
                        reused */
    struct span hub; /* host name, folded */
    struct span device_id;
    struct span module_id; /* absent: of the device itself */
    enum sink_source source;
    int64_t enqueued_ms;
    struct span properties; /* JSON: {"system":{…},"application":{…}} */
    struct span body;       /* bytes */
};

/* One append under way. Memory is the caller's and must stay as it is until `done` was called. */
struct sink_append {
    void *next; /* the sink's */
    struct sink_event event;
    /* Called once, on a thread of the sink's: must be quick and not block. On OK the event is
     * durable and has its offset. ERR_IO: nothing was kept; err_detail says why. */
    void (*done)(struct sink_append *a, err result);
};

/* Opens, creating and migrating. Events older than retention_ms are dropped now and then; 0: kept
 * for ever. Errors as store_sqlite_open. */
err sink_sqlite_open(const char *path, int64_t retention_ms, struct sink **ret_sink);
err sink_mem_open(struct sink **ret_sink);
/* Finishes what is queued (each `done` is called), then closes. NULL-safe. */
void sink_close(struct sink *s);

/* Events are made durable in the order of the calls of one thread. ERR_BUSY: the queue is full,
 * `done` will not be called. */
err sink_append(struct sink *s, struct sink_append *a);

/* Appends n events, 1 or more, and waits until all are durable: for workers, never for a loop. They
 * get their offsets. The events' spans must hold until it returns; the arena is for its own needs.
 * ERR_BUSY, ERR_IO: some of them may have been kept all the same. ERR_NOMEM. */
err sink_append_wait(struct sink *s, struct arena *arena, struct sink_event *events, size_t n);
/* A copy of the event, which nobody waits for. Never blocks. ERR_BUSY, ERR_NOMEM: not taken. */
err sink_append_copy(struct sink *s, const struct sink_event *event);

/* Events of a kind that is not wanted need not be made. Default: all are. Before serving. */
void sink_want(struct sink *s, unsigned sources);
bool sink_wants(const struct sink *s, enum sink_source source);

/* Calls `tell` (quick, non-blocking, on a thread of the sink's) after events became durable. One
 * listener. */
void sink_listen(struct sink *s, void (*tell)(void *arg), void *arg);

struct sink_query {
    struct span hub;       /* folded */
    struct span device_id; /* absent: all */
    int64_t after;         /* offset; events behind it */
    size_t max_events;
    size_t max_bytes; /* of bodies and properties; at least one event is given */
};
/* In offset order, into the arena. *ret_events NULL when there are none. */
err sink_read(struct sink *s, const struct sink_query *q, struct arena *arena,
              struct sink_event **ret_events, size_t *ret_n);
/* The highest offset that is durable; 0 when empty. */
err sink_last_offset(struct sink *s, int64_t *ret_offset);

#endif
