/* core/match.c: preconditions of the operator's changes. Knows the table of reference
 * dps-service-api.md 3; header syntax is api/'s. */
#include "core/match.h"

#include <stdarg.h>
#include <stdio.h>

static bool is_current(const struct core_match *m, struct span etag)
{
    return m->is_any || span_eq(m->etag, etag);
}

enum reason core_match_put(const struct core_match *m, bool exists, struct span etag)
{
    if (!exists && m->may_be_absent) {
        return REASON_GRANTED;
    }
    if (!m->is_given) {
        return exists ? REASON_RESOURCE_EXISTS : REASON_GRANTED;
    }
    return exists && is_current(m, etag) ? REASON_GRANTED : REASON_ETAG_MISMATCH;
}

enum reason core_match_change(const struct core_match *m, bool exists, struct span etag)
{
    if (!exists) {
        return REASON_RESOURCE_NOT_FOUND;
    }
    return !m->is_given || is_current(m, etag) ? REASON_GRANTED : REASON_ETAG_MISMATCH;
}

err core_match_new_etag(const struct env *env, struct span *ret_etag)
{
    uint8_t random[GUID_BYTES];
    uint8_t *text = arena_alloc(env->arena, GUID_TEXT_LEN);
    struct buf out = buf_over(text, GUID_TEXT_LEN);

    if (text == NULL) {
        return ERR(NOMEM);
    }
    env->random(random, sizeof random);
    guid_format(random, &out);
    *ret_etag = buf_span(&out);
    return OK;
}

err core_match_refuse(const struct env *env, enum reason reason, struct verdict *ret_verdict,
                      const char *format, ...)
{
    char text[512];
    struct span detail;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    TRY(arena_copy(env->arena, span_str(text), &detail));
    *ret_verdict = (struct verdict){ .reason = reason, .detail = detail };
    return OK;
}
