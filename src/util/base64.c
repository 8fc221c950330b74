/* util/base64.c: base64 with the standard alphabet. */
#include "util/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct span bytes, struct buf *out)
{
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t group = (uint32_t)bytes.data[i] << 16;

        group |= n > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        group |= n > 2 ? (uint32_t)bytes.data[i + 2] : 0;
        buf_add_u8(out, (uint8_t)alphabet[group >> 18 & 63]);
        buf_add_u8(out, (uint8_t)alphabet[group >> 12 & 63]);
        buf_add_u8(out, (uint8_t)(n > 1 ? alphabet[group >> 6 & 63] : '='));
        buf_add_u8(out, (uint8_t)(n > 2 ? alphabet[group & 63] : '='));
    }
}

static int char_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

err base64_decode(struct span text, struct buf *out)
{
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t n_chars = 0;
    size_t n_pads = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        int value = char_value(c);

        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            continue;
        }
        if (c == '=') {
            n_pads++;
            continue;
        }
        if (value < 0 || n_pads > 0) {
            return ERR(MALFORMED);
        }
        n_chars++;
        bits = bits << 6 | (uint32_t)value;
        n_bits += 6;
        if (n_bits >= 8) {
            n_bits -= 8;
            buf_add_u8(out, (uint8_t)(bits >> n_bits));
            bits &= (1U << n_bits) - 1;
        }
    }
    if (n_chars % 4 == 1 || bits != 0 || n_pads > 2 ||
        (n_pads > 0 && (n_chars + n_pads) % 4 != 0)) {
        return ERR(MALFORMED);
    }
    return buf_ok(out);
}
