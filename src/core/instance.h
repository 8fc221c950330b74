/* core/instance.h: provisioning service instances (ID scopes): making, finding, and changing
 * them. Taking one away is core/retire.h's, its policies are core/policy.h's, the hubs linked to it
 * core/link.h's. One that is being deleted (LIFE_DELETING) is found by its name alone. */
#ifndef CORE_INSTANCE_H
#define CORE_INSTANCE_H

#include "core/enrollment.h"
#include "core/policy.h"

struct store_tx;

/* Makes an instance with a fresh ID scope ("0ne" and 8 hex digits) and the policy
 * "provisioningserviceowner" with all rights and two random keys. FIELD_INVALID; QUOTA_EXCEEDED.
 * host_name is the service API's, of no other instance, and name is no other's: NAME_TAKEN.
 * A hub may share the host name: its paths are others. */
err core_instance_create(const struct env *env, struct span name, struct span host_name,
                         struct instance *ret_instance, struct verdict *ret_verdict);
/* The same, with its allocation policy. ret_owner: the policy, with its keys. */
err core_instance_create_with(const struct env *env, const struct instance *wanted,
                              struct instance *ret_instance, struct policy *ret_owner,
                              struct verdict *ret_verdict);

/* *ret_found false: none. */
err core_instance_find_by_host(const struct env *env, struct span host_name,
                               struct instance *ret_instance, bool *ret_found);
/* By name, also when it is being deleted: .life says so. */
err core_instance_find_by_name(const struct env *env, struct span name,
                               struct instance *ret_instance, bool *ret_found);
/* All, in the order of ID scopes; after: ID scope to start behind, or absent. */
err core_instance_list(const struct env *env, struct span after, size_t limit,
                       struct instance **ret_rows, size_t *ret_n);
/* Inside a transaction: is it there, and not being deleted? id_scope folded. */
err core_instance_is_live(const struct env *env, struct store_tx *tx, struct span id_scope,
                          bool *ret_is);

/* The policy for enrollments that name none. FIELD_INVALID: custom is not for instances.
 * RESOURCE_NOT_FOUND. */
err core_instance_set_allocation(const struct env *env, struct span id_scope,
                                 enum allocation_policy allocation, struct instance *ret_instance,
                                 struct verdict *ret_verdict);

#endif
