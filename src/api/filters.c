/* api/filters.c: a handful of filters in one block, looked through from the front. */
#include "api/filters.h"

#include <stdlib.h>

#include "proto/mqtt/codec.h"
#include "util/buf.h"
#include "util/cursor.h"

enum { HEADER = 3, ROOM_AT_FIRST = 128 };

/* Where a filter lies; f->len: nowhere. */
static size_t find(const struct filters *f, struct span filter)
{
    size_t at = 0;

    while (at < f->len) {
        size_t len = (size_t)f->bytes[at + 1] << 8 | f->bytes[at + 2];

        if (span_eq(span_of(f->bytes + at + HEADER, len), filter)) {
            break;
        }
        at += HEADER + len;
    }
    return at;
}

static size_t count(const struct filters *f)
{
    size_t n = 0;

    for (size_t at = 0; at < f->len; n++) {
        at += HEADER + ((size_t)f->bytes[at + 1] << 8 | f->bytes[at + 2]);
    }
    return n;
}

void filters_free(struct filters *f)
{
    free(f->bytes);
    *f = (struct filters){ 0 };
}

static bool make_room(struct filters *f, size_t size)
{
    size_t cap = f->cap > 0 ? f->cap : ROOM_AT_FIRST;
    uint8_t *bytes;

    if (size <= f->cap) {
        return true;
    }
    while (cap < size) {
        cap *= 2;
    }
    bytes = realloc(f->bytes, cap);
    if (bytes == NULL) {
        return false;
    }
    f->bytes = bytes;
    f->cap = cap;
    return true;
}

bool filters_add(struct filters *f, struct span filter, uint8_t qos)
{
    size_t at = find(f, filter);
    size_t size = f->len + HEADER + filter.len;
    struct buf out;

    if (at < f->len) {
        f->bytes[at] = qos;
        return true;
    }
    if (size > LIMIT_FILTERS || count(f) >= LIMIT_SUBSCRIPTIONS || !make_room(f, size)) {
        return false;
    }
    out = buf_over(f->bytes, f->cap);
    out.len = f->len;
    buf_add_u8(&out, qos);
    buf_add_lp16(&out, filter);
    f->len = out.len;
    return true;
}

void filters_remove(struct filters *f, struct span filter)
{
    size_t at = find(f, filter), size = HEADER + filter.len;

    if (at < f->len) {
        memmove(f->bytes + at, f->bytes + at + size, f->len - at - size);
        f->len -= size;
    }
}

int filters_match(const struct filters *f, struct span topic)
{
    int best = -1;

    for (size_t at = 0; at < f->len;) {
        size_t len = (size_t)f->bytes[at + 1] << 8 | f->bytes[at + 2];

        if (f->bytes[at] > best &&
            mqtt_codec_matches(span_of(f->bytes + at + HEADER, len), topic)) {
            best = f->bytes[at];
        }
        at += HEADER + len;
    }
    return best;
}

struct span filters_span(const struct filters *f)
{
    return f->len > 0 ? span_of(f->bytes, f->len) : SPAN("");
}

bool filters_load(struct filters *f, struct span packed)
{
    struct cursor c = cursor_over(packed);

    f->len = 0;
    while (c.rest.len > 0) {
        uint8_t qos = cursor_u8(&c);
        struct span filter = cursor_lp16(&c);

        if (c.failed || qos > 1 || !mqtt_codec_is_filter(filter) || !filters_add(f, filter, qos)) {
            f->len = 0;
            return false;
        }
    }
    return true;
}
