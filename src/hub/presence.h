/* hub/presence.h: when devices and modules came, went and were last heard of. Loops note it without
 * blocking; a chore writes it down (KIND_PRESENCE) about a second later. Of sessions it makes
 * events, too. Who is connected now the bus knows; after a crash nobody is. */
#ifndef HUB_PRESENCE_H
#define HUB_PRESENCE_H

#include "hub/bus.h"
#include "model/env.h"

struct hub_presence;

/* `run`: rises with each start of the server. sink: where events of sessions go, or NULL. Watches
 * the bus until hub_presence_free, by when no session may be left. ERR_NOMEM. */
err hub_presence_new(struct bus *bus, struct sink *sink, uint64_t run,
                     struct hub_presence **ret_presence);
/* NULL-safe. */
void hub_presence_free(struct hub_presence *p);

/* It was heard of. Quick; p NULL: nobody wants to know. Note it once a LIMIT_ACTIVITY_MS a session.
 * Beyond LIMIT_PRESENCE_NOTES clients not yet written down, it is forgotten. */
void hub_presence_active(struct hub_presence *p, struct span hub, struct span client_id,
                         struct span generation_id, int64_t now_ms);

/* A chore (hub/keeper.h), `arg` the presence: writes down what was noted; identities that are gone
 * meanwhile are passed over. */
err hub_presence_flush(const struct env *env, struct bus *bus, void *arg, bool *again);

#endif
