/* core/errand_row.h: errands as rows: making them, and one taking another's place, in the
 * transaction that makes it so. Inside core/ only; what an errand does is core/errand.h's. */
#ifndef CORE_ERRAND_ROW_H
#define CORE_ERRAND_ROW_H

#include "model/env.h"
#include "model/records.h"
#include "util/err.h"

struct store_tx;

/* The assignment that a registration waits for. */
err core_errand_row_find(const struct env *env, struct store_tx *tx, struct span id_scope,
                         struct span registration_key, struct errand *ret_errand, bool *ret_found);

/* Begins *e, an ASSIGN errand: complete but for lane, step, times, tries and was_there, which are
 * filled in. `old`, if any, is abandoned for it. */
err core_errand_row_begin(const struct env *env, struct store_tx *tx, const struct errand *old,
                          struct errand *e);
/* *e has learnt where it goes: which lane, which step, and nothing may be about to take the device
 * away there. Not put. */
err core_errand_row_aim(const struct env *env, struct store_tx *tx, struct errand *e);
/* Its registration is to wait no more. What it may have made on a hub elsewhere is to go. */
err core_errand_row_abandon(const struct env *env, struct store_tx *tx, const struct errand *e);
/* Due now, unless somebody works on it. */
err core_errand_row_hurry(const struct env *env, struct store_tx *tx, const struct errand *e);

/* Leaves a REMOVE errand for a device of a hub elsewhere, which `of` made or moved away from. Not
 * before quiet_ms (0: at once). */
err core_errand_row_remove(const struct env *env, struct store_tx *tx, const struct errand *of,
                           struct span hub, struct span device_id, int64_t quiet_ms);
/* May the REMOVE errand go on? Not if a registration of its instance has its device there
 * (*ret_is_wanted: never), or is on its way there (*ret_is_coming: not now). */
err core_errand_row_check_remove(const struct env *env, struct store_tx *tx, const struct errand *e,
                                 bool *ret_is_wanted, bool *ret_is_coming);

#endif
