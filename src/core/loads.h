/* core/loads.h: how many registrations each hub has, for rules that go by it. Counting takes as
 * long as there are registrations, so a count is used for LIMIT_LOADS_MS, and what this process
 * places meanwhile is added: good enough to spread by, not to bill by. Any thread. */
#ifndef CORE_LOADS_H
#define CORE_LOADS_H

#include "model/env.h"
#include "util/span.h"

struct core_loads;

/* In the caller's zeroed memory of core_loads_size bytes, which is to be freed after done. */
size_t core_loads_size(void);
struct core_loads *core_loads_init(void *memory);
void core_loads_done(struct core_loads *loads); /* NULL-safe */

/* Of the instance's registrations, those whose device is on each of the hubs. env->loads NULL: they
 * are counted each time. Names folded. Reads the store; not within a transaction. */
err core_loads_get(const struct env *env, struct span id_scope, const struct span *hubs, size_t n,
                   int64_t *ret_counts);
/* A device came to a hub from another, or from none (absent). */
void core_loads_moved(const struct env *env, struct span id_scope, struct span from,
                      struct span to);

#endif
