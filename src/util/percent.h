/* util/percent.h: percent-encoding (RFC 3986 section 2.1). '+' is a plus, not a space. */
#ifndef UTIL_PERCENT_H
#define UTIL_PERCENT_H

#include "util/buf.h"

/* All but unreserved characters (A-Z a-z 0-9 - . _ ~) as %XX, upper-case. */
void percent_encode(struct span text, struct buf *out);
/* A '%' without two hex digits is ERR_MALFORMED. ERR_NOMEM when `out` is full. */
err percent_decode(struct span text, struct buf *out);

#endif
