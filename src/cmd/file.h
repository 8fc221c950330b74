/* cmd/file.h: whole files and directories. */
#ifndef CMD_FILE_H
#define CMD_FILE_H

#include <sys/stat.h>
#include <sys/types.h>

#include "util/arena.h"

/* Makes the directory and those above it, for its owner only. ERR_IO, ERR_DENIED: err_detail names
 * it. */
err file_make_dir(const char *path);
/* ERR_NOT_FOUND, ERR_DENIED, ERR_IO, ERR_TOO_LARGE: err_detail names it. */
err file_read(const char *path, size_t max, struct arena *arena, struct span *ret_text);
/* Replaces the file at once or not at all; durable. ERR_IO, ERR_DENIED. */
err file_write(const char *path, struct span text, mode_t mode);
/* The same, with the owner, group and mode that the file had. */
err file_replace(const char *path, struct span text, const struct stat *old);

#endif
