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
    bool has_made;          /* place, not done: it has made the device all the same */
};

/* What was looked at of a hub elsewhere, in this order. What cannot be known as something before it
 * failed is not asked. */
enum elsewhere_question {
    ELSEWHERE_NAME,            /* does the name, or the address, resolve? */
    ELSEWHERE_CONNECT,         /* does somebody listen there? */
    ELSEWHERE_TLS,             /* is its certificate of that name, and trusted? */
    ELSEWHERE_ANSWER,          /* does it answer, and as a hub? */
    ELSEWHERE_TOKEN,           /* does it take the connection string's key? */
    ELSEWHERE_REGISTRY_WRITE,  /* may that key make devices? */
    ELSEWHERE_SERVICE_CONNECT, /* may it write twins? */
    ELSEWHERE_CLOCK,           /* do the clocks agree? */
    ELSEWHERE_QUESTIONS,
};

struct elsewhere_report {
    bool is_asked[ELSEWHERE_QUESTIONS];
    bool is_good[ELSEWHERE_QUESTIONS];
    struct span words[ELSEWHERE_QUESTIONS]; /* what was found, where there is something to say */
    int64_t connect_ms; /* to the end of TLS; 0: not reached, or over a connection that was there */
    int64_t answer_ms;  /* of the last request */
    int64_t skew_ms;    /* how much its clock is ahead of ours; to a second */
};

/* `link` is remote, with its connection string. Faults are of this side alone: ERR_NOMEM;
 * ERR_CORRUPT: it has no connection string. */
struct elsewhere {
    void *arg;
    err (*find)(void *arg, const struct env *env, const struct linked_hub *link,
                struct span device_id, struct device_state *ret_state, bool *ret_found,
                struct elsewhere_answer *ret_answer);
    /* Makes the device with what it carries or its initial twin, or, when it is there, refreshes
     * its credential and, with p->reset_twin, makes its twin what it carries or its initial twin,
     * as far as the hub allows: nothing writes what was reported of one that is there. p->from_*
     * are not looked at. */
    err (*place)(void *arg, const struct env *env, const struct linked_hub *link,
                 const struct placement *p, struct elsewhere_answer *ret_answer);
    /* DONE also when it is not there. */
    err (*take_away)(void *arg, const struct env *env, const struct linked_hub *link,
                     struct span device_id, struct elsewhere_answer *ret_answer);
    /* POSTs JSON to an https URL. DONE: 2xx, and its body, at most LIMIT_WEBHOOK_ANSWER. The body
     * of another answer is there as well, for the operator; absent: no whole answer. */
    err (*post)(void *arg, const struct env *env, struct span url, struct span body,
                struct span *ret_body, struct elsewhere_answer *ret_answer);
    /* The hub's next device IDs, in whatever order it has, behind `token` (absent: from the start):
     * at most LIMIT_PAGE. *ret_token: where the next call goes on; absent: these were the last. May
     * be some seconds behind what the hub knows. */
    err (*list)(void *arg, const struct env *env, const struct linked_hub *link, struct span token,
                struct span **ret_ids, size_t *ret_n, struct span *ret_token,
                struct elsewhere_answer *ret_answer);
    /* Asks a hub what find, place and take_away need, and changes nothing there. At most
     * LIMIT_LINK_CHECK_MS; is_over is asked now and then, and ends it; NULL: never. */
    err (*check)(void *arg, const struct env *env, const struct linked_hub *link,
                 bool (*is_over)(void), struct elsewhere_report *ret_report);
    /* Ends all calls under way, and every later one, within a second, with RETRY: the server stops.
     * Any thread. NULL: calls are as short as that anyway. */
    void (*cancel)(void *arg);
};

#endif
