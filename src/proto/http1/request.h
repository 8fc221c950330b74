/* proto/http1/request.h: one request (RFC 9112 sections 3 and 5): its head as fields, and what its
 * head says of the body behind it. Bytes only; not when they arrive (conn.h), not what is asked
 * (api/). */
#ifndef PROTO_HTTP1_REQUEST_H
#define PROTO_HTTP1_REQUEST_H

#include "util/buf.h"
#include "util/err.h"
#include "util/span.h"

enum { HTTP1_HEADERS_MAX = 64 };

struct http1_header {
    struct span name, value;
};

/* One whole request. Spans point into the input. */
struct http1_request {
    struct span method; /* "GET" */
    struct span target; /* as sent */
    struct span path;   /* the target before '?', still percent-encoded; without http://authority */
    struct span query;  /* behind '?', or absent */
    struct span body;   /* de-chunked in place; empty when there is none */
    struct http1_header headers[HTTP1_HEADERS_MAX];
    size_t n_headers;
    bool keep_alive; /* what the client asked for, HTTP/1.0 rules included */
};

/* What follows a head. */
struct http1_framing {
    bool chunked;
    size_t body_len; /* 0 when chunked */
    bool expects_continue;
};

/* Reads a whole head: request line to empty line, every line ended by CR LF. 0, or the status to
 * answer it with: 400, 413 (Content-Length above body_max), 431 (too many headers), 501, 505. */
int http1_request_decode_head(struct span head, size_t body_max, struct http1_request *ret_request,
                              struct http1_framing *ret_framing);

/* Is this a character of a token (RFC 9110 section 5.6.2)? */
bool http1_request_is_token_char(uint8_t c);

/* The first header of that name (any case), or absent. */
struct span http1_request_header(const struct http1_request *r, struct span name);
/* The first query parameter of that name (any case), percent-decoded into `out`; false, and `out`
 * as it was, when missing, ill-formed or without room. */
bool http1_request_query(const struct http1_request *r, struct span name, struct buf *out);

#endif
