/* hub/bus.c: the bus inside one process: a table of rings, one ring a bucket, under one lock, which
 * is held for the time it takes to walk one ring (bus_events: to walk the listeners). Signals are
 * handed to `tell` under the lock, so that nobody is told after bus_leave. */
#include "hub/bus_inside.h"

#include <assert.h>
#include <stdlib.h>

#include "model/limits.h"

enum { RINGS_AT_ONCE = 256 }; /* listed before others have the lock again */

static void destroy(struct bus *b, size_t n_orders)
{
    while (n_orders > 0) {
        (void)pthread_mutex_destroy(&b->orders[--n_orders]);
    }
    (void)pthread_mutex_destroy(&b->lock);
    free(b);
}

err bus_new(struct bus **ret_bus)
{
    struct bus *b = calloc(1, sizeof *b);

    if (b == NULL) {
        return ERR(NOMEM);
    }
    if (pthread_mutex_init(&b->lock, NULL) != 0) {
        free(b);
        return ERR(NOMEM);
    }
    for (size_t i = 0; i < BUS_ORDERS; i++) {
        if (pthread_mutex_init(&b->orders[i], NULL) != 0) {
            destroy(b, i);
            return ERR(NOMEM);
        }
    }
    b->seed = (uint64_t)(uintptr_t)b * 0x9e3779b97f4a7c15U;
    *ret_bus = b;
    return OK;
}

void bus_free(struct bus *b)
{
    if (b != NULL) {
        destroy(b, BUS_ORDERS);
    }
}

static void lock_one(pthread_mutex_t *mutex)
{
    int result = pthread_mutex_lock(mutex);

    assert(result == 0);
    (void)result;
}

static void unlock_one(pthread_mutex_t *mutex)
{
    int result = pthread_mutex_unlock(mutex);

    assert(result == 0);
    (void)result;
}

void bus_inside_lock(struct bus *b)
{
    lock_one(&b->lock);
}

void bus_inside_unlock(struct bus *b)
{
    unlock_one(&b->lock);
}

/* FNV-1a, finished so that the low bits depend on all. A device and its modules share a ring. */
uint64_t bus_inside_hash(const struct bus *b, struct span hub, struct span client_id)
{
    uint64_t h = 0xcbf29ce484222325U ^ b->seed;
    struct span device = span_first(client_id, span_find(client_id, '/'));

    for (size_t i = 0; i < hub.len; i++) {
        h = (h ^ hub.data[i]) * 0x100000001b3U;
    }
    h = (h ^ 0xff) * 0x100000001b3U;
    for (size_t i = 0; i < device.len; i++) {
        h = (h ^ device.data[i]) * 0x100000001b3U;
    }
    h ^= h >> 32;
    return h ^ h >> 16;
}

static struct bus_member **ring_of(struct bus *b, struct span hub, struct span client_id)
{
    return span_is_absent(client_id)
               ? &b->listeners
               : &b->buckets[bus_inside_hash(b, hub, client_id) % BUS_BUCKETS];
}

static bool is_of(const struct bus_member *m, struct span hub, struct span client_id)
{
    return span_eq(m->client_id, client_id) && span_eq(m->hub, hub);
}

bool bus_inside_is_below(struct span its_hub, struct span its_id, struct span hub,
                         struct span client_id)
{
    return span_eq(its_hub, hub) && span_starts_with(its_id, client_id) &&
           (its_id.len == client_id.len || its_id.data[client_id.len] == '/');
}

/* The next of the ring, or NULL behind the last. */
static struct bus_member *next_of(struct bus_member *m, const struct bus_member *head)
{
    return m->next_ == head ? NULL : m->next_;
}

static struct bus_letter *empty_box(struct bus_member *m)
{
    struct bus_letter *first = m->box_;

    m->box_ = NULL;
    m->box_end_ = &m->box_;
    m->n_box_ = m->box_bytes_ = 0;
    return first;
}

void bus_join(struct bus *b, struct bus_member *m)
{
    struct bus_member **head;

    bus_inside_lock(b);
    m->is_session_ = m->is_superseded_ = m->is_cut_off_ = false;
    m->order_ = ++b->joined;
    (void)empty_box(m);
    head = ring_of(b, m->hub, m->client_id);
    if (*head == NULL) {
        m->next_ = m->prev_ = m;
        *head = m;
    } else {
        m->next_ = *head;
        m->prev_ = (*head)->prev_;
        m->prev_->next_ = m;
        m->next_->prev_ = m;
    }
    bus_inside_unlock(b);
}

void bus_watch(struct bus *b, bus_saw_fn saw, void *arg)
{
    bus_inside_lock(b);
    b->saw = saw;
    b->saw_arg = arg;
    bus_inside_unlock(b);
}

static void show(struct bus *b, const struct bus_member *m, bool is_connected, int64_t now_ms)
{
    if (b->saw != NULL) {
        b->saw(b->saw_arg, m, is_connected, ++b->n_seen, now_ms);
    }
}

void bus_claim(struct bus *b, struct bus_member *m)
{
    struct bus_member *head;

    bus_inside_lock(b);
    assert(m->next_ != NULL && !span_is_absent(m->client_id));
    head = *ring_of(b, m->hub, m->client_id);
    for (struct bus_member *x = head; x != NULL; x = next_of(x, head)) {
        if (x != m && x->is_session_ && is_of(x, m->hub, m->client_id)) {
            x->is_session_ = false;
            b->sessions--;
            show(b, x, false, m->now_ms);
            bus_call_inside_give_back(b, x);
            x->tell(x, BUS_TAKEN_OVER);
        }
    }
    if (!m->is_session_) {
        m->is_session_ = true;
        b->sessions++;
        show(b, m, true, m->now_ms);
    }
    bus_call_inside_post(b, m, true);
    bus_inside_unlock(b);
}

bool bus_supersede(struct bus *b, const struct bus_member *m)
{
    struct bus_member *head;
    bool is_any = false;

    bus_inside_lock(b);
    head = *ring_of(b, m->hub, m->client_id);
    for (struct bus_member *x = head; x != NULL; x = next_of(x, head)) {
        if (x->order_ < m->order_ && is_of(x, m->hub, m->client_id)) {
            x->is_superseded_ = true;
            is_any = true;
        }
    }
    bus_inside_unlock(b);
    return is_any;
}

bool bus_is_superseded(struct bus *b, const struct bus_member *m)
{
    bool is;

    bus_inside_lock(b);
    is = m->is_superseded_;
    bus_inside_unlock(b);
    return is;
}

void bus_leave(struct bus *b, struct bus_member *m)
{
    struct bus_letter *unread = NULL;

    bus_inside_lock(b);
    if (m->next_ != NULL) {
        struct bus_member **head = ring_of(b, m->hub, m->client_id);

        if (m->is_session_) {
            b->sessions--;
            show(b, m, false, m->now_ms);
        }
        if (*head == m) {
            *head = m->next_ == m ? NULL : m->next_;
        }
        m->prev_->next_ = m->next_;
        m->next_->prev_ = m->prev_;
        m->next_ = m->prev_ = NULL;
        m->is_session_ = false;
        bus_call_inside_give_back(b, m);
        unread = empty_box(m);
    }
    bus_inside_unlock(b);
    while (unread != NULL) {
        struct bus_letter *next = unread->next;

        bus_letter_free(unread);
        unread = next;
    }
}

/* ---- letters ---- */

static struct span put_behind(uint8_t **at, struct span s)
{
    uint8_t *to = *at;

    if (s.len > 0) {
        memcpy(to, s.data, s.len);
    }
    *at += s.len;
    return span_of(to, s.len);
}

struct bus_letter *bus_letter_new(const struct bus_letter *letter)
{
    struct bus_letter *copy =
        malloc(sizeof *copy + letter->payload.len + letter->name.len + letter->rid.len);
    uint8_t *behind = (uint8_t *)(copy + 1);

    if (copy != NULL) {
        *copy = *letter;
        copy->next = NULL;
        copy->payload = put_behind(&behind, letter->payload);
        copy->name = put_behind(&behind, letter->name);
        copy->rid = put_behind(&behind, letter->rid);
    }
    return copy;
}

void bus_letter_free(struct bus_letter *letter)
{
    free(letter);
}

struct bus_member *bus_inside_session(struct bus *b, struct span hub, struct span client_id)
{
    struct bus_member *head = *ring_of(b, hub, client_id);

    for (struct bus_member *x = head; x != NULL; x = next_of(x, head)) {
        if (x->is_session_ && is_of(x, hub, client_id)) {
            return x;
        }
    }
    return NULL;
}

void bus_inside_put(struct bus_member *m, struct bus_letter *letter)
{
    letter->next = NULL;
    *m->box_end_ = letter;
    m->box_end_ = &letter->next;
    m->n_box_++;
    m->box_bytes_ += letter->payload.len;
    m->tell(m, BUS_LETTERS);
}

bool bus_post(struct bus *b, struct span hub, struct span client_id,
              const struct bus_letter *letter)
{
    struct bus_letter *copy = bus_letter_new(letter);
    struct bus_member *m;

    if (copy == NULL) {
        return false;
    }
    bus_inside_lock(b);
    m = bus_inside_session(b, hub, client_id);
    if (m != NULL && m->n_box_ < LIMIT_LETTERS && m->box_bytes_ < LIMIT_LETTER_BYTES) {
        bus_inside_put(m, copy);
        copy = NULL;
    }
    bus_inside_unlock(b);
    bus_letter_free(copy);
    return copy == NULL;
}

static struct bus_letter *pop(struct bus_member *m)
{
    struct bus_letter *first = m->box_;

    if (first != NULL) {
        m->box_ = first->next;
        m->n_box_--;
        m->box_bytes_ -= first->payload.len;
        if (m->box_ == NULL) {
            m->box_end_ = &m->box_;
        }
    }
    return first;
}

struct bus_letter *bus_take(struct bus *b, struct bus_member *m)
{
    struct bus_letter *first;

    bus_inside_lock(b);
    first = pop(m);
    while (first != NULL && first->kind == BUS_LETTER_METHOD &&
           !bus_call_inside_take(b, m, first)) {
        bus_letter_free(first); /* whoever called has gone */
        first = pop(m);
    }
    bus_call_inside_post(b, m, false);
    bus_inside_unlock(b);
    return first;
}

static pthread_mutex_t *order_of(struct bus *b, struct span hub, struct span client_id)
{
    return &b->orders[(size_t)(ring_of(b, hub, client_id) - b->buckets) % BUS_ORDERS];
}

void bus_order_begin(struct bus *b, struct span hub, struct span client_id)
{
    assert(!span_is_absent(client_id));
    lock_one(order_of(b, hub, client_id));
}

void bus_order_end(struct bus *b, struct span hub, struct span client_id)
{
    unlock_one(order_of(b, hub, client_id));
}

static void cut_off(struct bus *b, struct span hub, struct span client_id)
{
    struct bus_member *head = *ring_of(b, hub, client_id);

    for (struct bus_member *x = head; x != NULL; x = next_of(x, head)) {
        if (bus_inside_is_below(x->hub, x->client_id, hub, client_id)) {
            x->is_cut_off_ = true;
            x->tell(x, BUS_CUT_OFF);
        }
    }
}

void bus_cut_off(struct bus *b, struct span hub, struct span client_id)
{
    bus_inside_lock(b);
    cut_off(b, hub, client_id);
    bus_inside_unlock(b);
}

void bus_forget(struct bus *b, struct span hub, struct span client_id)
{
    bus_inside_lock(b);
    cut_off(b, hub, client_id);
    bus_call_inside_forget(b, hub, client_id);
    bus_inside_unlock(b);
}

void bus_events(struct bus *b)
{
    bus_inside_lock(b);
    for (struct bus_member *x = b->listeners; x != NULL; x = next_of(x, b->listeners)) {
        x->tell(x, BUS_EVENTS);
    }
    bus_inside_unlock(b);
}

void bus_c2d(struct bus *b, struct span hub, struct span client_id)
{
    struct bus_member *m;

    bus_inside_lock(b);
    m = bus_inside_session(b, hub, client_id);
    if (m != NULL) {
        m->tell(m, BUS_C2D);
    }
    bus_inside_unlock(b);
}

bool bus_is_session(struct bus *b, struct span hub, struct span client_id, struct span session_id)
{
    struct bus_member *m;
    bool is_session;

    bus_inside_lock(b);
    m = bus_inside_session(b, hub, client_id);
    is_session = m != NULL && span_eq(m->session_id, session_id);
    bus_inside_unlock(b);
    return is_session;
}

bool bus_is_connected(struct bus *b, struct span hub, struct span client_id)
{
    const struct bus_member *m;
    bool is_connected;

    bus_inside_lock(b);
    m = bus_inside_session(b, hub, client_id);
    is_connected = m != NULL && !m->is_cut_off_;
    bus_inside_unlock(b);
    return is_connected;
}

bool bus_list(struct bus *b, struct span hub, size_t *at,
              void (*each)(void *arg, struct span client_id), void *arg)
{
    size_t i = *at;

    if (i == BUS_BUCKETS) {
        return false;
    }
    bus_inside_lock(b);
    for (size_t end = i + RINGS_AT_ONCE; i < end; i++) {
        for (struct bus_member *x = b->buckets[i]; x != NULL; x = next_of(x, b->buckets[i])) {
            if (x->is_session_ && span_eq(x->hub, hub)) {
                each(arg, x->client_id);
            }
        }
    }
    bus_inside_unlock(b);
    *at = i;
    return true;
}

static void count_device(void *arg, struct span client_id)
{
    size_t *n = arg;

    *n += span_find(client_id, '/') == client_id.len;
}

size_t bus_count_devices(struct bus *b, struct span hub)
{
    size_t n = 0;
    size_t at = 0;

    while (bus_list(b, hub, &at, count_device, &n)) {
    }
    return n;
}

size_t bus_sessions(struct bus *b)
{
    size_t n;

    bus_inside_lock(b);
    n = b->sessions;
    bus_inside_unlock(b);
    return n;
}
