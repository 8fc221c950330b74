/* util/span.h: a run of bytes or text that somebody else owns. Not NUL-terminated, never freed.
 * An absent text is the zero span; an empty text has data and length 0. */
#ifndef UTIL_SPAN_H
#define UTIL_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *data;
    size_t len;
};

#define SPAN(literal) ((struct span){ (const uint8_t *)("" literal), sizeof(literal) - 1 })
/* The same as an initializer of static data. */
#define SPAN_INIT(literal)                                                                         \
    {                                                                                              \
        (const uint8_t *)("" literal), sizeof(literal) - 1                                         \
    }
#define SPAN_NONE ((struct span){ NULL, 0 })

/* For printf's "%.*s". */
#define SPAN_FMT(s) (int)(s).len, (const char *)((s).data ? (s).data : (const uint8_t *)"")

static inline struct span span_of(const void *data, size_t len)
{
    return (struct span){ (const uint8_t *)data, len };
}

/* NULL gives the absent span. */
static inline struct span span_str(const char *text)
{
    return text ? span_of(text, strlen(text)) : SPAN_NONE;
}

static inline bool span_is_absent(struct span s)
{
    return s.data == NULL;
}

static inline bool span_is_empty(struct span s)
{
    return s.len == 0;
}

static inline bool span_eq(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* From byte `at` (cut to the length) to the end. */
static inline struct span span_from(struct span s, size_t at)
{
    size_t skip = at < s.len ? at : s.len;

    return s.data ? span_of(s.data + skip, s.len - skip) : SPAN_NONE;
}

static inline struct span span_first(struct span s, size_t n)
{
    return span_of(s.data, n < s.len ? n : s.len);
}

/* ASCII case is folded; other bytes compare as they are. */
bool span_eq_nocase(struct span a, struct span b);
bool span_starts_with(struct span s, struct span prefix);
bool span_starts_with_nocase(struct span s, struct span prefix);
bool span_ends_with(struct span s, struct span suffix);
/* <0, 0, >0 as memcmp, a shorter one first among equals. */
int span_compare(struct span a, struct span b);

/* Index of the first `byte`, or s.len. */
size_t span_find(struct span s, uint8_t byte);

/* Takes from *rest what stands before the first `byte` and steps over that byte; the whole rest
 * when there is none. *rest becomes absent once the last part was taken. */
struct span span_cut(struct span *rest, uint8_t byte);

/* For tables in memory, of keys that nobody picks so that they collide; it is kept nowhere. */
uint32_t span_hash(struct span s);

/* White space (space, tab, CR, LF) off both ends. */
struct span span_trim(struct span s);

/* Decimal digits only, no sign, at most INT64_MAX. False and *ret_value untouched otherwise. */
bool span_parse_int(struct span s, int64_t *ret_value);

#endif
