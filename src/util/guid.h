/* util/guid.h: GUIDs as text (RFC 9562), from random bytes and a time that are handed in. */
#ifndef UTIL_GUID_H
#define UTIL_GUID_H

#include "util/buf.h"

enum { GUID_BYTES = 16, GUID_TEXT_LEN = 36 };

/* Version 4. Lower-case, with hyphens; version and variant bits are set over the random ones. */
void guid_format(const uint8_t random[GUID_BYTES], struct buf *out);
/* Version 7: the first 48 bits are the time, so that the texts of later ones sort behind. */
void guid_format_v7(int64_t now_ms, const uint8_t random[GUID_BYTES], struct buf *out);

#endif
