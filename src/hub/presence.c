/* hub/presence.c: notes in a hash table under a lock that is held for the time it takes to find
 * one, and in the order in which they were made in a list, which the chore takes away whole. */
#include "hub/presence.h"

#include <pthread.h>
#include <stdlib.h>

#include "hub/event.h"
#include "hub/identity.h"
#include "model/limits.h"

enum { BUCKETS = 4096, ROWS_AT_ONCE = 256 };

struct note {
    struct note *next;        /* in its bucket */
    struct note *next_in_all; /* in the order of notes */
    struct presence row;      /* its spans lie behind */
};

struct hub_presence {
    struct bus *bus;
    struct sink *sink;
    uint64_t run;
    pthread_mutex_t lock; /* guards what follows */
    struct note *buckets[BUCKETS];
    struct note *first, **end;
    size_t n;
};

/* ---- notes ---- */

static size_t bucket_of(struct span hub, struct span client_id)
{
    uint64_t h = 0xcbf29ce484222325U;

    for (size_t i = 0; i < hub.len; i++) {
        h = (h ^ hub.data[i]) * 0x100000001b3U;
    }
    h = (h ^ 0xff) * 0x100000001b3U;
    for (size_t i = 0; i < client_id.len; i++) {
        h = (h ^ client_id.data[i]) * 0x100000001b3U;
    }
    return (size_t)((h ^ h >> 32) % BUCKETS);
}

static struct span keep(uint8_t **at, struct span s)
{
    struct span kept = span_of(*at, s.len);

    if (s.len > 0) {
        memcpy(*at, s.data, s.len);
    }
    *at += s.len;
    return kept;
}

static struct note *new_note(const struct presence *row)
{
    size_t size = row->hub.len + row->client_id.len + row->generation_id.len;
    struct note *n = malloc(sizeof *n + size + 1);
    uint8_t *at = (uint8_t *)(n + 1);

    if (n != NULL) {
        *n = (struct note){ .row = *row };
        n->row.hub = keep(&at, row->hub);
        n->row.client_id = keep(&at, row->client_id);
        n->row.generation_id = keep(&at, row->generation_id);
    }
    return n;
}

static void merge(struct presence *into, const struct presence *from)
{
    if (from->state_updated_ms > into->state_updated_ms) {
        into->state_updated_ms = from->state_updated_ms;
    }
    if (from->last_activity_ms > into->last_activity_ms) {
        into->last_activity_ms = from->last_activity_ms;
    }
}

static bool is_same(const struct presence *a, const struct presence *b)
{
    return span_eq(a->client_id, b->client_id) && span_eq(a->hub, b->hub) &&
           span_eq(a->generation_id, b->generation_id);
}

static void note_inside(struct hub_presence *p, const struct presence *row)
{
    struct note **bucket = &p->buckets[bucket_of(row->hub, row->client_id)];
    struct note *n = *bucket;

    while (n != NULL && !is_same(&n->row, row)) {
        n = n->next;
    }
    if (n != NULL) {
        merge(&n->row, row);
        return;
    }
    n = p->n < LIMIT_PRESENCE_NOTES ? new_note(row) : NULL;
    if (n != NULL) {
        n->next = *bucket;
        *bucket = n;
        *p->end = n;
        p->end = &n->next_in_all;
        p->n++;
    }
}

static void note(struct hub_presence *p, const struct presence *row)
{
    (void)pthread_mutex_lock(&p->lock);
    note_inside(p, row);
    (void)pthread_mutex_unlock(&p->lock);
}

void hub_presence_active(struct hub_presence *p, struct span hub, struct span client_id,
                         struct span generation_id, int64_t now_ms)
{
    if (p != NULL) {
        note(p, &(struct presence){ .hub = hub,
                                    .client_id = client_id,
                                    .generation_id = generation_id,
                                    .last_activity_ms = now_ms });
    }
}

/* With the bus's lock held: events of a client come in the order of its sessions. One that finds no
 * room in the log is lost. */
static void on_session(void *arg, const struct bus_member *m, bool is_connected, uint64_t number,
                       int64_t now_ms)
{
    struct hub_presence *p = arg;
    const struct hub_event_connection event = { .hub = m->hub,
                                                .client_id = m->client_id,
                                                .generation_id = m->generation_id,
                                                .is_connected = is_connected,
                                                .run = p->run,
                                                .number = number,
                                                .now_ms = now_ms };
    err e = hub_event_connection(p->sink, &event);

    (void)e;
    note(p, &(struct presence){ .hub = m->hub,
                                .client_id = m->client_id,
                                .generation_id = m->generation_id,
                                .state_updated_ms = now_ms,
                                .last_activity_ms = is_connected ? now_ms : 0 });
}

/* ---- writing down ---- */

struct batch {
    struct arena *arena;
    struct note *first;
    size_t n;
};

static err put(struct store_tx *tx, struct arena *arena, const struct presence *noted)
{
    struct presence row = { .hub = noted->hub, .client_id = noted->client_id };
    struct device d;
    bool is_there, has_row;

    TRY(hub_identity_find(tx, noted->hub, noted->client_id, arena, &d, &is_there));
    if (!is_there || !span_eq(d.generation_id, noted->generation_id)) {
        return OK;
    }
    TRY(store_find(tx, &KIND_PRESENCE, &row, arena, &row, &has_row));
    if (!has_row || !span_eq(row.generation_id, noted->generation_id)) {
        row = *noted;
    } else {
        merge(&row, noted);
    }
    return store_put(tx, &KIND_PRESENCE, &row);
}

static err put_batch(struct store_tx *tx, void *arg)
{
    struct batch *b = arg;
    size_t mark = b->arena->used;
    struct note *n = b->first;

    for (size_t i = 0; i < b->n; i++, n = n->next_in_all) {
        TRY(put(tx, b->arena, &n->row));
        b->arena->used = mark;
    }
    return OK;
}

/* At most ROWS_AT_ONCE, cut off; out of their buckets, so that later notes are notes of their own.
 */
static void take(struct hub_presence *p, struct batch *b)
{
    (void)pthread_mutex_lock(&p->lock);
    b->first = p->first;
    b->n = 0;
    while (p->first != NULL && b->n < ROWS_AT_ONCE) {
        struct note *n = p->first;
        struct note **at = &p->buckets[bucket_of(n->row.hub, n->row.client_id)];

        while (*at != n) {
            at = &(*at)->next;
        }
        *at = n->next;
        p->first = n->next_in_all;
        b->n++;
    }
    p->n -= b->n;
    if (p->first == NULL) {
        p->end = &p->first;
    }
    (void)pthread_mutex_unlock(&p->lock);
}

/* Those that could not be written are noted again; not to lose what was noted since, merged. */
static void let_go(struct hub_presence *p, struct batch *b, bool is_written)
{
    struct note *n = b->first;

    for (size_t i = 0; i < b->n; i++) {
        struct note *next = n->next_in_all;

        if (!is_written) {
            note(p, &n->row);
        }
        free(n);
        n = next;
    }
}

err hub_presence_flush(const struct env *env, struct bus *bus, void *arg, bool *again)
{
    struct hub_presence *p = arg;
    struct batch b = { .arena = env->arena };
    err e;

    (void)bus;
    take(p, &b);
    if (b.n == 0) {
        return OK;
    }
    e = store_write(env->store, put_batch, &b);
    let_go(p, &b, err_is_ok(e));
    *again = b.n == ROWS_AT_ONCE;
    return e;
}

/* ---- life ---- */

err hub_presence_new(struct bus *bus, struct sink *sink, uint64_t run,
                     struct hub_presence **ret_presence)
{
    struct hub_presence *p = calloc(1, sizeof *p);

    if (p == NULL) {
        return ERR(NOMEM);
    }
    (void)pthread_mutex_init(&p->lock, NULL);
    p->bus = bus;
    p->sink = sink;
    p->run = run;
    p->end = &p->first;
    bus_watch(bus, on_session, p);
    *ret_presence = p;
    return OK;
}

void hub_presence_free(struct hub_presence *p)
{
    if (p == NULL) {
        return;
    }
    bus_watch(p->bus, NULL, NULL);
    while (p->first != NULL) {
        struct note *next = p->first->next_in_all;

        free(p->first);
        p->first = next;
    }
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}
