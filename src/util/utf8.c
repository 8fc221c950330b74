/* util/utf8.c: well-formed UTF-8, told apart byte by byte, plain ASCII eight at a time; and
 * characters written as such. */
#include "util/utf8.h"

size_t utf8_sequence(struct span s, size_t *ret_skip)
{
    uint8_t lead = s.data[0];
    size_t len = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    size_t good = 1;
    bool is_lead = lead < 0x80 || (lead >= 0xc2 && lead <= 0xf4);

    while (is_lead && good < len && good < s.len && s.data[good] >= low && s.data[good] <= high) {
        low = 0x80;
        high = 0xbf;
        good++;
    }
    if (is_lead && good == len) {
        return len;
    }
    if (ret_skip != NULL) {
        *ret_skip = good;
    }
    return 0;
}

bool utf8_is_text(struct span s)
{
    static const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;

    for (size_t i = 0; i < s.len;) {
        uint64_t word;
        size_t n;

        if (s.len - i >= sizeof(word)) {
            memcpy(&word, s.data + i, sizeof(word));
            /* A byte that is 0 borrows into its own high bit; one above 0x7f has it already. */
            if (((word | (word - ones)) & highs) == 0) {
                i += sizeof(word);
                continue;
            }
        }
        n = s.data[i] == 0 ? 0 : utf8_sequence(span_from(s, i), NULL);
        if (n == 0) {
            return false;
        }
        i += n;
    }
    return true;
}

void utf8_encode(uint32_t c, struct buf *out)
{
    if (c < 0x80) {
        buf_add_u8(out, (uint8_t)c);
    } else if (c < 0x800) {
        buf_add_u8(out, (uint8_t)(0xc0 | c >> 6));
        buf_add_u8(out, (uint8_t)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        buf_add_u8(out, (uint8_t)(0xe0 | c >> 12));
        buf_add_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        buf_add_u8(out, (uint8_t)(0x80 | (c & 0x3f)));
    } else {
        buf_add_u8(out, (uint8_t)(0xf0 | c >> 18));
        buf_add_u8(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
        buf_add_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        buf_add_u8(out, (uint8_t)(0x80 | (c & 0x3f)));
    }
}
