/* store/sqlite_row.h: a kind's records in statements of one connection. */
#ifndef STORE_SQLITE_ROW_H
#define STORE_SQLITE_ROW_H

#include "store/row.h"
#include "store/sqlite_db.h"
#include "store/sqlite_sql.h"

/* The connection's prepared statement of this shape; reset it after use. */
err store_sqlite_row_statement(struct store_sqlite_db *db, const struct kind *kind,
                               const struct store_sql *sql, sqlite3_stmt **ret_stmt);

/* The first n fields of the order to the first n parameters; without one, of the kind. They point
 * into the record. */
err store_sqlite_row_bind(struct store_sqlite_db *db, sqlite3_stmt *stmt, const struct kind *kind,
                          const struct store_order *order, int n, const void *record);

/* The row that was stepped to, copied into the arena; `row` was zeroed. ERR_NOMEM. */
err store_sqlite_row_read(sqlite3_stmt *stmt, const struct kind *kind, bool without_secrets,
                          struct arena *arena, void *row);

#endif
