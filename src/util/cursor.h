/* util/cursor.h: reads a span from front to back. An error sticks: read on, ask once at the end. */
#ifndef UTIL_CURSOR_H
#define UTIL_CURSOR_H

#include "util/err.h"
#include "util/span.h"

struct cursor {
    struct span rest;
    bool failed;
};

static inline struct cursor cursor_over(struct span s)
{
    return (struct cursor){ .rest = s };
}

/* n bytes, or the absent span and failure. The result points into the input. */
struct span cursor_bytes(struct cursor *c, size_t n);
/* Big-endian. 0 after a failure. */
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
/* A 16-bit big-endian length, then that many bytes (MQTT string, TPM2B). */
struct span cursor_lp16(struct cursor *c);
/* All that is left. */
struct span cursor_rest(struct cursor *c);
/* ERR_MALFORMED when a read ran past the end. */
err cursor_ok(const struct cursor *c);
/* The same, and when bytes are left over. */
err cursor_done(const struct cursor *c);

#endif
