/* store/sink.h: where telemetry goes: an append-only log, read back by offset. An event is accepted
 * once it is durable. Appending never blocks, so event loops call it; reading may block.
 *
 * Each hub's events are in partitions, a device's all in one, its modules' too; in a partition they
 * are numbered without a gap. The oldest go when they are too old or the log is too large: how it
 * is read by then does not hold them (doc/adr/0020). */
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
    int64_t offset; /* given by the sink: rises by at least 1 with each event, over all hubs, never
                       reused */
    int partition;  /* given by the sink */
    int64_t sequence; /* given by the sink: 0, 1, 2, … of the hub's partition */
    struct span hub;  /* host name, folded */
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

struct sink_config {
    int partitions;       /* of a log that is made now; 0: SINK_PARTITIONS_DEFAULT */
    int64_t retention_ms; /* older events are dropped as others come; 0: kept for ever */
    int64_t size; /* bytes on disk; above them the oldest are dropped likewise; 0: no bound */
};
enum { SINK_PARTITIONS_DEFAULT = 4, SINK_PARTITIONS_MAX = 32 };

/* Opens, creating and migrating. Errors as store_sqlite_open. */
err sink_sqlite_open(const char *path, const struct sink_config *config, struct sink **ret_sink);
err sink_mem_open(struct sink **ret_sink);
err sink_mem_open_with(const struct sink_config *config, struct sink **ret_sink);
/* Finishes what is queued (each `done` is called), then closes. NULL-safe. */
void sink_close(struct sink *s);

/* Events are made durable in the order of the calls of one thread. ERR_BUSY: the queue is full,
 * `done` will not be called. */
err sink_append(struct sink *s, struct sink_append *a);

/* Events that wait to become durable, of LIMIT_APPEND_QUEUE. */
size_t sink_backlog(struct sink *s);

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

/* How many appends one connection may have under way: LIMIT_APPENDS_IN_FLIGHT, fewer as the queue
 * fills, so that others find room in it; at least 1. Any thread. */
unsigned sink_share(const struct sink *s);

/* The partitions of this log, and the one that a device's events are in. */
int sink_partitions(const struct sink *s);
int sink_partition_of(const struct sink *s, struct span device_id);

struct sink_query {
    struct span hub;       /* folded */
    struct span device_id; /* with its modules; absent: all */
    bool has_partition;    /* of this one alone: */
    int partition;
    unsigned sources; /* as bits; 0: all */
    int64_t from_ms;  /* those enqueued before are passed over */
    int64_t after;    /* offset; events behind it */
    size_t max_events;
    size_t max_bytes; /* of bodies and properties; at least one event is given */
};
struct sink_reading {
    struct sink_event *events; /* in offset order, in the arena; NULL when there are none */
    size_t n;
    int64_t next;    /* all that was asked for up to this offset was given: go on behind it */
    bool has_more;   /* not yet at the end of the log: read on at once */
    int64_t dropped; /* the highest offset, of the hub or the partition in question, that was
                        dropped; above `after`: there is a gap */
};
/* Does a bounded piece of work: may give nothing though there is more. */
err sink_read(struct sink *s, const struct sink_query *q, struct arena *arena,
              struct sink_reading *ret_reading);
/* The highest offset that is durable; 0 when empty. */
err sink_last_offset(struct sink *s, int64_t *ret_offset);
/* Where to read on behind for the events enqueued at `time_ms` and later. Those of some minutes
 * before may come, too (sink_query.from_ms). */
err sink_find_time(struct sink *s, int64_t time_ms, int64_t *ret_after);

struct sink_stats {
    int64_t last_offset;
    int64_t bytes, bytes_max; /* as of config.size; 0: no bound */
    int64_t dropped;          /* events, since it was opened */
};
void sink_stats(struct sink *s, struct sink_stats *ret_stats);

#endif
