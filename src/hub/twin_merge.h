/* hub/twin_merge.h: one section of a twin: its rules, and a change merged into it together with the
 * metadata that mirrors it. Inside hub/ only. */
#ifndef HUB_TWIN_MERGE_H
#define HUB_TWIN_MERGE_H

#include "model/reason.h"
#include "util/arena.h"
#include "json/json.h"

struct twin_section {
    struct span values;   /* JSON object; absent: {} */
    struct span metadata; /* JSON object that mirrors it; absent: not kept */
};

/* How the nodes that a change touches are marked. */
struct twin_stamp {
    int64_t now_ms;
    int64_t version; /* of the section after the change; negative: not written */
};

/* Is it an object that a section may hold, or a change of one? `name` ("tags",
 * "properties.desired") stands in the detail. Members "$metadata" and "$version" at the top are
 * passed over: clients send back what they got. */
err twin_merge_check(struct arena *arena, const char *name, json *section,
                     struct verdict *ret_verdict);

/* Merges a change that was checked (RFC 7386). `was` NULL: into nothing. FIELD_INVALID: the result
 * is larger than `size_max`. ERR_CORRUPT: what is stored is no JSON. */
struct twin_change {
    const char *name;
    const struct twin_section *was;
    json *patch;
    struct twin_stamp stamp;
    size_t size_max;
};
err twin_merge(struct arena *arena, const struct twin_change *change, struct twin_section *ret_now,
               struct verdict *ret_verdict);

#endif
