/* core/link.h: the hubs that an instance may assign devices to. */
#ifndef CORE_LINK_H
#define CORE_LINK_H

#include "model/placement.h"
#include "model/reason.h"

/* Who says that the instance may use the hub? */
enum core_link_proof {
    CORE_LINK_ASKED,   /* the instance: another's hub takes its connection string */
    CORE_LINK_VOUCHED, /* the server's own operator */
};

/* Links a hub, or changes the link: all but the connection string is replaced, and absent is none.
 * The host name may be in any case. Of a hub of this store a connection string is of a policy of it
 * with RegistryWrite and ServiceConnect, needed to link a hub that another made, and checked then.
 * A hub elsewhere (is_remote is set by which it is) takes one, and may have an address and a ca.
 * Absent: the one kept. FIELD_INVALID, CONNECTION_STRING_REFUSED, QUOTA_EXCEEDED,
 * RESOURCE_NOT_FOUND (the instance has gone). */
err core_link_put(const struct env *env, const struct linked_hub *link, enum core_link_proof proof,
                  struct linked_hub *ret_link, struct verdict *ret_verdict);
/* RESOURCE_NOT_FOUND. */
err core_link_get(const struct env *env, struct span id_scope, struct span host_name,
                  struct linked_hub *ret_link, struct verdict *ret_verdict);
/* Enrollments that name the hub, and devices that are on it, stay. RESOURCE_NOT_FOUND. */
err core_link_delete(const struct env *env, struct span id_scope, struct span host_name,
                     struct verdict *ret_verdict);
/* All of an instance, by host name: at most LIMIT_LINKED_HUBS. */
err core_link_list(const struct env *env, struct span id_scope, struct linked_hub **ret_rows,
                   size_t *ret_n);

/* Whether a hub of this store can still be used as it is linked: FIELD_INVALID,
 * CONNECTION_STRING_REFUSED. Of one elsewhere nothing is looked at. *ret_found: it is linked; else
 * nothing more is written. */
err core_link_verify(const struct env *env, struct span id_scope, struct span host_name,
                     struct linked_hub *ret_link, bool *ret_found, struct verdict *ret_verdict);

/* A hub_made_fn (model/placement.h): links the hub, if it is to be. QUOTA_EXCEEDED;
 * NAME_TAKEN: its host name is another instance's; RESOURCE_NOT_FOUND: the instance has gone;
 * and core_link_put's. */
err core_link_made(const struct env *env, struct store_tx *tx, const struct hub *hub,
                   const struct linked_hub *link, struct verdict *ret_verdict);

#endif
