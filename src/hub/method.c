/* hub/method.c: who may be called, and how long for. A call ends a little before its caller's own
 * clock would end it, and asks nobody's permission: the device may still answer, to nobody.
 *
 * A device that went after it took the request is waited for to the end: SDKs renew a token by
 * connecting anew, and answer on the new connection. One that went before it took it is as if it
 * had not been there. */
#include "hub/method.h"

#include <stdlib.h>

#include "hub/identity.h"
#include "model/limits.h"
#include "util/arena.h"
#include "util/hex.h"

enum { RID_BYTES = 16 };

bool hub_method_is_name(struct span name)
{
    static const char forbidden[] = "$()<>@,;:\\\"/[]?={}+#";

    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];

        if (c <= ' ' || c > '~' || memchr(forbidden, c, sizeof(forbidden) - 1) != NULL) {
            return false;
        }
    }
    return name.len > 0 && name.len <= LIMIT_METHOD_NAME;
}

/* ---- making it ---- */

struct check_work {
    const struct env *env;
    const struct hub_method *method;
    struct verdict verdict;
};

static err check(struct store_tx *tx, void *arg)
{
    struct check_work *w = arg;
    const struct hub_method *m = w->method;
    struct span id = hub_identity_device(m->client_id);
    struct device d;
    bool is_found;

    TRY(hub_identity_find(tx, m->hub, id, w->env->arena, &d, &is_found));
    if (!is_found) {
        w->verdict = VERDICT(DEVICE_NOT_FOUND);
        return OK;
    }
    w->verdict = d.status == DEVICE_ENABLED ? VERDICT(GRANTED) : VERDICT(DEVICE_NOT_ONLINE);
    if (hub_identity_is_module(m->client_id)) {
        TRY(hub_identity_find(tx, m->hub, m->client_id, w->env->arena, &d, &is_found));
        if (!is_found) {
            w->verdict = VERDICT(MODULE_NOT_FOUND);
        }
    }
    return OK;
}

static struct span put_behind(uint8_t **at, struct span s)
{
    uint8_t *to = *at;

    memcpy(to, s.data, s.len);
    *at += s.len;
    return span_of(to, s.len);
}

/* One block: the call, then its names; and the letter in one of its own. */
static struct hub_call *make(const struct env *env, const struct hub_method *m)
{
    uint8_t random[RID_BYTES], text[2 * RID_BYTES];
    struct buf rid = buf_over(text, sizeof(text));
    struct bus_letter letter = { .kind = BUS_LETTER_METHOD,
                                 .name = m->name,
                                 .payload = m->payload };
    struct hub_call *c = calloc(1, sizeof(*c) + m->hub.len + m->client_id.len + sizeof(text));
    uint8_t *behind = (uint8_t *)(c + 1);

    if (c == NULL) {
        return NULL;
    }
    env->random(random, sizeof(random));
    hex_encode_lower(span_of(random, sizeof(random)), &rid);
    c->bus_call.hub = put_behind(&behind, m->hub);
    c->bus_call.client_id = put_behind(&behind, m->client_id);
    c->bus_call.rid = letter.rid = put_behind(&behind, buf_span(&rid));
    c->connect_ms = m->connect_ms;
    c->response_ms = m->response_ms;
    c->letter = bus_letter_new(&letter);
    if (c->letter == NULL) {
        free(c);
        return NULL;
    }
    return c;
}

err hub_method_prepare(const struct env *env, struct bus *bus, const struct hub_method *m,
                       struct hub_call **ret_call, struct verdict *ret_verdict)
{
    struct check_work w = { .env = env, .method = m };
    struct hub_call *c;

    TRY(store_read(env->store, check, &w));
    if (verdict_is_granted(w.verdict) && m->connect_ms == 0 &&
        !bus_is_connected(bus, m->hub, m->client_id)) {
        w.verdict = VERDICT(DEVICE_NOT_ONLINE);
    }
    if (verdict_is_granted(w.verdict)) {
        c = make(env, m);
        if (c == NULL) {
            return ERR(NOMEM);
        }
        *ret_call = c;
    }
    *ret_verdict = w.verdict;
    return OK;
}

/* ---- its life ---- */

static void on_told(struct bus_call *bus_call)
{
    struct hub_call *c = (struct hub_call *)bus_call; /* its first member */

    c->tell(c);
}

void hub_call_begin(struct hub_call *c, struct bus *bus, void *owner,
                    void (*tell)(struct hub_call *c), int64_t now_ms)
{
    c->bus = bus;
    c->owner = owner;
    c->tell = tell;
    c->began_ms = now_ms;
    c->posted_ms = c->drain_ms = INT64_MAX;
    c->bus_call.tell = on_told;
    c->is_refused = !bus_call_begin(bus, &c->bus_call, c->letter);
    if (!c->is_refused) {
        c->letter = NULL; /* the bus's */
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* By when a device that is there must have answered, or (posted_ms is not known) be there. */
static int64_t until_ms(const struct hub_call *c)
{
    int64_t connect_ms = c->began_ms + c->connect_ms;
    int64_t last_ms = connect_ms + c->response_ms - LIMIT_METHOD_MARGIN_MS;

    return c->posted_ms == INT64_MAX ? earlier(connect_ms, last_ms)
                                     : earlier(c->posted_ms + c->response_ms, last_ms);
}

int64_t hub_call_deadline(const struct hub_call *c)
{
    return c->is_refused ? c->began_ms : earlier(until_ms(c), c->drain_ms);
}

static bool end(struct hub_call *c, enum reason reason, int64_t now_ms)
{
    c->is_over = true;
    c->end.reason = reason;
    c->end.waited_ms = now_ms - c->began_ms;
    if (reason == REASON_GRANTED) {
        const struct bus_letter *answer = bus_call_answer_of(&c->bus_call);

        c->end.status = answer->number;
        c->end.payload = answer->payload;
    } else {
        bus_call_end(c->bus, &c->bus_call); /* an answer that comes now is dropped */
    }
    return true;
}

/* The clock went back to before it began: its time starts anew. */
static void begin_anew(struct hub_call *c, int64_t now_ms)
{
    c->began_ms = now_ms;
    c->posted_ms = c->posted_ms == INT64_MAX ? INT64_MAX : now_ms;
    c->drain_ms = INT64_MAX;
}

bool hub_call_look(struct hub_call *c, bool stops, int64_t now_ms)
{
    enum bus_call_state state;

    if (c->is_over) {
        return true;
    }
    if (now_ms < c->began_ms) {
        begin_anew(c, now_ms);
    }
    if (c->is_refused) {
        return end(c, REASON_THROTTLED, now_ms);
    }
    state = bus_call_state(c->bus, &c->bus_call);
    if (state == BUS_CALL_ANSWERED) {
        return end(c, REASON_GRANTED, now_ms);
    }
    if (state == BUS_CALL_GONE) {
        return end(c,
                   hub_identity_is_module(c->bus_call.client_id) ? REASON_MODULE_NOT_FOUND
                                                                 : REASON_DEVICE_NOT_FOUND,
                   now_ms);
    }
    if (stops && c->drain_ms == INT64_MAX) {
        c->drain_ms = now_ms + LIMIT_DRAIN_MS - LIMIT_METHOD_DRAIN_MS;
    }
    if (now_ms >= c->drain_ms || (stops && state == BUS_CALL_OFFLINE)) {
        return end(c, REASON_UNAVAILABLE, now_ms); /* nobody can connect any more */
    }
    if (state == BUS_CALL_OFFLINE) {
        c->posted_ms = INT64_MAX;
    } else if (c->posted_ms == INT64_MAX) {
        c->posted_ms = now_ms;
    }
    if (now_ms < until_ms(c)) {
        return false;
    }
    return end(c,
               state == BUS_CALL_OFFLINE  ? REASON_DEVICE_NOT_ONLINE
               : state == BUS_CALL_QUEUED ? REASON_THROTTLED
                                          : REASON_DEVICE_TIMEOUT,
               now_ms);
}

void hub_call_free(struct hub_call *c)
{
    if (c != NULL) {
        if (c->bus != NULL) {
            bus_call_end(c->bus, &c->bus_call);
        }
        bus_letter_free(c->letter);
        free(c);
    }
}
