/* core/errand_settle.h: what claim and sweep share with the settlement of a call. Inside core/
 * only; see core/errand.h. */
#ifndef CORE_ERRAND_SETTLE_H
#define CORE_ERRAND_SETTLE_H

#include "core/errand.h"

struct store_tx;

/* Is w->errand, a row as it was just read, still wanted? Then w->end is GOES_ON, and
 * w->registration (of an ASSIGN), w->to and w->from are set. If not, it has come to its end in this
 * transaction, or is put off. */
err core_errand_settle_check(const struct env *env, struct store_tx *tx,
                             struct core_errand_work *w);
/* It has waited too long. After a check that found it wanted. */
err core_errand_settle_expire(const struct env *env, struct store_tx *tx,
                              struct core_errand_work *w);

#endif
