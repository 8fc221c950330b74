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
    assert(a->done != NULL);
    assert(!span_is_absent(a->event.hub) && !span_is_absent(a->event.device_id));
    return store_writer_push(s->writer, a);
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
              struct sink_event **ret_events, size_t *ret_n)
{
    size_t mark = arena->used;
    err e;

    assert(!span_is_absent(q->hub) && q->max_events > 0);
    e = s->backend->read(s, q, arena, ret_events, ret_n);
    if (!err_is_ok(e)) {
        arena->used = mark;
    }
    return e;
}

err sink_last_offset(struct sink *s, int64_t *ret_offset)
{
    return s->backend->last_offset(s, ret_offset);
}

/* ---- pages ---- */

bool sink_page_has_room(const struct sink_page *page, const struct sink_event *event)
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

err sink_page_add(struct sink_page *page, const struct sink_event *event)
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
