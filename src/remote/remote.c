/* remote/remote.c: puts the parts together as a struct elsewhere. */
#include "remote/remote.h"

#include <stdlib.h>

#include "remote/hub.h"
#include "remote/webhook.h"

struct remote {
    struct elsewhere elsewhere;
    struct remote_http_pool *pool;
};

static struct remote_http_pool *pool_of(void *arg)
{
    return ((struct remote *)arg)->pool;
}

static err find(void *arg, const struct env *env, const struct linked_hub *link,
                struct span device_id, struct device_state *ret_state, bool *ret_found,
                struct elsewhere_answer *ret_answer)
{
    return remote_hub_find(pool_of(arg), env, link, device_id, ret_state, ret_found, ret_answer);
}

static err place(void *arg, const struct env *env, const struct linked_hub *link,
                 const struct placement *p, struct elsewhere_answer *ret_answer)
{
    return remote_hub_place(pool_of(arg), env, link, p, ret_answer);
}

static err take_away(void *arg, const struct env *env, const struct linked_hub *link,
                     struct span device_id, struct elsewhere_answer *ret_answer)
{
    return remote_hub_take_away(pool_of(arg), env, link, device_id, ret_answer);
}

static err list(void *arg, const struct env *env, const struct linked_hub *link, struct span token,
                struct span **ret_ids, size_t *ret_n, struct span *ret_token,
                struct elsewhere_answer *ret_answer)
{
    return remote_hub_list(pool_of(arg), env, link, token, ret_ids, ret_n, ret_token, ret_answer);
}

static err post(void *arg, const struct env *env, struct span url, struct span body,
                struct span *ret_body, struct elsewhere_answer *ret_answer)
{
    return remote_webhook_post(pool_of(arg), env, url, body, ret_body, ret_answer);
}

static err check(void *arg, const struct env *env, const struct linked_hub *link,
                 bool (*is_over)(void), struct elsewhere_report *ret_report)
{
    return remote_hub_check(pool_of(arg), env, link, is_over, ret_report);
}

static void cancel(void *arg)
{
    remote_http_stop(pool_of(arg));
}

err remote_open(const struct remote_config *config, struct remote **ret_remote)
{
    AUTO(remote) struct remote *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return ERR(NOMEM);
    }
    r->elsewhere = (struct elsewhere){ .arg = r,
                                       .find = find,
                                       .place = place,
                                       .take_away = take_away,
                                       .post = post,
                                       .list = list,
                                       .check = check,
                                       .cancel = cancel };
    TRY(remote_http_open(config, &r->pool));
    *ret_remote = r;
    r = NULL;
    return OK;
}

const struct elsewhere *remote_elsewhere(const struct remote *r)
{
    return &r->elsewhere;
}

void remote_close(struct remote *r)
{
    if (r != NULL) {
        remote_http_close(r->pool);
        free(r);
    }
}
