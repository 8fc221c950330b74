/* cmd/berth/file.h: whole small files, read and written so that nothing is lost and no key shows.
 */
#ifndef CMD_BERTH_FILE_H
#define CMD_BERTH_FILE_H

#include "util/arena.h"

enum { BERTH_FILE_MAX = 1024 * 1024 };

/* A NUL stands behind the text. ERR_NOT_FOUND, ERR_DENIED, ERR_IO, ERR_TOO_LARGE (above
 * BERTH_FILE_MAX); err_detail names the path. */
err berth_file_read(struct arena *arena, const char *path, struct span *ret_text);
/* Writes beside the path, to the disk, and renames. mode: 0600 for keys, else 0644. Without force
 * an existing path is ERR_EXISTS and stays as it is. */
err berth_file_write(const char *path, struct span text, unsigned mode, bool force);
bool berth_file_exists(const char *path);

#endif
