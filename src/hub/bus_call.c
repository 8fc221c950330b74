/* hub/bus_call.c: calls in a table of rings of their own, by whom they are for, under the bus's
 * lock. A ring is in the order in which calls were begun, and so are letters posted. A letter has
 * one owner: its call until it is posted, the box, then whoever took it. */
#include "hub/bus_inside.h"

#include <assert.h>

#include "model/limits.h"

static struct bus_call **ring_of(struct bus *b, struct span hub, struct span client_id)
{
    return &b->calls[bus_inside_hash(b, hub, client_id) % BUS_CALL_BUCKETS];
}

static bool is_for(const struct bus_call *c, struct span hub, struct span client_id)
{
    return span_eq(c->client_id, client_id) && span_eq(c->hub, hub);
}

/* The next of the ring, or NULL behind the last. */
static struct bus_call *next_of(struct bus_call *c, const struct bus_call *head)
{
    return c->next_ == head ? NULL : c->next_;
}

/* The call for this very member's device that has the rid, or NULL. */
static struct bus_call *find(struct bus *b, const struct bus_member *m, struct span rid)
{
    struct bus_call *head = *ring_of(b, m->hub, m->client_id);

    for (struct bus_call *c = head; c != NULL; c = next_of(c, head)) {
        if (span_eq(c->rid, rid) && is_for(c, m->hub, m->client_id)) {
            return c;
        }
    }
    return NULL;
}

static void move_to(struct bus *b, struct bus_call *c, enum bus_call_state state)
{
    b->n_queued += (size_t)(state == BUS_CALL_QUEUED) - (size_t)(c->state_ == BUS_CALL_QUEUED);
    c->state_ = state;
}

/* Half of the box is left to letters that nobody holds for later. */
static bool has_room(const struct bus_member *m)
{
    return m->n_box_ < LIMIT_LETTERS / 2 && m->box_bytes_ < LIMIT_LETTER_BYTES / 2;
}

static void post(struct bus *b, struct bus_member *m, struct bus_call *c)
{
    if (!has_room(m)) {
        move_to(b, c, BUS_CALL_QUEUED);
        return;
    }
    bus_inside_put(m, c->letter_);
    c->letter_ = NULL;
    move_to(b, c, BUS_CALL_POSTED);
}

/* ---- the caller ---- */

static size_t lane_of(const struct bus *b, const struct bus_call *c)
{
    return bus_inside_hash(b, c->hub, SPAN_NONE) % BUS_CALL_LANES;
}

static bool has_too_many(struct bus *b, const struct bus_call *c, size_t bytes)
{
    struct bus_call *head = *ring_of(b, c->hub, c->client_id);
    size_t lane = lane_of(b, c);
    size_t n = 0;

    if (b->n_calls >= LIMIT_CALLS || b->call_bytes + bytes > LIMIT_CALL_BYTES ||
        b->call_lanes[lane].n >= LIMIT_CALLS_HUB ||
        b->call_lanes[lane].bytes + bytes > LIMIT_CALL_BYTES_HUB) {
        return true;
    }
    for (struct bus_call *x = head; x != NULL; x = next_of(x, head)) {
        n += is_for(x, c->hub, c->client_id);
    }
    return n >= LIMIT_CALLS_DEVICE;
}

static void link_last(struct bus *b, struct bus_call *c)
{
    struct bus_call **head = ring_of(b, c->hub, c->client_id);

    if (*head == NULL) {
        c->next_ = c->prev_ = c;
        *head = c;
    } else {
        c->next_ = *head;
        c->prev_ = (*head)->prev_;
        c->prev_->next_ = c;
        c->next_->prev_ = c;
    }
    b->n_calls++;
    b->call_bytes += c->bytes_;
    b->call_lanes[lane_of(b, c)].n++;
    b->call_lanes[lane_of(b, c)].bytes += c->bytes_;
}

static void unlink_call(struct bus *b, struct bus_call *c)
{
    struct bus_call **head = ring_of(b, c->hub, c->client_id);

    if (*head == c) {
        *head = c->next_ == c ? NULL : c->next_;
    }
    c->prev_->next_ = c->next_;
    c->next_->prev_ = c->prev_;
    c->next_ = c->prev_ = NULL;
    b->n_calls--;
    b->call_bytes -= c->bytes_;
    b->call_lanes[lane_of(b, c)].n--;
    b->call_lanes[lane_of(b, c)].bytes -= c->bytes_;
}

bool bus_call_begin(struct bus *b, struct bus_call *c, struct bus_letter *letter)
{
    struct bus_member *session;
    bool is_taken;

    assert(letter->kind == BUS_LETTER_METHOD && span_eq(letter->rid, c->rid));
    bus_inside_lock(b);
    is_taken = !has_too_many(b, c, letter->payload.len);
    if (is_taken) {
        c->state_ = BUS_CALL_OFFLINE;
        c->letter_ = letter;
        c->bytes_ = letter->payload.len;
        link_last(b, c);
        session = bus_inside_session(b, c->hub, c->client_id);
        if (session != NULL) {
            post(b, session, c);
        }
    }
    bus_inside_unlock(b);
    return is_taken;
}

enum bus_call_state bus_call_state(struct bus *b, struct bus_call *c)
{
    enum bus_call_state state;

    bus_inside_lock(b);
    state = c->state_;
    bus_inside_unlock(b);
    return state;
}

const struct bus_letter *bus_call_answer_of(const struct bus_call *c)
{
    assert(c->state_ == BUS_CALL_ANSWERED);
    return c->letter_;
}

void bus_call_end(struct bus *b, struct bus_call *c)
{
    struct bus_member *session;
    struct bus_letter *letter = NULL;

    bus_inside_lock(b);
    if (c->next_ != NULL) {
        unlink_call(b, c);
        letter = c->letter_;
        c->letter_ = NULL;
        session = bus_inside_session(b, c->hub, c->client_id);
        if (session != NULL && (c->state_ == BUS_CALL_POSTED || c->state_ == BUS_CALL_TAKEN)) {
            session->tell(session, BUS_LETTERS); /* it may have waited for nothing else */
        }
        move_to(b, c, BUS_CALL_OFFLINE);
    }
    bus_inside_unlock(b);
    bus_letter_free(letter);
}

/* ---- the session ---- */

void bus_call_inside_post(struct bus *b, struct bus_member *m, bool is_new)
{
    struct bus_call *head;

    if (!m->is_session_ || (!is_new && b->n_queued == 0)) {
        return;
    }
    head = *ring_of(b, m->hub, m->client_id);
    for (struct bus_call *c = head; c != NULL; c = next_of(c, head)) {
        bool waits = c->state_ == BUS_CALL_QUEUED || (is_new && c->state_ == BUS_CALL_OFFLINE);
        enum bus_call_state before = c->state_;

        if (waits && is_for(c, m->hub, m->client_id)) {
            post(b, m, c);
            if (c->state_ != before) {
                c->tell(c);
            }
        }
    }
}

void bus_call_inside_forget(struct bus *b, struct span hub, struct span client_id)
{
    struct bus_call *head = *ring_of(b, hub, client_id);

    for (struct bus_call *c = head; c != NULL; c = next_of(c, head)) {
        if (c->state_ != BUS_CALL_ANSWERED &&
            bus_inside_is_below(c->hub, c->client_id, hub, client_id)) {
            move_to(b, c, BUS_CALL_GONE);
            c->tell(c);
        }
    }
}

void bus_call_ready(struct bus *b, struct bus_member *m)
{
    bus_inside_lock(b);
    bus_call_inside_post(b, m, true);
    bus_inside_unlock(b);
}

/* The letter is the call's again, if there still is one. */
static void give_back(struct bus *b, struct bus_member *m, struct bus_letter *letter)
{
    struct bus_call *c = find(b, m, letter->rid);

    if (c == NULL) {
        bus_letter_free(letter);
        return;
    }
    c->letter_ = letter;
    if (c->state_ != BUS_CALL_GONE) {
        move_to(b, c, BUS_CALL_OFFLINE);
        c->tell(c);
    }
}

void bus_call_inside_give_back(struct bus *b, struct bus_member *m)
{
    struct bus_letter **at = &m->box_;

    while (*at != NULL) {
        struct bus_letter *letter = *at;

        if (letter->kind != BUS_LETTER_METHOD) {
            at = &letter->next;
            continue;
        }
        *at = letter->next;
        m->n_box_--;
        m->box_bytes_ -= letter->payload.len;
        give_back(b, m, letter);
    }
    m->box_end_ = at;
}

bool bus_call_inside_take(struct bus *b, struct bus_member *m, const struct bus_letter *letter)
{
    struct bus_call *c = find(b, m, letter->rid);

    if (c == NULL || c->state_ == BUS_CALL_GONE) {
        return false;
    }
    move_to(b, c, BUS_CALL_TAKEN);
    return true;
}

void bus_call_decline(struct bus *b, struct bus_member *m, struct bus_letter *letter)
{
    struct bus_member *session;

    bus_inside_lock(b);
    give_back(b, m, letter);
    session = bus_inside_session(b, m->hub, m->client_id);
    if (session != NULL && session != m) { /* that took over while m had it in its hands */
        bus_call_inside_post(b, session, true);
    }
    bus_inside_unlock(b);
}

bool bus_call_answer(struct bus *b, struct bus_member *m, struct span rid,
                     const struct bus_letter *answer)
{
    struct bus_letter *copy = bus_letter_new(answer);
    struct bus_call *c;
    bool is_wanted;

    if (copy == NULL) {
        return false;
    }
    copy->kind = BUS_LETTER_ANSWER;
    bus_inside_lock(b);
    c = find(b, m, rid);
    is_wanted = c != NULL && c->state_ == BUS_CALL_TAKEN;
    if (is_wanted) {
        c->letter_ = copy;
        copy = NULL;
        move_to(b, c, BUS_CALL_ANSWERED);
        c->tell(c);
    }
    bus_inside_unlock(b);
    bus_letter_free(copy);
    return is_wanted;
}

bool bus_call_is_awaited(struct bus *b, const struct bus_member *m)
{
    struct bus_call *head;
    bool is_awaited = false;

    bus_inside_lock(b);
    head = *ring_of(b, m->hub, m->client_id);
    for (struct bus_call *c = head; c != NULL && !is_awaited; c = next_of(c, head)) {
        is_awaited = (c->state_ == BUS_CALL_POSTED || c->state_ == BUS_CALL_TAKEN) &&
                     is_for(c, m->hub, m->client_id);
    }
    bus_inside_unlock(b);
    return is_awaited;
}

size_t bus_calls(struct bus *b)
{
    size_t n;

    bus_inside_lock(b);
    n = b->n_calls;
    bus_inside_unlock(b);
    return n;
}
