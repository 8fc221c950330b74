/* core/decision.h: a search as a decision record. Inside core/ only; what the operator reads is
 * core_decision_* of core/enrollment.h. */
#ifndef CORE_DECISION_H
#define CORE_DECISION_H

#include "core/search.h"

/* Who asked, when and what: all that is known before anything is decided. */
void core_decision_begin(const struct env *env, const struct claim *claim, struct span id_scope,
                         struct span registration_key, struct decision *ret_decision);
/* What was presented: a TPM's keys and the certificates of its endorsement key, or the client's
 * certificates. ERR_NOMEM. */
err core_decision_presented(const struct env *env, const struct claim *claim, struct decision *d);
/* What was considered, who decided, and the verdict. ERR_NOMEM. */
err core_decision_found(const struct env *env, const struct core_found *found, struct decision *d);

#endif
