/* store/sqlite_sql.h: the SQL of each operation on a kind. */
#ifndef STORE_SQLITE_SQL_H
#define STORE_SQLITE_SQL_H

#include "store/row.h"

enum store_sql_verb {
    STORE_SQL_FIND,
    STORE_SQL_INSERT,
    STORE_SQL_PUT,
    STORE_SQL_DELETE,
    STORE_SQL_SCAN,
    STORE_SQL_COUNT,
};

/* How a scan bounds the member behind the equal ones. */
enum store_sql_range {
    STORE_SQL_ALL,
    STORE_SQL_ABOVE, /* > value */
    STORE_SQL_BELOW, /* < value; absent ones are not */
    STORE_SQL_AT_LEAST,
    STORE_SQL_AT_MOST,
    STORE_SQL_PRESENT, /* not absent */
    STORE_SQL_ABSENT,
};

/* What one statement of a kind does. The members below `verb` are for SCAN and COUNT. */
struct store_sql {
    enum store_sql_verb verb;
    int index;   /* the order */
    int n_equal; /* its first members, compared for equality */
    enum store_sql_range range;
    bool descending;
};

/* A number for each shape: the statement cache's key within a kind. */
unsigned store_sql_number(const struct store_sql *sql);

/* Parameters, numbered from 1: FIND, DELETE: the key; INSERT, PUT: every field; SCAN: the equal
 * members, the range's value (but for PRESENT and ABSENT), the limit (negative: none); COUNT: the
 * equal members. Columns of FIND and SCAN: every field. */
void store_sql_print(const struct store_sql *sql, const struct kind *kind, struct buf *out);

#endif
