/* store/sqlite_file.h: a database file of ours: locked against a second berthd, recognised, brought
 * to this version's schema, and open with one connection that writes and a pool that reads. */
#ifndef STORE_SQLITE_FILE_H
#define STORE_SQLITE_FILE_H

#include "store/schema/schema.h"
#include "store/sqlite_db.h"

struct store_sqlite_file;

/* Makes the file (mode 0600) when it is missing. Faults as store_sqlite_open. */
err store_sqlite_file_open(const char *path, const struct store_schema *schema, int read_handles,
                           struct store_sqlite_file **ret_file);
/* NULL-safe. All connections are back. */
void store_sqlite_file_close(struct store_sqlite_file *f);
AUTO_DEFINE(store_sqlite_file, struct store_sqlite_file *, store_sqlite_file_close)

/* As store_sqlite_holder. */
err store_sqlite_file_holder(const char *path, int64_t *ret_pid);

/* The connection that writes; for one thread at a time. */
struct store_sqlite_db *store_sqlite_file_writer(struct store_sqlite_file *f);

/* A connection that reads, this thread's last one if it is free; waits until there is one. */
struct store_sqlite_db *store_sqlite_file_borrow(struct store_sqlite_file *f);
void store_sqlite_file_give_back(struct store_sqlite_file *f, struct store_sqlite_db *db);

#endif
