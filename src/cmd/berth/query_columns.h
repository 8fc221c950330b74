/* cmd/berth/query_columns.h: rows of a query as a table, whatever their members are. Twins get the
 * columns that tell one from another; other rows one column a member, those of an object within
 * being "tags.room". */
#ifndef CMD_BERTH_QUERY_COLUMNS_H
#define CMD_BERTH_QUERY_COLUMNS_H

#include "cmd/berth/view.h"

enum { QUERY_COLUMNS_DEPTH = 4, QUERY_COLUMNS_NAME = 200 };

struct query_columns {
    struct cli *cli;
    struct table table;
    char names[TABLE_COLUMNS_MAX][QUERY_COLUMNS_NAME]; /* dotted paths */
    size_t n;
    bool is_begun, is_twins;
    bool left_some_out; /* members for which there was no column */
};

void berth_query_columns_init(struct query_columns *q, struct cli *cli);
/* A page: a JSON array. The first that has rows settles the columns. */
err berth_query_columns_add(struct query_columns *q, const json *rows);

#endif
