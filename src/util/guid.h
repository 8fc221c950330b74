/* util/guid.h: 16 random bytes as a GUID's text (RFC 9562 version 4). The bytes are handed in. */
#ifndef UTIL_GUID_H
#define UTIL_GUID_H

#include "util/buf.h"

enum { GUID_BYTES = 16, GUID_TEXT_LEN = 36 };

/* Lower-case, with hyphens; version and variant bits are set over the random ones. */
void guid_format(const uint8_t random[GUID_BYTES], struct buf *out);

#endif
