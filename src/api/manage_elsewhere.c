/* api/manage_elsewhere.c: a few calls at once to hubs elsewhere, and what their failures are to an
 * operator. */
#include "api/manage_elsewhere.h"

#include <stdatomic.h>

#include "model/limits.h"

static atomic_int under_way;

static bool begin(const struct http_call *call)
{
    if (call->service->elsewhere != NULL &&
        atomic_fetch_add(&under_way, 1) < LIMIT_RECONCILE_CALLS) {
        return true;
    }
    if (call->service->elsewhere != NULL) {
        (void)atomic_fetch_sub(&under_way, 1);
    }
    return false;
}

static void end(void)
{
    (void)atomic_fetch_sub(&under_way, 1);
}

err manage_elsewhere_list(struct http_call *call, const struct linked_hub *link, struct span token,
                          struct span **ret_ids, size_t *ret_n, struct span *ret_token,
                          struct elsewhere_answer *ret_answer)
{
    const struct elsewhere *elsewhere = call->service->elsewhere;
    err e;

    if (!begin(call)) {
        return ERR(BUSY);
    }
    e = elsewhere->list(elsewhere->arg, call->env, link, token, ret_ids, ret_n, ret_token,
                        ret_answer);
    end();
    return e;
}

err manage_elsewhere_has(struct http_call *call, const struct linked_hub *link,
                         struct span device_id, bool *ret_has, struct elsewhere_answer *ret_answer)
{
    const struct elsewhere *elsewhere = call->service->elsewhere;
    struct device_state state;
    err e;

    if (!begin(call)) {
        return ERR(BUSY);
    }
    e = elsewhere->find(elsewhere->arg, call->env, link, device_id, &state, ret_has, ret_answer);
    end();
    return e;
}

struct verdict manage_elsewhere_verdict(const struct elsewhere_answer *answer)
{
    struct verdict v = VERDICT(HUB_ELSEWHERE_FAILED);

    if (answer->outcome == ELSEWHERE_DONE) {
        return VERDICT(GRANTED);
    }
    if (answer->http_status == 429) {
        v = VERDICT(THROTTLED);
    }
    v.detail = answer->message;
    return v;
}

err manage_elsewhere_refuse(struct http_call *call, const struct elsewhere_answer *answer)
{
    struct span seconds;

    TRY(http_call_refuse(call, manage_elsewhere_verdict(answer)));
    if (answer->retry_after_ms > 0) {
        TRY(arena_printf(call->env->arena, &seconds, "%lld",
                         (long long)(answer->retry_after_ms + 999) / 1000));
        http_call_header(call, "Retry-After", seconds);
    }
    return OK;
}
