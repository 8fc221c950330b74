/* store/sink.c: what all sinks share: the queue of appends, telling who waits, and the bounds of a
 * page. Keeping events is the backend's. */
#include "store/sink.h"

#include <assert.h>
#include <stdlib.h>

#include "model/limits.h"
#include "store/sink_backend.h"

static void tell_listener(struct sink *s)
{
    (void)pthread_mutex_lock(&s->listener);
    if (s->tell != NULL) {
        s->tell(s->tell_arg);
    }
    (void)pthread_mutex_unlock(&s->listener);
}

static void run_batch(void *context, void *first, size_t n)
{
    struct sink *s = (struct sink *)context;
    struct sink_append *a = (struct sink_append *)first;
    struct sink_append *next;
    err e = s->backend->store(s, a, n);

    for (; a != NULL; a = next) {
        next = (struct sink_append *)store_writer_next(a);
        (void)atomic_fetch_sub_explicit(&s->queued, 1, memory_order_relaxed);
        a->done(a, err_is_ok(e) ? OK : ERR(IO)); /* err_detail is the backend's */
    }
    if (err_is_ok(e)) {
        tell_listener(s);
    }
}

err sink_start(struct sink *s, const struct sink_backend *backend)
{
    struct store_writer_config config = { .queue_limit = LIMIT_APPEND_QUEUE,
                                          .batch_limit = LIMIT_APPEND_BATCH,
                                          .run = run_batch,
                                          .context = s };
    err e;

    s->backend = backend;
    (void)pthread_mutex_init(&s->listener, NULL);
    e = store_writer_open(&config, &s->writer);
    if (!err_is_ok(e)) {
        (void)pthread_mutex_destroy(&s->listener);
    }
    return e;
}

void sink_close(struct sink *s)
{
    if (s != NULL) {
        store_writer_close(s->writer);
        (void)pthread_mutex_destroy(&s->listener);
        s->backend->close(s);
    }
}

err sink_append(struct sink *s, struct sink_append *a)
{
    err e;

    assert(a->done != NULL);
    assert(!span_is_absent(a->event.hub) && !span_is_absent(a->event.device_id));
    (void)atomic_fetch_add_explicit(&s->queued, 1, memory_order_relaxed);
    e = store_writer_push(s->writer, a);
    if (!err_is_ok(e)) {
        (void)atomic_fetch_sub_explicit(&s->queued, 1, memory_order_relaxed);
    }
    return e;
}

unsigned sink_share(const struct sink *s)
{
    size_t queued = atomic_load_explicit(&s->queued, memory_order_relaxed);

    if (queued < LIMIT_APPEND_QUEUE / 2) {
        return LIMIT_APPENDS_IN_FLIGHT;
    }
    return queued < LIMIT_APPEND_QUEUE / 4 * 3 ? LIMIT_APPENDS_IN_FLIGHT / 8 : 1;
}

size_t sink_backlog(struct sink *s)
{
    return store_writer_backlog(s->writer);
}

/* ---- appending for who does not wait ---- */

static void free_copy(struct sink_append *a, err result)
{
    (void)result;
    free(a);
}

static struct span copy_span(uint8_t **at, struct span s)
{
    struct span copy = span_of(*at, s.len);

    if (span_is_absent(s)) {
        return s;
    }
    memcpy(*at, s.data, s.len);
    *at += s.len;
    return copy;
}

err sink_append_copy(struct sink *s, const struct sink_event *event)
{
    size_t size = event->hub.len + event->device_id.len + event->module_id.len +
                  event->properties.len + event->body.len;
    struct sink_append *a = (struct sink_append *)malloc(sizeof(*a) + size + 1);
    uint8_t *at;
    err e;

    if (a == NULL) {
        return ERR(NOMEM);
    }
    at = (uint8_t *)(a + 1);
    *a = (struct sink_append){ .event = *event, .done = free_copy };
    a->event.hub = copy_span(&at, event->hub);
    a->event.device_id = copy_span(&at, event->device_id);
    a->event.module_id = copy_span(&at, event->module_id);
    a->event.properties = copy_span(&at, event->properties);
    a->event.body = copy_span(&at, event->body);
    e = sink_append(s, a);
    if (!err_is_ok(e)) {
        free(a);
    }
    return e;
}

void sink_want(struct sink *s, unsigned sources)
{
    s->unwanted = SINK_ALL_SOURCES & ~sources;
}

bool sink_wants(const struct sink *s, enum sink_source source)
{
    return (s->unwanted & 1U << source) == 0;
}

void sink_listen(struct sink *s, void (*tell)(void *arg), void *arg)
{
    (void)pthread_mutex_lock(&s->listener);
    s->tell = tell;
    s->tell_arg = arg;
    (void)pthread_mutex_unlock(&s->listener);
}

err sink_read(struct sink *s, const struct sink_query *q, struct arena *arena,
              struct sink_reading *ret_reading)
{
    size_t mark = arena->used;
    err e;

    assert(!span_is_absent(q->hub) && q->max_events > 0);
    e = s->backend->read(s, q, arena, ret_reading);
    if (!err_is_ok(e)) {
        arena->used = mark;
    }
    return e;
}

err sink_last_offset(struct sink *s, int64_t *ret_offset)
{
    *ret_offset = atomic_load(&s->last_offset);
    return OK;
}

err sink_find_time(struct sink *s, int64_t time_ms, int64_t *ret_after)
{
    return s->backend->find_time(s, time_ms, ret_after);
}

void sink_stats(struct sink *s, struct sink_stats *ret_stats)
{
    *ret_stats = (struct sink_stats){ .last_offset = atomic_load(&s->last_offset),
                                      .bytes = atomic_load(&s->bytes),
                                      .bytes_max = s->config.size,
                                      .dropped = atomic_load(&s->dropped) };
}

/* ---- partitions ---- */

static uint64_t hash(uint64_t h, struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        h = (h ^ text.data[i]) * 0x100000001b3U;
    }
    h ^= h >> 32;
    return h ^ h >> 16;
}

int sink_hash_partition(struct span device_id, int partitions)
{
    return (int)(hash(0xcbf29ce484222325U, device_id) % (uint64_t)partitions);
}

int64_t sink_hash_device(int64_t hub_no, struct span device_id)
{
    return (int64_t)(hash(0x9ae16a3b2f90404fU ^ (uint64_t)hub_no, device_id) & 0x7fffffff);
}

int sink_partitions(const struct sink *s)
{
    return s->config.partitions;
}

int sink_partition_of(const struct sink *s, struct span device_id)
{
    return sink_hash_partition(device_id, s->config.partitions);
}

/* ---- dropping ---- */

int64_t sink_event_bytes(const struct sink_event *event)
{
    return (int64_t)(event->body.len + event->properties.len) + SINK_EVENT_OVERHEAD;
}

bool sink_drop_takes(struct sink_drop *d, int64_t enqueued_ms, int64_t bytes)
{
    bool is_due = enqueued_ms < d->expired_ms || d->bytes < d->excess;

    if (!is_due || (d->n >= 2 * d->n_added && d->bytes >= 2 * d->bytes_added)) {
        return false;
    }
    d->n++;
    d->bytes += bytes;
    return true;
}

/* ---- pages ---- */

static bool has_room(const struct sink_page *page, const struct sink_event *event)
{
    size_t bytes = event->body.len + event->properties.len;

    return page->n == 0 ||
           (page->n < page->query->max_events && page->bytes <= page->query->max_bytes &&
            bytes <= page->query->max_bytes - page->bytes);
}

static err make_room(struct sink_page *page)
{
    size_t room = page->room == 0 ? 16 : page->room * 2;
    struct sink_event *events = ARENA_ARRAY(page->arena, room, struct sink_event);

    if (events == NULL) {
        return ERR(NOMEM);
    }
    if (page->n > 0) {
        memcpy(events, page->events, page->n * sizeof(*events));
    }
    page->events = events;
    page->room = room;
    return OK;
}

static err add_to_page(struct sink_page *page, const struct sink_event *event)
{
    struct sink_event copy = *event;

    if (page->n == page->room) {
        TRY(make_room(page));
    }
    TRY(arena_copy(page->arena, event->hub, &copy.hub));
    TRY(arena_copy(page->arena, event->device_id, &copy.device_id));
    TRY(arena_copy(page->arena, event->module_id, &copy.module_id));
    TRY(arena_copy(page->arena, event->properties, &copy.properties));
    TRY(arena_copy(page->arena, event->body, &copy.body));
    page->events[page->n++] = copy;
    page->bytes += event->body.len + event->properties.len;
    return OK;
}

err sink_page_take(struct sink_page *page, const struct sink_event *event)
{
    if (event->enqueued_ms >= page->query->from_ms) {
        page->is_full = !has_room(page, event);
        if (page->is_full) {
            return OK;
        }
        TRY(add_to_page(page, event));
    }
    page->seen = event->offset;
    return OK;
}
