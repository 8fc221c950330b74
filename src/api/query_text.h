/* api/query_text.h: the query texts that clients of the service API send (reference
 * dps-service-api.md 5.1). For now those that ask for everything of a route. */
#ifndef API_QUERY_TEXT_H
#define API_QUERY_TEXT_H

#include "util/span.h"

/* Is it "", "*", or "SELECT * [FROM name]" with name one of `names` (ended by NULL), in any case?
 * Otherwise *ret_at is the character, counted from 1, where it stops being one. */
bool query_text_is_everything(struct span text, const char *const *names, size_t *ret_at);

#endif
