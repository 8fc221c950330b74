/* proto/http1/chunk.h: the chunked transfer coding (RFC 9112 section 7.1), taken off in place: data
 * moves to the front of the body as it arrives. Each byte is looked at once. */
#ifndef PROTO_HTTP1_CHUNK_H
#define PROTO_HTTP1_CHUNK_H

#include "util/err.h"
#include "util/span.h"

enum http1_chunk_state {
    HTTP1_CHUNK_SIZE_FIRST, /* at least one digit must come */
    HTTP1_CHUNK_SIZE,
    HTTP1_CHUNK_EXTENSION,
    HTTP1_CHUNK_SIZE_LF,
    HTTP1_CHUNK_DATA,
    HTTP1_CHUNK_DATA_CR,
    HTTP1_CHUNK_DATA_LF,
    HTTP1_CHUNK_TRAILER_FIRST, /* start of a trailer line, or of the empty line */
    HTTP1_CHUNK_TRAILER,
    HTTP1_CHUNK_TRAILER_LF,
    HTTP1_CHUNK_END_LF,
    HTTP1_CHUNK_DONE,
};

struct http1_chunk {
    enum http1_chunk_state state;
    size_t left;    /* size being read, then bytes of this chunk still to come */
    size_t raw_len; /* bytes of the coded body looked at */
    size_t len;     /* bytes of data, at the front of the body */
};

static inline struct http1_chunk http1_chunk_begin(void)
{
    return (struct http1_chunk){ .state = HTTP1_CHUNK_SIZE_FIRST };
}

/* Goes on where it stopped; `body` is the coded body from its first byte, as it was left. Ends in
 * HTTP1_CHUNK_DONE, or waits for more. ERR_MALFORMED; ERR_TOO_LARGE when the data would exceed
 * body_max. Trailers are passed over. */
err http1_chunk_decode(struct http1_chunk *c, uint8_t *body, size_t body_len, size_t body_max);

#endif
