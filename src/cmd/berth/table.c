/* cmd/berth/table.c: aligned columns. Text comes from servers and devices, so nothing of it may
 * move the cursor. */
#include "cmd/berth/table.h"

#include <assert.h>

void berth_table_init(struct table *t, struct arena *arena, const char *const *titles, size_t n)
{
    assert(n <= TABLE_COLUMNS_MAX);
    *t = (struct table){ .arena = arena, .n_columns = n };
    for (size_t i = 0; i < n; i++) {
        t->titles[i] = titles[i];
    }
}

err berth_table_add(struct table *t, const struct span *cells)
{
    struct table_row *row = ARENA_NEW(t->arena, struct table_row);

    if (row == NULL) {
        return ERR(NOMEM);
    }
    for (size_t i = 0; i < t->n_columns; i++) {
        row->cells[i] = cells[i];
    }
    if (t->last != NULL) {
        t->last->next = row;
    } else {
        t->first = row;
    }
    t->last = row;
    t->n_rows++;
    return OK;
}

size_t berth_table_width(struct span text)
{
    size_t width = 0;

    for (size_t i = 0; i < text.len; i++) {
        width += (text.data[i] & 0xc0) != 0x80; /* all but the bytes that continue a code point */
    }
    return width;
}

static void print_text(struct span text, FILE *out)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        (void)fputc(c < 0x20 || c == 0x7f ? '?' : c, out);
    }
}

/* 0: no row has anything in the column. */
static size_t column_width(const struct table *t, size_t column)
{
    size_t width = 0;

    for (const struct table_row *row = t->first; row != NULL; row = row->next) {
        size_t w = berth_table_width(row->cells[column]);

        width = w > width ? w : width;
    }
    return width;
}

static void print_row(const struct span *cells, const size_t *widths, size_t n, FILE *out)
{
    size_t owed = 0; /* blanks before the next cell */

    for (size_t i = 0; i < n; i++) {
        struct span cell = cells[i].len > 0 ? cells[i] : SPAN("-");

        if (widths[i] == 0) {
            continue;
        }
        (void)fprintf(out, "%*s", (int)owed, "");
        print_text(cell, out);
        owed = widths[i] - berth_table_width(cell) + 2;
    }
    (void)fputc('\n', out);
}

/* Columns only grow, so that what follows stands below what is printed. True: titles are due. */
static bool set_widths(struct table *t)
{
    bool is_due = !t->is_begun;

    for (size_t i = 0; i < t->n_columns; i++) {
        size_t title = strlen(t->titles[i]), width = column_width(t, i);

        if (width == 0 && t->n_rows > 0 && t->widths[i] == 0) {
            continue;
        }
        width = width > title ? width : title;
        is_due = is_due || t->widths[i] == 0;
        t->widths[i] = width > t->widths[i] ? width : t->widths[i];
    }
    return is_due;
}

void berth_table_print(struct table *t, FILE *out)
{
    struct span titles[TABLE_COLUMNS_MAX];

    for (size_t i = 0; i < t->n_columns; i++) {
        titles[i] = span_str(t->titles[i]);
    }
    if (set_widths(t)) {
        print_row(titles, t->widths, t->n_columns, out);
    }
    for (const struct table_row *row = t->first; row != NULL; row = row->next) {
        print_row(row->cells, t->widths, t->n_columns, out);
    }
    t->is_begun = t->is_begun || t->n_rows > 0;
    t->n_rows = 0;
    t->first = t->last = NULL;
}
