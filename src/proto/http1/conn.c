/* proto/http1/conn.c: where one request ends and the next begins, limits and deadlines, replies.
 *
 * Work is linear in the bytes: lines are looked for once, a head is decoded when it is whole (and
 * once more if its body came later, rather than keeping 64 headers for every connection), body
 * bytes move at most once. What is kept between calls are offsets, for the input may move. */
#include "proto/http1/conn.h"

#include <http_parser.h>

void http1_conn_init(struct http1_conn *c, const struct http1_limits *limits, int64_t now_ms)
{
    *c = (struct http1_conn){ .limits = limits, .until_ms = now_ms + limits->idle_max_ms };
}

/* One line without its CR LF. 0, or 400. Sets head_end at the empty line that ends the head. */
static int on_line(struct http1_conn *c, struct span line, size_t next_at)
{
    bool is_first = c->line_at == c->head_at;

    c->line_at = next_at;
    if (line.len == 0) {
        if (is_first) {
            c->head_at = next_at; /* section 2.2: empty lines before a request are passed over */
        } else {
            c->head_end = next_at;
        }
        return 0;
    }
    if (line.data[0] == ' ' || line.data[0] == '\t') {
        return HTTP_STATUS_BAD_REQUEST; /* folded (section 5.2), or a request line that begins so */
    }
    return memchr(line.data, '\r', line.len) ? HTTP_STATUS_BAD_REQUEST : 0;
}

/* Looks for the end of the head, from where it stopped. 0, or the status of a violation. */
static int scan_head(struct http1_conn *c, struct span in)
{
    struct span window = span_first(in, c->limits->head_max);

    while (c->head_end == 0 && c->scanned < window.len) {
        const uint8_t *lf = memchr(window.data + c->scanned, '\n', window.len - c->scanned);
        size_t at = lf ? (size_t)(lf - window.data) : window.len;
        int status;

        if (lf == NULL) {
            c->scanned = window.len;
            break;
        }
        if (at == c->line_at || window.data[at - 1] != '\r') {
            return HTTP_STATUS_BAD_REQUEST;
        }
        c->scanned = at + 1;
        status = on_line(c, span_of(window.data + c->line_at, at - 1 - c->line_at), at + 1);
        if (status != 0) {
            return status;
        }
    }
    /* What cannot become a request line is refused at its first byte: a TLS hello, say. */
    if (c->head_at < window.len && window.data[c->head_at] != '\r' &&
        !http1_request_is_token_char(window.data[c->head_at])) {
        return HTTP_STATUS_BAD_REQUEST;
    }
    return c->head_end == 0 && window.len == c->limits->head_max
               ? HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE
               : 0;
}

static int decode_head(struct http1_conn *c, struct span in, struct http1_request *r)
{
    struct http1_framing framing;
    struct span head = span_from(span_first(in, c->head_end), c->head_at);
    int status = http1_request_decode_head(head, c->limits->body_max, r, &framing);

    if (status != 0) {
        return status;
    }
    c->is_chunked = framing.chunked;
    c->body_len = framing.body_len;
    c->wants_continue = framing.expects_continue;
    return 0;
}

/* 0, or the status of a violation; *ret_len: bytes of the body as sent once it is whole. */
static int read_body(struct http1_conn *c, uint8_t *body, size_t len, bool *ret_whole,
                     size_t *ret_len)
{
    size_t body_max = c->limits->body_max;
    err e;

    if (!c->is_chunked) {
        *ret_whole = len >= c->body_len;
        *ret_len = c->body_len;
        return 0;
    }
    e = http1_chunk_decode(&c->chunk, body, len < body_max ? len : body_max, body_max);
    if (!err_is_ok(e)) {
        return err_is(e, ERR_TOO_LARGE) ? HTTP_STATUS_PAYLOAD_TOO_LARGE : HTTP_STATUS_BAD_REQUEST;
    }
    *ret_whole = c->chunk.state == HTTP1_CHUNK_DONE;
    *ret_len = c->chunk.raw_len;
    return !*ret_whole && c->chunk.raw_len == body_max ? HTTP_STATUS_PAYLOAD_TOO_LARGE : 0;
}

/* 0, or the status of a violation; *ret_consumed > 0 when the request is whole. */
static int read_request(struct http1_conn *c, uint8_t *in, size_t in_len,
                        struct http1_request *ret_request, size_t *ret_consumed)
{
    struct span all = span_of(in, in_len);
    bool is_decoded = false;
    bool is_whole = false;
    size_t sent_len = 0;
    int status = 0;

    if (c->head_end == 0) {
        status = scan_head(c, all);
        if (status != 0 || c->head_end == 0) {
            return status;
        }
        is_decoded = true;
        status = decode_head(c, all, ret_request);
    }
    if (status == 0) {
        status = read_body(c, in + c->head_end, in_len - c->head_end, &is_whole, &sent_len);
    }
    if (status == 0 && is_whole && !is_decoded) {
        status = decode_head(c, all, ret_request);
    }
    if (status == 0 && is_whole) {
        ret_request->body = span_of(in + c->head_end, c->is_chunked ? c->chunk.len : c->body_len);
        *ret_consumed = c->head_end + sent_len;
    }
    return status;
}

enum http1_event http1_conn_next(struct http1_conn *c, uint8_t *in, size_t in_len, int64_t now_ms,
                                 struct http1_request *ret_request, size_t *ret_consumed,
                                 int *ret_status)
{
    size_t consumed = 0;

    if (in_len > 0 && !c->has_begun) {
        c->has_begun = true;
        c->until_ms = now_ms + c->limits->request_within_ms;
    }
    if (in_len > 0 && c->status == 0) {
        c->status = read_request(c, in, in_len, ret_request, &consumed);
    }
    if (c->status != 0) {
        *ret_status = c->status;
        return HTTP1_VIOLATION;
    }
    if (consumed == 0) {
        return HTTP1_MORE;
    }
    http1_conn_init(c, c->limits, now_ms);
    *ret_consumed = consumed;
    return HTTP1_REQUEST;
}

bool http1_conn_wants_continue(struct http1_conn *c)
{
    bool wants = c->wants_continue;

    c->wants_continue = false;
    return wants;
}

int64_t http1_conn_deadline(const struct http1_conn *c)
{
    return c->until_ms;
}

static bool breaks_line(struct span s)
{
    return span_find(s, '\r') < s.len || span_find(s, '\n') < s.len;
}

static void add_header(struct span name, struct span value, struct buf *out)
{
    if (breaks_line(name) || breaks_line(value)) {
        out->failed = true; /* would be read as another header, or as another reply */
    }
    buf_add(out, name);
    buf_add(out, SPAN(": "));
    buf_add(out, value);
    buf_add(out, SPAN("\r\n"));
}

void http1_conn_reply(const struct http1_reply *r, struct buf *out)
{
    bool has_length = r->status >= 200 && r->status != 204 && r->status != 304;

    buf_add(out, SPAN("HTTP/1.1 "));
    buf_add_int(out, r->status);
    buf_add_u8(out, ' ');
    buf_add_str(out, http_status_str((enum http_status)r->status));
    buf_add(out, SPAN("\r\n"));
    for (size_t i = 0; i < r->n_headers; i++) {
        add_header(r->headers[i].name, r->headers[i].value, out);
    }
    if (has_length) {
        buf_add(out, SPAN("Content-Length: "));
        buf_add_int(out, (int64_t)r->body.len);
        buf_add(out, SPAN("\r\n"));
    }
    if (r->close) {
        buf_add(out, SPAN("Connection: close\r\n"));
    }
    buf_add(out, SPAN("\r\n"));
    if (has_length && !r->to_head) {
        buf_add(out, r->body);
    }
}
