/* hub/session.c: what a device subscribed to, kept for its next connections. */
#include "hub/bus.h"
#include "hub/hub.h"
#include "hub/identity.h"
#include "store/store.h"

struct keep_work {
    const struct env *env;
    struct session session;
    struct bus *bus;
    const struct bus_member *member;
    struct verdict verdict;
};

static err put_session(struct store_tx *tx, void *arg)
{
    struct keep_work *w = arg;
    struct device d;
    size_t mark = w->env->arena->used;
    bool is_there;

    /* Here and not before: whoever supersedes us reads what is kept after this transaction. */
    if (w->member != NULL && bus_is_superseded(w->bus, w->member)) {
        w->verdict = VERDICT(SESSION_TAKEN_OVER);
        return OK;
    }
    TRY(hub_identity_find(tx, w->session.hub, w->session.client_id, w->env->arena, &d, &is_there));
    is_there = is_there && span_eq(d.generation_id, w->session.generation_id);
    w->env->arena->used = mark;
    w->verdict = is_there ? VERDICT(GRANTED) : VERDICT(DEVICE_NOT_FOUND);
    return is_there ? store_put(tx, &KIND_SESSION, &w->session) : OK;
}

err hub_session_keep(const struct env *env, const struct session *session, struct bus *bus,
                     const struct bus_member *member, struct verdict *ret_verdict)
{
    struct keep_work w = { .env = env, .session = *session, .bus = bus, .member = member };

    w.session.updated_ms = env->now_ms;
    TRY(store_write(env->store, put_session, &w));
    *ret_verdict = w.verdict;
    return OK;
}
