/* cmd/setup.h: what `berthd --dev` and `berthd init` share: ID scopes and hubs made by the server's
 * own program, over a store that is this process's alone. */
#ifndef CMD_SETUP_H
#define CMD_SETUP_H

#include "core/instance.h"
#include "core/link.h"
#include "hub/hub.h"
#include "util/arena.h"
#include "util/cleanup.h"

/* An env without a request: its memory and its library context live until setup_close. */
struct setup {
    struct env env;
    struct arena arena;
    struct crypto *crypto;
};
err setup_open(struct store *store, struct setup **ret_setup);
/* Wipes the memory: keys of policies were in it. NULL-safe. */
void setup_close(struct setup *s);
AUTO_DEFINE(setup, struct setup *, setup_close)

/* A refusal of what we ask for ourselves as a fault; `what`: "The hub". */
err setup_granted(const char *what, struct verdict v);

/* Makes an instance's hub, linked to it with weight 1. ERR_CORRUPT: refused. */
err setup_hub(const struct env *env, struct span id_scope, struct span name, struct span host_name,
              struct hub *ret_hub);
/* Links a hub of weight 1, unless it is linked: as it was left. */
err setup_link(const struct env *env, struct span id_scope, struct span hub_host_name);

/* The server's policy, made when it is missing: who has its login may make instances. */
err setup_server_login(const struct env *env, struct span host_name, struct span *ret_text,
                       bool *ret_is_new);
/* "HostName=…;SharedAccessKeyName=…;SharedAccessKey=…" of the owner's policy of an instance or a
 * hub, in env->arena. ERR_CORRUPT: the policy is gone. */
err setup_login(const struct env *env, enum policy_owner owner_type, struct span owner,
                struct span host_name, struct span *ret_text);

#endif
