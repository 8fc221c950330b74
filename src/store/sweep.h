/* store/sweep.h: deleting all rows of a prefix. */
#ifndef STORE_SWEEP_H
#define STORE_SWEEP_H

#include "store/store.h"

/* Deletes the rows that `scan` walks, `most` at the most, in small steps as rows may be large; its
 * limit is not looked at. *ret_n: how many went; fewer than `most`: none are left. Nothing stays in
 * the arena. Faults as store_scan and store_delete. */
err store_sweep(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
                size_t most, struct arena *arena, size_t *ret_n);

#endif
