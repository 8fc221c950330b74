/* core/registration.h: the life of a registration record. Inside core/ only; what the operator may
 * do with it is in core/enrollment.h.
 *
 *   (none, UNASSIGNED) --+--> ASSIGNED   attested, and a hub took the device
 *   ASSIGNED, FAILED,    +--> FAILED     attested, but no hub may take it
 *   DISABLED ------------+--> DISABLED   attested, but the enrollment is disabled
 *                        +--> UNASSIGNED what it says is not so, and the operator mends it
 *                                        (core/reconcile.h); nothing else of it need change
 *
 * Where nothing elsewhere has to be asked, hub and record are written in one transaction. Otherwise
 * the record is ASSIGNING until its errand (core/errand.h) is done, and then one of the above. */
#ifndef CORE_REGISTRATION_H
#define CORE_REGISTRATION_H

#include "model/records.h"

/* The move of `was` (zero: none yet) to the complete record `is`; aborts if the table forbids it
 * or `is` breaks the invariant of its status. */
void core_registration_move(const struct registration *was, const struct registration *is);

#endif
