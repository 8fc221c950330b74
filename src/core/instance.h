/* core/instance.h: provisioning service instances (ID scopes), their policies and the hubs linked
 * to them. */
#ifndef CORE_INSTANCE_H
#define CORE_INSTANCE_H

#include "core/enrollment.h"

/* Makes an instance with a fresh ID scope ("0ne" and 8 hex digits) and the policy
 * "provisioningserviceowner" with all rights and two random keys. FIELD_INVALID. host_name is the
 * service API's, of no other instance (a hub may share it): RESOURCE_EXISTS. */
err core_instance_create(const struct env *env, struct span name, struct span host_name,
                         struct instance *ret_instance, struct verdict *ret_verdict);
/* By folded ID scope, or by host name. *ret_found false: none. */
err core_instance_find(const struct env *env, struct span id_scope, struct instance *ret_instance,
                       bool *ret_found);
err core_instance_find_by_host(const struct env *env, struct span host_name,
                               struct instance *ret_instance, bool *ret_found);
err core_instance_list(const struct env *env, struct instance **ret_rows, size_t *ret_n);

/* Links a hub of this store. weight 1 to 1000. FIELD_INVALID, RESOURCE_NOT_FOUND (no such hub),
 * RESOURCE_EXISTS. */
err core_instance_link(const struct env *env, const struct linked_hub *link,
                       struct verdict *ret_verdict);
err core_instance_links(const struct env *env, struct span id_scope, struct linked_hub **ret_rows,
                        size_t *ret_n);

/* A policy of an instance or a hub, for checking tokens. */
err core_policy_find(const struct env *env, enum policy_owner owner_type, struct span owner,
                     struct span name, struct policy *ret_policy, bool *ret_found);

#endif
