/* core/match.h: If-Match (struct core_match of core/enrollment.h) and the ETags it is compared
 * with. Inside core/ only. */
#ifndef CORE_MATCH_H
#define CORE_MATCH_H

#include "core/enrollment.h"

/* PUT: GRANTED, RESOURCE_EXISTS or ETAG_MISMATCH (reference dps-service-api.md 3). */
enum reason core_match_put(const struct core_match *m, bool exists, struct span etag);
/* DELETE and changes of what is there: GRANTED, RESOURCE_NOT_FOUND or ETAG_MISMATCH; without
 * If-Match any. */
enum reason core_match_change(const struct core_match *m, bool exists, struct span etag);

/* A fresh ETag: a GUID's text, without quotes. ERR_NOMEM. */
err core_match_new_etag(const struct env *env, struct span *ret_etag);

/* A refusal with a sentence, which is copied into env->arena. ERR_NOMEM. */
err core_match_refuse(const struct env *env, enum reason reason, struct verdict *ret_verdict,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
