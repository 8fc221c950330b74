/* util/timefmt.h: points in time as text and back. Times are milliseconds since 1970-01-01T00:00Z;
 * no clock is read here. */
#ifndef UTIL_TIMEFMT_H
#define UTIL_TIMEFMT_H

#include "util/buf.h"

/* 2022-08-31T22:02:50.5160000Z, seven digits as the real service prints them (reference
 * dps-device-api.md 2.3). */
void timefmt_iso(int64_t time_ms, struct buf *out);
/* Thu, 12 Oct 2017 19:23:50 GMT (RFC 9110 section 5.6.7). */
void timefmt_http(int64_t time_ms, struct buf *out);
/* yyyy-MM-ddTHH:mm:ss[.fraction]Z, years 1 to 9999. ERR_MALFORMED. */
err timefmt_parse_iso(struct span text, int64_t *ret_time_ms);

#endif
