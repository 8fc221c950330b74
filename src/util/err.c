/* util/err.c: names of faults and the last detail of each thread. */
#include "util/err.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char detail[512];

const char *err_name(err e)
{
    switch (e.code) {
    case ERR_NONE:
        return "ok";
    case ERR_NOMEM:
        return "no-memory";
    case ERR_MALFORMED:
        return "malformed";
    case ERR_TOO_LARGE:
        return "too-large";
    case ERR_UNSUPPORTED:
        return "unsupported";
    case ERR_NOT_FOUND:
        return "not-found";
    case ERR_EXISTS:
        return "exists";
    case ERR_PRECONDITION:
        return "precondition";
    case ERR_DENIED:
        return "denied";
    case ERR_IO:
        return "io";
    case ERR_TIMEOUT:
        return "timeout";
    case ERR_BUSY:
        return "busy";
    case ERR_CLOSED:
        return "closed";
    case ERR_CRYPTO:
        return "crypto";
    case ERR_CORRUPT:
        return "corrupt";
    case ERR_NEWER_SCHEMA:
        return "newer-schema";
    case ERR_SEALED:
        return "sealed";
    }
    return "unknown";
}

err err_set(enum err_code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    return (err){ code };
}

const char *err_detail(void)
{
    return detail;
}
