/* cmd/setup.c: an env of its own, links and logins. What is made, and under which names, is the
 * caller's. */
#include "cmd/setup.h"

#include <stdlib.h>
#include <time.h>

#include "crypto/cert_cache.h"
#include "crypto/crypto.h"
#include "util/base64.h"

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

err setup_link(const struct env *env, struct span id_scope, struct span hub_host_name)
{
    const struct linked_hub link = {
        .id_scope = id_scope, .host_name = hub_host_name, .weight = 1, .apply_allocation_policy = 1
    };
    struct verdict v = VERDICT(GRANTED);

    TRY(core_instance_link(env, &link, &v));
    return v.reason == REASON_RESOURCE_EXISTS ? OK : setup_granted("The hub's link", v);
}

err setup_login(const struct env *env, enum policy_owner owner_type, struct span owner,
                struct span host_name, struct span *ret_text)
{
    const char *name = owner_type == POLICY_OF_HUB ? "iothubowner" : "provisioningserviceowner";
    struct policy policy = { 0 };
    struct buf text;
    bool is_found = false;

    TRY(core_policy_find(env, owner_type, owner, span_str(name), &policy, &is_found));
    if (!is_found) {
        return err_set(ERR_CORRUPT, "The policy %s is gone from the store.", name);
    }
    text = arena_buf(env->arena);
    buf_printf(&text, "HostName=%.*s;SharedAccessKeyName=%s;SharedAccessKey=", SPAN_FMT(host_name),
               name);
    base64_encode(policy.primary_key, &text);
    return arena_buf_end(env->arena, &text, ret_text);
}
