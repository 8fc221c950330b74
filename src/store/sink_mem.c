/* store/sink_mem.c: a telemetry log in memory, for tests. Offsets are 1, 2, 3, …; nothing is ever
 * dropped. */
#include <stdlib.h>

#include "store/sink_backend.h"

struct kept {
    struct sink_event event;
    uint8_t *bytes; /* of its spans */
};

struct mem_sink {
    struct sink base;
    pthread_mutex_t mutex; /* guards what follows */
    struct kept *events;
    size_t n, room;
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

static err keep_all(struct mem_sink *s, struct sink_append *first, size_t n)
{
    size_t before = s->n;

    TRY(make_room(s, n));
    for (struct sink_append *a = first; a != NULL; a = (struct sink_append *)store_writer_next(a)) {
        err e;

        a->event.offset = (int64_t)s->n + 1;
        e = keep_event(&a->event, &s->events[s->n]);
        if (!err_is_ok(e)) {
            while (s->n > before) {
                free(s->events[--s->n].bytes);
            }
            return e;
        }
        s->n++;
    }
    return OK;
}

static err mem_store(struct sink *base, struct sink_append *first, size_t n)
{
    struct mem_sink *s = (struct mem_sink *)base;
    err e;

    (void)pthread_mutex_lock(&s->mutex);
    e = keep_all(s, first, n);
    (void)pthread_mutex_unlock(&s->mutex);
    return e;
}

static bool is_asked_for(const struct sink_query *q, const struct sink_event *event)
{
    return span_eq(event->hub, q->hub) &&
           (span_is_absent(q->device_id) || span_eq(event->device_id, q->device_id));
}

static err fill_page(const struct mem_sink *s, struct sink_page *page)
{
    int64_t after = page->query->after > 0 ? page->query->after : 0;

    for (size_t i = (size_t)after; i < s->n; i++) {
        const struct sink_event *event = &s->events[i].event;

        if (is_asked_for(page->query, event)) {
            if (!sink_page_has_room(page, event)) {
                break;
            }
            TRY(sink_page_add(page, event));
        }
    }
    return OK;
}

static err mem_read(struct sink *base, const struct sink_query *q, struct arena *arena,
                    struct sink_event **ret_events, size_t *ret_n)
{
    struct mem_sink *s = (struct mem_sink *)base;
    struct sink_page page = { .arena = arena, .query = q };
    err e;

    (void)pthread_mutex_lock(&s->mutex);
    e = fill_page(s, &page);
    (void)pthread_mutex_unlock(&s->mutex);
    TRY(e);
    *ret_events = page.events;
    *ret_n = page.n;
    return OK;
}

static err mem_last_offset(struct sink *base, int64_t *ret_offset)
{
    struct mem_sink *s = (struct mem_sink *)base;

    (void)pthread_mutex_lock(&s->mutex);
    *ret_offset = (int64_t)s->n;
    (void)pthread_mutex_unlock(&s->mutex);
    return OK;
}

static void mem_close(struct sink *base)
{
    struct mem_sink *s = (struct mem_sink *)base;

    for (size_t i = 0; i < s->n; i++) {
        free(s->events[i].bytes);
    }
    free(s->events);
    (void)pthread_mutex_destroy(&s->mutex);
    free(s);
}

err sink_mem_open(struct sink **ret_sink)
{
    static const struct sink_backend backend = {
        .close = mem_close, .store = mem_store, .read = mem_read, .last_offset = mem_last_offset
    };
    struct mem_sink *s = (struct mem_sink *)calloc(1, sizeof(*s));
    err e;

    if (s == NULL) {
        return ERR(NOMEM);
    }
    (void)pthread_mutex_init(&s->mutex, NULL);
    e = sink_start(&s->base, &backend);
    if (!err_is_ok(e)) {
        mem_close(&s->base);
        return e;
    }
    *ret_sink = &s->base;
    return OK;
}
