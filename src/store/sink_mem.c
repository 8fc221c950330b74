/* store/sink_mem.c: a telemetry log in memory, for tests. Offsets are 1, 2, 3, … */
#include <stdlib.h>

#include "store/sink_backend.h"
#include "store/sink_streams.h"

struct kept {
    struct sink_event event;
    uint8_t *bytes; /* of its spans */
};

struct mem_sink {
    struct sink base;
    int64_t latest_ms;     /* of the writer's thread */
    pthread_mutex_t mutex; /* guards what follows */
    struct kept *events;
    size_t first, n, room; /* those before `first` were dropped */
    struct sink_streams streams;
};

static void keep_span(uint8_t **at, struct span *s)
{
    if (!span_is_absent(*s)) {
        memcpy(*at, s->data, s->len);
        *s = span_of(*at, s->len);
        *at += s->len;
    }
}

static err keep_event(const struct sink_event *event, struct kept *ret_kept)
{
    struct kept k = { .event = *event };
    size_t size = event->hub.len + event->device_id.len + event->module_id.len +
                  event->properties.len + event->body.len;
    uint8_t *at;

    k.bytes = (uint8_t *)malloc(size + 1);
    if (k.bytes == NULL) {
        return ERR(NOMEM);
    }
    at = k.bytes;
    keep_span(&at, &k.event.hub);
    keep_span(&at, &k.event.device_id);
    keep_span(&at, &k.event.module_id);
    keep_span(&at, &k.event.properties);
    keep_span(&at, &k.event.body);
    *ret_kept = k;
    return OK;
}

static err make_room(struct mem_sink *s, size_t n)
{
    size_t room = (s->n + n) * 2;
    struct kept *events;

    if (n <= s->room - s->n) {
        return OK;
    }
    events = (struct kept *)realloc(s->events, room * sizeof(*events));
    if (events == NULL) {
        return ERR(NOMEM);
    }
    s->events = events;
    s->room = room;
    return OK;
}

static void count_bytes(struct mem_sink *s, int64_t bytes)
{
    (void)atomic_fetch_add(&s->base.bytes, bytes);
}

static err keep_one(struct mem_sink *s, struct sink_event *event)
{
    struct sink_hub *hub;

    TRY(sink_streams_hub(&s->streams, event->hub, &hub));
    event->offset = (int64_t)s->n + 1;
    event->partition = sink_partition_of(&s->base, event->device_id);
    event->sequence = sink_streams_number(&s->streams, hub, event->partition);
    TRY(keep_event(event, &s->events[s->n]));
    s->n++;
    return OK;
}

static err keep_all(struct mem_sink *s, struct sink_append *first, size_t n)
{
    size_t before = s->n;

    TRY(make_room(s, n));
    for (struct sink_append *a = first; a != NULL; a = (struct sink_append *)store_writer_next(a)) {
        err e = keep_one(s, &a->event);

        if (!err_is_ok(e)) {
            while (s->n > before) {
                free(s->events[--s->n].bytes);
            }
            return e;
        }
    }
    return OK;
}

/* Up to, but without, event `end`. */
static err drop_old(struct mem_sink *s, struct sink_drop *d, size_t end)
{
    while (s->first < end) {
        struct kept *k = &s->events[s->first];
        struct sink_hub *hub;

        if (!sink_drop_takes(d, k->event.enqueued_ms, sink_event_bytes(&k->event))) {
            break;
        }
        TRY(sink_streams_hub(&s->streams, k->event.hub, &hub));
        sink_streams_drop(&s->streams, hub, k->event.partition, k->event.offset);
        free(k->bytes);
        k->bytes = NULL;
        s->first++;
    }
    return OK;
}

static err keep_and_drop(struct mem_sink *s, struct sink_append *first, size_t n)
{
    const struct sink_config *c = &s->base.config;
    size_t before = s->n;
    struct sink_drop d = { .n_added = n, .expired_ms = INT64_MIN };

    TRY(keep_all(s, first, n));
    for (size_t i = before; i < s->n; i++) {
        const struct sink_event *event = &s->events[i].event;

        d.bytes_added += sink_event_bytes(event);
        s->latest_ms = event->enqueued_ms > s->latest_ms ? event->enqueued_ms : s->latest_ms;
    }
    count_bytes(s, d.bytes_added);
    d.expired_ms = c->retention_ms > 0 ? s->latest_ms - c->retention_ms : INT64_MIN;
    d.excess = c->size > 0 ? atomic_load(&s->base.bytes) - c->size : 0;
    TRY(drop_old(s, &d, before));
    count_bytes(s, -d.bytes);
    (void)atomic_fetch_add(&s->base.dropped, (int64_t)d.n);
    return OK;
}

static err mem_store(struct sink *base, struct sink_append *first, size_t n)
{
    struct mem_sink *s = (struct mem_sink *)base;
    err e;

    (void)pthread_mutex_lock(&s->mutex);
    e = keep_and_drop(s, first, n);
    sink_streams_settle(&s->streams, err_is_ok(e));
    atomic_store(&base->last_offset, (int64_t)s->n);
    (void)pthread_mutex_unlock(&s->mutex);
    return e;
}

static bool is_asked_for(const struct sink_query *q, const struct sink_event *event)
{
    return span_eq(event->hub, q->hub) &&
           (span_is_absent(q->device_id) || span_eq(event->device_id, q->device_id)) &&
           (!q->has_partition || event->partition == q->partition) &&
           (q->sources == 0 || (q->sources >> event->source & 1U) != 0);
}

static err fill_page(const struct mem_sink *s, struct sink_page *page)
{
    size_t after = page->query->after > 0 ? (size_t)page->query->after : 0;

    for (size_t i = after > s->first ? after : s->first; i < s->n && !page->is_full; i++) {
        if (is_asked_for(page->query, &s->events[i].event)) {
            TRY(sink_page_take(page, &s->events[i].event));
        }
    }
    return OK;
}

static err find_dropped(struct mem_sink *s, const struct sink_query *q, int64_t *ret_dropped)
{
    struct sink_hub *hub;
    int64_t dropped = 0;

    TRY(sink_streams_hub(&s->streams, q->hub, &hub));
    for (int i = 0; i < s->streams.partitions; i++) {
        bool is_meant =
            (!q->has_partition || q->partition == i) &&
            (span_is_absent(q->device_id) || sink_partition_of(&s->base, q->device_id) == i);

        if (is_meant && hub->streams[i].dropped > dropped) {
            dropped = hub->streams[i].dropped;
        }
    }
    *ret_dropped = dropped;
    return OK;
}

static err read_locked(struct mem_sink *s, struct sink_page *page, struct sink_reading *r)
{
    TRY(fill_page(s, page));
    TRY(find_dropped(s, page->query, &r->dropped));
    r->next = page->is_full ? page->seen : (int64_t)s->n;
    r->has_more = page->is_full;
    return OK;
}

static err mem_read(struct sink *base, const struct sink_query *q, struct arena *arena,
                    struct sink_reading *ret_reading)
{
    struct mem_sink *s = (struct mem_sink *)base;
    struct sink_page page = { .arena = arena, .query = q };
    struct sink_reading r = { 0 };
    err e;

    (void)pthread_mutex_lock(&s->mutex);
    e = read_locked(s, &page, &r);
    (void)pthread_mutex_unlock(&s->mutex);
    TRY(e);
    r.events = page.events;
    r.n = page.n;
    *ret_reading = r;
    return OK;
}

static err mem_find_time(struct sink *base, int64_t time_ms, int64_t *ret_after)
{
    struct mem_sink *s = (struct mem_sink *)base;
    size_t i;

    (void)pthread_mutex_lock(&s->mutex);
    for (i = s->first; i < s->n && s->events[i].event.enqueued_ms < time_ms; i++) {
    }
    (void)pthread_mutex_unlock(&s->mutex);
    *ret_after = (int64_t)i;
    return OK;
}

static void mem_close(struct sink *base)
{
    struct mem_sink *s = (struct mem_sink *)base;

    for (size_t i = s->first; i < s->n; i++) {
        free(s->events[i].bytes);
    }
    free(s->events);
    sink_streams_done(&s->streams);
    (void)pthread_mutex_destroy(&s->mutex);
    free(s);
}

err sink_mem_open_with(const struct sink_config *config, struct sink **ret_sink)
{
    static const struct sink_backend backend = {
        .close = mem_close, .store = mem_store, .read = mem_read, .find_time = mem_find_time
    };
    struct mem_sink *s = (struct mem_sink *)calloc(1, sizeof(*s));
    err e;

    if (s == NULL) {
        return ERR(NOMEM);
    }
    (void)pthread_mutex_init(&s->mutex, NULL);
    s->base.config = *config;
    if (s->base.config.partitions == 0) {
        s->base.config.partitions = SINK_PARTITIONS_DEFAULT;
    }
    sink_streams_init(&s->streams, s->base.config.partitions);
    e = sink_start(&s->base, &backend);
    if (!err_is_ok(e)) {
        mem_close(&s->base);
        return e;
    }
    *ret_sink = &s->base;
    return OK;
}

err sink_mem_open(struct sink **ret_sink)
{
    return sink_mem_open_with(&(struct sink_config){ 0 }, ret_sink);
}
