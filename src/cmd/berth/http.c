/* cmd/berth/http.c: one request over libcurl. Knows answers, pages and error bodies; not what a
 * request means. */
#include "cmd/berth/http.h"

#include <stdlib.h>

#include "cmd/berth/http_handle.h"
#include "util/percent.h"

enum {
    REQUEST_TIMEOUT_S = 60,
    JSON_DEPTH = 48, /* a decision holds a request that holds what is 32 deep */
    ERROR_JSON_DEPTH = 8,
    RETRY_AFTER_MAX_S = 3600,
    HEADERS_MAX = 96 * 1024, /* a message's properties come as headers */
    DEVICE_NOT_ONLINE = 404103
};

struct transfer {
    struct cli *cli;
    CURL *curl;
    struct buf body;
    struct span continuation;
    uint8_t header_bytes[HEADERS_MAX];
    struct buf headers;
    bool takes_any_status;
    const struct http_stream *stream;
    bool is_ended; /* by the stream's reader */
    char error[CURL_ERROR_SIZE];
};

static size_t on_body(char *data, size_t size, size_t n, void *context)
{
    struct transfer *t = context;
    struct span piece = span_of(data, size * n);
    long status = 0;

    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->stream != NULL && status == 200) {
        t->is_ended = !t->stream->on_data(t->stream->context, piece);
        return t->is_ended ? 0 : piece.len;
    }
    buf_add(&t->body, piece);
    return t->body.failed ? 0 : piece.len;
}

static size_t on_header(char *data, size_t size, size_t n, void *context)
{
    struct transfer *t = context;
    struct span line = span_of(data, size * n), rest = line, name = span_cut(&rest, ':');
    static char copy[BERTH_HTTP_CONTINUATION_MAX];

    if (span_eq_nocase(name, SPAN("x-ms-continuation")) && rest.len < sizeof(copy)) {
        memcpy(copy, rest.data, rest.len);
        t->continuation = span_trim(span_of(copy, rest.len));
    }
    if (span_starts_with(line, SPAN("HTTP/"))) { /* the one that counts is the last */
        t->headers.len = 0;
    } else {
        buf_add(&t->headers, line); /* what does not fit is left out */
    }
    return size * n;
}

static int on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct transfer *t = context;

    (void)a, (void)b, (void)c, (void)d;
    t->is_ended = t->stream->is_over(t->stream->context);
    return t->is_ended;
}

static err make_headers(struct transfer *t, const struct endpoint *to,
                        const struct http_request *request, struct curl_slist **ret_headers)
{
    TRY(berth_http_handle_headers(t->cli, to, request->content_type, ret_headers));
    for (const char *const *h = request->headers; h != NULL && *h != NULL; h++) {
        berth_http_handle_add(ret_headers, *h);
    }
    if (to->key == NULL && request->token != NULL) {
        berth_http_handle_add(ret_headers,
                              berth_cli_printf(t->cli, "Authorization: %s", request->token));
    }
    if (request->if_match != NULL) {
        bool is_bare = request->if_match[0] != '"' && request->if_match[0] != '*';
        const char *quote = is_bare ? "\"" : ""; /* shown without, and typed so */

        berth_http_handle_add(ret_headers, berth_cli_printf(t->cli, "If-Match: %s%s%s", quote,
                                                            request->if_match, quote));
    }
    if (request->page > 0) {
        berth_http_handle_add(ret_headers, berth_cli_printf(t->cli, "x-ms-max-item-count: %lld",
                                                            (long long)request->page));
    }
    if (!span_is_absent(request->page_from)) {
        berth_http_handle_add(ret_headers, berth_cli_printf(t->cli, "x-ms-continuation: %.*s",
                                                            SPAN_FMT(request->page_from)));
    }
    return OK;
}

static void set_request(struct transfer *t, const struct http_request *request)
{
    CURL *c = t->curl;

    (void)curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, request->method);
    if (!span_is_absent(request->body) || strcmp(request->method, "POST") == 0) {
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)request->body.len);
        (void)curl_easy_setopt(c, CURLOPT_POSTFIELDS,
                               request->body.data ? (const char *)request->body.data : "");
    }
}

static void set_callbacks(struct transfer *t, struct curl_slist *headers, int timeout_s)
{
    CURL *c = t->curl;

    (void)curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    (void)curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error);
    if (t->stream != NULL) {
        (void)curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
        (void)curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
        (void)curl_easy_setopt(c, CURLOPT_XFERINFODATA, t);
        (void)curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
    } else {
        (void)curl_easy_setopt(c, CURLOPT_TIMEOUT,
                               (long)(timeout_s > 0 ? timeout_s : REQUEST_TIMEOUT_S));
    }
}

/* What error bodies say, all kinds alike. Texts live in `memory`. */
struct server_error {
    struct buf memory;
    struct span message, tracking_id;
    struct span name; /* of the error: a hub's ErrorCode */
    int64_t code;
    uint8_t bytes[2048];
};

static struct span keep(struct server_error *e, struct span text)
{
    size_t at = e->memory.len;

    buf_add(&e->memory, text);
    return e->memory.failed ? SPAN_NONE : span_of(e->bytes + at, text.len);
}

/* ErrorCode:DeviceNotFound;words */
static void read_hub_message(struct server_error *e, struct span text)
{
    struct span name = span_cut(&text, ';');

    e->name = keep(e, span_from(name, strlen("ErrorCode:")));
    e->message = keep(e, text);
}

/* Tracking ID:28F7…-G2:-TimeStamp:2026-… */
static void read_exception(struct server_error *e, struct span text)
{
    static const struct span label = { (const uint8_t *)"Tracking ID:", 12 };
    static const struct span end = { (const uint8_t *)"-TimeStamp:", 11 };
    size_t len = 0;

    if (!span_starts_with(text, label)) {
        return;
    }
    text = span_trim(span_from(text, label.len));
    while (len < text.len && !span_starts_with(span_from(text, len), end)) {
        len++;
    }
    e->tracking_id = keep(e, span_first(text, len));
}

static void read_error(struct server_error *e, struct span body)
{
    static const struct span label = { (const uint8_t *)"Tracking ID: ", 13 };
    AUTO(json) json *document = NULL;
    struct span text, id;

    if (!err_is_ok(json_parse(body, ERROR_JSON_DEPTH, &document))) {
        return;
    }
    text = json_text(json_member(document, "message"));
    if (span_is_absent(text)) {
        text = json_text(json_member(document, "Message"));
    }
    if (span_starts_with(text, SPAN("{"))) { /* a hub writes its JSON into a string */
        read_error(e, text);
        return;
    }
    if (span_starts_with(text, SPAN("ErrorCode:"))) {
        read_hub_message(e, text);
    } else {
        e->message = keep(e, text);
    }
    (void)json_get_int(document, "errorCode", &e->code);
    id = json_text(json_member(document, "trackingId"));
    if (span_is_absent(id)) {
        id = json_text(json_member(document, "details"));
    }
    e->tracking_id = keep(e, span_starts_with(id, label) ? span_from(id, label.len) : id);
    read_exception(e, json_text(json_member(document, "ExceptionMessage")));
}

void berth_http_explain(int status, struct span body, const char *what, struct buf *out)
{
    struct server_error e = { .message = SPAN_NONE };

    e.memory = buf_over(e.bytes, sizeof(e.bytes));
    read_error(&e, body);
    buf_printf(out, "%s: ", what);
    if (e.message.len > 0) {
        while (e.message.len > 0 && e.message.data[e.message.len - 1] == '.') {
            e.message.len--;
        }
        buf_add(out, e.message);
    } else {
        buf_printf(out, "the server answered %d", status);
    }
    if (e.code != 0) {
        buf_printf(out, " (%lld)", (long long)e.code);
    } else if (e.name.len > 0) {
        buf_printf(out, " (%.*s)", SPAN_FMT(e.name));
    }
    if (e.tracking_id.len > 0) {
        buf_printf(out, "; tracking ID %.*s", SPAN_FMT(e.tracking_id));
    }
}

/* A device that is known, but not there: not what 404 is elsewhere. */
static bool is_not_online(struct span body)
{
    struct server_error e = { .message = SPAN_NONE };

    e.memory = buf_over(e.bytes, sizeof(e.bytes));
    read_error(&e, body);
    return e.code == DEVICE_NOT_ONLINE || span_eq(e.name, SPAN("DeviceNotOnline"));
}

err berth_http_fault(int status, struct span body, const char *what)
{
    static const struct {
        int status;
        enum err_code code;
    } codes[] = { { 401, ERR_DENIED }, { 403, ERR_DENIED },       { 404, ERR_NOT_FOUND },
                  { 409, ERR_EXISTS }, { 412, ERR_PRECONDITION }, { 429, ERR_BUSY } };
    enum err_code code = status < 500 ? ERR_MALFORMED : ERR_IO;
    char memory[500];
    struct buf text = buf_over(memory, sizeof(memory) - 1);

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        code = codes[i].status == status ? codes[i].code : code;
    }
    code = code == ERR_NOT_FOUND && is_not_online(body) ? ERR_IO : code;
    berth_http_explain(status, body, what, &text);
    return err_set(code, "%.*s", SPAN_FMT(buf_span(&text)));
}

static err connection_fault(const struct transfer *t, CURLcode result, const struct endpoint *to)
{
    const char *detail = t->error[0] ? t->error : curl_easy_strerror(result);

    if (result == CURLE_PEER_FAILED_VERIFICATION) {
        return err_set(ERR_IO, "cannot trust the server of %s (%s): give its CA with --ca-file",
                       to->host, detail);
    }
    return err_set(ERR_IO, "cannot reach %s at %s:%d: %s", to->host,
                   to->address ? to->address : to->host, to->port, detail);
}

static err perform(struct transfer *t, const struct endpoint *to,
                   const struct http_request *request, struct http_reply *ret_reply)
{
    AUTO(slist) struct curl_slist *headers = NULL;
    AUTO(slist) struct curl_slist *connect_to = NULL;
    AUTO(curl) CURL *curl = curl_easy_init();
    struct http_reply reply = { .body = SPAN_NONE };
    CURLcode result;
    curl_off_t retry_after_s = 0;
    long status = 0;

    if (curl == NULL) {
        return ERR(NOMEM);
    }
    t->curl = curl;
    TRY(make_headers(t, to, request, &headers));
    berth_http_handle_target(t->cli, curl, to, request->path, &connect_to);
    set_request(t, request);
    set_callbacks(t, headers, request->timeout_s);
    t->headers = buf_over(t->header_bytes, sizeof(t->header_bytes));
    t->body = arena_buf(&t->cli->arena);
    result = curl_easy_perform(curl);
    TRY(arena_buf_end(&t->cli->arena, &t->body, &reply.body));
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->is_ended) {
        return OK;
    }
    if (result != CURLE_OK) {
        return t->stream != NULL && status == 200
                   ? err_set(ERR_CLOSED, "%s closed the stream", to->host)
                   : connection_fault(t, result, to);
    }
    if (!t->takes_any_status && (status < 200 || status > 299)) {
        return berth_http_fault((int)status, reply.body, request->what);
    }
    reply.status = (int)status;
    (void)curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry_after_s);
    reply.retry_after_s =
        retry_after_s < RETRY_AFTER_MAX_S ? (int)retry_after_s : RETRY_AFTER_MAX_S;
    TRY(arena_copy(&t->cli->arena, t->continuation, &reply.continuation));
    TRY(arena_copy(&t->cli->arena, buf_span(&t->headers), &reply.headers));
    *ret_reply = reply;
    return t->stream != NULL ? err_set(ERR_CLOSED, "%s closed the stream", to->host) : OK;
}

err berth_http_send(struct cli *cli, const struct endpoint *to, const struct http_request *request,
                    struct http_reply *ret_reply)
{
    struct transfer t = { .cli = cli };

    return perform(&t, to, request, ret_reply);
}

err berth_http_exchange(struct cli *cli, const struct endpoint *to,
                        const struct http_request *request, struct http_reply *ret_reply)
{
    struct transfer t = { .cli = cli, .takes_any_status = true };

    return perform(&t, to, request, ret_reply);
}

err berth_http_json(struct cli *cli, const struct endpoint *to, const struct http_request *request,
                    json **ret_document)
{
    struct http_reply reply;

    TRY(berth_http_send(cli, to, request, &reply));
    if (span_trim(reply.body).len == 0) {
        *ret_document = NULL;
        return OK;
    }
    if (!err_is_ok(json_parse(reply.body, JSON_DEPTH, ret_document))) {
        return err_set(ERR_IO, "%s: the server's answer is not JSON", request->what);
    }
    berth_cli_keep(cli, *ret_document);
    return OK;
}

bool berth_http_next_header(struct span *lines, struct span *ret_name, struct span *ret_value)
{
    struct span line = span_trim(span_cut(lines, '\n'));

    *ret_name = span_cut(&line, ':');
    *ret_value = span_trim(line);
    return ret_name->len > 0;
}

struct span berth_http_header(const struct http_reply *reply, const char *name)
{
    struct span lines = reply->headers, n, value;

    while (berth_http_next_header(&lines, &n, &value)) {
        if (span_eq_nocase(n, span_str(name))) {
            return value;
        }
    }
    return SPAN_NONE;
}

err berth_http_stream(struct cli *cli, const struct endpoint *to, const char *path,
                      const struct http_stream *stream)
{
    struct transfer t = { .cli = cli, .stream = stream };
    struct http_request request = { .method = "GET", .path = path, .what = "events" };
    struct http_reply reply;

    return perform(&t, to, &request, &reply);
}

const char *berth_http_escape(struct cli *cli, const char *text)
{
    struct buf out = arena_buf(&cli->arena);
    struct span escaped = SPAN("");

    percent_encode(span_str(text), &out);
    (void)arena_buf_end(&cli->arena, &out, &escaped);
    return (const char *)escaped.data;
}
