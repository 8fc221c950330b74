/* core/decision.h: a reading as a decision record. Inside core/ only; what the operator reads is
 * core_decision_* of core/enrollment.h. */
#ifndef CORE_DECISION_H
#define CORE_DECISION_H

#include "core/reading.h"

/* Who asked, when and what: all that is known before anything is decided. */
void core_decision_begin(const struct env *env, const struct claim *claim, struct span id_scope,
                         struct span registration_key, struct decision *ret_decision);
/* What was presented: a TPM's keys and the certificates of its endorsement key, or the client's
 * certificates. ERR_NOMEM. */
err core_decision_presented(const struct env *env, const struct claim *claim, struct decision *d);
/* The decision on what was read, complete for a refusal: all of the above, what was considered, who
 * decided, and the verdict. ERR_NOMEM. */
err core_decision_describe(const struct env *env, const struct claim *claim,
                           const struct core_reading *reading, struct decision *ret_decision);

#endif
