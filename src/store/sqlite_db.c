/* store/sqlite_db.c: opening, settings, faults and the statement cache of a connection. Knows
 * neither kinds nor schemas. */
#include "store/sqlite_db.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/limits.h"

enum { CACHE_SLOTS = 512, CACHE_FULL = 384 };

struct slot {
    const void *owner;
    unsigned number;
    sqlite3_stmt *stmt;
};

struct store_sqlite_db {
    sqlite3 *handle;
    char *path;
    size_t n_cached;
    struct slot cache[CACHE_SLOTS];
};

/* Without it every allocation of every connection takes one global mutex. */
static void stop_counting_memory(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

err store_sqlite_db_open(const char *path, enum store_sqlite_mode mode,
                         struct store_sqlite_db **ret_db)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int flags = mode == STORE_SQLITE_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    AUTO(store_sqlite_db) struct store_sqlite_db *db = NULL;
    int rc;

    (void)pthread_once(&once, stop_counting_memory);
    db = (struct store_sqlite_db *)calloc(1, sizeof(*db));
    if (db == NULL) {
        return ERR(NOMEM);
    }
    db->path = strdup(path);
    if (db->path == NULL) {
        return ERR(NOMEM);
    }
    rc = sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK) {
        return store_sqlite_db_fault(db, rc);
    }
    (void)sqlite3_extended_result_codes(db->handle, 1);
    (void)sqlite3_busy_timeout(db->handle, LIMIT_STORE_LOCK_MS);
    *ret_db = db;
    db = NULL;
    return OK;
}

static void forget_statements(struct store_sqlite_db *db)
{
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        (void)sqlite3_finalize(db->cache[i].stmt);
    }
    memset(db->cache, 0, sizeof(db->cache));
    db->n_cached = 0;
}

void store_sqlite_db_close(struct store_sqlite_db *db)
{
    if (db == NULL) {
        return;
    }
    forget_statements(db);
    (void)sqlite3_close(db->handle);
    free(db->path);
    free(db);
}

static enum err_code code_of(int rc)
{
    if (rc == SQLITE_CONSTRAINT_PRIMARYKEY) {
        return ERR_EXISTS;
    }
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return ERR_NOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
        return ERR_CORRUPT;
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
        return ERR_DENIED;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return ERR_BUSY;
    default:
        return ERR_IO;
    }
}

err store_sqlite_db_fault(struct store_sqlite_db *db, int rc)
{
    const char *words = db->handle != NULL ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc);
    int cause = db->handle != NULL ? sqlite3_system_errno(db->handle) : 0;
    int kind = rc & 0xff; /* without the extended part */

    /* "disk I/O error" alone does not say that the disk is full. */
    if ((kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN) && cause != 0) {
        return err_set(code_of(rc), "%s: %s: %s", db->path, words, strerror(cause));
    }
    return err_set(code_of(rc), "%s: %s", db->path, words);
}

err store_sqlite_db_exec(struct store_sqlite_db *db, const char *sql)
{
    int rc = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? OK : store_sqlite_db_fault(db, rc);
}

AUTO_DEFINE(sqlite_stmt, sqlite3_stmt *, sqlite3_finalize)

err store_sqlite_db_ask(struct store_sqlite_db *db, const char *sql, int64_t *ret_value)
{
    AUTO(sqlite_stmt) sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db->handle, sql, -1, &stmt, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
    }
    if (rc != SQLITE_ROW) {
        return store_sqlite_db_fault(db, rc);
    }
    *ret_value = sqlite3_column_int64(stmt, 0);
    return OK;
}

/* The slot of (owner, number), or the free one where it belongs. */
static struct slot *slot_of(struct store_sqlite_db *db, const void *owner, unsigned number)
{
    size_t at = ((uintptr_t)owner >> 3) * 31 + (size_t)number * 2654435761u;

    at ^= at >> 16;
    for (;; at++) {
        struct slot *s = &db->cache[at % CACHE_SLOTS];

        if (s->stmt == NULL || (s->owner == owner && s->number == number)) {
            return s;
        }
    }
}

sqlite3_stmt *store_sqlite_db_cached(struct store_sqlite_db *db, const void *owner, unsigned number)
{
    return slot_of(db, owner, number)->stmt;
}

/* Forgets statements, but for those under way: a walk's, whose row looks something up. */
static void make_room(struct store_sqlite_db *db)
{
    struct slot all[CACHE_SLOTS];

    memcpy(all, db->cache, sizeof(all));
    memset(db->cache, 0, sizeof(db->cache));
    db->n_cached = 0;
    for (size_t i = 0; i < CACHE_SLOTS; i++) {
        if (all[i].stmt != NULL && sqlite3_stmt_busy(all[i].stmt)) {
            *slot_of(db, all[i].owner, all[i].number) = all[i];
            db->n_cached++;
        } else {
            (void)sqlite3_finalize(all[i].stmt);
        }
    }
}

err store_sqlite_db_prepare(struct store_sqlite_db *db, const void *owner, unsigned number,
                            struct span sql, sqlite3_stmt **ret_stmt)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v3(db->handle, (const char *)sql.data, (int)sql.len,
                                SQLITE_PREPARE_PERSISTENT, &stmt, NULL);

    if (rc != SQLITE_OK) {
        return store_sqlite_db_fault(db, rc);
    }
    if (db->n_cached >= CACHE_FULL) {
        make_room(db); /* never reached by the statements there are */
    }
    *slot_of(db, owner, number) = (struct slot){ owner, number, stmt };
    db->n_cached++;
    *ret_stmt = stmt;
    return OK;
}

err store_sqlite_db_statement(struct store_sqlite_db *db, const char *sql, sqlite3_stmt **ret_stmt)
{
    sqlite3_stmt *stmt = store_sqlite_db_cached(db, sql, 0);

    if (stmt == NULL) {
        TRY(store_sqlite_db_prepare(db, sql, 0, span_str(sql), &stmt));
    }
    *ret_stmt = stmt;
    return OK;
}

err store_sqlite_db_run(struct store_sqlite_db *db, const char *sql)
{
    sqlite3_stmt *stmt;

    TRY(store_sqlite_db_statement(db, sql, &stmt));
    return store_sqlite_db_finish(db, stmt);
}

err store_sqlite_db_finish(struct store_sqlite_db *db, sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);
    err result = rc == SQLITE_DONE ? OK : store_sqlite_db_fault(db, rc);

    (void)sqlite3_reset(stmt);
    return result;
}

int64_t store_sqlite_db_changes(struct store_sqlite_db *db)
{
    return sqlite3_changes64(db->handle);
}

bool store_sqlite_db_in_transaction(struct store_sqlite_db *db)
{
    return sqlite3_get_autocommit(db->handle) == 0;
}

int store_sqlite_db_bind_text(sqlite3_stmt *stmt, int at, struct span text)
{
    return sqlite3_bind_text64(stmt, at, (const char *)text.data, text.len, SQLITE_STATIC,
                               SQLITE_UTF8);
}

int store_sqlite_db_bind_blob(sqlite3_stmt *stmt, int at, struct span blob)
{
    return sqlite3_bind_blob64(stmt, at, blob.data, blob.len, SQLITE_STATIC);
}
