/* core/custom_rule.c: a request given to a rule. What a script may do is rule/'s; whether its
 * answer is good is core/custom_answer.c's. Needs no store: the command line replays with it. */
#include "core/allocate.h"
#include "core/custom.h"
#include "model/limits.h"
#include "rule/rule.h"

/* What policy "hashed" would take of these hubs. */
static err pick(struct arena *arena, struct span registration_id, const struct rule_hub *hubs,
                size_t n, size_t *ret_i)
{
    struct core_link *rows = ARENA_ARRAY(arena, n, struct core_link);
    uint16_t *at = ARENA_ARRAY(arena, n, uint16_t);
    const struct core_links links = { .rows = rows, .n = n };
    const struct core_candidates candidates = { .links = &links, .at = at, .n = n };
    struct allocate_query q = { .policy = ALLOCATION_HASHED, .candidates = &candidates };
    struct allocation a;

    if (rows == NULL || at == NULL) {
        return ERR(NOMEM);
    }
    TRY(model_fold(arena, registration_id, &q.registration_key));
    for (size_t i = 0; i < n; i++) {
        at[i] = (uint16_t)i;
        rows[i].weight = (uint16_t)hubs[i].weight; /* 1 to 1000 */
        rows[i].applies_policy = true;
        TRY(model_fold(arena, hubs[i].host_name, &rows[i].host_name));
        rows[i].hash = core_allocate_hash(rows[i].host_name);
    }
    a = core_allocate(&q);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].host_name.data == a.hub.data) {
            *ret_i = i;
        }
    }
    return OK;
}

static size_t pick_hashed(void *arg, struct span registration_id, const struct rule_hub *hubs,
                          size_t n)
{
    struct arena *arena = arg;
    size_t mark = arena->used;
    size_t i = 0;
    err e = pick(arena, registration_id, hubs, n, &i);

    arena->used = mark; /* a script may ask often */
    return err_is_ok(e) ? i : n;
}

err core_custom_run_rule(struct arena *arena, struct span source, struct span request,
                         struct core_custom_answer *ret_answer,
                         struct core_custom_transcript *ret_transcript)
{
    const struct rule_job job = {
        .source = source,
        .request = request,
        .pick = pick_hashed,
        .arg = arena,
        .clock_us = rule_clock_us,
    };
    struct core_custom_transcript t = { .kind = CORE_CUSTOM_RULE, .request = request };
    struct core_custom_answer answer = { 0 };
    struct rule_result r;

    TRY(rule_run(&job, arena, &r));
    t.answer = r.answer;
    t.error = r.error;
    t.log = r.log;
    t.duration_us = r.duration_us;
    if (span_is_absent(r.error)) {
        TRY(core_custom_read_answer(arena, request, r.answer, &answer, &t.error));
    }
    t.hub = answer.hub;
    *ret_answer = answer;
    *ret_transcript = t;
    return OK;
}
