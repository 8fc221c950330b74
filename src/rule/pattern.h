/* rule/pattern.h: Lua's patterns (reference manual 6.4.1), matched with a count of steps, as the
 * library's own may take ages within one call. Inside rule/ only. */
#ifndef RULE_PATTERN_H
#define RULE_PATTERN_H

#include "util/span.h"

enum { RULE_PATTERN_CAPTURES = 32, RULE_PATTERN_DEPTH = 200 };

struct rule_capture {
    size_t start, len;
    enum { RULE_CAPTURE_OPEN, RULE_CAPTURE_TEXT, RULE_CAPTURE_POSITION } kind;
};

struct rule_pattern {
    struct span subject, pattern; /* without its '^' */
    bool is_anchored;
    int64_t *steps;    /* left; below 0: over */
    const char *wrong; /* the pattern breaks its grammar, or nests too deep; NULL: it does not */
    int depth;
    struct rule_capture captures[RULE_PATTERN_CAPTURES];
    size_t n_captures;
};

/* Takes off the '^'. */
struct rule_pattern rule_pattern_over(struct span subject, struct span pattern, int64_t *steps);
/* Does it match just at byte `at`? *ret_end: the byte behind. False, too, when p->wrong or the
 * steps are over. */
bool rule_pattern_at(struct rule_pattern *p, size_t at, size_t *ret_end);
/* The first match from byte `at` on, which is not empty at `not_empty_at`. */
bool rule_pattern_find(struct rule_pattern *p, size_t at, size_t not_empty_at, size_t *ret_start,
                       size_t *ret_end);

#endif
