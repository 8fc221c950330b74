/* util/hex.h: bytes as hexadecimal text (RFC 4648 section 8). */
#ifndef UTIL_HEX_H
#define UTIL_HEX_H

#include "util/buf.h"

void hex_encode_lower(struct span bytes, struct buf *out);
void hex_encode_upper(struct span bytes, struct buf *out);
/* Either case, even length, nothing else. ERR_MALFORMED, or ERR_NOMEM when `out` is full. */
err hex_decode(struct span text, struct buf *out);

#endif
