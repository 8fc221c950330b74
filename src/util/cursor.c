/* util/cursor.c: bounds-checked reading. */
#include "util/cursor.h"

struct span cursor_bytes(struct cursor *c, size_t n)
{
    struct span taken;

    if (c->failed || c->rest.len < n) {
        c->failed = true;
        return SPAN_NONE;
    }
    taken = span_first(c->rest, n);
    c->rest = span_from(c->rest, n);
    return taken;
}

uint8_t cursor_u8(struct cursor *c)
{
    struct span b = cursor_bytes(c, 1);

    return b.data ? b.data[0] : 0;
}

uint16_t cursor_u16(struct cursor *c)
{
    struct span b = cursor_bytes(c, 2);

    return b.data ? (uint16_t)(b.data[0] << 8 | b.data[1]) : 0;
}

uint32_t cursor_u32(struct cursor *c)
{
    uint32_t high = cursor_u16(c);
    uint32_t low = cursor_u16(c);

    return c->failed ? 0 : high << 16 | low;
}

struct span cursor_lp16(struct cursor *c)
{
    return cursor_bytes(c, cursor_u16(c));
}

struct span cursor_rest(struct cursor *c)
{
    return cursor_bytes(c, c->rest.len);
}

err cursor_ok(const struct cursor *c)
{
    return c->failed ? ERR(MALFORMED) : OK;
}

err cursor_done(const struct cursor *c)
{
    return c->failed || c->rest.len > 0 ? ERR(MALFORMED) : OK;
}
