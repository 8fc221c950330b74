/* api/continuation.h: the tokens by which a list goes on. One is a place in the list's order, not a
 * number of rows, so it holds whatever comes and goes in between; and it is of one query. */
#ifndef API_CONTINUATION_H
#define API_CONTINUATION_H

#include "core/listing.h"

/* `text`: the query's. The token is text for a header, in env->arena. */
err continuation_encode(const struct env *env, const struct core_listing *listing, struct span text,
                        const struct core_place *place, struct span *ret_token);
/* False in *ret_is_sound: it is no token, or was given for another text, route, group or scope. */
err continuation_decode(const struct env *env, const struct core_listing *listing, struct span text,
                        struct span token, struct core_place *ret_place, bool *ret_is_sound);

#endif
