/* core/key_search.h: the part of a search (core/search.h) for the symmetric-key group whose keys
 * lead to the one that signed a token. Inside core/ only. */
#ifndef CORE_KEY_SEARCH_H
#define CORE_KEY_SEARCH_H

#include "core/climb.h"

/* The group, and how the claim fared with it. *ret_is_decided false: none has signed. The claim has
 * passed attest_symkey_precheck, and climb->found has its instance. */
err core_key_search(struct core_climb *climb, struct span registration_key,
                    struct enrollment *ret_group, struct attest_judgement *ret_judgement,
                    bool *ret_is_decided);

#endif
