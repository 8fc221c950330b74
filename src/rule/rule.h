/* rule/rule.h: runs a rule: a Lua script of an operator's that says where one device goes. The only
 * folder that calls Lua.
 *
 * A script is a stranger's: it may belong to any tenant. Each run has a Lua state of its own, so
 * nothing is left over for the next, with a cap on its memory, its instructions, the steps of its
 * patterns and its processor time, none of which it can catch. It sees text, tables, numbers and
 * the request; no file, no clock, no randomness, no address: the same request and script give the
 * same answer on every machine. The language: doc/allocation-rules.md. */
#ifndef RULE_RULE_H
#define RULE_RULE_H

#include "util/arena.h"

/* A hub to pick from. */
struct rule_hub {
    struct span host_name; /* as the request has it */
    int64_t weight;
};

struct rule_job {
    struct span source;
    struct span request; /* JSON object; the script's global `request` */
    /* The built-in choice, which scripts may ask for: an index below n, n > 0; n: there was no
     * memory for it. */
    size_t (*pick)(void *arg, struct span registration_id, const struct rule_hub *hubs, size_t n);
    void *arg;
    /* Processor time of this thread; NULL: time is not limited, and duration_us 0. */
    int64_t (*clock_us)(void);
};

struct rule_result {
    struct span answer; /* JSON {"iotHubHostName","initialTwin"?,"payload"?}; absent: error */
    struct span error;  /* one line, for the operator; absent: answer */
    struct span log;    /* JSON array of lines; absent: none */
    int64_t duration_us;
};

/* At most some LIMIT_RULE_MS of this thread. Results are in the arena. ERR_NOMEM; ERR_CORRUPT: the
 * request is no JSON object. What is wrong with the script is no fault but a result. */
err rule_run(const struct rule_job *job, struct arena *arena, struct rule_result *ret_result);

/* Does it compile? *ret_wrong: one line with the script's line number, or absent. It is not run.
 * ERR_NOMEM. */
err rule_check(struct span source, struct arena *arena, struct span *ret_wrong);

/* Processor time of this thread, for clock_us. */
int64_t rule_clock_us(void);

#endif
