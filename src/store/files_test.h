/* store/files_test.h: for tests: a directory of their own for one database file. */
#ifndef STORE_FILES_TEST_H
#define STORE_FILES_TEST_H

#include <stdio.h>
#include <stdlib.h>

#include <unistd.h>

#include "store/store.h"

struct files {
    char dir[64], path[96]; /* of the database, which is not there yet */
};

static inline void files_open(struct files *f)
{
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/berth-store-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    (void)snprintf(f->path, sizeof(f->path), "%s/s.db", f->dir);
}

/* With all that SQLite and the lock leave beside the database, and nothing else. */
static inline void files_close(struct files *f)
{
    static const char *const suffixes[] = { "", "-wal", "-shm", ".lock" };
    char path[128];

    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", f->path, suffixes[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(f->dir), 0);
}

/* The backends, as one kind of function. */
static inline err files_open_mem(const char *path, struct store **ret_store)
{
    (void)path;
    return store_mem_open(ret_store);
}

static inline err files_open_sqlite(const char *path, struct store **ret_store)
{
    return store_sqlite_open(path, 3, ret_store);
}

#endif
