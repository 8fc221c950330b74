/* store/seal_row.c: sealing and opening by field. Knows which members are secrets and what binds
 * one to its place; ciphers and keys are the sealer's. */
#include "store/seal_row.h"

#include <stdlib.h>

#include "store/row.h"

enum { PLACE_MAX = 2048 };

bool store_seal_row_has_secrets(const struct kind *kind)
{
    for (int i = 0; i < kind->n_fields; i++) {
        if (kind->fields[i].type == FIELD_SECRET) {
            return true;
        }
    }
    return false;
}

/* place = name-of-kind NUL name-of-field NUL *(u32 length, bytes | u64 value) */
err store_seal_row_place(const struct kind *kind, const struct field *f, const void *record,
                         struct buf *out)
{
    buf_add(out, span_of(kind->name, strlen(kind->name) + 1));
    buf_add(out, span_of(f->name, strlen(f->name) + 1));
    for (int i = 0; i < kind->n_key; i++) {
        const struct field *key = &kind->fields[i];

        if (store_row_is_span(key)) {
            struct span value = store_row_span(record, key);

            buf_add_u32(out, (uint32_t)value.len);
            buf_add(out, value);
        } else {
            uint64_t value = (uint64_t)store_row_int(record, key);

            buf_add_u32(out, (uint32_t)(value >> 32));
            buf_add_u32(out, (uint32_t)value);
        }
    }
    return out->failed
               ? err_set(ERR_TOO_LARGE, "%s: the key of a row with secrets is too long", kind->name)
               : OK;
}

static bool is_secret(const struct field *f, const void *record)
{
    return f->type == FIELD_SECRET && !store_row_is_absent(record, f);
}

/* ---- in ---- */

static size_t room_for(const struct store_sealer *sealer, const struct kind *kind,
                       const void *record)
{
    size_t room = 0;

    for (int i = 0; i < kind->n_fields; i++) {
        if (is_secret(&kind->fields[i], record)) {
            room += store_row_span(record, &kind->fields[i]).len + sealer->added;
        }
    }
    return room;
}

static err seal_field(const struct store_sealer *sealer, const struct kind *kind,
                      const struct field *f, const void *record, uint8_t *ret_sealed)
{
    uint8_t memory[PLACE_MAX];
    struct buf place = buf_over(memory, sizeof(memory));

    TRY(store_seal_row_place(kind, f, record, &place));
    return sealer->seal(sealer->ctx, sealer->current(sealer->ctx), buf_span(&place),
                        store_row_span(record, f), ret_sealed);
}

err store_seal_row(const struct store_sealer *sealer, const struct kind *kind, const void *record,
                   struct store_sealed_row *ret_row)
{
    size_t room = room_for(sealer, kind, record);
    uint8_t *at = ret_row->room;

    ret_row->block = NULL;
    memcpy(ret_row->record, record, kind->size);
    if (room > sizeof(ret_row->room)) {
        at = ret_row->block = (uint8_t *)malloc(room);
        if (at == NULL) {
            return ERR(NOMEM);
        }
    }
    for (int i = 0; i < kind->n_fields; i++) {
        const struct field *f = &kind->fields[i];
        size_t len;

        if (!is_secret(f, record)) {
            continue;
        }
        len = store_row_span(record, f).len + sealer->added;
        TRY(seal_field(sealer, kind, f, record, at));
        store_row_set_span(ret_row->record, f, span_of(at, len));
        at += len;
    }
    return OK;
}

void store_seal_row_done(struct store_sealed_row *row)
{
    free(row->block);
}

/* ---- out ---- */

err store_open_field(const struct store_sealer *sealer, const struct kind *kind,
                     const struct field *f, const void *record, struct arena *arena,
                     struct span *ret_plain)
{
    struct span sealed = store_row_span(record, f);
    uint8_t memory[PLACE_MAX];
    struct buf place = buf_over(memory, sizeof(memory));
    char words[160];
    uint8_t *plain;
    size_t len;
    err e;

    if (sealed.len < sealer->added) {
        return err_set(ERR_CORRUPT, "%s.%s: not sealed", kind->name, f->name);
    }
    TRY(store_seal_row_place(kind, f, record, &place));
    len = sealed.len - sealer->added;
    plain = (uint8_t *)arena_alloc(arena, len + 1); /* zeroed: a NUL behind it, as in each copy */
    if (plain == NULL) {
        return ERR(NOMEM);
    }
    e = sealer->open(sealer->ctx, buf_span(&place), sealed, plain);
    if (!err_is_ok(e)) {
        (void)strncpy(words, err_detail(), sizeof(words) - 1);
        words[sizeof(words) - 1] = '\0';
        return err_set(e.code, "%s.%s: %s", kind->name, f->name, words);
    }
    *ret_plain = span_of(plain, len);
    return OK;
}

err store_open_row(const struct store_sealer *sealer, const struct kind *kind, struct arena *arena,
                   void *record)
{
    for (int i = 0; i < kind->n_fields; i++) {
        const struct field *f = &kind->fields[i];

        if (is_secret(f, record)) {
            struct span plain;

            TRY(store_open_field(sealer, kind, f, record, arena, &plain));
            store_row_set_span(record, f, plain);
        }
    }
    return OK;
}
