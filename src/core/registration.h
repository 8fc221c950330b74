/* core/registration.h: the life of a registration record. Inside core/ only; what the operator may
 * do with it is in core/enrollment.h.
 *
 *   (none, UNASSIGNED)   +--> ASSIGNED   attested, and a hub took the device
 *   ASSIGNED, FAILED,    +--> FAILED     attested, but no hub may take it
 *   DISABLED, ASSIGNING -+--> DISABLED   attested, but the enrollment is disabled
 *                        +--> ASSIGNING  attested, and a system elsewhere has a part in it:
 *                        |      ASSIGNED, FAILED or DISABLED by its errand (core/errand.h), or
 *                        |      whatever the next register makes of it
 *                        '--> UNASSIGNED what it says is not so, and the operator mends it
 *                                        (core/reconcile.h); nothing else of it need change
 *
 * Where nothing elsewhere has to be asked, hub and record are written in one transaction. A record
 * is ASSIGNING as long as it has an ASSIGN errand, both in the same transactions. */
#ifndef CORE_REGISTRATION_H
#define CORE_REGISTRATION_H

#include "model/records.h"

/* The move of `was` (zero: none yet) to the complete record `is`; aborts if the table forbids it
 * or `is` breaks the invariant of its status. */
void core_registration_move(const struct registration *was, const struct registration *is);
/* The same of a move by its errand. */
void core_registration_end_wait(const struct registration *was, const struct registration *is);

#endif
