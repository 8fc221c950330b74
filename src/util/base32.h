/* util/base32.h: RFC 4648 section 6 in lower case and without padding, as devices with a TPM write
 * their registration IDs. */
#ifndef UTIL_BASE32_H
#define UTIL_BASE32_H

#include "util/buf.h"

/* Characters that encoding n bytes takes. */
static inline size_t base32_encoded_len(size_t n)
{
    return (n * 8 + 4) / 5;
}

void base32_encode_lower(struct span bytes, struct buf *out);

#endif
