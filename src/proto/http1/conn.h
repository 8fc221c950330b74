/* proto/http1/conn.h: the server's side of one HTTP/1.1 connection (RFC 9112): bytes in, whole
 * requests out; no sockets, no clock, no memory of its own. */
#ifndef PROTO_HTTP1_CONN_H
#define PROTO_HTTP1_CONN_H

#include "proto/http1/chunk.h"
#include "proto/http1/request.h"
#include "util/buf.h"
#include "util/err.h"
#include "util/span.h"

/* A buffer of head_max + body_max bytes holds any request that is not refused. */
struct http1_limits {
    size_t head_max;           /* bytes of request line and headers */
    size_t body_max;           /* bytes of body as sent, chunk framing included */
    int64_t request_within_ms; /* from a request's first byte to its last */
    int64_t idle_max_ms;       /* between requests, and to the first byte of the first */
};

enum http1_event {
    HTTP1_MORE,
    HTTP1_REQUEST,
    HTTP1_VIOLATION, /* answer *ret_status (400, 413, 431, 501, 505), then close */
};

struct http1_conn {
    const struct http1_limits *limits;
    int64_t until_ms; /* deadline in force */
    /* All below is of the request being read; offsets count from the start of the input. */
    bool has_begun;
    bool wants_continue;
    int status;      /* what broke it; 0: nothing yet */
    size_t head_at;  /* request line, behind empty lines that a client left */
    size_t line_at;  /* line whose end is being looked for */
    size_t scanned;  /* no line feed from line_at to here */
    size_t head_end; /* 0: the head is not whole yet */
    size_t body_len; /* without chunking */
    bool is_chunked;
    struct http1_chunk chunk;
};

void http1_conn_init(struct http1_conn *c, const struct http1_limits *limits, int64_t now_ms);

/* `in` holds all bytes received and not yet consumed; it may have moved in memory between calls but
 * must hold what the last call left, and more. On HTTP1_REQUEST drop the first *ret_consumed bytes;
 * the request's spans stay valid while the caller keeps those bytes. "Expect: 100-continue" and
 * upgrades are given back as ordinary requests. *ret_request is scratch until then. Violations are
 * also: Content-Length with Transfer-Encoding, a repeated Content-Length, a transfer coding other
 * than chunked, obsolete line folding, a line that does not end in CR LF, HTTP/1.1 without exactly
 * one Host. After one, every call says the same. */
enum http1_event http1_conn_next(struct http1_conn *c, uint8_t *in, size_t in_len, int64_t now_ms,
                                 struct http1_request *ret_request, size_t *ret_consumed,
                                 int *ret_status);

/* Should "HTTP/1.1 100 Continue" be sent now? True once for a head with Expect: 100-continue that
 * is whole while its body is not. */
bool http1_conn_wants_continue(struct http1_conn *c);

/* When to close unless something arrives first, ms. */
int64_t http1_conn_deadline(const struct http1_conn *c);

/* Status line (always with a reason phrase, reference dps-device-api.md 4.1), Date-free; then the
 * headers given, Content-Length, an empty line and the body. `close` adds "Connection: close". A
 * 1xx, 204 or 304 has neither body nor length. */
struct http1_reply {
    int status;
    const struct http1_header *headers;
    size_t n_headers;
    struct span body;
    bool close;
    bool to_head; /* answers a HEAD: the body's length, not the body */
};

/* `out` fails sticky when it has no room, or when a header would break its line. */
void http1_conn_reply(const struct http1_reply *r, struct buf *out);

#endif
