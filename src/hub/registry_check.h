/* hub/registry_check.h: what an identity may look like. Inside hub/ only. */
#ifndef HUB_REGISTRY_CHECK_H
#define HUB_REGISTRY_CHECK_H

#include "hub/registry.h"

/* Settles the credential: what is wrong with it in *ret_verdict (FIELD_INVALID), keys that are
 * missing made in the arena, a module's `none` becomes `sas`. */
err registry_check_credential(const struct env *env, struct device *given,
                              struct verdict *ret_verdict);

/* Gives d, which is to be put, the scopes that were given with it (reference 3.2): an edge device
 * has its own, another device its parent's. `was`: as it is stored, or NULL. */
err registry_check_scopes(const struct env *env, struct store_tx *tx, const struct device *given,
                          const struct device *was, struct device *d, struct verdict *ret_verdict);

#endif
