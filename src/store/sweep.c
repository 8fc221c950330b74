/* store/sweep.c: deleting all rows of a prefix, by store.h's functions alone: each step finds the
 * rows that are first now, so nothing remembers how far the one before came. Which rows go, and how
 * many in one transaction, is the caller's. */
#include "store/sweep.h"

#include "model/limits.h"

err store_sweep(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
                size_t most, struct arena *arena, size_t *ret_n)
{
    struct store_scan step = *scan;
    size_t mark = arena->used;
    size_t taken = 0;
    size_t n = 1;

    step.without_secrets = true; /* also what does not open can go */
    while (n > 0 && taken < most) {
        char *rows;

        step.limit = most - taken < LIMIT_QUERY_BATCH ? most - taken : LIMIT_QUERY_BATCH;
        TRY(store_scan(tx, kind, &step, arena, &rows, &n));
        for (size_t i = 0; i < n; i++) {
            TRY(store_delete(tx, kind, rows + i * kind->size));
        }
        taken += n;
        arena->used = mark;
    }
    *ret_n = taken;
    return OK;
}
