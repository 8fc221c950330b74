/* util/base32.c: base32 with the standard alphabet: five bits a character, the first bits first. */
#include "util/base32.h"

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

void base32_encode_lower(struct span bytes, struct buf *out)
{
    uint32_t bits = 0;
    unsigned n_bits = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | bytes.data[i];
        for (n_bits += 8; n_bits >= 5; n_bits -= 5) {
            buf_add_u8(out, (uint8_t)alphabet[bits >> (n_bits - 5) & 31]);
        }
    }
    if (n_bits > 0) {
        buf_add_u8(out, (uint8_t)alphabet[bits << (5 - n_bits) & 31]);
    }
}
