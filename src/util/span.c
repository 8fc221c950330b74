/* util/span.c: comparing and cutting runs of bytes. */
#include "util/span.h"

static uint8_t fold(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool span_eq_nocase(struct span a, struct span b)
{
    return a.len == b.len && span_starts_with_nocase(a, b);
}

bool span_starts_with(struct span s, struct span prefix)
{
    return s.len >= prefix.len && span_eq(span_first(s, prefix.len), prefix);
}

bool span_starts_with_nocase(struct span s, struct span prefix)
{
    if (s.len < prefix.len) {
        return false;
    }
    for (size_t i = 0; i < prefix.len; i++) {
        if (fold(s.data[i]) != fold(prefix.data[i])) {
            return false;
        }
    }
    return true;
}

bool span_ends_with(struct span s, struct span suffix)
{
    return s.len >= suffix.len && span_eq(span_from(s, s.len - suffix.len), suffix);
}

int span_compare(struct span a, struct span b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;

    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

size_t span_find(struct span s, uint8_t byte)
{
    const uint8_t *at = s.len > 0 ? memchr(s.data, byte, s.len) : NULL;

    return at ? (size_t)(at - s.data) : s.len;
}

struct span span_cut(struct span *rest, uint8_t byte)
{
    size_t at = span_find(*rest, byte);
    struct span part = span_first(*rest, at);

    *rest = at < rest->len ? span_from(*rest, at + 1) : SPAN_NONE;
    return part;
}

static bool is_white(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* FNV-1a, folded. */
uint32_t span_hash(struct span s)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < s.len; i++) {
        hash = (hash ^ s.data[i]) * 16777619u;
    }
    return hash ^ hash >> 16;
}

struct span span_trim(struct span s)
{
    while (s.len > 0 && is_white(s.data[0])) {
        s = span_from(s, 1);
    }
    while (s.len > 0 && is_white(s.data[s.len - 1])) {
        s.len--;
    }
    return s;
}

bool span_parse_int(struct span s, int64_t *ret_value)
{
    int64_t value = 0;

    if (s.len == 0) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        int digit = s.data[i] - '0';
        if (digit < 0 || digit > 9 || value > (INT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *ret_value = value;
    return true;
}
