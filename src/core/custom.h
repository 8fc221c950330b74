/* core/custom.h: allocation policy "custom": somebody else's word for the hub of one device: a
 * webhook (Azure's contract, reference dps-device-api.md 7.1) or a rule, a Lua script kept with the
 * enrollment (rule/rule.h). Both see the same request and give the same answer:
 *
 *   request { "enrollmentGroup" | "individualEnrollment": {…}, "deviceRuntimeContext": {…},
 *             "linkedHubs": [host name, …] }   and for a rule "hubs": [{…}, …]
 *   answer  { "iotHubHostName": one of linkedHubs, "initialTwin"?: {…}, "payload"?: {…} }
 *
 * What was asked and answered is kept as a transcript in the decision record (member `allocation`),
 * from which it can be replayed. doc/allocation-rules.md, doc/adr/0026. */
#ifndef CORE_CUSTOM_H
#define CORE_CUSTOM_H

#include "model/env.h"
#include "util/arena.h"

/* What an answer says, once it is found good. */
struct core_custom_answer {
    struct span hub;          /* folded */
    struct span initial_twin; /* JSON, or absent */
    struct span payload;      /* JSON object, or absent */
};

/* Reads the answer to `request`: the hub must be one of its linkedHubs (in any case), initialTwin
 * as an enrollment's, payload an object of at most LIMIT_CUSTOM_PAYLOAD bytes; other members are
 * passed over. All is copied into the arena. *ret_wrong: one sentence on what is wrong with the
 * answer, safe for the device, and *ret_answer is not written; absent: nothing. ERR_NOMEM;
 * ERR_CORRUPT: the request is none. */
err core_custom_read_answer(struct arena *arena, struct span request, struct span answer,
                            struct core_custom_answer *ret_answer, struct span *ret_wrong);

/* What a device is told of a webhook that did not answer 2xx: "Custom allocation failed with status
 * code: 400" (Azure's words); http_status 0, no whole answer: in words. */
err core_custom_webhook_failed(struct arena *arena, int http_status, struct span *ret_message);

enum core_custom_kind { CORE_CUSTOM_RULE = 1, CORE_CUSTOM_WEBHOOK };

/* What the decision record keeps. Texts that are absent are left out. */
struct core_custom_transcript {
    enum core_custom_kind kind;
    struct span url;         /* webhook: recorded without its query, which may hold a key */
    struct span rule_sha256; /* rule: 32 bytes, of its source */
    struct span request;     /* JSON */
    struct span answer;      /* as it came; any bytes */
    struct span error;       /* one sentence: why there is no hub */
    struct span hub;         /* where the answer sends the device */
    struct span log;         /* rule: JSON array of lines */
    int64_t duration_us;
    int64_t tries;   /* webhook */
    bool is_pending; /* asked later: no answer yet */
};

/* Asks a rule. Transcript without rule_sha256; its error absent: *ret_answer is good. ERR_NOMEM;
 * ERR_CORRUPT: the request is none. */
err core_custom_run_rule(struct arena *arena, struct span source, struct span request,
                         struct core_custom_answer *ret_answer,
                         struct core_custom_transcript *ret_transcript);

/* As the JSON object of `allocation`. A request or answer of more than LIMIT_TRANSCRIPT_PART bytes
 * is left out, its size told. ERR_NOMEM. */
err core_custom_record(struct arena *arena, const struct core_custom_transcript *t,
                       struct span *ret_json);

#endif
