/* util/hex.c: hexadecimal. */
#include "util/hex.h"

static void encode(struct span bytes, const char *digits, struct buf *out)
{
    for (size_t i = 0; i < bytes.len; i++) {
        buf_add_u8(out, (uint8_t)digits[bytes.data[i] >> 4]);
        buf_add_u8(out, (uint8_t)digits[bytes.data[i] & 15]);
    }
}

void hex_encode_lower(struct span bytes, struct buf *out)
{
    encode(bytes, "0123456789abcdef", out);
}

void hex_encode_upper(struct span bytes, struct buf *out)
{
    encode(bytes, "0123456789ABCDEF", out);
}

static int digit_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

err hex_decode(struct span text, struct buf *out)
{
    if (text.len % 2 != 0) {
        return ERR(MALFORMED);
    }
    for (size_t i = 0; i < text.len; i += 2) {
        int high = digit_value(text.data[i]);
        int low = digit_value(text.data[i + 1]);

        if (high < 0 || low < 0) {
            return ERR(MALFORMED);
        }
        buf_add_u8(out, (uint8_t)(high << 4 | low));
    }
    return buf_ok(out);
}
