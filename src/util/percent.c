/* util/percent.c: percent-encoding. */
#include "util/percent.h"

#include "util/hex.h"

static bool is_unreserved(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void percent_encode(struct span text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        if (is_unreserved(text.data[i])) {
            buf_add_u8(out, text.data[i]);
        } else {
            buf_add_u8(out, '%');
            hex_encode_upper(span_of(&text.data[i], 1), out);
        }
    }
}

err percent_decode(struct span text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '%') {
            buf_add_u8(out, text.data[i]);
            continue;
        }
        if (text.len - i < 3) {
            return ERR(MALFORMED);
        }
        TRY(hex_decode(span_of(&text.data[i + 1], 2), out));
        i += 2;
    }
    return buf_ok(out);
}
