/* remote/http.c: libcurl, one easy handle a call. A handle keeps its connections, so a call takes
 * the one that talked to its host last; two calls never share one. Redirects are answers here: no
 * hub sends any, and a webhook is where its operator says it is. Proxies of the environment are not
 * used, as they would see to whom this server talks. Nothing here asks the time: curl's own timers
 * say what a request took of the time that its call has. */
#include "remote/http.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "model/limits.h"
#include "remote/guard.h"

enum {
    HANDLE_CONNECTIONS = 4,
    HEADER_MAX = 128,
    TOKEN_MAX = 4096,
    HOST_ROOM = LIMIT_HOST_NAME + 1
};

AUTO_DEFINE(slist, struct curl_slist *, curl_slist_free_all)

struct remote_http_handle {
    struct remote_http_handle *next;
    CURL *curl;
    char host[HOST_ROOM]; /* that it talked to last */
};

struct remote_http_pool {
    char *ca_file;
    bool is_public_only;
    atomic_bool is_stopping;
    pthread_mutex_t lock;
    struct remote_http_handle *idle; /* the last used first */
};

/* One request under way. */
struct transfer {
    struct remote_http_call *call;
    CURL *curl;
    struct buf body;
    size_t body_max;
    bool is_too_long;
    bool has_head;     /* to its end: libcurl is content with less */
    bool is_forbidden; /* an address that may not be connected to */
    char error_name[HEADER_MAX], date[HEADER_MAX];
    char page_next[TOKEN_MAX]; /* whole, or too long to be used */
    char error[CURL_ERROR_SIZE];
};

/* ---- the pool ---- */

static err check_file(const char *path)
{
    FILE *f = fopen(path, "re");

    if (f == NULL) {
        return err_set(ERR_IO, "elsewhere-ca-file: %s cannot be read", path);
    }
    (void)fclose(f);
    return OK;
}

err remote_http_open(const struct remote_config *config, struct remote_http_pool **ret_pool)
{
    struct remote_http_pool *p;

    if (config->ca_file != NULL) {
        TRY(check_file(config->ca_file));
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return err_set(ERR_NOMEM, "libcurl cannot be started");
    }
    p = calloc(1, sizeof(*p));
    if (p == NULL) {
        return ERR(NOMEM);
    }
    (void)pthread_mutex_init(&p->lock, NULL);
    p->is_public_only = config->is_public_only;
    p->ca_file = config->ca_file != NULL ? strdup(config->ca_file) : NULL;
    if (config->ca_file != NULL && p->ca_file == NULL) {
        remote_http_close(p);
        return ERR(NOMEM);
    }
    *ret_pool = p;
    return OK;
}

void remote_http_stop(struct remote_http_pool *p)
{
    atomic_store(&p->is_stopping, true);
}

void remote_http_close(struct remote_http_pool *p)
{
    if (p == NULL) {
        return;
    }
    while (p->idle != NULL) {
        struct remote_http_handle *h = p->idle;

        p->idle = h->next;
        curl_easy_cleanup(h->curl);
        free(h);
    }
    (void)pthread_mutex_destroy(&p->lock);
    free(p->ca_file);
    free(p);
}

static struct remote_http_handle *new_handle(void)
{
    struct remote_http_handle *h = calloc(1, sizeof(*h));

    if (h != NULL) {
        h->curl = curl_easy_init();
    }
    if (h == NULL || h->curl == NULL) {
        free(h);
        return NULL;
    }
    return h;
}

err remote_http_begin(struct remote_http_call *call)
{
    struct remote_http_pool *p = call->pool;
    struct remote_http_handle **at, *h;

    (void)pthread_mutex_lock(&p->lock);
    for (at = &p->idle; *at != NULL && (*at)->next != NULL; at = &(*at)->next) {
        if (span_eq_nocase(span_str((*at)->host), call->target.host)) {
            break;
        }
    }
    h = *at; /* no other: the one that has been idle longest */
    if (h != NULL) {
        *at = h->next;
    }
    (void)pthread_mutex_unlock(&p->lock);
    call->handle = h != NULL ? h : new_handle();
    return call->handle != NULL ? OK : ERR(NOMEM);
}

void remote_http_end(struct remote_http_call *call)
{
    struct remote_http_pool *p = call->pool;
    struct remote_http_handle *h = call->handle;

    (void)snprintf(h->host, sizeof(h->host), "%.*s", SPAN_FMT(call->target.host));
    curl_easy_reset(h->curl); /* its connections stay; the last token does not */
    (void)pthread_mutex_lock(&p->lock);
    h->next = p->idle;
    p->idle = h;
    (void)pthread_mutex_unlock(&p->lock);
    call->handle = NULL;
}

/* ---- what curl asks ---- */

static size_t on_body(char *data, size_t size, size_t n, void *context)
{
    struct transfer *t = context;
    struct span piece = span_of(data, size * n);

    if (piece.len > t->body_max - t->body.len) {
        t->is_too_long = true;
        return 0;
    }
    buf_add(&t->body, piece);
    return t->body.failed ? 0 : piece.len;
}

/* False: it is that header, and does not fit. */
static bool keep_header(struct span line, const char *name, char *ret_value, size_t size)
{
    struct span value = line, n = span_cut(&value, ':');

    if (!span_eq_nocase(n, span_str(name))) {
        return true;
    }
    value = span_trim(value);
    return (size_t)snprintf(ret_value, size, "%.*s", SPAN_FMT(value)) < size;
}

static size_t on_header(char *data, size_t size, size_t n, void *context)
{
    struct transfer *t = context;
    struct span line = span_of(data, size * n);

    (void)keep_header(line, "iothub-errorcode", t->error_name, sizeof(t->error_name));
    (void)keep_header(line, "Date", t->date, sizeof(t->date));
    t->is_too_long |= !keep_header(line, "x-ms-continuation", t->page_next, sizeof(t->page_next));
    t->has_head = span_trim(line).len == 0;
    return t->is_too_long ? 0 : size * n;
}

static bool is_over(const struct remote_http_call *call)
{
    return atomic_load(&call->pool->is_stopping) || (call->is_over != NULL && call->is_over());
}

/* About once a second at least. */
static int on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct transfer *t = context;

    (void)a, (void)b, (void)c, (void)d;
    return is_over(t->call);
}

static curl_socket_t on_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = context;

    (void)purpose;
    if (!remote_guard_allows(&address->addr, t->call->pool->is_public_only)) {
        t->is_forbidden = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- one request ---- */

static err add_line(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = text != NULL ? curl_slist_append(*list, text) : NULL;

    if (longer == NULL) {
        return ERR(NOMEM);
    }
    *list = longer;
    return OK;
}

static err add_header(const struct env *env, struct curl_slist **list, const char *name,
                      struct span value)
{
    struct span line;

    if (span_is_absent(value)) {
        return OK;
    }
    TRY(arena_printf(env->arena, &line, "%s: %.*s", name, SPAN_FMT(value)));
    return add_line(list, (const char *)line.data);
}

static err add_headers(const struct env *env, const struct remote_http_request *r,
                       struct curl_slist **list)
{
    TRY(add_line(list, "Expect:"));
    TRY(add_line(list, "Accept: application/json"));
    if (!span_is_absent(r->body)) {
        TRY(add_line(list, "Content-Type: application/json; charset=utf-8"));
    }
    TRY(add_header(env, list, "Authorization", r->token));
    TRY(add_header(env, list, "x-ms-continuation", r->page_from));
    if (r->page > 0) {
        struct span count;

        TRY(arena_printf(env->arena, &count, "%d", r->page));
        TRY(add_header(env, list, "x-ms-max-item-count", count));
    }
    return r->if_match != NULL ? add_header(env, list, "If-Match", span_str(r->if_match)) : OK;
}

/* "host[:port]", or "[v6][:port]", behind the name and port of the URL. */
static err add_address(const struct env *env, const struct remote_http_target *to,
                       struct curl_slist **list)
{
    bool has_port = false;
    struct span line;

    if (span_is_absent(to->address)) {
        return OK;
    }
    for (size_t i = 0; i < to->address.len; i++) {
        uint8_t c = to->address.data[i];

        has_port = c == ':' || (has_port && c != ']');
    }
    TRY(arena_printf(env->arena, &line, "%.*s:443:%.*s%s", SPAN_FMT(to->host),
                     SPAN_FMT(to->address), has_port ? "" : ":443"));
    return add_line(list, (const char *)line.data);
}

static err set_target(struct transfer *t, const struct remote_http_request *r,
                      struct curl_slist *connect_to)
{
    const struct remote_http_target *to = &t->call->target;
    const struct env *env = t->call->env;
    struct span url = r->url;

    if (span_is_absent(url)) {
        TRY(arena_printf(env->arena, &url, "https://%.*s%.*s", SPAN_FMT(to->host),
                         SPAN_FMT(r->path)));
    }
    (void)curl_easy_setopt(t->curl, CURLOPT_URL, arena_cstr(env->arena, url));
    (void)curl_easy_setopt(t->curl, CURLOPT_CONNECT_TO, connect_to);
    (void)curl_easy_setopt(t->curl, CURLOPT_PROTOCOLS_STR, "https");
    (void)curl_easy_setopt(t->curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(t->curl, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    (void)curl_easy_setopt(t->curl, CURLOPT_OPENSOCKETDATA, t);
    return OK;
}

static void set_trust(struct transfer *t)
{
    struct span ca = t->call->target.ca;
    struct curl_blob blob = { .data = (void *)ca.data, .len = ca.len, .flags = CURL_BLOB_COPY };

    if (!span_is_absent(ca)) {
        (void)curl_easy_setopt(t->curl, CURLOPT_CAINFO_BLOB, &blob);
        (void)curl_easy_setopt(t->curl, CURLOPT_CAPATH, NULL);
    } else if (t->call->pool->ca_file != NULL) {
        (void)curl_easy_setopt(t->curl, CURLOPT_CAINFO, t->call->pool->ca_file);
        (void)curl_easy_setopt(t->curl, CURLOPT_CAPATH, NULL);
    }
    (void)curl_easy_setopt(t->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
}

static void set_body(struct transfer *t, const struct remote_http_request *r)
{
    if (!span_is_absent(r->body)) {
        (void)curl_easy_setopt(t->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len);
        (void)curl_easy_setopt(t->curl, CURLOPT_POSTFIELDS, (const char *)r->body.data);
    }
    (void)curl_easy_setopt(t->curl, CURLOPT_CUSTOMREQUEST, r->method);
    if (r->is_anew) {
        (void)curl_easy_setopt(t->curl, CURLOPT_FRESH_CONNECT, 1L);
        (void)curl_easy_setopt(t->curl, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    }
}

static void set_rest(struct transfer *t, struct curl_slist *headers)
{
    CURL *c = t->curl;
    int64_t left = t->call->left_ms;

    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(c, CURLOPT_USERAGENT, "berthd/" BERTH_VERSION);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    (void)curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    (void)curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error);
    (void)curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(c, CURLOPT_MAXCONNECTS, (long)HANDLE_CONNECTIONS);
    (void)curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)left);
    (void)curl_easy_setopt(
        c, CURLOPT_CONNECTTIMEOUT_MS,
        (long)(left < LIMIT_ELSEWHERE_CONNECT_MS ? left : LIMIT_ELSEWHERE_CONNECT_MS));
    /* Else a name service that is silent holds us for as long as the resolver likes. */
    (void)curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
}

/* ---- how it ended ---- */

static int64_t timer(CURL *curl, CURLINFO which)
{
    curl_off_t us = 0;

    (void)curl_easy_getinfo(curl, which, &us);
    return (us + 999) / 1000;
}

/* How far it came, by what curl has times of. */
static enum remote_http_stage stage_reached(CURL *c)
{
    return timer(c, CURLINFO_PRETRANSFER_TIME_T) > 0  ? REMOTE_HTTP_ANSWER
           : timer(c, CURLINFO_CONNECT_TIME_T) > 0    ? REMOTE_HTTP_TLS
           : timer(c, CURLINFO_NAMELOOKUP_TIME_T) > 0 ? REMOTE_HTTP_CONNECT
                                                      : REMOTE_HTTP_NAME;
}

static enum remote_http_stage stage_of(const struct transfer *t, CURLcode result)
{
    switch (result) {
    case CURLE_OK:
        return REMOTE_HTTP_DONE;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_URL_MALFORMAT:
        return REMOTE_HTTP_NAME;
    case CURLE_COULDNT_CONNECT:
        return REMOTE_HTTP_CONNECT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
        return REMOTE_HTTP_TLS;
    case CURLE_ABORTED_BY_CALLBACK:
        return REMOTE_HTTP_STOPPED;
    default:
        return stage_reached(t->curl);
    }
}

static const char *words_of(const struct transfer *t, enum remote_http_stage stage, CURLcode result)
{
    static const char *const late[] = {
        [REMOTE_HTTP_NAME] = "its host name was not resolved in time",
        [REMOTE_HTTP_CONNECT] = "no connection in time",
        [REMOTE_HTTP_TLS] = "no TLS handshake in time",
        [REMOTE_HTTP_ANSWER] = "no answer in time",
    };
    static const char *const broken[] = {
        [REMOTE_HTTP_NAME] = "its host name cannot be resolved",
        [REMOTE_HTTP_CONNECT] = "it cannot be connected to",
        [REMOTE_HTTP_TLS] = "no TLS with it",
        [REMOTE_HTTP_ANSWER] = "its answer was cut off, or is no HTTP",
        [REMOTE_HTTP_STOPPED] = "this server stops",
    };

    if (t->is_forbidden && stage == REMOTE_HTTP_CONNECT) {
        return "its address is one that this server may not connect to (elsewhere-addresses)";
    }
    if (t->is_too_long) {
        return "its answer is too long";
    }
    if (result == CURLE_PEER_FAILED_VERIFICATION) {
        return "its certificate is not trusted, or is for another name";
    }
    return result == CURLE_OPERATION_TIMEDOUT ? late[stage] : broken[stage];
}

static err note_problem(struct transfer *t, CURLcode result, struct remote_http_reply *reply)
{
    const char *words = words_of(t, reply->stage, result);
    const char *detail = t->error[0] != '\0' ? t->error : curl_easy_strerror(result);

    if (t->is_forbidden || t->is_too_long || reply->stage == REMOTE_HTTP_STOPPED) {
        return arena_copy(t->call->env->arena, span_str(words), &reply->problem);
    }
    return arena_printf(t->call->env->arena, &reply->problem, "%s (%s)", words, detail);
}

static err read_reply(struct transfer *t, CURLcode result, struct remote_http_reply *reply)
{
    struct arena *arena = t->call->env->arena;
    curl_off_t retry_after_s = 0;
    time_t date;
    long status = 0;

    result = result == CURLE_OK && !t->has_head ? CURLE_PARTIAL_FILE : result;
    reply->stage = stage_of(t, result);
    reply->name_ms = timer(t->curl, CURLINFO_NAMELOOKUP_TIME_T);
    reply->connect_ms = timer(t->curl, CURLINFO_CONNECT_TIME_T);
    reply->tls_ms = timer(t->curl, CURLINFO_APPCONNECT_TIME_T);
    reply->took_ms = timer(t->curl, CURLINFO_TOTAL_TIME_T);
    if (reply->stage != REMOTE_HTTP_DONE) {
        return note_problem(t, result, reply);
    }
    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(t->curl, CURLINFO_RETRY_AFTER, &retry_after_s);
    reply->status = (int)status;
    reply->retry_after_ms = (retry_after_s < LIMIT_ELSEWHERE_RETRY_S ? (int64_t)retry_after_s
                                                                     : LIMIT_ELSEWHERE_RETRY_S) *
                            1000;
    date = t->date[0] != '\0' ? curl_getdate(t->date, NULL) : -1;
    reply->date_ms = date > 0 ? (int64_t)date * 1000 : 0;
    if (t->page_next[0] != '\0') {
        TRY(arena_copy(arena, span_str(t->page_next), &reply->page_next));
    }
    return t->error_name[0] != '\0' ? arena_copy(arena, span_str(t->error_name), &reply->error_name)
                                    : OK;
}

/* The answer is written where the arena ends: nothing else takes of it meanwhile. */
static err perform(struct transfer *t, size_t answer_max, struct remote_http_reply *reply)
{
    struct arena *arena = t->call->env->arena;
    CURLcode result;

    t->body = arena_buf(arena);
    t->body_max = answer_max;
    result = curl_easy_perform(t->curl);
    t->call->left_ms -= timer(t->curl, CURLINFO_TOTAL_TIME_T);
    TRY(arena_buf_end(arena, &t->body, &reply->body));
    return read_reply(t, result, reply);
}

err remote_http_send(struct remote_http_call *call, const struct remote_http_request *request,
                     struct remote_http_reply *ret_reply)
{
    AUTO(slist) struct curl_slist *headers = NULL;
    AUTO(slist) struct curl_slist *connect_to = NULL;
    struct transfer t = { .call = call, .curl = call->handle->curl };
    struct remote_http_reply reply = { .stage = REMOTE_HTTP_ANSWER };
    err e;

    if (call->left_ms <= 0 || is_over(call)) {
        reply.stage = call->left_ms > 0 ? REMOTE_HTTP_STOPPED : REMOTE_HTTP_ANSWER;
        reply.problem = call->left_ms > 0 ? SPAN("this server stops") : SPAN("no answer in time");
        *ret_reply = reply;
        return OK;
    }
    curl_easy_reset(t.curl);
    TRY(add_headers(call->env, request, &headers));
    TRY(add_address(call->env, &call->target, &connect_to));
    TRY(set_target(&t, request, connect_to));
    set_trust(&t);
    set_body(&t, request);
    set_rest(&t, headers);
    e = perform(&t, request->answer_max, &reply);
    curl_easy_reset(t.curl); /* nothing of what it was set to outlives this */
    TRY(e);
    *ret_reply = reply;
    return OK;
}
