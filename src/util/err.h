/* util/err.h: faults. A fault is something that stopped us (no memory, bad bytes, I/O); a device
 * that may not register is not a fault but a verdict (model/reason.h).
 *
 * `err` is a struct so that `return false` cannot compile, and must be looked at. */
#ifndef UTIL_ERR_H
#define UTIL_ERR_H

#include <stdbool.h>

enum err_code {
    ERR_NONE = 0,
    ERR_NOMEM,       /* arena, buffer or heap is at its limit */
    ERR_MALFORMED,   /* outside input that breaks its grammar */
    ERR_TOO_LARGE,   /* outside input beyond a limit of model/limits.h */
    ERR_UNSUPPORTED, /* well-formed, but not something we do */
    ERR_NOT_FOUND,
    ERR_EXISTS,       /* create of what is there already */
    ERR_PRECONDITION, /* the row is not in the state (etag) that the caller named */
    ERR_DENIED,       /* the operating system or the peer says no */
    ERR_IO,
    ERR_TIMEOUT,
    ERR_BUSY,         /* a bounded queue is full */
    ERR_CLOSED,       /* the thing is shutting down */
    ERR_CRYPTO,       /* libcrypto or libssl failed for a reason of its own */
    ERR_CORRUPT,      /* our own stored data breaks its rules */
    ERR_NEWER_SCHEMA, /* the store was written by a newer version */
    ERR_SEALED,       /* the sealing key is not there, or is another */
};

#if defined(__clang__)
#define ERR_MUST_USE __attribute__((warn_unused_result))
#else
#define ERR_MUST_USE /* gcc has no must-use for types in C17; the clang build enforces it */
#endif

typedef struct ERR_MUST_USE err {
    enum err_code code;
} err;

#define OK         ((err){ ERR_NONE })
#define ERR(code_) ((err){ ERR_##code_ })

/* The only macro that returns: gives a fault to our caller. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        err try_err_ = (call);                                                                     \
        if (try_err_.code != ERR_NONE) {                                                           \
            return try_err_;                                                                       \
        }                                                                                          \
    } while (0)

static inline bool err_is_ok(err e)
{
    return e.code == ERR_NONE;
}

static inline bool err_is(err e, enum err_code code)
{
    return e.code == code;
}

/* A word for the code: "not-found". Never NULL. */
const char *err_name(err e);

/* Makes a fault and leaves one line of detail for this thread (at most 511 bytes, then cut), which
 * holds until the next err_set on the thread. For operators; never shown to a device. */
err err_set(enum err_code code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The detail left by the last err_set on this thread, or "". */
const char *err_detail(void);

#endif
