/* core/policy.h: shared access policies of instances, hubs and the server: who may sign tokens, and
 * for what. Owners are folded: ID scope, hub host name, or "" of the server. */
#ifndef CORE_POLICY_H
#define CORE_POLICY_H

#include "model/env.h"
#include "model/reason.h"
#include "model/records.h"

/* For checking tokens. *ret_found false: none. */
err core_policy_find(const struct env *env, enum policy_owner owner_type, struct span owner,
                     struct span name, struct policy *ret_policy, bool *ret_found);
/* RESOURCE_NOT_FOUND. */
err core_policy_get(const struct env *env, enum policy_owner owner_type, struct span owner,
                    struct span name, struct policy *ret_policy, struct verdict *ret_verdict);
/* All of one owner, by name: at most LIMIT_POLICIES. */
err core_policy_list(const struct env *env, enum policy_owner owner_type, struct span owner,
                     struct policy **ret_rows, size_t *ret_n);

/* Creates or replaces. A key that is absent is the one stored, or made. FIELD_INVALID (name, a
 * right that policies of this owner do not have, a key that is not 16 to 64 bytes),
 * QUOTA_EXCEEDED; RESOURCE_IN_USE when no policy of the instance would have ServiceConfig. */
err core_policy_put(const struct env *env, struct policy *policy, struct verdict *ret_verdict);
/* RESOURCE_NOT_FOUND; RESOURCE_IN_USE as above. */
err core_policy_delete(const struct env *env, enum policy_owner owner_type, struct span owner,
                       struct span name, struct verdict *ret_verdict);

/* Tokens by the key that goes are refused from the next request on. RESOURCE_NOT_FOUND. */
enum core_policy_renewal { CORE_POLICY_PRIMARY, CORE_POLICY_SECONDARY, CORE_POLICY_SWAP };
err core_policy_renew(const struct env *env, const struct policy *key,
                      enum core_policy_renewal which, struct policy *ret_policy,
                      struct verdict *ret_verdict);

/* The server's policy "serverowner", made if it is not there: who has it may make instances. */
err core_policy_open_server(const struct env *env, struct policy *ret_policy, bool *ret_is_new);

/* "HostName=…;SharedAccessKeyName=…;SharedAccessKey=…" with the policy's primary key, in the arena.
 */
err core_policy_login(const struct env *env, const struct policy *policy, struct span host_name,
                      struct span *ret_text);

/* A fresh key in the arena. ERR_NOMEM. */
err core_policy_make_key(const struct env *env, struct span *ret_key);

#endif
