/* remote/hub.h: a hub that is not in this store, by its REST API (reference iothub-service-api.md
 * 12; doc/wire/remote-hubs.md). */
#ifndef REMOTE_HUB_H
#define REMOTE_HUB_H

#include "remote/http.h"

/* A talk with one hub, logged in by its connection string. */
struct hub_talk {
    struct remote_http_call call;
    const struct linked_hub *link;
    struct span token;
};

/* ERR_NOMEM; ERR_CRYPTO; ERR_CORRUPT: the link's connection string is none. */
err remote_hub_begin(struct remote_http_pool *pool, const struct env *env,
                     const struct linked_hub *link, int64_t time_ms, struct hub_talk *ret_talk);
void remote_hub_end(struct hub_talk *t);

/* One request to "/{folder}/{id}", or "/{folder}" with an absent id. */
struct hub_request {
    const char *method;
    const char *folder; /* "devices", "twins" */
    struct span device_id;
    struct span body;      /* absent: none */
    const char *if_match;  /* as it goes out; or NULL */
    int page;              /* of a query: at most so many rows, … */
    struct span page_from; /* … from there on; or absent */
    bool is_anew;          /* as struct remote_http_request */
};
err remote_hub_send(struct hub_talk *t, const struct hub_request *r,
                    struct remote_http_reply *ret_reply);
/* Does the hub itself say that it has no such device? */
bool remote_hub_has_no_device(const struct remote_http_reply *reply);

/* struct elsewhere's, each within LIMIT_ELSEWHERE_MS. */
err remote_hub_find(struct remote_http_pool *pool, const struct env *env,
                    const struct linked_hub *link, struct span device_id,
                    struct device_state *ret_state, bool *ret_found,
                    struct elsewhere_answer *ret_answer);
err remote_hub_place(struct remote_http_pool *pool, const struct env *env,
                     const struct linked_hub *link, const struct placement *p,
                     struct elsewhere_answer *ret_answer);
err remote_hub_take_away(struct remote_http_pool *pool, const struct env *env,
                         const struct linked_hub *link, struct span device_id,
                         struct elsewhere_answer *ret_answer);

err remote_hub_list(struct remote_http_pool *pool, const struct env *env,
                    const struct linked_hub *link, struct span token, struct span **ret_ids,
                    size_t *ret_n, struct span *ret_token, struct elsewhere_answer *ret_answer);

err remote_hub_check(struct remote_http_pool *pool, const struct env *env,
                     const struct linked_hub *link, bool (*is_over)(void),
                     struct elsewhere_report *ret_report);

/* What an answer that ends a call means. DONE: 2xx. */
err remote_hub_judge(const struct hub_talk *t, const struct remote_http_reply *reply,
                     struct elsewhere_answer *ret_answer);
/* 2xx with a body that no hub sends. */
err remote_hub_judge_garbage(const struct hub_talk *t, const struct remote_http_reply *reply,
                             struct elsewhere_answer *ret_answer);

#endif
