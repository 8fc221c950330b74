/* store/sink_streams.h: the partitions of each hub: how far they are numbered, how far they were
 * dropped. For one thread: a backend's writer. */
#ifndef STORE_SINK_STREAMS_H
#define STORE_SINK_STREAMS_H

#include "util/err.h"
#include "util/span.h"

struct sink_stream {
    int64_t next_sequence;
    int64_t dropped;               /* highest offset that was dropped; 0: none */
    bool is_changed;               /* since sink_streams_settle */
    int64_t was_next, was_dropped; /* then */
};

struct sink_hub {
    struct sink_hub *next, *next_changed;
    int64_t no; /* 1, 2, … */
    bool is_stored, is_changed;
    struct span name;             /* folded; behind the streams */
    struct sink_stream streams[]; /* one a partition */
};

struct sink_streams {
    int partitions;
    struct sink_hub **buckets, **by_no;
    size_t n_buckets, n_hubs;
    struct sink_hub *changed; /* those with a changed stream, or not stored */
};

void sink_streams_init(struct sink_streams *t, int partitions);
void sink_streams_done(struct sink_streams *t);

/* Makes it when it is missing, with the next number, not stored. ERR_NOMEM. */
err sink_streams_hub(struct sink_streams *t, struct span name, struct sink_hub **ret_hub);
/* NULL: no such hub. */
struct sink_hub *sink_streams_at(struct sink_streams *t, int64_t no);

/* The sequence number of the next event. */
int64_t sink_streams_number(struct sink_streams *t, struct sink_hub *hub, int partition);
void sink_streams_drop(struct sink_streams *t, struct sink_hub *hub, int partition, int64_t offset);
/* What was changed is durable, or never happened. */
void sink_streams_settle(struct sink_streams *t, bool is_durable);

#endif
