/* store/row.h: a record seen through its kind: members by field, orders to walk in, and a result of
 * rows that grows in an arena. For backends. */
#ifndef STORE_ROW_H
#define STORE_ROW_H

#include "model/kind.h"
#include "util/arena.h"

static inline bool store_row_is_span(const struct field *f)
{
    return f->type == FIELD_TEXT || f->type == FIELD_BLOB || f->type == FIELD_SECRET;
}

/* Of a TEXT or BLOB field. */
struct span store_row_span(const void *record, const struct field *f);
void store_row_set_span(void *record, const struct field *f, struct span value);
/* Of an INT or ENUM field. */
int64_t store_row_int(const void *record, const struct field *f);
void store_row_set_int(void *record, const struct field *f, int64_t value);

/* Should a scan leave this member absent? */
static inline bool store_row_is_hidden(const struct field *f, bool without_secrets)
{
    return without_secrets && f->type == FIELD_SECRET;
}

bool store_row_is_absent(const void *record, const struct field *f);
/* <0, 0, >0: absent first, then bytewise; integers by value. */
int store_row_compare_field(const void *a, const void *b, const struct field *f);

/* The fields of an order: those of the index, then what the primary key adds. */
struct store_order {
    int fields[KIND_INDEX_FIELDS_MAX + KIND_FIELDS_MAX];
    int n;
};
/* Index 0: the primary key. */
struct store_order store_order_of(const struct kind *kind, int index);
/* By the first n fields of the order. */
int store_order_compare(const struct kind *kind, const struct store_order *order, int n,
                        const void *a, const void *b);

/* Rows being collected: one array in the arena, moved when it outgrows its room. */
struct store_rows {
    struct arena *arena;
    size_t size; /* of a row */
    size_t limit;
    uint8_t *rows;
    size_t n, room;
};
/* A zeroed row at the end. ERR_NOMEM. */
err store_rows_add(struct store_rows *r, void **ret_row);
/* Gives the array to a store_scan's caller. */
void store_rows_end(const struct store_rows *r, void *ret_rows, size_t *ret_n);

#endif
