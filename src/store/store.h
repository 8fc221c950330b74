/* store/store.h: the contract of every store backend: durable rows of the kinds of model/records.h,
 * read and changed in transactions. mem.c, sqlite.c (and later pg.c) implement it; one contract
 * suite runs on all.
 *
 * Threads: a `struct store` is shared by all. store_read and store_write may block, so they are for
 * worker threads, never for an event loop.
 *
 * Rows read are copied into the caller's arena and stay valid as long as it does. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "model/records.h"
#include "util/arena.h"
#include "util/err.h"

struct store;
struct store_tx; /* one consistent view; valid inside the function it is handed to */

/* The work of one transaction. A fault undoes all it did and is given back by store_read/_write. */
typedef err (*store_fn)(struct store_tx *tx, void *arg);

/* Opens, creating the file and migrating its schema when needed. `read_handles`: how many threads
 * may read at once without waiting (1 to 256). ERR_NEWER_SCHEMA: written by a newer version,
 * nothing was touched; ERR_DENIED, ERR_IO, ERR_CORRUPT: err_detail names path and cause; ERR_BUSY:
 * another process has it open for writing. */
err store_sqlite_open(const char *path, int read_handles, struct store **ret_store);

/* The process that has this file open for writing, as it noted itself; 0: nobody has. ERR_IO,
 * ERR_DENIED. */
err store_sqlite_holder(const char *path, int64_t *ret_pid);

/* The same contract without durability, for tests. */
err store_mem_open(struct store **ret_store);

/* Waits for queued writes, then closes. NULL-safe. */
void store_close(struct store *s);

/* Runs fn on this thread over a snapshot. fn must not write. */
err store_read(struct store *s, store_fn fn, void *arg);

/* Runs fn in a write transaction, one writer at a time in a total order, together with whatever
 * else is waiting (group commit); returns once it is durable. fn may run on another thread while
 * the caller waits, so `arg` may live on the caller's stack, and may be run again from the start if
 * a neighbour of its batch makes the backend retry: it must not change anything but the store and
 * *arg. ERR_BUSY: the bounded queue is full, nothing was done. ERR_IO: not durable, undone. */
err store_write(struct store *s, store_fn fn, void *arg);

/* Requests now waiting for the writer: for back-pressure and metrics. */
size_t store_write_backlog(struct store *s);
struct store_stats {
    uint64_t writes, batches; /* since open */
};
void store_stats(struct store *s, struct store_stats *ret_stats);

/* ---- inside a transaction; `record` is a struct of the kind ---- */

/* By primary key (the key members of `key`). ERR_NOT_FOUND leaves *ret_record as it was. `key` and
 * `ret_record` may be the same. */
err store_get(struct store_tx *tx, const struct kind *kind, const void *key, struct arena *arena,
              void *ret_record);
/* The same; missing is no fault. */
err store_find(struct store_tx *tx, const struct kind *kind, const void *key, struct arena *arena,
               void *ret_record, bool *ret_found);
/* Adds. ERR_EXISTS when the key is taken. */
err store_insert(struct store_tx *tx, const struct kind *kind, const void *record);
/* Adds or replaces. */
err store_put(struct store_tx *tx, const struct kind *kind, const void *record);
/* ERR_NOT_FOUND. */
err store_delete(struct store_tx *tx, const struct kind *kind, const void *key);

/* Walks a kind in the order of its primary key (index 0) or of kind->indexes[index - 1] followed by
 * the primary key. Texts and blobs order bytewise, integers by value. */
struct store_scan {
    int index; /* 0: primary key */
    const void
        *prefix; /* a record whose first n_prefix members of that order must match; NULL with 0 */
    int n_prefix;
    const void *after;    /* a record: start behind its place in that order; NULL: at the start */
    bool is_inclusive;    /* a row in just that place comes, too */
    bool descending;      /* walk, and read "behind", from the end */
    bool without_secrets; /* SECRET members stay absent: nothing is unsealed */
    size_t limit;         /* 1 to 1,000,000 rows */
};
/* *ret_rows: array of `*ret_n` records in the arena (never NULL with n > 0). ERR_NOMEM: arena at
 * its cap. */
err store_scan(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
               struct arena *arena, void *ret_rows, size_t *ret_n);
/* Hands the same rows to fn one after another, without a limit; each is in the arena until fn
 * returns, so that any number of rows takes the room of the largest. Of tx fn uses store_get,
 * store_find, store_scan and store_count at most, and of other kinds only; it clears *more to end
 * the walk. Its fault ends it, too, and is given back. */
typedef err (*store_row_fn)(const void *row, void *arg, bool *more);
err store_walk(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
               struct arena *arena, store_row_fn fn, void *arg);
/* Rows with the prefix of `scan` (after, limit and order ignored). */
err store_count(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
                int64_t *ret_n);

#endif
