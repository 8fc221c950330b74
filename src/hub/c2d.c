/* hub/c2d.c: the back end's side of cloud-to-device messages: sending, counting, purging, and what
 * happens to those that nobody fetched in time. The device's side is c2d_deliver.c. */
#include "hub/c2d.h"

#include "hub/c2d_queue.h"
#include "hub/feedback.h"
#include "hub/identity.h"
#include "store/sweep.h"
#include "util/utf8.h"
#include "json/json.h"
#include "json/writer.h"

/* ---- what a sender may send ---- */

static bool is_token_char(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* A property becomes a header: a token, and none that the device takes for one of the system's. */
static bool is_property_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (!is_token_char(name.data[i])) {
            return false;
        }
    }
    return name.len > 0 && name.data[0] != '$' && !span_eq_nocase(name, SPAN("iothub-ack"));
}

/* Text without control characters. */
static bool may_be_passed_on(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < ' ' || text.data[i] == 0x7f) {
            return false;
        }
    }
    return utf8_is_text(text);
}

struct check {
    const struct env *env;
    size_t properties; /* bytes */
    struct verdict verdict;
};

static err refuse(struct check *c, enum reason reason, const char *what, struct span name)
{
    c->verdict.reason = reason;
    return arena_printf(c->env->arena, &c->verdict.detail, what, SPAN_FMT(name));
}

static err check_system(struct check *c, const struct c2d_message *m)
{
    const struct {
        struct span name, value;
    } texts[] = {
        { SPAN("The message ID"), m->message_id },
        { SPAN("The correlation ID"), m->correlation_id },
        { SPAN("The user ID"), m->user_id },
        { SPAN("The address"), m->target },
        { SPAN("The content type"), m->content_type },
        { SPAN("The content encoding"), m->content_encoding },
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!may_be_passed_on(texts[i].value)) {
            return refuse(c, REASON_FIELD_INVALID, "%.*s is not UTF-8 without control characters.",
                          texts[i].name);
        }
        c->properties += texts[i].value.len;
    }
    return OK;
}

static err check_application(struct check *c, const struct hub_c2d_order *order)
{
    if (order->n_properties > HUB_PROPERTIES_MAX) {
        return refuse(c, REASON_MESSAGE_TOO_LARGE, "It has too many properties.", SPAN_NONE);
    }
    for (size_t i = 0; i < order->n_properties; i++) {
        const struct hub_property *p = &order->properties[i];

        if (!is_property_name(p->name)) {
            return refuse(c, REASON_FIELD_INVALID,
                          "'%.*s' is not a property's name: letters, digits and "
                          "!#$%%&'*+-.^_`|~, not beginning with $, and not iothub-ack.",
                          utf8_is_text(p->name) ? span_first(p->name, LIMIT_DEVICE_ID) : SPAN("?"));
        }
        if (!may_be_passed_on(p->value)) {
            return refuse(c, REASON_FIELD_INVALID,
                          "The property %.*s is not UTF-8 without control characters.", p->name);
        }
        c->properties += p->name.len + p->value.len;
    }
    return OK;
}

static err check_size(struct check *c, const struct hub_c2d_order *order)
{
    if (c->properties > LIMIT_C2D_PROPERTIES) {
        return refuse(c, REASON_MESSAGE_TOO_LARGE, "Its properties exceed 16 KiB.", SPAN_NONE);
    }
    if (order->message.body.len + c->properties > LIMIT_C2D_MESSAGE) {
        return refuse(c, REASON_MESSAGE_TOO_LARGE, "It exceeds 64 KiB, properties included.",
                      SPAN_NONE);
    }
    return OK;
}

static err check_order(const struct env *env, const struct hub_c2d_order *order,
                       struct verdict *ret_verdict)
{
    struct check c = { .env = env, .verdict = VERDICT(GRANTED) };
    const struct c2d_message *m = &order->message;

    TRY(check_system(&c, m));
    if (verdict_is_granted(c.verdict)) {
        TRY(check_application(&c, order));
    }
    if (verdict_is_granted(c.verdict)) {
        TRY(check_size(&c, order));
    }
    if (verdict_is_granted(c.verdict) && m->is_expiry_given && m->expires_ms <= env->now_ms) {
        TRY(refuse(&c, REASON_FIELD_INVALID, "The message's expiry has passed.", SPAN_NONE));
    }
    if (verdict_is_granted(c.verdict) && m->is_expiry_given &&
        m->expires_ms > env->now_ms + LIMIT_C2D_TTL_MS) {
        TRY(refuse(&c, REASON_FIELD_INVALID, "The message's expiry is more than two days away.",
                   SPAN_NONE));
    }
    *ret_verdict = c.verdict;
    return OK;
}

/* ---- application properties as kept ---- */

static bool is_overridden(const struct hub_c2d_order *order, size_t i)
{
    for (size_t k = i + 1; k < order->n_properties; k++) {
        if (span_eq(order->properties[k].name, order->properties[i].name)) {
            return true;
        }
    }
    return false;
}

static err print_properties(const struct hub_c2d_order *order, struct arena *arena,
                            struct span *ret_text)
{
    struct buf out = arena_buf(arena);
    struct json_writer w = json_writer_over(&out);

    if (order->n_properties == 0) {
        *ret_text = SPAN_NONE;
        return OK;
    }
    json_write_begin_object(&w, NULL);
    for (size_t i = 0; i < order->n_properties; i++) {
        if (!is_overridden(order, i)) {
            json_write_name(&w, order->properties[i].name);
            json_write_text(&w, NULL, order->properties[i].value);
        }
    }
    json_write_end_object(&w);
    return arena_buf_end(arena, &out, ret_text);
}

err hub_c2d_properties(const struct c2d_message *m, struct arena *arena,
                       struct hub_property ret_properties[HUB_PROPERTIES_MAX], size_t *ret_n)
{
    AUTO(json) json *document = NULL;
    size_t n = 0;

    if (!span_is_absent(m->properties)) {
        TRY(json_parse(m->properties, LIMIT_JSON_DEPTH, &document));
        for (struct json_iter it = json_first(document); it.name != NULL; json_next(&it)) {
            if (n == HUB_PROPERTIES_MAX) {
                return err_set(ERR_CORRUPT, "a stored message has too many properties");
            }
            TRY(arena_copy(arena, span_str(it.name), &ret_properties[n].name));
            TRY(arena_copy(arena, json_text(it.value), &ret_properties[n].value));
            n++;
        }
    }
    *ret_n = n;
    return OK;
}

/* ---- sending ---- */

struct sending {
    const struct env *env;
    struct c2d_message message;
    struct hub_settings settings;
    struct verdict verdict;
    size_t mark; /* what lies behind belongs to one run of the transaction */
};

/* Without its secrets, and not in the way of what follows. */
static err find_identity(struct store_tx *tx, const struct env *env, struct span hub,
                         struct span client_id, struct span *ret_generation,
                         struct verdict *ret_verdict)
{
    const struct device key = { .hub = hub, .device_id = client_id };
    struct store_scan scan = { .prefix = &key, .n_prefix = 2, .without_secrets = true, .limit = 1 };
    struct device *rows;
    size_t mark = env->arena->used;
    size_t n;

    TRY(store_scan(tx, hub_identity_kind(client_id), &scan, env->arena, &rows, &n));
    if (n == 0) {
        *ret_verdict = hub_identity_is_module(client_id) ? VERDICT(MODULE_NOT_FOUND)
                                                         : VERDICT(DEVICE_NOT_FOUND);
        return OK;
    }
    *ret_verdict = VERDICT(GRANTED);
    *ret_generation = rows[0].generation_id;
    env->arena->used = mark;
    return arena_copy(env->arena, *ret_generation, ret_generation);
}

/* The queue's own row, with the sequence to come. What a device of before left is no more. */
static err take_sequence(struct sending *s, const struct hub_c2d_owner *owner,
                         struct c2d_queue_tx *q)
{
    bool is_there;

    TRY(c2d_queue_open(q, owner, &is_there));
    if (!is_there) {
        TRY(hub_c2d_forget(q->tx, owner->hub, owner->client_id, s->env->arena));
    }
    q->row.last_sequence++;
    s->message.sequence = q->row.last_sequence;
    return store_put(q->tx, &KIND_C2D_QUEUE, &q->row);
}

/* Messages that are dead take nobody's room. */
static err make_room(struct sending *s, const struct c2d_queue_tx *q, int64_t *n)
{
    struct c2d_message m = { 0 };
    size_t mark = s->env->arena->used;
    bool is_there = true;
    bool is_dead;

    while (is_there) {
        int64_t after = m.sequence;

        s->env->arena->used = mark;
        TRY(c2d_queue_next(q, after, &m, &is_there));
        if (is_there && m.expires_ms <= s->env->now_ms && m.locked_until_ms <= s->env->now_ms) {
            TRY(c2d_queue_end_if_dead(q, &m, &is_dead));
            (*n)--;
        }
    }
    s->env->arena->used = mark;
    return OK;
}

static err insert(struct store_tx *tx, void *arg)
{
    struct sending *s = arg;
    struct c2d_message *m = &s->message;
    struct hub_c2d_owner owner = { .hub = m->hub, .client_id = m->client_id };
    struct c2d_queue_tx q = { .tx = tx, .env = s->env, .settings = &s->settings };
    int64_t n;

    s->env->arena->used = s->mark;
    TRY(find_identity(tx, s->env, m->hub, m->client_id, &owner.generation_id, &s->verdict));
    if (!verdict_is_granted(s->verdict)) {
        return OK;
    }
    TRY(take_sequence(s, &owner, &q));
    TRY(hub_c2d_count(tx, &owner, s->env->arena, &n));
    if (n >= LIMIT_C2D_QUEUE) {
        TRY(make_room(s, &q, &n));
    }
    if (n >= LIMIT_C2D_QUEUE) {
        s->verdict = VERDICT(QUEUE_FULL);
        return OK;
    }
    m->expires_ms = m->is_expiry_given ? m->expires_ms : s->env->now_ms + s->settings.c2d_ttl_ms;
    return store_insert(tx, &KIND_C2D_MESSAGE, m);
}

err hub_c2d_enqueue(const struct env *env, struct bus *bus, const struct hub_c2d_order *order,
                    int64_t *ret_sequence, struct verdict *ret_verdict)
{
    struct sending s = { .env = env, .message = order->message };

    TRY(check_order(env, order, ret_verdict));
    if (!verdict_is_granted(*ret_verdict)) {
        return OK;
    }
    TRY(print_properties(order, env->arena, &s.message.properties));
    s.message.enqueued_ms = env->now_ms;
    s.message.delivery_count = s.message.locked_until_ms = 0;
    s.message.lock_token = s.message.session_id = SPAN_NONE;
    TRY(hub_settings_get(env, s.message.hub, &s.settings));
    s.mark = env->arena->used;
    TRY(store_write(env->store, insert, &s));
    *ret_verdict = s.verdict;
    if (verdict_is_granted(s.verdict)) {
        *ret_sequence = s.message.sequence;
        bus_c2d(bus, s.message.hub, s.message.client_id);
    }
    return OK;
}

/* ---- counting, forgetting ---- */

err hub_c2d_count(struct store_tx *tx, const struct hub_c2d_owner *owner, struct arena *arena,
                  int64_t *ret_n)
{
    const struct c2d_message prefix = { .hub = owner->hub, .client_id = owner->client_id };
    struct store_scan scan = { .prefix = &prefix, .n_prefix = 2 };
    struct c2d_queue queue = { .hub = owner->hub, .client_id = owner->client_id };
    size_t mark = arena->used;
    bool is_there;

    TRY(store_find(tx, &KIND_C2D_QUEUE, &queue, arena, &queue, &is_there));
    is_there = is_there && span_eq(queue.generation_id, owner->generation_id);
    arena->used = mark;
    *ret_n = 0;
    return is_there ? store_count(tx, &KIND_C2D_MESSAGE, &scan, ret_n) : OK;
}

err hub_c2d_forget(struct store_tx *tx, struct span hub, struct span client_id, struct arena *arena)
{
    const struct c2d_message prefix = { .hub = hub, .client_id = client_id };
    const struct c2d_queue queue = { .hub = hub, .client_id = client_id };
    struct store_scan scan = { .prefix = &prefix, .n_prefix = 2 };
    size_t n;
    err e;

    TRY(store_sweep(tx, &KIND_C2D_MESSAGE, &scan, SIZE_MAX, arena, &n));
    e = store_delete(tx, &KIND_C2D_QUEUE, &queue);
    return err_is(e, ERR_NOT_FOUND) ? OK : e;
}

err hub_c2d_forget_hub(struct store_tx *tx, struct span hub, size_t most, struct arena *arena,
                       size_t *ret_n)
{
    const struct c2d_message message = { .hub = hub };
    const struct c2d_queue queue = { .hub = hub };
    const struct feedback record = { .hub = hub };
    const struct {
        const struct kind *kind;
        const void *prefix;
    } all[] = { { &KIND_C2D_MESSAGE, &message },
                { &KIND_C2D_QUEUE, &queue },
                { &KIND_FEEDBACK, &record } };
    size_t taken = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && taken < most; i++) {
        struct store_scan scan = { .prefix = all[i].prefix, .n_prefix = 1 };
        size_t n;

        TRY(store_sweep(tx, all[i].kind, &scan, most - taken, arena, &n));
        taken += n;
    }
    *ret_n = taken;
    return OK;
}

/* ---- purging ---- */

struct purging {
    const struct env *env;
    struct hub_c2d_owner owner;
    struct hub_settings settings;
    size_t n;
    struct verdict verdict;
    size_t mark;
};

/* All messages of an open queue, also those in flight. */
static err end_all(const struct c2d_queue_tx *q, size_t *ret_n)
{
    size_t mark = q->env->arena->used;
    struct c2d_message m;
    bool is_there = true;

    *ret_n = 0;
    while (is_there) {
        q->env->arena->used = mark;
        TRY(c2d_queue_next(q, 0, &m, &is_there));
        if (is_there) {
            TRY(c2d_queue_end(q, &m, FEEDBACK_PURGED));
            (*ret_n)++;
        }
    }
    return OK;
}

static err purge(struct store_tx *tx, void *arg)
{
    struct purging *p = arg;
    struct c2d_queue_tx q = { .tx = tx, .env = p->env, .settings = &p->settings };
    bool is_there;

    p->env->arena->used = p->mark;
    p->n = 0;
    TRY(find_identity(tx, p->env, p->owner.hub, p->owner.client_id, &p->owner.generation_id,
                      &p->verdict));
    if (!verdict_is_granted(p->verdict)) {
        return OK;
    }
    TRY(c2d_queue_open(&q, &p->owner, &is_there));
    return is_there ? end_all(&q, &p->n) : OK;
}

err hub_c2d_purge(const struct env *env, struct span hub, struct span client_id, size_t *ret_n,
                  struct verdict *ret_verdict)
{
    struct purging p = { .env = env, .owner = { .hub = hub, .client_id = client_id } };

    TRY(hub_settings_get(env, hub, &p.settings));
    p.mark = env->arena->used;
    TRY(store_write(env->store, purge, &p));
    *ret_n = p.n;
    *ret_verdict = p.verdict;
    return OK;
}

err hub_c2d_end(const struct env *env, struct store_tx *tx, const struct hub_c2d_owner *owner)
{
    struct hub hub = { .host_name = owner->hub };
    struct hub_settings settings;
    struct c2d_queue_tx q = { .tx = tx, .env = env, .settings = &settings };
    bool is_there, has_hub;
    size_t n;

    TRY(c2d_queue_open(&q, owner, &is_there));
    if (!is_there) {
        return OK;
    }
    TRY(store_find(tx, &KIND_HUB, &hub, env->arena, &hub, &has_hub));
    if (!has_hub) {
        return OK;
    }
    TRY(hub_settings_of(env, &hub, &settings));
    return end_all(&q, &n);
}

/* ---- the end of their time ---- */

struct expired {
    size_t n;
    struct {
        size_t hub_len, client_len;
        int64_t sequence;
        uint8_t hub[LIMIT_HOST_NAME], client[LIMIT_CLIENT_ID];
        struct hub_settings settings; /* of the hub */
    } keys[LIMIT_C2D_SWEEP];
};

struct expiring {
    const struct env *env;
    struct expired *found;
    size_t n_feedback;
    size_t mark;
};

static err note_expired(const void *row, void *arg, bool *more)
{
    const struct c2d_message *m = row;
    struct expiring *x = arg;
    struct expired *found = x->found;
    struct buf hub = buf_over(found->keys[found->n].hub, LIMIT_HOST_NAME);
    struct buf client = buf_over(found->keys[found->n].client, LIMIT_CLIENT_ID);

    *more = m->expires_ms <= x->env->now_ms;
    if (!*more || m->locked_until_ms > x->env->now_ms) {
        return OK;
    }
    buf_add(&hub, m->hub);
    buf_add(&client, m->client_id);
    found->keys[found->n].hub_len = hub.len;
    found->keys[found->n].client_len = client.len;
    found->keys[found->n].sequence = m->sequence;
    found->n++;
    *more = found->n < LIMIT_C2D_SWEEP;
    return OK;
}

static err note_expired_feedback(const void *row, void *arg, bool *more)
{
    const struct feedback *f = row;
    struct expiring *x = arg;

    x->n_feedback = f->expires_ms <= x->env->now_ms;
    *more = false;
    return OK;
}

static err find_expired(struct store_tx *tx, void *arg)
{
    struct expiring *x = arg;
    struct store_scan messages = { .index = C2D_MESSAGE_BY_EXPIRY };
    struct store_scan records = { .index = FEEDBACK_BY_EXPIRY };

    x->found->n = x->n_feedback = 0;
    TRY(store_walk(tx, &KIND_C2D_MESSAGE, &messages, x->env->arena, note_expired, x));
    return store_walk(tx, &KIND_FEEDBACK, &records, x->env->arena, note_expired_feedback, x);
}

static err expire_message(struct expiring *x, struct store_tx *tx, size_t i)
{
    struct c2d_queue_tx q = {
        .tx = tx,
        .env = x->env,
        .settings = &x->found->keys[i].settings,
        .row = { .hub = span_of(x->found->keys[i].hub, x->found->keys[i].hub_len),
                 .client_id = span_of(x->found->keys[i].client, x->found->keys[i].client_len) }
    };
    struct c2d_message m;
    bool is_there;

    TRY(store_find(tx, &KIND_C2D_QUEUE, &q.row, x->env->arena, &q.row, &is_there));
    TRY(c2d_queue_find(&q, x->found->keys[i].sequence, &m, &is_there));
    if (!is_there || m.expires_ms > x->env->now_ms || m.locked_until_ms > x->env->now_ms) {
        return OK;
    }
    return c2d_queue_end(&q, &m, FEEDBACK_EXPIRED);
}

static err expire(struct store_tx *tx, void *arg)
{
    struct expiring *x = arg;

    for (size_t i = 0; i < x->found->n; i++) {
        x->env->arena->used = x->mark;
        TRY(expire_message(x, tx, i));
    }
    x->env->arena->used = x->mark;
    return hub_feedback_expire(tx, x->env, LIMIT_C2D_SWEEP, &x->n_feedback);
}

err hub_c2d_expire(const struct env *env, struct bus *bus, void *arg, bool *again)
{
    struct expiring x = { .env = env, .found = ARENA_NEW(env->arena, struct expired) };

    (void)bus;
    (void)arg;
    if (x.found == NULL) {
        return ERR(NOMEM);
    }
    TRY(store_read(env->store, find_expired, &x));
    for (size_t i = 0; i < x.found->n; i++) {
        struct span hub = span_of(x.found->keys[i].hub, x.found->keys[i].hub_len);

        TRY(hub_settings_get(env, hub, &x.found->keys[i].settings));
    }
    x.mark = env->arena->used;
    if (x.found->n > 0 || x.n_feedback > 0) {
        TRY(store_write(env->store, expire, &x));
    }
    *again = x.found->n == LIMIT_C2D_SWEEP || x.n_feedback == LIMIT_C2D_SWEEP;
    return OK;
}
