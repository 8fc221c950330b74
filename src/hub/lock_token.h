/* hub/lock_token.h: the name of a lock on rows of a queue: a GUID, as clients expect, that begins
 * with the sequence of the first of them, so that it is found without an index. */
#ifndef HUB_LOCK_TOKEN_H
#define HUB_LOCK_TOKEN_H

#include "model/env.h"
#include "util/arena.h"

/* Sequences have 48 bits. */
err lock_token_new(const struct env *env, int64_t sequence, struct span *ret_token);
/* False: it is none. */
bool lock_token_sequence(struct span token, int64_t *ret_sequence);

#endif
