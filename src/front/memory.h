/* front/memory.h: one loop's memory for buffers and tasks, given back last in, first out, so that a
 * busy loop touches few pages. Not thread-safe. */
#ifndef FRONT_MEMORY_H
#define FRONT_MEMORY_H

#include "util/arena.h"

enum { FRONT_MEMORY_BLOCK = 4096 };

struct front_memory {
    void *blocks; /* free ones, linked through their first word */
    size_t n_blocks;
    void *tasks;
    size_t n_tasks;
    size_t large; /* bytes of buffers beyond a block */
};

void front_memory_init(struct front_memory *m);
void front_memory_done(struct front_memory *m);

/* Room for at least `need` bytes: a block, or a larger piece. *ret_cap is what there is. NULL when
 * there is none. */
uint8_t *front_memory_take(struct front_memory *m, size_t need, size_t *ret_cap);
/* `cap` as it was given. NULL-safe. */
void front_memory_give(struct front_memory *m, uint8_t *data, size_t cap);

/* A zeroed head of `head` bytes with an arena of LIMIT_REQUEST_ARENA behind it. NULL when there is
 * none. */
void *front_memory_task_new(struct front_memory *m, size_t head, struct arena *ret_arena);
void front_memory_task_free(struct front_memory *m, void *task, const struct arena *arena);

#endif
