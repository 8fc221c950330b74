/* cmd/berth/table.h: aligned columns for people. */
#ifndef CMD_BERTH_TABLE_H
#define CMD_BERTH_TABLE_H

#include <stdio.h>

#include "util/arena.h"

enum { TABLE_COLUMNS_MAX = 16 };

struct table_row {
    struct table_row *next;
    struct span cells[TABLE_COLUMNS_MAX];
};

struct table {
    struct arena *arena;
    const char *titles[TABLE_COLUMNS_MAX];
    size_t n_columns, n_rows;
    struct table_row *first, *last;
    size_t widths[TABLE_COLUMNS_MAX]; /* of what was printed; 0: left out */
    bool is_begun;
};

/* titles: n of them, borrowed. The rows live in the arena. */
void berth_table_init(struct table *t, struct arena *arena, const char *const *titles, size_t n);
/* cells: one for each column, borrowed; an absent or empty one is shown as '-'. ERR_NOMEM. */
err berth_table_add(struct table *t, const struct span *cells);
/* Titles, then the rows; columns two blanks apart, no blanks at a line's end. A column that is
 * empty in every row is left out. Control characters are shown as '?'. The table is without rows
 * then, their memory may be given up, and more may follow: titles come again only when a column
 * does that was left out. */
void berth_table_print(struct table *t, FILE *out);

/* Places that the text takes on a terminal, a code point taking one. */
size_t berth_table_width(struct span text);

#endif
