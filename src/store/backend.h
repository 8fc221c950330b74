/* store/backend.h: what a backend gives store.c. The contract of each call is store.h's; store.c
 * has checked the arguments. */
#ifndef STORE_BACKEND_H
#define STORE_BACKEND_H

#include "store/store.h"

struct store_backend {
    void (*close)(struct store *s);
    err (*read)(struct store *s, store_fn fn, void *arg);
    err (*write)(struct store *s, store_fn fn, void *arg);
    size_t (*backlog)(struct store *s);
    void (*stats)(struct store *s, struct store_stats *ret_stats);
    /* As store_scrub. */
    err (*scrub)(struct store *s, bool whole);

    err (*find)(struct store_tx *tx, const struct kind *kind, const void *key, struct arena *arena,
                void *ret_record, bool *ret_found);
    err (*insert)(struct store_tx *tx, const struct kind *kind, const void *record);
    err (*put)(struct store_tx *tx, const struct kind *kind, const void *record);
    err (*remove)(struct store_tx *tx, const struct kind *kind, const void *key);
    err (*scan)(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
                struct arena *arena, void *ret_rows, size_t *ret_n);
    err (*walk)(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
                struct arena *arena, store_row_fn fn, void *arg);
    err (*count)(struct store_tx *tx, const struct kind *kind, const struct store_scan *scan,
                 int64_t *ret_n);
};

/* First member of each backend's own struct. A transaction has its store's backend and sealer.
 * Secrets pass a backend sealed: store.c seals what it puts, and opens what it finds. */
struct store {
    const struct store_backend *backend;
    const struct store_sealer *sealer; /* NULL: none */
};
struct store_tx {
    const struct store_backend *backend;
    const struct store_sealer *sealer;
    bool may_write;
};

#endif
