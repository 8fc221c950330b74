/* cmd/file.c: a file is written beside its place and moved there, so that nobody reads half. */
#include "cmd/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static err fail(const char *path)
{
    enum err_code code = errno == ENOENT                                       ? ERR_NOT_FOUND
                         : errno == EACCES || errno == EPERM || errno == EROFS ? ERR_DENIED
                                                                               : ERR_IO;

    return err_set(code, "%s: %s", path, strerror(errno));
}

err file_make_dir(const char *path)
{
    char part[PATH_MAX];
    size_t len = strlen(path);

    if (len >= sizeof(part)) {
        return err_set(ERR_IO, "%.100s…: the path is too long", path);
    }
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return fail(part);
        }
    }
    return OK;
}

err file_read(const char *path, size_t max, struct arena *arena, struct span *ret_text)
{
    FILE *f = fopen(path, "re");
    uint8_t *text = f != NULL ? arena_alloc(arena, max + 1) : NULL;
    size_t n;

    if (f == NULL) {
        return fail(path);
    }
    if (text == NULL) {
        (void)fclose(f);
        return ERR(NOMEM);
    }
    n = fread(text, 1, max + 1, f);
    if (ferror(f) != 0) {
        (void)fclose(f);
        return err_set(ERR_IO, "%s: it cannot be read", path);
    }
    (void)fclose(f);
    if (n > max) {
        return err_set(ERR_TOO_LARGE, "%s: larger than %zu bytes", path, max);
    }
    *ret_text = span_of(text, n);
    return OK;
}

static err write_all(int fd, const char *path, struct span text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.data, text.len);

        if (n < 0 && errno != EINTR) {
            return fail(path);
        }
        text = span_from(text, n > 0 ? (size_t)n : 0);
    }
    return fsync(fd) == 0 ? OK : fail(path);
}

static void sync_dir_of(const char *path)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int fd;

    (void)snprintf(dir, sizeof(dir), "%.*s", slash != NULL ? (int)(slash - path) : 1,
                   slash != NULL ? path : ".");
    fd = open(*dir != '\0' ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

static err give_to(int fd, const char *path, const struct stat *old)
{
    if ((old->st_uid != geteuid() || old->st_gid != getegid()) &&
        fchown(fd, old->st_uid, old->st_gid) != 0) {
        return fail(path);
    }
    return fchmod(fd, old->st_mode & 07777) == 0 ? OK : fail(path);
}

static err write_beside(const char *beside, struct span text, mode_t mode, const struct stat *old)
{
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    err e;

    if (fd < 0) {
        return fail(beside);
    }
    e = old != NULL ? give_to(fd, beside, old) : OK;
    if (err_is_ok(e)) {
        e = write_all(fd, beside, text);
    }
    (void)close(fd);
    return e;
}

static err replace(const char *path, struct span text, mode_t mode, const struct stat *old)
{
    char beside[PATH_MAX];
    err result;

    if ((size_t)snprintf(beside, sizeof(beside), "%s.new", path) >= sizeof(beside)) {
        return err_set(ERR_IO, "%.100s…: the path is too long", path);
    }
    (void)unlink(beside);
    result = write_beside(beside, text, mode, old);
    if (err_is_ok(result) && rename(beside, path) != 0) {
        result = fail(path);
    }
    if (!err_is_ok(result)) {
        (void)unlink(beside);
        return result;
    }
    sync_dir_of(path);
    return OK;
}

err file_write(const char *path, struct span text, mode_t mode)
{
    return replace(path, text, mode, NULL);
}

err file_replace(const char *path, struct span text, const struct stat *old)
{
    return replace(path, text, 0600, old);
}
