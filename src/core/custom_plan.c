/* core/custom_plan.c: who is to be asked, and what becomes of a rule's answer; a webhook's is an
 * errand's (core/errand.h). */
#include "core/custom_plan.h"

#include "core/custom.h"
#include "core/errands.h"
#include "crypto/crypto.h"
#include "model/limits.h"
#include "json/json.h"

/* An enrollment's customAllocationDefinition. Borrowed from the document. */
struct definition {
    struct span rule;                     /* the one … */
    struct span webhook_url, api_version; /* … or the other */
};

static struct definition read_definition(const json *extra)
{
    const json *d = json_member(extra, "customAllocationDefinition");

    return (struct definition){
        .rule = json_text(json_member(d, "rule")),
        .webhook_url = json_text(json_member(d, "webhookUrl")),
        .api_version = json_text(json_member(d, "apiVersion")),
    };
}

/* Is the word in the script? It need not be told what it never asks for. */
static bool mentions(struct span source, struct span word)
{
    return memmem(source.data, source.len, word.data, word.len) != NULL;
}

/* To the device it is enough that the rule failed; to the operator, the transcript tells why. */
static const char rule_failed[] = "Custom allocation failed: the enrollment's rule has an error.";

static err run_rule(const struct env *env, struct span source, struct span request,
                    struct core_plan *plan)
{
    struct core_custom_answer answer;
    struct core_custom_transcript t;
    uint8_t sha256[CRYPTO_SHA256_LEN];

    TRY(core_custom_run_rule(env->arena, source, request, &answer, &t));
    TRY(crypto_sha256(env->crypto, source, sha256));
    t.rule_sha256 = span_of(sha256, sizeof sha256);
    TRY(core_custom_record(env->arena, &t, &plan->allocation));
    if (!span_is_absent(t.error)) {
        plan->reason = REASON_CUSTOM_ALLOCATION_FAILED;
        plan->error_message = span_is_absent(t.answer) ? span_str(rule_failed) : t.error;
        return OK;
    }
    plan->reason = REASON_GRANTED;
    plan->hub = answer.hub;
    plan->payload = answer.payload;
    if (!span_is_absent(answer.initial_twin)) {
        plan->initial_twin = answer.initial_twin;
        plan->overrides_twin = true;
    }
    return OK;
}

static err ask_webhook(const struct env *env, struct span url, struct span request,
                       struct core_plan *plan)
{
    const struct core_custom_transcript t = {
        .kind = CORE_CUSTOM_WEBHOOK, .url = url, .request = request, .is_pending = true
    };

    plan->reason = REASON_GRANTED;
    plan->asks_webhook = true;
    plan->webhook_request = request;
    TRY(arena_copy(env->arena, url, &plan->webhook_url));
    return core_custom_record(env->arena, &t, &plan->allocation);
}

/* `d` of a stored enrollment: it was checked then. */
static err ask(const struct env *env, const struct definition *d, const struct core_tools *tools,
               struct core_custom_request *q, struct core_plan *plan)
{
    struct span request;

    TRY(tools->write_enrollment(env, &q->reading->found.enrollment, d->api_version,
                                &q->enrollment));
    q->for_rule = !span_is_absent(d->rule);
    q->with_loads = q->for_rule && mentions(d->rule, SPAN("devices"));
    TRY(core_custom_write_request(env, q, &request));
    return q->for_rule ? run_rule(env, d->rule, request, plan)
                       : ask_webhook(env, d->webhook_url, request, plan);
}

/* The hubs that are offered: those that drain take nobody. */
static err offer(const struct env *env, const struct core_candidates *c,
                 struct core_custom_request *q)
{
    struct core_custom_hub *hubs = ARENA_ARRAY(env->arena, c->n + 1, struct core_custom_hub);

    if (hubs == NULL) {
        return ERR(NOMEM);
    }
    q->hubs = hubs;
    for (size_t i = 0; i < c->n; i++) {
        const struct core_link *link = core_candidate(c, i);

        if (!link->is_draining) {
            hubs[q->n_hubs++] = (struct core_custom_hub){
                .host_name = link->host_name,
                .location = link->location,
                .weight = link->weight,
                .has_coordinates = link->has_coordinates,
                .point = link->point,
                .is_down =
                    link->is_remote &&
                    core_errands_is_down(env->errands, q->reading->id_scope, link->host_name),
            };
        }
    }
    return OK;
}

err core_custom_plan(const struct env *env, const struct claim *claim,
                     const struct core_reading *reading, const struct core_tools *tools,
                     struct core_plan *plan, bool *ret_is_planned)
{
    AUTO(json) json *extra = NULL;
    struct core_custom_request q = { .reading = reading, .claim = claim };
    const struct enrollment *e = &reading->found.enrollment;
    struct definition d;

    *ret_is_planned = false;
    if (!e->update_hub_assignment && reading->has_registration &&
        !span_is_absent(reading->registration.placed_hub)) {
        return OK;
    }
    TRY(offer(env, &reading->candidates, &q));
    if (q.n_hubs == 0) {
        return OK;
    }
    if (!span_is_absent(e->extra)) {
        TRY(json_parse(e->extra, LIMIT_JSON_DEPTH, &extra));
    }
    *ret_is_planned = true;
    d = read_definition(extra);
    if (span_is_absent(d.rule) && span_is_absent(d.webhook_url)) {
        /* The instance's policy, from before that was refused. */
        plan->reason = REASON_CUSTOM_ALLOCATION_FAILED;
        plan->error_message =
            SPAN("Custom allocation failed: the enrollment has no customAllocationDefinition.");
        return OK;
    }
    return ask(env, &d, tools, &q, plan);
}
