/* core/turn.h: a request waits for those of others where it is known whose it is, and nothing was
 * done for it yet. Inside core/ only. */
#ifndef CORE_TURN_H
#define CORE_TURN_H

#include "core/reading.h"

/* ERR_BUSY: it is not its turn; nothing may be left of the request. */
static inline err core_turn_take(const struct env *env, struct span id_scope, struct span group)
{
    bool is_now = env->turn == NULL || env->turn->take(env->turn, id_scope, group);

    return is_now ? OK : ERR(BUSY);
}

/* Of nobody we know. */
static inline err core_turn_take_stranger(const struct env *env)
{
    return core_turn_take(env, SPAN_NONE, SPAN_NONE);
}

/* By what the search found. Who is genuine but disabled, or a TPM that is yet to be challenged, is
 * known; individual enrollments count as one group, or each would have a turn of its own. */
static inline err core_turn_take_found(const struct env *env, const struct core_reading *r)
{
    enum reason reason = r->found.verdict.reason;

    if (reason != REASON_GRANTED && reason != REASON_ENROLLMENT_DISABLED &&
        reason != REASON_TPM_CHALLENGED) {
        return core_turn_take_stranger(env);
    }
    return core_turn_take(env, r->id_scope,
                          r->found.enrollment.kind == ENROLLMENT_GROUP ? r->found.enrollment.key
                                                                       : SPAN_NONE);
}

#endif
