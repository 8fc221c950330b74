/* proto/http1/request.c: a head as fields, over http_parser; no other file parses with it.
 *
 * http_parser is built non-strict in distributions (it lets spaces into names, 8-bit bytes into
 * targets, control characters into values, HTTP/0.9 and any version through), and framing decides
 * where the next request begins: so it splits the lines, and names, target, version and framing are
 * judged here. Parsing ends at the empty line; bodies are chunk.c's and conn.c's. */
#include "proto/http1/request.h"

#include <http_parser.h>

#include "util/percent.h"

enum { NAME_MAX = 64 }; /* bytes of a decoded query parameter's name worth comparing */

struct head {
    struct http1_request request;
    bool is_whole;
    bool too_many;
};

bool http1_request_is_token_char(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!http1_request_is_token_char(s.data[i])) {
            return false;
        }
    }
    return s.len > 0;
}

static bool is_visible(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] <= ' ' || s.data[i] >= 0x7f) {
            return false;
        }
    }
    return s.len > 0;
}

/* Text without control characters (RFC 9110 section 5.5). */
static bool is_field_value(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((s.data[i] < ' ' && s.data[i] != '\t') || s.data[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static int on_url(http_parser *p, const char *at, size_t len)
{
    struct head *h = p->data;

    h->request.target = span_of(at, len);
    return 0;
}

static int on_header_field(http_parser *p, const char *at, size_t len)
{
    struct head *h = p->data;

    if (h->request.n_headers == HTTP1_HEADERS_MAX) {
        h->too_many = true;
        return 1;
    }
    h->request.headers[h->request.n_headers++].name = span_of(at, len);
    return 0;
}

static int on_header_value(http_parser *p, const char *at, size_t len)
{
    struct head *h = p->data;

    h->request.headers[h->request.n_headers - 1].value = span_trim(span_of(at, len));
    return 0;
}

static int on_headers_complete(http_parser *p)
{
    struct head *h = p->data;

    h->is_whole = true;
    h->request.keep_alive = http_should_keep_alive(p) != 0;
    return -1; /* enough: what follows is not http_parser's */
}

/* target = "/path[?query]" | "http://authority[/path][?query]" | "*" | authority     section 3.2 */
static void split_target(struct http1_request *r)
{
    struct span rest = r->target;

    if (span_starts_with_nocase(rest, SPAN("http://")) ||
        span_starts_with_nocase(rest, SPAN("https://"))) {
        size_t at = span_find(rest, ':') + 3;
        while (at < rest.len && rest.data[at] != '/' && rest.data[at] != '?') {
            at++;
        }
        rest = span_from(rest, at);
    }
    r->path = span_cut(&rest, '?');
    r->query = rest;
    if (span_is_empty(r->path)) {
        r->path = SPAN("/");
    }
}

static size_t count_headers(const struct http1_request *r, struct span name)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_headers; i++) {
        n += span_eq_nocase(r->headers[i].name, name);
    }
    return n;
}

/* Where the body ends (section 6.3), or the status that refuses it. */
static int decode_framing(const struct http1_request *r, bool is_1_0, size_t body_max,
                          struct http1_framing *f)
{
    size_t n_codings = count_headers(r, SPAN("transfer-encoding"));
    size_t n_lengths = count_headers(r, SPAN("content-length"));
    int64_t length = 0;

    if (n_lengths > 1 || (n_codings > 0 && (n_lengths > 0 || is_1_0))) {
        return HTTP_STATUS_BAD_REQUEST;
    }
    if (n_codings > 0) {
        struct span coding = http1_request_header(r, SPAN("transfer-encoding"));
        if (n_codings > 1 || !span_eq_nocase(coding, SPAN("chunked"))) {
            return HTTP_STATUS_NOT_IMPLEMENTED;
        }
        f->chunked = true;
    }
    if (n_lengths > 0 &&
        !span_parse_int(http1_request_header(r, SPAN("content-length")), &length)) {
        return HTTP_STATUS_BAD_REQUEST;
    }
    if ((uint64_t)length > body_max) {
        return HTTP_STATUS_PAYLOAD_TOO_LARGE;
    }
    f->body_len = (size_t)length;
    f->expects_continue =
        !is_1_0 && span_eq_nocase(http1_request_header(r, SPAN("expect")), SPAN("100-continue"));
    return 0;
}

static int status_of_parser(const http_parser *p, const struct head *h, struct span head)
{
    if (h->too_many) {
        return HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE;
    }
    switch (HTTP_PARSER_ERRNO(p)) {
    case HPE_INVALID_METHOD:
        return is_token(span_first(head, span_find(head, ' '))) ? HTTP_STATUS_NOT_IMPLEMENTED
                                                                : HTTP_STATUS_BAD_REQUEST;
    case HPE_HEADER_OVERFLOW:
        return HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE;
    default:
        return HTTP_STATUS_BAD_REQUEST;
    }
}

/* What http_parser lets through and the RFC does not. */
static int check_head(const http_parser *p, const struct http1_request *r)
{
    if (!is_visible(r->target) || p->http_major == 0) {
        return HTTP_STATUS_BAD_REQUEST;
    }
    if (p->http_major != 1) {
        return HTTP_STATUS_HTTP_VERSION_NOT_SUPPORTED;
    }
    for (size_t i = 0; i < r->n_headers; i++) {
        if (!is_token(r->headers[i].name) || !is_field_value(r->headers[i].value)) {
            return HTTP_STATUS_BAD_REQUEST;
        }
    }
    if (count_headers(r, SPAN("host")) != 1 && p->http_minor > 0) {
        return HTTP_STATUS_BAD_REQUEST; /* section 3.2 */
    }
    return 0;
}

int http1_request_decode_head(struct span head, size_t body_max, struct http1_request *ret_request,
                              struct http1_framing *ret_framing)
{
    static const http_parser_settings settings = {
        .on_url = on_url,
        .on_header_field = on_header_field,
        .on_header_value = on_header_value,
        .on_headers_complete = on_headers_complete,
    };
    struct head h = { 0 };
    struct http1_framing framing = { 0 };
    http_parser parser;
    int status;

    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = &h;
    (void)http_parser_execute(&parser, &settings, (const char *)head.data, head.len);
    if (!h.is_whole) {
        return status_of_parser(&parser, &h, head);
    }
    status = check_head(&parser, &h.request);
    if (status == 0) {
        status = decode_framing(&h.request, parser.http_minor == 0, body_max, &framing);
    }
    if (status != 0) {
        return status;
    }
    h.request.method = span_first(head, span_find(head, ' '));
    split_target(&h.request);
    *ret_request = h.request;
    *ret_framing = framing;
    return 0;
}

struct span http1_request_header(const struct http1_request *r, struct span name)
{
    for (size_t i = 0; i < r->n_headers; i++) {
        if (span_eq_nocase(r->headers[i].name, name)) {
            return r->headers[i].value;
        }
    }
    return SPAN_NONE;
}

/* A name may be percent-encoded too: "%24filter". */
static bool is_named(struct span raw, struct span name)
{
    uint8_t room[NAME_MAX];
    struct buf decoded = buf_over(room, sizeof(room));

    return span_eq_nocase(raw, name) ||
           (err_is_ok(percent_decode(raw, &decoded)) && span_eq_nocase(buf_span(&decoded), name));
}

bool http1_request_query(const struct http1_request *r, struct span name, struct buf *out)
{
    struct span rest = r->query;

    while (!span_is_absent(rest)) {
        struct span value = span_cut(&rest, '&');
        struct span raw_name = span_cut(&value, '=');
        struct buf attempt = *out;

        if (!is_named(raw_name, name)) {
            continue;
        }
        if (!err_is_ok(percent_decode(value, &attempt))) {
            return false;
        }
        *out = attempt;
        return true;
    }
    return false;
}
