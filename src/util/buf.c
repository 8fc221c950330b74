/* util/buf.c: appending with a sticky failure. */
#include "util/buf.h"

#include <stdio.h>

static bool make_room(struct buf *b, size_t n)
{
    if (b->failed) {
        return false;
    }
    if (n <= b->cap - b->len) {
        return true;
    }
    if (n <= SIZE_MAX - b->len && b->grow != NULL && b->grow(b, b->len + n)) {
        return true;
    }
    b->failed = true;
    return false;
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
    uint8_t *at;

    if (!make_room(b, n)) {
        return NULL;
    }
    if (n == 0 && b->data == NULL) {
        return NULL; /* nothing asked, nothing there: no failure */
    }
    at = b->data + b->len;
    b->len += n;
    return at;
}

void buf_add(struct buf *b, struct span s)
{
    uint8_t *at = buf_reserve(b, s.len);

    if (at != NULL && s.len > 0) {
        memcpy(at, s.data, s.len);
    }
}

void buf_add_str(struct buf *b, const char *text)
{
    buf_add(b, span_str(text));
}

void buf_add_u8(struct buf *b, uint8_t value)
{
    buf_add(b, span_of(&value, 1));
}

void buf_add_u16(struct buf *b, uint16_t value)
{
    uint8_t bytes[2] = { (uint8_t)(value >> 8), (uint8_t)value };

    buf_add(b, span_of(bytes, sizeof(bytes)));
}

void buf_add_u32(struct buf *b, uint32_t value)
{
    uint8_t bytes[4] = { (uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8),
                         (uint8_t)value };

    buf_add(b, span_of(bytes, sizeof(bytes)));
}

void buf_add_int(struct buf *b, int64_t value)
{
    uint8_t digits[20];
    size_t at = sizeof(digits);
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do {
        digits[--at] = (uint8_t)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (value < 0) {
        digits[--at] = '-';
    }
    buf_add(b, span_of(digits + at, sizeof(digits) - at));
}

void buf_add_lp16(struct buf *b, struct span s)
{
    if (s.len > UINT16_MAX) {
        b->failed = true;
        return;
    }
    buf_add_u16(b, (uint16_t)s.len);
    buf_add(b, s);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    char local[256];
    va_list args;
    int need;

    va_start(args, format);
    need = vsnprintf(local, sizeof(local), format, args);
    va_end(args);
    if (need >= 0 && (size_t)need < sizeof(local)) {
        buf_add(b, span_of(local, (size_t)need));
        return;
    }
    /* vsnprintf also writes a NUL: ask for its room, but do not count it. */
    if (need < 0 || !make_room(b, (size_t)need + 1)) {
        b->failed = true;
        return;
    }
    va_start(args, format);
    (void)vsnprintf((char *)b->data + b->len, (size_t)need + 1, format, args);
    va_end(args);
    b->len += (size_t)need;
}

void buf_consume(struct buf *b, size_t n)
{
    size_t gone = n < b->len ? n : b->len;

    if (gone > 0 && gone < b->len) {
        memmove(b->data, b->data + gone, b->len - gone);
    }
    b->len -= gone;
}

const char *buf_cstr(struct buf *b)
{
    if (!make_room(b, 1)) {
        return "";
    }
    b->data[b->len] = '\0';
    return (const char *)b->data;
}

err buf_ok(const struct buf *b)
{
    return b->failed ? ERR(NOMEM) : OK;
}
