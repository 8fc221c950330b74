/* cmd/berth/import_state.h: how far the import of a file is, in a small file beside it, so that it
 * can be taken up again after an interruption of any kind. */
#ifndef CMD_BERTH_IMPORT_STATE_H
#define CMD_BERTH_IMPORT_STATE_H

#include "cmd/berth/cli.h"

struct import_state {
    /* What is imported: another file, way or server is refused. */
    const char *mode, *collection, *host;
    char digest[2 * CRYPTO_SHA256_LEN + 1]; /* of the file's first digest_len bytes */
    int64_t digest_len;
    /* How far. */
    int64_t offset, line;        /* everything before is acknowledged */
    int64_t sent;                /* nothing behind was sent; what is between may have been done */
    int64_t done, there, failed; /* before the offset */
    int64_t errors_len;          /* of the --errors file, for them */
};

/* FILE.berth-import */
const char *berth_import_state_path(struct cli *cli, const char *file);
/* Digest of the file's beginning: up to `limit` bytes, or as many as are there when it is 0. */
err berth_import_state_digest(struct cli *cli, int fd, struct import_state *state, int64_t limit);
/* ERR_NOT_FOUND: there is none. ERR_CORRUPT, ERR_IO. */
err berth_import_state_read(struct cli *cli, const char *path, struct import_state *ret_state);
/* As a whole or not at all, and on the disk when it returns. */
err berth_import_state_write(const char *path, const struct import_state *state);

#endif
