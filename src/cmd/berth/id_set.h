/* cmd/berth/id_set.h: device IDs by the million, each with what a registration is called and a
 * mark: for comparing two lists that come in no common order. */
#ifndef CMD_BERTH_ID_SET_H
#define CMD_BERTH_ID_SET_H

#include "util/arena.h"

struct id_entry {
    struct span id, name; /* of the set's memory */
    bool is_seen;
};

struct id_set {
    struct arena *arena; /* for texts and tables: what a table outgrew stays there */
    struct id_entry *entries;
    uint32_t *slots; /* an entry's number and one; 0: free */
    size_t n, cap;   /* entries, and room for them; half of the slots are free */
};

void berth_id_set_init(struct id_set *s, struct arena *arena);
/* Copies both; one that is there stays as it is. ERR_NOMEM. */
err berth_id_set_add(struct id_set *s, struct span id, struct span name);
/* NULL: it is not there. Until the next add. Case counts. */
struct id_entry *berth_id_set_find(const struct id_set *s, struct span id);

#endif
