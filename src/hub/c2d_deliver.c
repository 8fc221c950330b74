/* hub/c2d_deliver.c: the device's side of cloud-to-device messages. A delivery is durable, with its
 * count, before anything of the message leaves: so what is sent twice is known to be
 * (doc/adr/0016).
 */
#include "hub/c2d.h"
#include "hub/c2d_queue.h"
#include "hub/lock_token.h"

/* Is it in flight with an MQTT session that still is one? */
static bool is_with_session(struct bus *bus, const struct c2d_message *m)
{
    return !span_is_absent(m->session_id) &&
           bus_is_session(bus, m->hub, m->client_id, m->session_id);
}

/* Most who ask have nothing waiting, and a write transaction costs more than a look. */
struct look {
    const struct env *env;
    const struct hub_c2d_owner *owner;
    bool has_any;
};

static err look(struct store_tx *tx, void *arg)
{
    struct look *l = arg;
    size_t mark = l->env->arena->used;
    struct c2d_queue_tx q = { .tx = tx, .env = l->env };
    struct c2d_message m;

    TRY(c2d_queue_open(&q, l->owner, &l->has_any));
    if (l->has_any) {
        TRY(c2d_queue_next(&q, 0, &m, &l->has_any));
    }
    l->env->arena->used = mark;
    return OK;
}

/* ---- over MQTT ---- */

struct turning {
    const struct env *env;
    struct bus *bus;
    const struct hub_c2d_turn *turn;
    struct hub_settings settings;
    struct hub_c2d_hand *hand;
    size_t bytes; /* of what is in it */
    size_t mark;  /* what lies behind belongs to one run of the transaction */
};

static err complete_all(const struct turning *t, const struct c2d_queue_tx *q)
{
    for (size_t i = 0; i < t->turn->n_completed; i++) {
        size_t mark = t->env->arena->used;
        struct c2d_message m;
        bool is_there;

        TRY(c2d_queue_find(q, t->turn->completed[i], &m, &is_there));
        if (is_there) { /* or it was purged, or its time was over */
            TRY(c2d_queue_end(q, &m, FEEDBACK_SUCCESS));
        }
        t->env->arena->used = mark;
    }
    return OK;
}

static err put_in_hand(struct turning *t, const struct c2d_queue_tx *q, struct c2d_message *m)
{
    m->delivery_count++;
    m->session_id = t->turn->session_id;
    m->lock_token = SPAN_NONE;
    m->locked_until_ms = t->env->now_ms + LIMIT_C2D_LOCK_MS;
    t->hand->messages[t->hand->n++] = *m;
    t->bytes += m->body.len;
    return t->turn->is_final ? c2d_queue_end(q, m, FEEDBACK_SUCCESS)
                             : store_put(q->tx, &KIND_C2D_MESSAGE, m);
}

/* One message of the queue. *ret_is_taken: it is needed until the answer was written. */
static err deal_one(struct turning *t, const struct c2d_queue_tx *q, struct c2d_message *m,
                    bool *ret_is_taken)
{
    bool is_dead;

    *ret_is_taken = false;
    if (span_eq(m->session_id, t->turn->session_id)) {
        return OK; /* the device has it already */
    }
    if (c2d_queue_is_locked(m, t->env->now_ms)) {
        if (m->locked_until_ms < t->hand->look_again_ms) {
            t->hand->look_again_ms = m->locked_until_ms;
        }
        return OK;
    }
    TRY(c2d_queue_end_if_dead(q, m, &is_dead));
    *ret_is_taken = !is_dead;
    return is_dead ? OK : put_in_hand(t, q, m);
}

static bool has_room(const struct turning *t)
{
    return t->hand->n < t->turn->room && t->bytes < LIMIT_C2D_TURN_BYTES;
}

static err deal(struct turning *t, const struct c2d_queue_tx *q)
{
    struct c2d_message m = { 0 };
    bool is_there = true;

    while (is_there && has_room(t)) {
        size_t mark = t->env->arena->used;
        bool is_taken = false;

        TRY(c2d_queue_next(q, m.sequence, &m, &is_there));
        if (is_there) {
            TRY(deal_one(t, q, &m, &is_taken));
        }
        t->env->arena->used = is_taken ? t->env->arena->used : mark;
    }
    t->hand->has_more = is_there;
    return OK;
}

static err take_turn(struct store_tx *tx, void *arg)
{
    struct turning *t = arg;
    const struct hub_c2d_owner *owner = &t->turn->owner;
    struct c2d_queue_tx q = { .tx = tx, .env = t->env, .settings = &t->settings };
    bool is_there;

    t->env->arena->used = t->mark;
    t->bytes = 0;
    *t->hand = (struct hub_c2d_hand){ .look_again_ms = INT64_MAX };
    TRY(c2d_queue_open(&q, owner, &is_there));
    if (!is_there) {
        return OK;
    }
    TRY(complete_all(t, &q));
    /* Asked inside the transaction: who takes over does so before its own first turn. */
    if (t->turn->room > 0 &&
        bus_is_session(t->bus, owner->hub, owner->client_id, t->turn->session_id)) {
        return deal(t, &q);
    }
    return OK;
}

err hub_c2d_take_turn(const struct env *env, struct bus *bus, const struct hub_c2d_turn *turn,
                      struct hub_c2d_hand *ret_hand)
{
    struct turning t = { .env = env, .bus = bus, .turn = turn, .hand = ret_hand };
    struct look l = { .env = env, .owner = &turn->owner, .has_any = true };

    *ret_hand = (struct hub_c2d_hand){ .look_again_ms = INT64_MAX };
    if (turn->n_completed == 0) {
        TRY(store_read(env->store, look, &l));
    }
    if (!l.has_any) {
        return OK;
    }
    TRY(hub_settings_get(env, turn->owner.hub, &t.settings));
    t.mark = env->arena->used;
    return store_write(env->store, take_turn, &t);
}

/* ---- over HTTPS ---- */

struct receiving {
    const struct env *env;
    struct bus *bus;
    const struct hub_c2d_owner *owner;
    struct hub_settings settings;
    int64_t lock_ms;
    struct c2d_message message;
    bool is_found;
    size_t mark;
};

static err lock_message(struct receiving *r, const struct c2d_queue_tx *q)
{
    struct c2d_message *m = &r->message;

    TRY(lock_token_new(r->env, m->sequence, &m->lock_token));
    m->delivery_count++;
    m->session_id = SPAN_NONE;
    m->locked_until_ms = r->env->now_ms + r->lock_ms;
    return store_put(q->tx, &KIND_C2D_MESSAGE, m);
}

static err receive(struct store_tx *tx, void *arg)
{
    struct receiving *r = arg;
    struct c2d_message *m = &r->message;
    struct c2d_queue_tx q = { .tx = tx, .env = r->env, .settings = &r->settings };
    bool is_there, is_dead;
    size_t mark;

    r->env->arena->used = r->mark;
    r->is_found = false;
    *m = (struct c2d_message){ 0 };
    TRY(c2d_queue_open(&q, r->owner, &is_there));
    mark = r->env->arena->used;
    while (is_there) {
        r->env->arena->used = mark;
        TRY(c2d_queue_next(&q, m->sequence, m, &is_there));
        if (!is_there || c2d_queue_is_locked(m, r->env->now_ms) || is_with_session(r->bus, m)) {
            continue;
        }
        TRY(c2d_queue_end_if_dead(&q, m, &is_dead));
        if (!is_dead) {
            r->is_found = true;
            return lock_message(r, &q);
        }
    }
    return OK;
}

err hub_c2d_receive(const struct env *env, struct bus *bus, const struct hub_c2d_owner *owner,
                    int64_t lock_ms, struct c2d_message *ret_message, bool *ret_found)
{
    struct receiving r = { .env = env, .bus = bus, .owner = owner, .lock_ms = lock_ms };
    struct look l = { .env = env, .owner = owner };

    TRY(store_read(env->store, look, &l));
    if (l.has_any) {
        TRY(hub_settings_get(env, owner->hub, &r.settings));
        r.mark = env->arena->used;
        TRY(store_write(env->store, receive, &r));
    }
    *ret_found = r.is_found;
    if (r.is_found) {
        *ret_message = r.message;
    }
    return OK;
}

struct settling {
    const struct env *env;
    const struct hub_c2d_owner *owner;
    struct hub_settings settings;
    struct span token;
    int64_t sequence;
    enum hub_c2d_settlement how;
    struct verdict verdict;
    size_t mark;
};

static err abandon(const struct c2d_queue_tx *q, struct c2d_message *m)
{
    bool is_dead;

    TRY(c2d_queue_end_if_dead(q, m, &is_dead));
    m->lock_token = SPAN_NONE;
    m->locked_until_ms = 0;
    return is_dead ? OK : store_put(q->tx, &KIND_C2D_MESSAGE, m);
}

static err settle(struct store_tx *tx, void *arg)
{
    struct settling *s = arg;
    struct c2d_queue_tx q = { .tx = tx, .env = s->env, .settings = &s->settings };
    struct c2d_message m;
    bool is_there;

    s->env->arena->used = s->mark;
    s->verdict = VERDICT(LOCK_LOST);
    TRY(c2d_queue_open(&q, s->owner, &is_there));
    if (is_there) {
        TRY(c2d_queue_find(&q, s->sequence, &m, &is_there));
    }
    if (!is_there || m.locked_until_ms <= s->env->now_ms || !span_eq(m.lock_token, s->token)) {
        return OK; /* a lock that the clock made too long is its holder's until it is given anew */
    }
    s->verdict = VERDICT(GRANTED);
    if (s->how == HUB_C2D_ABANDON) {
        return abandon(&q, &m);
    }
    return c2d_queue_end(&q, &m, s->how == HUB_C2D_COMPLETE ? FEEDBACK_SUCCESS : FEEDBACK_REJECTED);
}

err hub_c2d_settle(const struct env *env, struct bus *bus, const struct hub_c2d_owner *owner,
                   struct span lock_token, enum hub_c2d_settlement how, struct verdict *ret_verdict)
{
    struct settling s = { .env = env, .owner = owner, .token = lock_token, .how = how };

    s.verdict = VERDICT(LOCK_LOST);
    TRY(hub_settings_get(env, owner->hub, &s.settings));
    s.mark = env->arena->used;
    if (lock_token_sequence(lock_token, &s.sequence)) {
        TRY(store_write(env->store, settle, &s));
    }
    if (verdict_is_granted(s.verdict) && how == HUB_C2D_ABANDON) {
        bus_c2d(bus, owner->hub, owner->client_id); /* it may be connected over MQTT, too */
    }
    *ret_verdict = s.verdict;
    return OK;
}
