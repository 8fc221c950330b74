/* proto/http1/chunk.c: the chunked coding, strictly: every line ends in CR LF and nothing else, for
 * a lenient reader behind a lenient proxy is how requests are smuggled.
 *
 *     SIZE_FIRST -> SIZE -> [EXTENSION] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE_FIRST
 *                                             \ size 0
 *                                              -> TRAILER_FIRST -> END_LF -> DONE
 *                                                 ^   \-> TRAILER -> TRAILER_LF
 *                                                 \______________________/
 */
#include "proto/http1/chunk.h"

static int digit_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static err on_size(struct http1_chunk *c, uint8_t byte, size_t body_max)
{
    int digit = digit_value(byte);

    if (digit >= 0) {
        if (c->left > (body_max - c->len) >> 4) {
            return ERR(TOO_LARGE);
        }
        c->left = c->left << 4 | (size_t)digit;
        c->state = HTTP1_CHUNK_SIZE;
        return c->left > body_max - c->len ? ERR(TOO_LARGE) : OK;
    }
    if (c->state == HTTP1_CHUNK_SIZE_FIRST) {
        return ERR(MALFORMED);
    }
    if (byte == '\r') {
        c->state = HTTP1_CHUNK_SIZE_LF;
        return OK;
    }
    c->state = HTTP1_CHUNK_EXTENSION;
    return byte == ';' || byte == ' ' || byte == '\t' ? OK : ERR(MALFORMED);
}

/* Text up to CR, in which no other control character may stand. */
static err on_text(struct http1_chunk *c, uint8_t byte, enum http1_chunk_state after)
{
    if (byte == '\r') {
        c->state = after;
        return OK;
    }
    return (byte < ' ' && byte != '\t') || byte == 0x7f ? ERR(MALFORMED) : OK;
}

static err on_exactly(struct http1_chunk *c, uint8_t byte, char wanted,
                      enum http1_chunk_state after)
{
    if (byte != (uint8_t)wanted) {
        return ERR(MALFORMED);
    }
    c->state = after;
    return OK;
}

static err on_byte(struct http1_chunk *c, uint8_t byte, size_t body_max)
{
    switch (c->state) {
    case HTTP1_CHUNK_SIZE_FIRST:
    case HTTP1_CHUNK_SIZE:
        return on_size(c, byte, body_max);
    case HTTP1_CHUNK_EXTENSION:
        return on_text(c, byte, HTTP1_CHUNK_SIZE_LF);
    case HTTP1_CHUNK_SIZE_LF:
        return on_exactly(c, byte, '\n',
                          c->left > 0 ? HTTP1_CHUNK_DATA : HTTP1_CHUNK_TRAILER_FIRST);
    case HTTP1_CHUNK_DATA_CR:
        return on_exactly(c, byte, '\r', HTTP1_CHUNK_DATA_LF);
    case HTTP1_CHUNK_DATA_LF:
        return on_exactly(c, byte, '\n', HTTP1_CHUNK_SIZE_FIRST);
    case HTTP1_CHUNK_TRAILER_FIRST:
        c->state = HTTP1_CHUNK_TRAILER;
        return on_text(c, byte, HTTP1_CHUNK_END_LF);
    case HTTP1_CHUNK_TRAILER:
        return on_text(c, byte, HTTP1_CHUNK_TRAILER_LF);
    case HTTP1_CHUNK_TRAILER_LF:
        return on_exactly(c, byte, '\n', HTTP1_CHUNK_TRAILER_FIRST);
    case HTTP1_CHUNK_END_LF:
        return on_exactly(c, byte, '\n', HTTP1_CHUNK_DONE);
    case HTTP1_CHUNK_DATA:
    case HTTP1_CHUNK_DONE:
        break;
    }
    return ERR(MALFORMED);
}

static void take_data(struct http1_chunk *c, uint8_t *body, size_t body_len)
{
    size_t here = body_len - c->raw_len;
    size_t n = here < c->left ? here : c->left;

    memmove(body + c->len, body + c->raw_len, n);
    c->len += n;
    c->raw_len += n;
    c->left -= n;
    if (c->left == 0) {
        c->state = HTTP1_CHUNK_DATA_CR;
    }
}

err http1_chunk_decode(struct http1_chunk *c, uint8_t *body, size_t body_len, size_t body_max)
{
    while (c->state != HTTP1_CHUNK_DONE && c->raw_len < body_len) {
        if (c->state == HTTP1_CHUNK_DATA) {
            take_data(c, body, body_len);
        } else {
            TRY(on_byte(c, body[c->raw_len], body_max));
            c->raw_len++;
        }
    }
    return OK;
}
