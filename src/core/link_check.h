/* core/link_check.h: the rules of what an operator says of a linked hub. Inside core/ only. */
#ifndef CORE_LINK_CHECK_H
#define CORE_LINK_CHECK_H

#include "model/env.h"
#include "model/reason.h"
#include "model/records.h"

/* What a connection string says of whoever holds it; key absent: there is none. */
struct core_link_login {
    struct span policy, key;
};

/* Looks at each member. A location that is a region's name gives the coordinates that are not
 * there. FIELD_INVALID, CONNECTION_STRING_REFUSED. */
err core_link_check(const struct env *env, struct linked_hub *link,
                    struct core_link_login *ret_login, struct verdict *ret_verdict);

/* Of a connection string that is the hub's. CONNECTION_STRING_REFUSED. */
err core_link_check_string(const struct env *env, const struct linked_hub *link,
                           struct core_link_login *ret_login, struct verdict *ret_verdict);

#endif
