/* core/register.h: what a refusal leaves behind, for all who ask a TPM to prove itself. Inside
 * core/ only; core_register itself is in core/core.h. */
#ifndef CORE_REGISTER_H
#define CORE_REGISTER_H

#include "core/core.h"

struct core_reading;

/* Refuses, and stores the decision record, which has the same reason. TPM_CHALLENGED: with a
 * challenge, whose wrapped key is in the outcome. The store's faults; ERR_CRYPTO. */
err core_register_refuse(const struct env *env, const struct claim *claim,
                         const struct core_reading *reading, struct verdict verdict,
                         const struct decision *d, struct core_outcome *ret_outcome);

#endif
