/* util/cleanup.h: handles that close themselves at the end of their scope, NULL-safe. To give one
 * away, clear the local.
 *
 *     AUTO_DEFINE(sqlite_stmt, sqlite3_stmt *, sqlite3_finalize)
 *     AUTO(sqlite_stmt) sqlite3_stmt *stmt = NULL;
 */
#ifndef UTIL_CLEANUP_H
#define UTIL_CLEANUP_H

#include <stddef.h>

#define AUTO(name) __attribute__((cleanup(auto_##name)))

#define AUTO_DEFINE(name, type, close)                                                             \
    static inline void auto_##name(type *handle)                                                   \
    {                                                                                              \
        if (*handle != NULL) {                                                                     \
            close(*handle);                                                                        \
            *handle = NULL;                                                                        \
        }                                                                                          \
    }

#endif
