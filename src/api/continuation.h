/* api/continuation.h: the tokens by which a list goes on. One is a place in the list's order, not a
 * number of rows, so it holds whatever comes and goes in between; and it is of one query. */
#ifndef API_CONTINUATION_H
#define API_CONTINUATION_H

#include "model/env.h"
#include "util/arena.h"

/* Which list it is, all that a token must have been given for. */
struct continuation_list {
    struct span source; /* what is listed, and whose */
    struct span text;   /* of the query */
    bool by_number;     /* the order goes by number, then by key */
};

/* A row's place in the order of its list. */
struct continuation_place {
    int64_t number; /* the order's, or the list's own; 0 if there is none */
    struct span key;
};

/* The token is text for a header, in env->arena. */
err continuation_encode(const struct env *env, const struct continuation_list *list,
                        const struct continuation_place *place, struct span *ret_token);
/* False in *ret_is_sound: it is no token, or was given for another list. */
err continuation_decode(const struct env *env, const struct continuation_list *list,
                        struct span token, struct continuation_place *ret_place,
                        bool *ret_is_sound);

#endif
