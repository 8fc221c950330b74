/* model/elsewhere.h: what provisioning asks of systems elsewhere: hubs that are not in this store,
 * and webhooks. core/ says it, remote/ does it. Each is one blocking call of at most
 * LIMIT_ELSEWHERE_MS, made again by whoever asked: all may be repeated. */
#ifndef MODEL_ELSEWHERE_H
#define MODEL_ELSEWHERE_H

#include "model/placement.h"

enum elsewhere_outcome {
    ELSEWHERE_DONE = 1,
    ELSEWHERE_RETRY,   /* no answer, a throttle, a fault over there: later it may go well */
    ELSEWHERE_REFUSED, /* it will not, until somebody changes something */
};

/* What became of a call. Spans are in the arena. */
struct elsewhere_answer {
    enum elsewhere_outcome outcome;
    int http_status;        /* 0: no whole answer */
    int64_t error_code;     /* what a device is told: the other side's own where it said one */
    struct span message;    /* for a device and its operator: the other side's own words where there
                               are any (reference dps-device-api.md 7); absent when done */
    int64_t retry_after_ms; /* as the other side asked for; 0: it did not */
};

/* `link` is remote, with its connection string. Faults are of this side alone: ERR_NOMEM. */
struct elsewhere {
    void *arg;
    err (*find)(void *arg, const struct env *env, const struct linked_hub *link,
                struct span device_id, struct device_state *ret_state, bool *ret_found,
                struct elsewhere_answer *ret_answer);
    /* Makes the device with what it carries or its initial twin, or, when it is there, refreshes
     * its credential and, with p->reset_twin, makes its twin what it carries or its initial twin,
     * as far as the hub allows. p->from_* are not looked at. */
    err (*place)(void *arg, const struct env *env, const struct linked_hub *link,
                 const struct placement *p, struct elsewhere_answer *ret_answer);
    /* DONE also when it is not there. */
    err (*take_away)(void *arg, const struct env *env, const struct linked_hub *link,
                     struct span device_id, struct elsewhere_answer *ret_answer);
    /* POSTs JSON to an https URL. DONE: 2xx, and its body, at most LIMIT_WEBHOOK_ANSWER. */
    err (*post)(void *arg, const struct env *env, struct span url, struct span body,
                struct span *ret_body, struct elsewhere_answer *ret_answer);
    /* Ends all calls under way, and every later one, at once, with RETRY: the server stops. Any
     * thread. NULL: calls are as short as that anyway. */
    void (*cancel)(void *arg);
};

#endif
