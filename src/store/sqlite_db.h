/* store/sqlite_db.h: one SQLite connection with its prepared statements. A connection is used by
 * one thread at a time. Faults leave a detail that names the file. */
#ifndef STORE_SQLITE_DB_H
#define STORE_SQLITE_DB_H

#include <sqlite3.h>

#include "util/cleanup.h"
#include "util/err.h"
#include "util/span.h"

struct store_sqlite_db;

enum store_sqlite_mode { STORE_SQLITE_READ, STORE_SQLITE_WRITE };

/* The file must be there. Nothing in it is changed by opening. */
err store_sqlite_db_open(const char *path, enum store_sqlite_mode mode,
                         struct store_sqlite_db **ret_db);
/* NULL-safe. */
void store_sqlite_db_close(struct store_sqlite_db *db);
AUTO_DEFINE(store_sqlite_db, struct store_sqlite_db *, store_sqlite_db_close)

/* The fault for what SQLite just answered. SQLITE_CONSTRAINT_PRIMARYKEY is ERR_EXISTS. */
err store_sqlite_db_fault(struct store_sqlite_db *db, int rc);

/* Statements without rows, run once (schema, pragmas). */
err store_sqlite_db_exec(struct store_sqlite_db *db, const char *sql);
/* The first column of the first row of a statement that is run once. */
err store_sqlite_db_ask(struct store_sqlite_db *db, const char *sql, int64_t *ret_value);

/* Prepared statements are kept under (owner, number) and belong to the connection; reset one after
 * use. At most one is in use at a time. NULL when there is none yet. */
sqlite3_stmt *store_sqlite_db_cached(struct store_sqlite_db *db, const void *owner,
                                     unsigned number);
err store_sqlite_db_prepare(struct store_sqlite_db *db, const void *owner, unsigned number,
                            struct span sql, sqlite3_stmt **ret_stmt);
/* The same for fixed text, kept under its address. */
err store_sqlite_db_statement(struct store_sqlite_db *db, const char *sql, sqlite3_stmt **ret_stmt);
/* Runs fixed text without rows through the cache. */
err store_sqlite_db_run(struct store_sqlite_db *db, const char *sql);

/* Steps to the end of a statement without rows and resets it. */
err store_sqlite_db_finish(struct store_sqlite_db *db, sqlite3_stmt *stmt);
int64_t store_sqlite_db_changes(struct store_sqlite_db *db);
/* False once SQLite has ended a transaction by itself (disk full, I/O error). */
bool store_sqlite_db_in_transaction(struct store_sqlite_db *db);

/* Absent binds NULL; the bytes must stay until the statement was reset. */
int store_sqlite_db_bind_text(sqlite3_stmt *stmt, int at, struct span text);
int store_sqlite_db_bind_blob(sqlite3_stmt *stmt, int at, struct span blob);

#endif
