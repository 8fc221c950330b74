/* store/row.c: members of records by offset. All access goes through memcpy, so that no struct is
 * looked at through another's type. */
#include "store/row.h"

struct span store_row_span(const void *record, const struct field *f)
{
    struct span value;

    memcpy(&value, (const uint8_t *)record + f->offset, sizeof(value));
    return value;
}

void store_row_set_span(void *record, const struct field *f, struct span value)
{
    memcpy((uint8_t *)record + f->offset, &value, sizeof(value));
}

int64_t store_row_int(const void *record, const struct field *f)
{
    const uint8_t *at = (const uint8_t *)record + f->offset;
    int64_t wide;
    int narrow;

    if (f->type == FIELD_ENUM) {
        memcpy(&narrow, at, sizeof(narrow));
        return narrow;
    }
    memcpy(&wide, at, sizeof(wide));
    return wide;
}

void store_row_set_int(void *record, const struct field *f, int64_t value)
{
    uint8_t *at = (uint8_t *)record + f->offset;
    int narrow = (int)value;

    if (f->type == FIELD_ENUM) {
        memcpy(at, &narrow, sizeof(narrow));
    } else {
        memcpy(at, &value, sizeof(value));
    }
}

bool store_row_is_absent(const void *record, const struct field *f)
{
    return store_row_is_span(f) && span_is_absent(store_row_span(record, f));
}

int store_row_compare_field(const void *a, const void *b, const struct field *f)
{
    if (store_row_is_span(f)) {
        struct span x = store_row_span(a, f);
        struct span y = store_row_span(b, f);

        if (span_is_absent(x) || span_is_absent(y)) {
            return (int)span_is_absent(y) - (int)span_is_absent(x);
        }
        return span_compare(x, y);
    }
    int64_t x = store_row_int(a, f);
    int64_t y = store_row_int(b, f);

    return (x > y) - (x < y);
}

static bool has_field(const struct store_order *order, int field)
{
    for (int i = 0; i < order->n; i++) {
        if (order->fields[i] == field) {
            return true;
        }
    }
    return false;
}

struct store_order store_order_of(const struct kind *kind, int index)
{
    struct store_order order = { .n = 0 };

    if (index > 0) {
        const struct kind_index *by = &kind->indexes[index - 1];

        for (int i = 0; i < by->n_fields; i++) {
            order.fields[order.n++] = by->fields[i];
        }
    }
    for (int i = 0; i < kind->n_key; i++) {
        if (!has_field(&order, i)) {
            order.fields[order.n++] = i;
        }
    }
    return order;
}

int store_order_compare(const struct kind *kind, const struct store_order *order, int n,
                        const void *a, const void *b)
{
    for (int i = 0; i < n; i++) {
        int result = store_row_compare_field(a, b, &kind->fields[order->fields[i]]);

        if (result != 0) {
            return result;
        }
    }
    return 0;
}

enum { ROWS_FIRST_ROOM = 8 };

static err make_room(struct store_rows *r)
{
    size_t room = r->room == 0 ? ROWS_FIRST_ROOM : r->room * 2;
    uint8_t *rows;

    if (room > r->limit) {
        room = r->limit;
    }
    rows = (uint8_t *)arena_array(r->arena, room, r->size);
    if (rows == NULL) {
        return ERR(NOMEM);
    }
    if (r->n > 0) {
        memcpy(rows, r->rows, r->n * r->size);
    }
    r->rows = rows;
    r->room = room;
    return OK;
}

err store_rows_add(struct store_rows *r, void **ret_row)
{
    if (r->n == r->room) {
        TRY(make_room(r));
    }
    *ret_row = r->rows + r->n++ * r->size;
    return OK;
}

void store_rows_end(const struct store_rows *r, void *ret_rows, size_t *ret_n)
{
    memcpy(ret_rows, &r->rows, sizeof(r->rows));
    *ret_n = r->n;
}
