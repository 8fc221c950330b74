/* core/rules.h: what an enrollment must be (reference dps-service-api.md 6). Inside core/ only. */
#ifndef CORE_RULES_H
#define CORE_RULES_H

#include "core/enrollment.h"
#include "store/store.h"

/* What can be told from the enrollment alone: GRANTED, FIELD_INVALID or CERTIFICATE_INVALID. */
err core_rules_check(const struct env *env, const struct enrollment *e,
                     struct verdict *ret_verdict);
/* Are all its iotHubs linked? GRANTED or FIELD_INVALID. */
err core_rules_check_hubs(const struct env *env, struct store_tx *tx, const struct enrollment *e,
                          struct verdict *ret_verdict);

#endif
