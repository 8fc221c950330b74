/* util/arena.c: bump allocation with a cap. */
#include "util/arena.h"

#include <stdio.h>

void *arena_alloc(struct arena *a, size_t size)
{
    size_t align = _Alignof(max_align_t);
    size_t over = ((uintptr_t)a->block + a->used) % align; /* the block itself may be unaligned */
    size_t pad = over == 0 ? 0 : align - over;

    if (pad > a->size - a->used || size > a->size - a->used - pad) {
        return NULL;
    }
    a->used += pad + size;
    return memset(a->block + a->used - size, 0, size);
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    return size != 0 && n > SIZE_MAX / size ? NULL : arena_alloc(a, n * size);
}

err arena_copy(struct arena *a, struct span s, struct span *ret_copy)
{
    uint8_t *copy;

    if (span_is_absent(s)) {
        *ret_copy = SPAN_NONE;
        return OK;
    }
    if (s.len >= a->size - a->used) {
        return ERR(NOMEM);
    }
    copy = a->block + a->used;
    if (s.len > 0) {
        memmove(copy, s.data, s.len); /* s may lie in what was given back */
    }
    copy[s.len] = '\0';
    a->used += s.len + 1;
    *ret_copy = span_of(copy, s.len);
    return OK;
}

const char *arena_cstr(struct arena *a, struct span s)
{
    struct span copy;

    if (span_is_absent(s)) {
        return "";
    }
    return err_is_ok(arena_copy(a, s, &copy)) ? (const char *)copy.data : NULL;
}

err arena_printf(struct arena *a, struct span *ret_text, const char *format, ...)
{
    va_list args;
    size_t room = a->size - a->used;
    int need;

    va_start(args, format);
    need = vsnprintf((char *)a->block + a->used, room, format, args);
    va_end(args);
    if (need < 0 || (size_t)need >= room) {
        return ERR(NOMEM);
    }
    *ret_text = span_of(a->block + a->used, (size_t)need);
    a->used += (size_t)need + 1;
    return OK;
}

struct buf arena_buf(struct arena *a)
{
    return buf_over(a->block + a->used, a->size - a->used);
}

err arena_buf_end(struct arena *a, struct buf *b, struct span *ret_text)
{
    (void)buf_cstr(b);
    TRY(buf_ok(b));
    *ret_text = buf_span(b);
    a->used += b->len + 1;
    return OK;
}
