/* util/guid.c: GUID text. */
#include "util/guid.h"

#include "util/hex.h"

enum { TIME_BYTES = 6 };

static void format(uint8_t b[GUID_BYTES], unsigned version, struct buf *out)
{
    static const size_t ends[] = { 4, 6, 8, 10, 16 };
    size_t from = 0;

    b[6] = (uint8_t)((b[6] & 0x0f) | version << 4);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (i > 0) {
            buf_add_u8(out, '-');
        }
        hex_encode_lower(span_of(b + from, ends[i] - from), out);
        from = ends[i];
    }
}

void guid_format(const uint8_t random[GUID_BYTES], struct buf *out)
{
    uint8_t b[GUID_BYTES];

    memcpy(b, random, sizeof(b));
    format(b, 4, out);
}

void guid_format_v7(int64_t now_ms, const uint8_t random[GUID_BYTES], struct buf *out)
{
    uint8_t b[GUID_BYTES];

    memcpy(b, random, sizeof(b));
    for (int i = 0; i < TIME_BYTES; i++) {
        b[i] = (uint8_t)((uint64_t)now_ms >> (8 * (TIME_BYTES - 1 - i)));
    }
    format(b, 7, out);
}
