/* core/initial_twin.h: the twin that a device begins with, as an enrollment or an allocation gives
 * it: { "tags"?: {…}, "properties"?: { "desired"?: {…} } }. */
#ifndef CORE_INITIAL_TWIN_H
#define CORE_INITIAL_TWIN_H

#include "util/arena.h"
#include "json/json.h"

/* As canonical text without members that are null, in the arena; absent when it is not given (NULL
 * or null). *ret_wrong: what is wrong with it, in words that follow "initialTwin "; NULL: nothing.
 */
err core_initial_twin_read(struct arena *arena, const json *twin, struct span *ret_text,
                           const char **ret_wrong);

#endif
