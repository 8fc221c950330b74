/* util/guid.c: GUID text. */
#include "util/guid.h"

#include "util/hex.h"

void guid_format(const uint8_t random[GUID_BYTES], struct buf *out)
{
    static const size_t ends[] = { 4, 6, 8, 10, 16 };
    uint8_t b[GUID_BYTES];
    size_t from = 0;

    memcpy(b, random, sizeof(b));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (i > 0) {
            buf_add_u8(out, '-');
        }
        hex_encode_lower(span_of(b + from, ends[i] - from), out);
        from = ends[i];
    }
}
