/* core/candidates.h: the hubs that an enrollment's devices may go to: those of its iotHubs that are
 * linked, or, without such a list, those linked that apply the allocation policy. Draining ones are
 * among them; what that means is core/allocate.h's. Inside core/. */
#ifndef CORE_CANDIDATES_H
#define CORE_CANDIDATES_H

#include "core/links.h"

struct core_candidates {
    const struct core_links *links;
    const uint16_t *at; /* which of links->rows: each once, ascending */
    size_t n;
    bool is_named;  /* by the enrollment */
    size_t n_named; /* how many names its list has, linked or not */
};

/* `links` are the instance's, as core_links_get gave them; *links must live as long as the result,
 * which is borrowed in the same way. On the thread of env->links, which keeps long lists by the
 * enrollment's ETag. ERR_NOMEM; ERR_MALFORMED: a stored list is no JSON. */
err core_candidates_get(const struct env *env, const struct instance *instance,
                        const struct core_links *links, const struct enrollment *e,
                        struct core_candidates *ret_candidates);

static inline const struct core_link *core_candidate(const struct core_candidates *c, size_t i)
{
    return &c->links->rows[c->at[i]];
}

/* May devices go there? host_name folded. */
bool core_candidates_has(const struct core_candidates *c, struct span host_name);

#endif
