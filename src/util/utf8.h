/* util/utf8.h: is this UTF-8? And a character as UTF-8. */
#ifndef UTIL_UTF8_H
#define UTIL_UTF8_H

#include "util/buf.h"
#include "util/span.h"

/* Length of the well-formed sequence at the front of s, which is not empty (Unicode table 3-7: no
 * surrogates, nothing past U+10FFFF, nothing longer than need be). 0: ill-formed; *ret_skip, unless
 * NULL, is then how many bytes one U+FFFD stands for. */
size_t utf8_sequence(struct span s, size_t *ret_skip);

/* Well-formed throughout and without U+0000, which readers in C stumble on. Empty is text. */
bool utf8_is_text(struct span s);

/* Adds a code point up to U+10FFFF, whatever it is. */
void utf8_encode(uint32_t c, struct buf *out);

#endif
