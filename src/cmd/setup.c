/* cmd/setup.c: an env of its own, links and logins. What is made, and under which names, is the
 * caller's. */
#include "cmd/setup.h"

#include <stdlib.h>
#include <time.h>

#include "crypto/cert_cache.h"
#include "crypto/crypto.h"

enum { ARENA_SIZE = 8 * 1024 * 1024, CERTS = 16 };

/* ---- env ---- */

static void set_tracking_id(struct env *env)
{
    uint8_t id[GUID_BYTES];
    struct buf text = buf_over(env->tracking_id, sizeof(env->tracking_id));

    crypto_random(id, sizeof(id));
    guid_format_v7(env->now_ms, id, &text);
}

static int64_t wall_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

err setup_open(struct store *store, struct setup **ret_setup)
{
    AUTO(setup) struct setup *s = calloc(1, sizeof(*s) + ARENA_SIZE);

    if (s == NULL) {
        return ERR(NOMEM);
    }
    arena_init(&s->arena, s + 1, ARENA_SIZE);
    s->env = (struct env){
        .store = store, .arena = &s->arena, .now_ms = wall_ms(), .random = crypto_random
    };
    set_tracking_id(&s->env);
    TRY(crypto_new(CRYPTO_FULL, &s->crypto));
    s->env.crypto = s->crypto;
    TRY(crypto_cert_cache_new(s->crypto, CERTS, &s->env.certs));
    *ret_setup = s;
    s = NULL;
    return OK;
}

void setup_close(struct setup *s)
{
    if (s != NULL) {
        crypto_cert_cache_free(s->env.certs);
        crypto_free(s->crypto);
        crypto_wipe(s, sizeof(*s) + ARENA_SIZE);
        free(s);
    }
}

/* ---- rules ---- */

err setup_granted(const char *what, struct verdict v)
{
    if (verdict_is_granted(v)) {
        return OK;
    }
    return err_set(ERR_CORRUPT, "%s cannot be made: %s: %.*s", what, reason_info(v.reason)->token,
                   SPAN_FMT(v.detail));
}

static const struct linked_hub plain = { .weight = 1, .apply_allocation_policy = 1 };

err setup_hub(const struct env *env, struct span id_scope, struct span name, struct span host_name,
              struct hub *ret_hub)
{
    struct linked_hub link = plain;
    struct verdict v = VERDICT(GRANTED);

    link.id_scope = id_scope;
    TRY(hub_create(env,
                   &(struct hub_order){ .name = name,
                                        .host_name = host_name,
                                        .id_scope = id_scope,
                                        .link = &link,
                                        .made = core_link_made },
                   ret_hub, &v));
    return setup_granted("The hub", v);
}

err setup_link(const struct env *env, struct span id_scope, struct span hub_host_name)
{
    struct linked_hub link = plain;
    struct verdict v = VERDICT(GRANTED);

    TRY(core_link_get(env, id_scope, hub_host_name, &link, &v));
    if (verdict_is_granted(v)) {
        return OK;
    }
    link.id_scope = id_scope;
    link.host_name = hub_host_name;
    TRY(core_link_put(env, &link, CORE_LINK_VOUCHED, &link, &v));
    return setup_granted("The hub's link", v);
}

err setup_server_login(const struct env *env, struct span host_name, struct span *ret_text,
                       bool *ret_is_new)
{
    struct policy policy;

    TRY(core_policy_open_server(env, &policy, ret_is_new));
    return core_policy_login(env, &policy, host_name, ret_text);
}

err setup_login(const struct env *env, enum policy_owner owner_type, struct span owner,
                struct span host_name, struct span *ret_text)
{
    const char *name = owner_type == POLICY_OF_HUB ? "iothubowner" : "provisioningserviceowner";
    struct policy policy = { 0 };
    bool is_found = false;

    TRY(core_policy_find(env, owner_type, owner, span_str(name), &policy, &is_found));
    if (!is_found) {
        return err_set(ERR_CORRUPT, "The policy %s is gone from the store.", name);
    }
    return core_policy_login(env, &policy, host_name, ret_text);
}
