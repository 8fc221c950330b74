/* core/registration.h: the life of a registration record. Inside core/ only; what the operator may
 * do with it is in core/enrollment.h.
 *
 *   (none, UNASSIGNED) --+--> ASSIGNED   attested, and a hub took the device
 *   ASSIGNED, FAILED,    +--> FAILED     attested, but no hub may take it
 *   DISABLED ------------+--> DISABLED   attested, but the enrollment is disabled
 *
 * ASSIGNING is what a device is told until it polls; no record stays in it, since hub and record
 * are written in one transaction. */
#ifndef CORE_REGISTRATION_H
#define CORE_REGISTRATION_H

#include "model/records.h"

/* The move of `was` (zero: none yet) to the complete record `is`; aborts if the table forbids it
 * or `is` breaks the invariant of its status. */
void core_registration_move(const struct registration *was, const struct registration *is);

#endif
