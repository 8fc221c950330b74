/* store/sink_backend.h: what a backend gives sink.c. The contract of each call is sink.h's. */
#ifndef STORE_SINK_BACKEND_H
#define STORE_SINK_BACKEND_H

#include <pthread.h>

#include "store/sink.h"
#include "store/writer.h"

struct sink_backend {
    /* The writer has ended. */
    void (*close)(struct sink *s);
    /* Makes n appends durable, gives each its offset; does not call `done`. */
    err (*store)(struct sink *s, struct sink_append *first, size_t n);
    err (*read)(struct sink *s, const struct sink_query *q, struct arena *arena,
                struct sink_event **ret_events, size_t *ret_n);
    err (*last_offset)(struct sink *s, int64_t *ret_offset);
};

/* First member of each backend's own struct. */
struct sink {
    const struct sink_backend *backend;
    struct store_writer *writer;
    pthread_mutex_t listener; /* guards tell and tell_arg */
    void (*tell)(void *arg);
    void *tell_arg;
    unsigned unwanted; /* sources, as bits */
};

/* Readies the common part and starts the writer's thread; on a fault nothing is left of it. */
err sink_start(struct sink *s, const struct sink_backend *backend);

/* Events being collected for sink_read. */
struct sink_page {
    struct arena *arena;
    const struct sink_query *query;
    struct sink_event *events;
    size_t n, room, bytes;
};
/* False when the event (its spans are still the backend's) is beyond the query's bounds. */
bool sink_page_has_room(const struct sink_page *page, const struct sink_event *event);
/* Copies it to the end. ERR_NOMEM. */
err sink_page_add(struct sink_page *page, const struct sink_event *event);

#endif
