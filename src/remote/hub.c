/* remote/hub.c: talking to a hub: how one logs in, what a request looks like, what an answer means.
 * Which requests make a placement is hub_place.c's. A token is signed for each talk: that takes
 * microseconds, and none is kept. */
#include "remote/hub.h"

#include "attest/sas.h"
#include "model/limits.h"
#include "remote/hub_error.h"
#include "remote/hub_json.h"
#include "util/base64.h"
#include "util/connection_string.h"
#include "util/percent.h"

#define API_VERSION "2021-04-12"

enum { TOKEN_LIFE_S = 3600, NO_ANSWER_CODE = 503001 };

/* ---- a talk ---- */

static err make_token(const struct env *env, const struct linked_hub *link, struct span *ret_token)
{
    struct connection_string parts;
    uint8_t bytes[LIMIT_CONNECTION_STRING];
    struct buf key = buf_over(bytes, sizeof(bytes)), out;
    err e;

    if (!err_is_ok(connection_string_parse(link->connection_string, &parts)) ||
        !err_is_ok(base64_decode(parts.key, &key))) {
        crypto_wipe(bytes, sizeof(bytes));
        return err_set(ERR_CORRUPT, "the link to %.*s has no connection string",
                       SPAN_FMT(link->host_name));
    }
    out = arena_buf(env->arena);
    e = sas_make(env->crypto, link->host_name, buf_span(&key), parts.policy,
                 env->now_ms / 1000 + TOKEN_LIFE_S, &out);
    crypto_wipe(bytes, sizeof(bytes));
    TRY(e);
    return arena_buf_end(env->arena, &out, ret_token);
}

err remote_hub_begin(struct remote_http_pool *pool, const struct env *env,
                     const struct linked_hub *link, int64_t time_ms, struct hub_talk *ret_talk)
{
    struct hub_talk t = {
        .call = { .pool = pool,
                  .env = env,
                  .target = { .host = link->host_name, .address = link->address, .ca = link->ca },
                  .left_ms = time_ms },
        .link = link,
    };

    TRY(make_token(env, link, &t.token));
    TRY(remote_http_begin(&t.call));
    *ret_talk = t;
    return OK;
}

void remote_hub_end(struct hub_talk *t)
{
    remote_http_end(&t->call);
}

static err make_path(struct arena *arena, const struct hub_request *r, struct span *ret_path)
{
    struct buf out = arena_buf(arena);

    buf_printf(&out, "/%s", r->folder);
    if (!span_is_absent(r->device_id)) {
        buf_add_u8(&out, '/');
        percent_encode(r->device_id, &out);
    }
    buf_add_str(&out, "?api-version=" API_VERSION);
    return arena_buf_end(arena, &out, ret_path);
}

err remote_hub_send(struct hub_talk *t, const struct hub_request *r,
                    struct remote_http_reply *ret_reply)
{
    struct remote_http_request request = { .method = r->method,
                                           .url = SPAN_NONE,
                                           .body = r->body,
                                           .token = t->token,
                                           .if_match = r->if_match,
                                           .page = r->page,
                                           .page_from = r->page_from,
                                           .is_anew = r->is_anew,
                                           .answer_max = LIMIT_HUB_ANSWER };

    TRY(make_path(t->call.env->arena, r, &request.path));
    return remote_http_send(&t->call, &request, ret_reply);
}

bool remote_hub_has_no_device(const struct remote_http_reply *reply)
{
    return reply->stage == REMOTE_HTTP_DONE && reply->status == 404 &&
           remote_hub_error_code(reply->error_name) == 404001;
}

/* ---- answers ---- */

static enum elsewhere_outcome outcome_of(int status)
{
    return status >= 200 && status <= 299                    ? ELSEWHERE_DONE
           : status == 408 || status == 429 || status >= 500 ? ELSEWHERE_RETRY
                                                             : ELSEWHERE_REFUSED;
}

err remote_hub_judge(const struct hub_talk *t, const struct remote_http_reply *reply,
                     struct elsewhere_answer *ret_answer)
{
    struct arena *arena = t->call.env->arena;
    struct elsewhere_answer a = { .outcome = ELSEWHERE_RETRY };
    struct hub_error e;

    if (reply->stage != REMOTE_HTTP_DONE) {
        a.error_code = NO_ANSWER_CODE;
        TRY(arena_printf(arena, &a.message, "The hub %.*s did not answer: %.*s.",
                         SPAN_FMT(t->link->host_name), SPAN_FMT(reply->problem)));
        *ret_answer = a;
        return OK;
    }
    a.http_status = reply->status;
    a.outcome = outcome_of(reply->status);
    a.retry_after_ms = reply->retry_after_ms;
    if (a.outcome != ELSEWHERE_DONE) {
        TRY(remote_hub_error_read(arena, reply, &e));
        a.error_code = e.code;
        a.message = e.message;
    }
    if (a.outcome != ELSEWHERE_DONE && span_is_absent(a.message)) {
        TRY(arena_printf(arena, &a.message, "The hub %.*s answered %d without saying why.",
                         SPAN_FMT(t->link->host_name), reply->status));
    }
    *ret_answer = a;
    return OK;
}

err remote_hub_judge_garbage(const struct hub_talk *t, const struct remote_http_reply *reply,
                             struct elsewhere_answer *ret_answer)
{
    struct elsewhere_answer a = { .outcome = ELSEWHERE_RETRY,
                                  .http_status = reply->status,
                                  .error_code = NO_ANSWER_CODE };

    TRY(arena_printf(t->call.env->arena, &a.message,
                     "The hub %.*s answered %d with something that no hub says: is it one?",
                     SPAN_FMT(t->link->host_name), reply->status));
    *ret_answer = a;
    return OK;
}

/* ---- find, take away ---- */

static err read_state(struct hub_talk *t, const struct remote_http_reply *reply,
                      struct device_state *ret_state, bool *ret_found,
                      struct elsewhere_answer *ret_answer)
{
    AUTO(json) json *twin = NULL;

    TRY(remote_hub_judge(t, reply, ret_answer));
    *ret_found = ret_answer->outcome == ELSEWHERE_DONE;
    if (!*ret_found) {
        return OK;
    }
    if (!err_is_ok(json_parse(reply->body, LIMIT_JSON_DEPTH, &twin)) ||
        !json_is_object(json_member(twin, "properties"))) {
        *ret_found = false;
        return remote_hub_judge_garbage(t, reply, ret_answer);
    }
    return remote_hub_json_state(t->call.env->arena, twin, ret_state);
}

static err find(struct hub_talk *t, struct span device_id, struct device_state *ret_state,
                bool *ret_found, struct elsewhere_answer *ret_answer)
{
    struct hub_request get = {
        .method = "GET", .folder = "twins", .device_id = device_id, .body = SPAN_NONE
    };
    struct remote_http_reply reply;

    TRY(remote_hub_send(t, &get, &reply));
    if (remote_hub_has_no_device(&reply)) {
        *ret_found = false;
        *ret_answer =
            (struct elsewhere_answer){ .outcome = ELSEWHERE_DONE, .http_status = reply.status };
        return OK;
    }
    return read_state(t, &reply, ret_state, ret_found, ret_answer);
}

err remote_hub_find(struct remote_http_pool *pool, const struct env *env,
                    const struct linked_hub *link, struct span device_id,
                    struct device_state *ret_state, bool *ret_found,
                    struct elsewhere_answer *ret_answer)
{
    struct hub_talk t;
    err e;

    TRY(remote_hub_begin(pool, env, link, LIMIT_ELSEWHERE_MS, &t));
    e = find(&t, device_id, ret_state, ret_found, ret_answer);
    remote_hub_end(&t);
    return e;
}

static err take_away(struct hub_talk *t, struct span device_id, struct elsewhere_answer *ret_answer)
{
    struct hub_request delete = { .method = "DELETE",
                                  .folder = "devices",
                                  .device_id = device_id,
                                  .body = SPAN_NONE,
                                  .if_match = "*" };
    struct remote_http_reply reply;

    TRY(remote_hub_send(t, &delete, &reply));
    if (remote_hub_has_no_device(&reply)) {
        *ret_answer =
            (struct elsewhere_answer){ .outcome = ELSEWHERE_DONE, .http_status = reply.status };
        return OK;
    }
    return remote_hub_judge(t, &reply, ret_answer);
}

err remote_hub_take_away(struct remote_http_pool *pool, const struct env *env,
                         const struct linked_hub *link, struct span device_id,
                         struct elsewhere_answer *ret_answer)
{
    struct hub_talk t;
    err e;

    TRY(remote_hub_begin(pool, env, link, LIMIT_ELSEWHERE_MS, &t));
    e = take_away(&t, device_id, ret_answer);
    remote_hub_end(&t);
    return e;
}
