/* util/buf.h: text and bytes being written into memory of the caller's. Failure sticks: write on,
 * ask once. A buf with a `grow` hook asks it for room first; the memory stays the hook owner's. */
#ifndef UTIL_BUF_H
#define UTIL_BUF_H

#include <stdarg.h>

#include "util/err.h"
#include "util/span.h"

struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
    bool failed; /* something did not fit; what was written before is whole */
    /* Makes cap at least `need`, may move data; false when it may not. NULL: fixed size. */
    bool (*grow)(struct buf *b, size_t need);
};

static inline struct buf buf_over(void *data, size_t cap)
{
    return (struct buf){ .data = data, .cap = cap };
}

static inline struct span buf_span(const struct buf *b)
{
    return span_of(b->data, b->len);
}

/* Room for n bytes at the end, counted as written; NULL (and failed) when they do not fit. */
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_add(struct buf *b, struct span s);
void buf_add_str(struct buf *b, const char *text);
void buf_add_u8(struct buf *b, uint8_t value);
/* Big-endian. */
void buf_add_u16(struct buf *b, uint16_t value);
void buf_add_u32(struct buf *b, uint32_t value);
void buf_add_int(struct buf *b, int64_t value);
/* 16-bit big-endian length, then the bytes; fails above 65,535. */
void buf_add_lp16(struct buf *b, struct span s);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Drops the first n bytes. */
void buf_consume(struct buf *b, size_t n);
/* A NUL behind the text (not counted in len), for C interfaces. "" when it does not fit. */
const char *buf_cstr(struct buf *b);
/* ERR_NOMEM when something did not fit. */
err buf_ok(const struct buf *b);

#endif
