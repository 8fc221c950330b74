/* front/memory.c: free lists. A task's memory is one mapping of which only touched pages are
 * resident; a few stay mapped and warm, those that have grown large give their pages back. */
#include "front/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "model/limits.h"

enum {
    TASK_HEAD = 4096,
    TASK_SIZE = TASK_HEAD + LIMIT_REQUEST_ARENA,
    TASK_WARM = 64 * 1024, /* bytes of a free task that may stay resident */
    TASKS_KEPT = 256,
    BLOCKS_KEPT = 4096,
};

static void *pop(void **list, size_t *n)
{
    void *item = *list;

    if (item != NULL) {
        memcpy(list, item, sizeof(*list));
        *n -= 1;
    }
    return item;
}

static void push(void **list, size_t *n, void *item)
{
    memcpy(item, list, sizeof(*list));
    *list = item;
    *n += 1;
}

void front_memory_init(struct front_memory *m)
{
    *m = (struct front_memory){ 0 };
}

void front_memory_done(struct front_memory *m)
{
    void *item;

    while ((item = pop(&m->blocks, &m->n_blocks)) != NULL) {
        free(item);
    }
    while ((item = pop(&m->tasks, &m->n_tasks)) != NULL) {
        (void)munmap(item, TASK_SIZE);
    }
}

uint8_t *front_memory_take(struct front_memory *m, size_t need, size_t *ret_cap)
{
    uint8_t *data;

    if (need <= FRONT_MEMORY_BLOCK) {
        data = pop(&m->blocks, &m->n_blocks);
        *ret_cap = FRONT_MEMORY_BLOCK;
        return data != NULL ? data : malloc(FRONT_MEMORY_BLOCK);
    }
    data = malloc(need);
    if (data != NULL) {
        m->large += need;
        *ret_cap = need;
    }
    return data;
}

void front_memory_give(struct front_memory *m, uint8_t *data, size_t cap)
{
    if (data == NULL) {
        return;
    }
    if (cap == FRONT_MEMORY_BLOCK && m->n_blocks < BLOCKS_KEPT) {
        push(&m->blocks, &m->n_blocks, data);
        return;
    }
    m->large -= cap > FRONT_MEMORY_BLOCK ? cap : 0;
    free(data);
}

static void *map_task(void)
{
    void *task = mmap(NULL, TASK_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (task == MAP_FAILED) {
        return NULL;
    }
    (void)madvise(task, TASK_SIZE, MADV_NOHUGEPAGE); /* or one touched byte costs two megabytes */
    return task;
}

void *front_memory_task_new(struct front_memory *m, size_t head, struct arena *ret_arena)
{
    uint8_t *task = pop(&m->tasks, &m->n_tasks);

    assert(head <= TASK_HEAD);
    if (task == NULL) {
        task = map_task();
    }
    if (task == NULL) {
        return NULL;
    }
    memset(task, 0, head);
    /* Right behind the head, so that a small request touches one page. */
    head = (head + 63) & ~(size_t)63;
    arena_init(ret_arena, task + head, LIMIT_REQUEST_ARENA);
    return task;
}

void front_memory_task_free(struct front_memory *m, void *task, const struct arena *arena)
{
    if (m->n_tasks == TASKS_KEPT) {
        (void)munmap(task, TASK_SIZE);
        return;
    }
    if (arena->used > TASK_WARM) {
        (void)madvise((uint8_t *)task + TASK_WARM, TASK_SIZE - TASK_WARM, MADV_DONTNEED);
    }
    push(&m->tasks, &m->n_tasks, task);
}
