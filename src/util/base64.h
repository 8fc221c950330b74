/* util/base64.h: RFC 4648 section 4, with padding. */
#ifndef UTIL_BASE64_H
#define UTIL_BASE64_H

#include "util/buf.h"

/* Bytes that encoding n bytes takes. */
static inline size_t base64_encoded_len(size_t n)
{
    return (n + 2) / 3 * 4;
}

void base64_encode(struct span bytes, struct buf *out);
/* White space between characters is passed over; padding may be missing; anything else, and bits
 * left over that are not zero, is ERR_MALFORMED. ERR_NOMEM when `out` is full. */
err base64_decode(struct span text, struct buf *out);

#endif
