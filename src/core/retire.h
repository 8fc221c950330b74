/* core/retire.h: taking an instance away, with all that it had. */
#ifndef CORE_RETIRE_H
#define CORE_RETIRE_H

#include "model/env.h"
#include "model/reason.h"
#include "model/records.h"

/* Begins: from now on devices and operators are answered as if the instance were gone, and it is
 * linked to no hub. RESOURCE_NOT_FOUND; RESOURCE_IN_USE: it has enrollments or registrations, or
 * hubs that it made, and `force` is not given. Begun before: GRANTED. */
err core_retire_begin(const struct env *env, struct span name, bool force,
                      struct instance *ret_instance, struct verdict *ret_verdict);
/* Goes on: takes away up to `most` rows of what it had, in transactions of LIMIT_DELETE_BATCH, and
 * the instance itself when nothing is left and its hubs are gone. */
err core_retire_sweep(const struct env *env, struct span id_scope, size_t most, bool *ret_is_done);

#endif
