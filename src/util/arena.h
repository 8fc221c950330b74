/* util/arena.h: the memory of one request. Handed out front to back from one block of the caller's,
 * never freed piecewise, reset at the end. The block's size is the request's cap. */
#ifndef UTIL_ARENA_H
#define UTIL_ARENA_H

#include "util/buf.h"
#include "util/err.h"
#include "util/span.h"

struct arena {
    uint8_t *block;
    size_t size;
    size_t used;
};

static inline void arena_init(struct arena *a, void *block, size_t size)
{
    *a = (struct arena){ .block = block, .size = size };
}

static inline void arena_reset(struct arena *a)
{
    a->used = 0;
}

/* Zeroed, aligned for any type. NULL at the cap. */
void *arena_alloc(struct arena *a, size_t size);
/* n items of `size` bytes; NULL at the cap or on overflow. */
void *arena_array(struct arena *a, size_t n, size_t size);
#define ARENA_NEW(a, type)      ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, n, type) ((type *)arena_array((a), (n), sizeof(type)))

/* A copy with a NUL behind it (not counted). Absent stays absent. s may lie in
 * the arena where the copy will be. ERR_NOMEM at the cap. */
err arena_copy(struct arena *a, struct span s, struct span *ret_copy);
/* The same as C text. NULL at the cap; "" for the absent span. */
const char *arena_cstr(struct arena *a, struct span s);
/* A NUL-terminated print. ERR_NOMEM at the cap. */
err arena_printf(struct arena *a, struct span *ret_text, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A buf over all the room that is left; close it with arena_buf_end before the next allocation. */
struct buf arena_buf(struct arena *a);
/* Keeps what was written (NUL behind it) and gives the rest back. ERR_NOMEM when b failed. */
err arena_buf_end(struct arena *a, struct buf *b, struct span *ret_text);

#endif
