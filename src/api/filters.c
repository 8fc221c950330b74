/* api/filters.c: a handful of filters in one block, looked through from the front. */
#include "api/filters.h"

#include "proto/mqtt/codec.h"
#include "util/buf.h"
#include "util/cursor.h"

enum { HEADER = 3 };

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

bool filters_add(struct filters *f, struct span filter, uint8_t qos)
{
    size_t at = find(f, filter);
    struct buf out = buf_over(f->bytes, sizeof f->bytes);

    if (at < f->len) {
        f->bytes[at] = qos;
        return true;
    }
    if (f->len + HEADER + filter.len > sizeof f->bytes || count(f) >= LIMIT_SUBSCRIPTIONS) {
        return false;
    }
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
    return span_of(f->bytes, f->len);
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
