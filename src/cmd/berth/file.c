/* cmd/berth/file.c: whole files. A file appears complete or not at all; a key file is never
 * readable by others, not even for a moment. */
#include "cmd/berth/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static err fail(const char *what, const char *path)
{
    enum err_code code = errno == ENOENT                     ? ERR_NOT_FOUND
                         : errno == EACCES || errno == EPERM ? ERR_DENIED
                         : errno == EEXIST                   ? ERR_EXISTS
                                                             : ERR_IO;

    return err_set(code, "cannot %s %s: %s", what, path, strerror(errno));
}

static err read_all(int fd, const char *path, struct buf *out)
{
    for (;;) {
        ssize_t n;
        size_t room = out->cap - out->len;

        if (out->len > BERTH_FILE_MAX || room == 0) {
            return err_set(ERR_TOO_LARGE, "%s is larger than %d bytes", path, BERTH_FILE_MAX);
        }
        n = read(fd, out->data + out->len, room < 65536 ? room : 65536);
        if (n < 0) {
            return fail("read", path);
        }
        if (n == 0) {
            return OK;
        }
        out->len += (size_t)n;
    }
}

err berth_file_read(struct arena *arena, const char *path, struct span *ret_text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct buf text;
    err e;

    if (fd < 0) {
        return fail("read", path);
    }
    text = arena_buf(arena);
    e = read_all(fd, path, &text);
    (void)close(fd);
    TRY(e);
    return arena_buf_end(arena, &text, ret_text);
}

bool berth_file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static err write_all(int fd, struct span text, const char *path)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.data, text.len);

        if (n < 0) {
            return fail("write", path);
        }
        text = span_from(text, (size_t)n);
    }
    return OK;
}

err berth_file_write(const char *path, struct span text, unsigned mode, bool force)
{
    char beside[PATH_MAX];
    int fd, n = snprintf(beside, sizeof(beside), "%s.%ld.tmp", path, (long)getpid());
    err e;

    if (n < 0 || (size_t)n >= sizeof(beside)) {
        return err_set(ERR_TOO_LARGE, "the path %s is too long", path);
    }
    if (!force && berth_file_exists(path)) {
        return err_set(ERR_EXISTS, "%s exists; --force overwrites it", path);
    }
    fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
    if (fd < 0) {
        return fail("write", path);
    }
    e = write_all(fd, text, path);
    if (err_is_ok(e) && fsync(fd) != 0) {
        e = fail("write", path);
    }
    if (close(fd) != 0 && err_is_ok(e)) {
        e = fail("write", path);
    }
    if (err_is_ok(e) && rename(beside, path) != 0) {
        e = fail("write", path);
    }
    if (!err_is_ok(e)) {
        (void)unlink(beside);
    }
    return e;
}
