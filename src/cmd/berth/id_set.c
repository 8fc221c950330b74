/* cmd/berth/id_set.c: open addressing over an array that doubles. */
#include "cmd/berth/id_set.h"

#include <string.h>

enum { CAP_FIRST = 1024 };

static uint64_t hash_of(struct span id)
{
    uint64_t h = 0xcbf29ce484222325U;

    for (size_t i = 0; i < id.len; i++) {
        h = (h ^ id.data[i]) * 0x100000001b3U;
    }
    return h ^ h >> 29;
}

void berth_id_set_init(struct id_set *s, struct arena *arena)
{
    *s = (struct id_set){ .arena = arena };
}

/* Where the ID is, or would be. */
static uint32_t *slot_of(const struct id_set *s, struct span id)
{
    size_t mask = 2 * s->cap - 1;
    size_t at = hash_of(id) & mask;

    while (s->slots[at] != 0 && !span_eq(s->entries[s->slots[at] - 1].id, id)) {
        at = (at + 1) & mask;
    }
    return &s->slots[at];
}

static err grow(struct id_set *s)
{
    size_t cap = s->cap > 0 ? 2 * s->cap : CAP_FIRST;
    struct id_entry *entries = ARENA_ARRAY(s->arena, cap, struct id_entry);
    uint32_t *slots = ARENA_ARRAY(s->arena, 2 * cap, uint32_t);

    if (entries == NULL || slots == NULL || cap > UINT32_MAX / 2) {
        return ERR(NOMEM);
    }
    if (s->n > 0) {
        memcpy(entries, s->entries, s->n * sizeof(*entries));
    }
    s->entries = entries;
    s->slots = slots;
    s->cap = cap;
    for (size_t i = 0; i < s->n; i++) {
        *slot_of(s, entries[i].id) = (uint32_t)i + 1;
    }
    return OK;
}

err berth_id_set_add(struct id_set *s, struct span id, struct span name)
{
    struct id_entry e = { .is_seen = false };
    uint32_t *slot;

    if (s->n == s->cap) {
        TRY(grow(s));
    }
    slot = slot_of(s, id);
    if (*slot != 0) {
        return OK;
    }
    TRY(arena_copy(s->arena, id, &e.id));
    TRY(arena_copy(s->arena, name, &e.name));
    s->entries[s->n] = e;
    *slot = (uint32_t)++s->n;
    return OK;
}

struct id_entry *berth_id_set_find(const struct id_set *s, struct span id)
{
    uint32_t at = s->n > 0 ? *slot_of(s, id) : 0;

    return at != 0 ? &s->entries[at - 1] : NULL;
}
