/* remote/webhook.c: one POST of JSON, and what its answer means (reference dps-device-api.md 7.1).
 * A URL may hold a secret (?code=…): only its host is ever named. */
#include "remote/webhook.h"

#include "model/limits.h"

enum { FAILED_CODE = 400207 };

static const struct span scheme = SPAN_INIT("https://");

/* Without user, port and what follows; of "[::1]:443" the whole bracket. */
static struct span host_of(struct span url)
{
    struct span rest = span_from(url, scheme.len);
    size_t n = 0, begin = 0;

    while (n < rest.len && rest.data[n] != '/' && rest.data[n] != '?' && rest.data[n] != '#') {
        begin = rest.data[n] == '@' ? n + 1 : begin;
        n++;
    }
    rest = span_from(span_first(rest, n), begin);
    return rest.len > 0 && rest.data[0] == '[' ? span_first(rest, span_find(rest, ']') + 1)
                                               : span_first(rest, span_find(rest, ':'));
}

static err judge(const struct env *env, struct span host, const struct remote_http_reply *reply,
                 struct elsewhere_answer *ret_answer)
{
    struct elsewhere_answer a = { .http_status = reply->status,
                                  .retry_after_ms = reply->retry_after_ms };
    const int s = reply->status;

    if (reply->stage != REMOTE_HTTP_DONE) {
        a.outcome = ELSEWHERE_RETRY;
        a.error_code = FAILED_CODE;
        TRY(arena_printf(env->arena, &a.message,
                         "Custom allocation failed: %.*s did not answer: %.*s.", SPAN_FMT(host),
                         SPAN_FMT(reply->problem)));
    } else if (s >= 200 && s <= 299) {
        a.outcome = ELSEWHERE_DONE;
    } else {
        a.outcome = s == 408 || s == 429 || s >= 500 ? ELSEWHERE_RETRY : ELSEWHERE_REFUSED;
        a.error_code = FAILED_CODE;
        TRY(arena_printf(env->arena, &a.message, "Custom allocation failed with status code: %d",
                         s));
    }
    *ret_answer = a;
    return OK;
}

static err refuse(const char *words, struct elsewhere_answer *ret_answer)
{
    *ret_answer = (struct elsewhere_answer){ .outcome = ELSEWHERE_REFUSED,
                                             .error_code = FAILED_CODE,
                                             .message = span_str(words) };
    return OK;
}

err remote_webhook_post(struct remote_http_pool *pool, const struct env *env, struct span url,
                        struct span body, struct span *ret_body,
                        struct elsewhere_answer *ret_answer)
{
    struct remote_http_call call = { .pool = pool,
                                     .env = env,
                                     .target = { .address = SPAN_NONE, .ca = SPAN_NONE },
                                     .left_ms = LIMIT_WEBHOOK_MS };
    struct remote_http_request request = { .method = "POST",
                                           .url = url,
                                           .body = body,
                                           .token = SPAN_NONE,
                                           .answer_max = LIMIT_WEBHOOK_ANSWER };
    struct remote_http_reply reply;
    err e;

    *ret_body = SPAN_NONE;
    if (!span_starts_with_nocase(url, scheme) || url.len > LIMIT_WEBHOOK_URL) {
        return refuse("Custom allocation failed: the webhook's URL is not https://…", ret_answer);
    }
    call.target.host = host_of(url);
    TRY(remote_http_begin(&call));
    e = remote_http_send(&call, &request, &reply);
    remote_http_end(&call);
    TRY(e);
    if (reply.stage == REMOTE_HTTP_DONE) {
        *ret_body = reply.body;
    }
    return judge(env, call.target.host, &reply, ret_answer);
}
