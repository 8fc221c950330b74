/* core/reading.h: all that deciding on a claim needs to read, in one snapshot, and what follows
 * from it. Inside core/ only. */
#ifndef CORE_READING_H
#define CORE_READING_H

#include "core/candidates.h"
#include "core/search.h"

struct core_reading {
    struct span id_scope, registration_key; /* folded */
    struct core_found found;
    bool has_registration; /* below: read when the evidence is genuine */
    struct registration registration;
    struct core_links links; /* when granted: of the instance; borrowed as core/links.h says */
    struct core_candidates candidates;
    struct span lane; /* ASSIGNING: whom it waits for; for polls */
};

/* The folded names alone; all else is zero. */
err core_reading_names(const struct env *env, const struct claim *claim,
                       struct core_reading *ret_reading);

/* Runs the search and reads what it leads to. */
err core_reading_run(const struct env *env, const struct claim *claim,
                     struct core_reading *ret_reading);

/* The registration ID's record alone, with or without any right to it, and what its token is judged
 * by: if keys decided on it found.enrollment, if a TPM did found.challenges. *ret_has_scope: is
 * there such an instance? Without one nothing else is read. */
err core_reading_registration(const struct env *env, const struct claim *claim,
                              struct core_reading *ret_reading, bool *ret_has_scope);

/* The device ID it gets on its first assignment. */
struct span core_reading_device_id(const struct core_reading *r, const struct claim *claim);

#endif
