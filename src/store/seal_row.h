/* store/seal_row.h: the secrets of one row on their way in and out. For store.c, reseal.c, and
 * whatever else takes rows from a backend. */
#ifndef STORE_SEAL_ROW_H
#define STORE_SEAL_ROW_H

#include <stdalign.h>

#include "store/seal.h"

bool store_seal_row_has_secrets(const struct kind *kind);

/* The bytes that bind a secret to its place: kind, field, primary key. ERR_TOO_LARGE. */
err store_seal_row_place(const struct kind *kind, const struct field *f, const void *record,
                         struct buf *out);

/* A record with its secrets sealed. Large: for the stack, and in place. */
struct store_sealed_row {
    alignas(max_align_t) uint8_t record[KIND_FIELDS_MAX * sizeof(struct span)];
    uint8_t room[1024];
    uint8_t *block; /* when the room is too small */
};
/* Under the current key. store_seal_row_done is due in any case. */
err store_seal_row(const struct store_sealer *sealer, const struct kind *kind, const void *record,
                   struct store_sealed_row *ret_row);
void store_seal_row_done(struct store_sealed_row *row);

/* Opens the secrets of a row that a backend gave, into the arena. */
err store_open_row(const struct store_sealer *sealer, const struct kind *kind, struct arena *arena,
                   void *record);
/* One of them. */
err store_open_field(const struct store_sealer *sealer, const struct kind *kind,
                     const struct field *f, const void *record, struct arena *arena,
                     struct span *ret_plain);

#endif
