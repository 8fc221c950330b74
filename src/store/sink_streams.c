/* store/sink_streams.c: a hash table of hubs, which grows with them and never shrinks. */
#include "store/sink_streams.h"

#include <assert.h>
#include <stdlib.h>

enum { BUCKETS_FIRST = 64 };

void sink_streams_init(struct sink_streams *t, int partitions)
{
    *t = (struct sink_streams){ .partitions = partitions };
}

void sink_streams_done(struct sink_streams *t)
{
    for (size_t i = 0; i < t->n_hubs; i++) {
        free(t->by_no[i]);
    }
    free(t->by_no);
    free(t->buckets);
    *t = (struct sink_streams){ 0 };
}

static size_t hash(struct span name)
{
    uint64_t h = 0xcbf29ce484222325U;

    for (size_t i = 0; i < name.len; i++) {
        h = (h ^ name.data[i]) * 0x100000001b3U;
    }
    return (size_t)(h ^ h >> 32);
}

/* Room for one more. */
static err grow(struct sink_streams *t)
{
    size_t n = t->n_buckets == 0 ? BUCKETS_FIRST : t->n_buckets * 2;
    struct sink_hub **buckets, **by_no;

    if (t->n_hubs < t->n_buckets) {
        return OK;
    }
    by_no = realloc(t->by_no, n * sizeof(*by_no));
    if (by_no == NULL) {
        return ERR(NOMEM);
    }
    t->by_no = by_no;
    buckets = calloc(n, sizeof(*buckets));
    if (buckets == NULL) {
        return ERR(NOMEM);
    }
    for (size_t i = 0; i < t->n_hubs; i++) {
        struct sink_hub **bucket = &buckets[hash(by_no[i]->name) % n];

        by_no[i]->next = *bucket;
        *bucket = by_no[i];
    }
    free(t->buckets);
    t->buckets = buckets;
    t->n_buckets = n;
    return OK;
}

static void note_change(struct sink_streams *t, struct sink_hub *hub)
{
    if (!hub->is_changed) {
        hub->is_changed = true;
        hub->next_changed = t->changed;
        t->changed = hub;
    }
}

static err add(struct sink_streams *t, struct span name, struct sink_hub **ret_hub)
{
    size_t streams = (size_t)t->partitions * sizeof(struct sink_stream);
    struct sink_hub **bucket;
    struct sink_hub *hub;
    uint8_t *text;

    TRY(grow(t));
    hub = calloc(1, sizeof(*hub) + streams + name.len);
    if (hub == NULL) {
        return ERR(NOMEM);
    }
    text = (uint8_t *)hub + sizeof(*hub) + streams;
    memcpy(text, name.data, name.len);
    hub->name = span_of(text, name.len);
    t->by_no[t->n_hubs++] = hub;
    hub->no = (int64_t)t->n_hubs;
    bucket = &t->buckets[hash(name) % t->n_buckets];
    hub->next = *bucket;
    *bucket = hub;
    *ret_hub = hub;
    return OK;
}

err sink_streams_hub(struct sink_streams *t, struct span name, struct sink_hub **ret_hub)
{
    struct sink_hub *hub = t->n_buckets > 0 ? t->buckets[hash(name) % t->n_buckets] : NULL;

    while (hub != NULL && !span_eq(hub->name, name)) {
        hub = hub->next;
    }
    if (hub == NULL) {
        TRY(add(t, name, &hub));
    }
    *ret_hub = hub;
    return OK;
}

struct sink_hub *sink_streams_at(struct sink_streams *t, int64_t no)
{
    return no >= 1 && (size_t)no <= t->n_hubs ? t->by_no[no - 1] : NULL;
}

static struct sink_stream *change(struct sink_streams *t, struct sink_hub *hub, int partition)
{
    struct sink_stream *stream = &hub->streams[partition];

    assert(partition >= 0 && partition < t->partitions);
    note_change(t, hub);
    if (!stream->is_changed) {
        stream->is_changed = true;
        stream->was_next = stream->next_sequence;
        stream->was_dropped = stream->dropped;
    }
    return stream;
}

int64_t sink_streams_number(struct sink_streams *t, struct sink_hub *hub, int partition)
{
    return change(t, hub, partition)->next_sequence++;
}

void sink_streams_drop(struct sink_streams *t, struct sink_hub *hub, int partition, int64_t offset)
{
    change(t, hub, partition)->dropped = offset;
}

static void settle(struct sink_stream *stream, bool is_durable)
{
    if (stream->is_changed && !is_durable) {
        stream->next_sequence = stream->was_next;
        stream->dropped = stream->was_dropped;
    }
    stream->is_changed = false;
}

void sink_streams_settle(struct sink_streams *t, bool is_durable)
{
    while (t->changed != NULL) {
        struct sink_hub *hub = t->changed;

        for (int i = 0; i < t->partitions; i++) {
            settle(&hub->streams[i], is_durable);
        }
        hub->is_stored = hub->is_stored || is_durable;
        hub->is_changed = false;
        t->changed = hub->next_changed;
    }
}
