/* remote/hub_list.c: what devices a hub has, page by page, by its query language: the one list that
 * does not end at a thousand (reference iothub-service-api.md 6). */
#include "model/limits.h"
#include "remote/hub.h"
#include "json/json.h"

#define QUERY "{\"query\":\"SELECT deviceId FROM devices\"}"

/* False: no hub answers so. */
static bool read_ids(const json *rows, struct arena *arena, struct span *ids, err *ret_fault)
{
    *ret_fault = OK;
    for (size_t i = 0; i < json_array_len(rows); i++) {
        struct span id = json_text(json_member(json_array_at(rows, i), "deviceId"));

        if (!model_is_device_id(id)) {
            return false;
        }
        *ret_fault = arena_copy(arena, id, &ids[i]);
        if (!err_is_ok(*ret_fault)) {
            return true;
        }
    }
    return true;
}

static err read_page(struct hub_talk *t, const struct remote_http_reply *reply,
                     struct span **ret_ids, size_t *ret_n, struct elsewhere_answer *ret_answer)
{
    AUTO(json) json *rows = NULL;
    struct arena *arena = t->call.env->arena;
    struct span *ids;
    err fault;

    if (!err_is_ok(json_parse(reply->body, LIMIT_JSON_DEPTH, &rows)) || !json_is_array(rows) ||
        json_array_len(rows) > LIMIT_PAGE) {
        return remote_hub_judge_garbage(t, reply, ret_answer);
    }
    ids = ARENA_ARRAY(arena, json_array_len(rows) + 1, struct span);
    if (ids == NULL) {
        return ERR(NOMEM);
    }
    if (!read_ids(rows, arena, ids, &fault)) {
        return remote_hub_judge_garbage(t, reply, ret_answer);
    }
    *ret_ids = ids;
    *ret_n = json_array_len(rows);
    return fault;
}

static err list(struct hub_talk *t, struct span token, struct span **ret_ids, size_t *ret_n,
                struct span *ret_token, struct elsewhere_answer *ret_answer)
{
    const struct hub_request query = { .method = "POST",
                                       .folder = "devices/query",
                                       .body = SPAN(QUERY),
                                       .page = LIMIT_PAGE,
                                       .page_from = token };
    struct remote_http_reply reply;

    TRY(remote_hub_send(t, &query, &reply));
    TRY(remote_hub_judge(t, &reply, ret_answer));
    *ret_n = 0;
    *ret_token = reply.page_next;
    return ret_answer->outcome == ELSEWHERE_DONE ? read_page(t, &reply, ret_ids, ret_n, ret_answer)
                                                 : OK;
}

err remote_hub_list(struct remote_http_pool *pool, const struct env *env,
                    const struct linked_hub *link, struct span token, struct span **ret_ids,
                    size_t *ret_n, struct span *ret_token, struct elsewhere_answer *ret_answer)
{
    struct hub_talk t;
    err e;

    TRY(remote_hub_begin(pool, env, link, LIMIT_ELSEWHERE_MS, &t));
    e = list(&t, token, ret_ids, ret_n, ret_token, ret_answer);
    remote_hub_end(&t);
    return e;
}
