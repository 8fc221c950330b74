/* rule/pattern.c: a matcher that backs up, as the language asks for, and counts each thing it
 * tries. Knows bytes, in the "C" locale; not Lua.
 *
 *   pattern = [^] { item } [$]         item = single [*+-?] | %n | %bxy | %f[set] | ( ) | (pattern)
 *   single  = . | byte | %class | %byte | [set] | [^set]
 *   set     = { byte | byte-byte | %class | %byte }, a ']' in its first place being a byte
 */
#include "rule/pattern.h"

#include <stdint.h>

/* A place in the subject, or: none. */
#define NO_MATCH SIZE_MAX

static size_t match(struct rule_pattern *m, size_t s, size_t p);

static bool step(struct rule_pattern *m)
{
    return --*m->steps >= 0;
}

static size_t spoil(struct rule_pattern *m, const char *wrong)
{
    m->wrong = m->wrong != NULL ? m->wrong : wrong;
    return NO_MATCH;
}

static bool is_at_end(const struct rule_pattern *m, size_t p)
{
    return p >= m->pattern.len;
}

static uint8_t pattern_byte(const struct rule_pattern *m, size_t p)
{
    return p < m->pattern.len ? m->pattern.data[p] : 0;
}

static bool is_between(uint8_t c, uint8_t low, uint8_t high)
{
    return c >= low && c <= high;
}

static bool is_letter(uint8_t c)
{
    return is_between(c | 0x20, 'a', 'z');
}

static bool is_digit(uint8_t c)
{
    return is_between(c, '0', '9');
}

/* %class; a letter that names none, and any other byte, is itself. Upper case: all others. */
static bool is_in_class(uint8_t c, uint8_t class)
{
    bool is;

    switch (class | 0x20) {
    case 'a':
        is = is_letter(c);
        break;
    case 'c':
        is = c < 0x20 || c == 0x7f;
        break;
    case 'd':
        is = is_digit(c);
        break;
    case 'g':
        is = is_between(c, 0x21, 0x7e);
        break;
    case 'l':
        is = is_between(c, 'a', 'z');
        break;
    case 'p':
        is = is_between(c, 0x21, 0x7e) && !is_letter(c) && !is_digit(c);
        break;
    case 's':
        is = c == ' ' || is_between(c, '\t', '\r');
        break;
    case 'u':
        is = is_between(c, 'A', 'Z');
        break;
    case 'w':
        is = is_letter(c) || is_digit(c);
        break;
    case 'x':
        is = is_digit(c) || is_between(c | 0x20, 'a', 'f');
        break;
    default:
        return c == class;
    }
    return is != is_between(class, 'A', 'Z');
}

/* Behind a set whose '[' is at p. */
static size_t set_end(struct rule_pattern *m, size_t p)
{
    bool is_first = true;

    p += pattern_byte(m, p + 1) == '^' ? 2 : 1;
    for (; is_first || pattern_byte(m, p) != ']' || is_at_end(m, p); is_first = false) {
        p += pattern_byte(m, p) == '%' ? 2 : 1;
        if (p >= m->pattern.len) {
            return spoil(m, "malformed pattern (missing ']')");
        }
    }
    return p + 1;
}

/* Behind the single at p. */
static size_t single_end(struct rule_pattern *m, size_t p)
{
    uint8_t c = pattern_byte(m, p);

    if (c == '%') {
        return p + 1 < m->pattern.len ? p + 2 : spoil(m, "malformed pattern (ends with '%')");
    }
    return c == '[' ? set_end(m, p) : p + 1;
}

/* The set from '[' at p to before `end`. */
static bool is_in_set(struct rule_pattern *m, uint8_t c, size_t p, size_t end)
{
    bool is_complement = pattern_byte(m, p + 1) == '^';
    size_t last = end - 1; /* its ']' */

    p += is_complement ? 2 : 1;
    while (p < last && step(m)) {
        if (pattern_byte(m, p) == '%') {
            if (is_in_class(c, pattern_byte(m, p + 1))) {
                return !is_complement;
            }
            p += 2;
        } else if (pattern_byte(m, p + 1) == '-' && p + 2 < last) {
            if (is_between(c, pattern_byte(m, p), pattern_byte(m, p + 2))) {
                return !is_complement;
            }
            p += 3;
        } else {
            if (pattern_byte(m, p) == c) {
                return !is_complement;
            }
            p++;
        }
    }
    return is_complement;
}

/* Does the byte at s fit the single from p to before `end`? */
static bool is_single(struct rule_pattern *m, size_t s, size_t p, size_t end)
{
    uint8_t c;

    if (s >= m->subject.len || !step(m)) {
        return false;
    }
    c = m->subject.data[s];
    switch (pattern_byte(m, p)) {
    case '.':
        return true;
    case '%':
        return is_in_class(c, pattern_byte(m, p + 1));
    case '[':
        return is_in_set(m, c, p, end);
    default:
        return pattern_byte(m, p) == c;
    }
}

static size_t match_greedily(struct rule_pattern *m, size_t s, size_t p, size_t end)
{
    size_t n = 0;

    while (is_single(m, s + n, p, end)) {
        n++;
    }
    for (;; n--) {
        size_t r = match(m, s + n, end + 1);

        if (r != NO_MATCH || n == 0 || m->wrong != NULL || !step(m)) {
            return r;
        }
    }
}

static size_t match_lazily(struct rule_pattern *m, size_t s, size_t p, size_t end)
{
    for (;; s++) {
        size_t r = match(m, s, end + 1);

        if (r != NO_MATCH || m->wrong != NULL || !is_single(m, s, p, end)) {
            return r;
        }
    }
}

/* %bxy at p. */
static size_t match_balance(struct rule_pattern *m, size_t s, size_t p)
{
    uint8_t open = pattern_byte(m, p + 2);
    uint8_t close = pattern_byte(m, p + 3);
    size_t level = 0;

    if (p + 3 >= m->pattern.len) {
        return spoil(m, "malformed pattern (missing arguments to '%b')");
    }
    if (s >= m->subject.len || m->subject.data[s] != open) {
        return NO_MATCH;
    }
    for (; s < m->subject.len && step(m); s++) {
        uint8_t c = m->subject.data[s];

        if (c == close && level > 0) {
            level--;
            if (level == 0) {
                return match(m, s + 1, p + 4);
            }
        } else if (c == open) {
            level++;
        }
    }
    return NO_MATCH;
}

/* %f[set] at p: from outside the set into it. */
static size_t match_frontier(struct rule_pattern *m, size_t s, size_t p)
{
    size_t set = p + 2;
    size_t end;
    uint8_t before = s > 0 ? m->subject.data[s - 1] : 0;
    uint8_t here = s < m->subject.len ? m->subject.data[s] : 0;

    if (pattern_byte(m, set) != '[') {
        return spoil(m, "missing '[' after '%f' in pattern");
    }
    end = single_end(m, set);
    if (end == NO_MATCH || is_in_set(m, before, set, end) || !is_in_set(m, here, set, end)) {
        return NO_MATCH;
    }
    return match(m, s, end);
}

/* What capture %n has: again. */
static size_t match_again(struct rule_pattern *m, size_t s, size_t p)
{
    size_t i = (size_t)(pattern_byte(m, p + 1) - '1'); /* %0: none */
    const struct rule_capture *c = &m->captures[i < RULE_PATTERN_CAPTURES ? i : 0];

    if (i >= m->n_captures || c->kind != RULE_CAPTURE_TEXT) {
        return spoil(m, "invalid capture index in pattern");
    }
    *m->steps -= (int64_t)(c->len / 16);
    if (c->len > m->subject.len - s || !span_eq(span_of(m->subject.data + s, c->len),
                                                span_of(m->subject.data + c->start, c->len))) {
        return NO_MATCH;
    }
    return match(m, s + c->len, p + 2);
}

static size_t match_open(struct rule_pattern *m, size_t s, size_t p)
{
    bool is_position = pattern_byte(m, p + 1) == ')';
    size_t r;

    if (m->n_captures == RULE_PATTERN_CAPTURES) {
        return spoil(m, "too many captures");
    }
    m->captures[m->n_captures++] =
        (struct rule_capture){ .start = s,
                               .kind = is_position ? RULE_CAPTURE_POSITION : RULE_CAPTURE_OPEN };
    r = match(m, s, p + (is_position ? 2 : 1));
    if (r == NO_MATCH) {
        m->n_captures--;
    }
    return r;
}

static size_t match_close(struct rule_pattern *m, size_t s, size_t p)
{
    size_t i = m->n_captures;
    size_t r;

    while (i > 0 && m->captures[i - 1].kind != RULE_CAPTURE_OPEN) {
        i--;
    }
    if (i == 0) {
        return spoil(m, "invalid pattern capture");
    }
    m->captures[i - 1].len = s - m->captures[i - 1].start;
    m->captures[i - 1].kind = RULE_CAPTURE_TEXT;
    r = match(m, s, p + 1);
    if (r == NO_MATCH) {
        m->captures[i - 1].kind = RULE_CAPTURE_OPEN;
    }
    return r;
}

/* A single and what stands behind it. *ret_more: it matched, go on behind it. */
static size_t match_single(struct rule_pattern *m, size_t *s, size_t *p, bool *ret_more)
{
    size_t end = single_end(m, *p);
    size_t r;

    *ret_more = false;
    if (end == NO_MATCH) {
        return NO_MATCH;
    }
    switch (is_at_end(m, end) ? 0 : pattern_byte(m, end)) {
    case '*':
        return match_greedily(m, *s, *p, end);
    case '+':
        return is_single(m, *s, *p, end) ? match_greedily(m, *s + 1, *p, end) : NO_MATCH;
    case '-':
        return match_lazily(m, *s, *p, end);
    case '?':
        r = is_single(m, *s, *p, end) ? match(m, *s + 1, end + 1) : NO_MATCH;
        *ret_more = r == NO_MATCH && m->wrong == NULL;
        *p = end + 1;
        return r;
    default:
        *ret_more = is_single(m, *s, *p, end);
        *s += 1;
        *p = end;
        return NO_MATCH;
    }
}

/* An item that is no single, by a function of its own; NULL: it is a single. */
static size_t (*special(const struct rule_pattern *m, size_t p))(struct rule_pattern *, size_t,
                                                                 size_t)
{
    uint8_t next = pattern_byte(m, p + 1);

    switch (pattern_byte(m, p)) {
    case '(':
        return match_open;
    case ')':
        return match_close;
    case '%':
        return next == 'b'      ? match_balance
               : next == 'f'    ? match_frontier
               : is_digit(next) ? match_again
                                : NULL;
    default:
        return NULL;
    }
}

static size_t match_items(struct rule_pattern *m, size_t s, size_t p)
{
    bool more = true;
    size_t r = NO_MATCH;

    while (more && step(m)) {
        size_t (*by)(struct rule_pattern *, size_t, size_t);

        if (is_at_end(m, p)) {
            return s;
        }
        if (pattern_byte(m, p) == '$' && is_at_end(m, p + 1)) {
            return s == m->subject.len ? s : NO_MATCH;
        }
        by = special(m, p);
        if (by != NULL) {
            return by(m, s, p);
        }
        r = match_single(m, &s, &p, &more);
    }
    return more ? NO_MATCH : r;
}

static size_t match(struct rule_pattern *m, size_t s, size_t p)
{
    size_t r;

    if (m->depth == RULE_PATTERN_DEPTH) {
        return spoil(m, "pattern too complex");
    }
    m->depth++;
    r = match_items(m, s, p);
    m->depth--;
    return r;
}

struct rule_pattern rule_pattern_over(struct span subject, struct span pattern, int64_t *steps)
{
    bool is_anchored = pattern.len > 0 && pattern.data[0] == '^';

    return (struct rule_pattern){
        .subject = subject,
        .pattern = span_from(pattern, is_anchored ? 1 : 0),
        .is_anchored = is_anchored,
        .steps = steps,
    };
}

static bool has_open_capture(const struct rule_pattern *p)
{
    for (size_t i = 0; i < p->n_captures; i++) {
        if (p->captures[i].kind == RULE_CAPTURE_OPEN) {
            return true;
        }
    }
    return false;
}

bool rule_pattern_at(struct rule_pattern *p, size_t at, size_t *ret_end)
{
    size_t end;

    p->n_captures = 0;
    p->depth = 0;
    end = match(p, at, 0);
    if (end != NO_MATCH && has_open_capture(p)) {
        end = spoil(p, "unfinished capture");
    }
    if (end == NO_MATCH || p->wrong != NULL || *p->steps < 0) {
        return false;
    }
    *ret_end = end;
    return true;
}

bool rule_pattern_find(struct rule_pattern *p, size_t at, size_t not_empty_at, size_t *ret_start,
                       size_t *ret_end)
{
    for (; at <= p->subject.len; at++) {
        size_t end;

        if (rule_pattern_at(p, at, &end) && !(end == at && at == not_empty_at)) {
            *ret_start = at;
            *ret_end = end;
            return true;
        }
        if (p->is_anchored || p->wrong != NULL || *p->steps < 0) {
            return false;
        }
    }
    return false;
}
