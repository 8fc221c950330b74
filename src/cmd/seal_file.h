/* cmd/seal_file.h: the file with the sealing keys: one a line, 32 bytes in hexadecimal or base64;
 * the first seals, all open. Empty lines and those that begin with # say nothing. */
#ifndef CMD_SEAL_FILE_H
#define CMD_SEAL_FILE_H

#include <limits.h>
#include <sys/stat.h>

#include "cmd/config.h"
#include "crypto/seal.h"

enum { SEAL_FILE_KEYS_MAX = 16 };

enum seal_file_origin {
    SEAL_FILE_NAMED,      /* by the setting seal-key */
    SEAL_FILE_CREDENTIAL, /* berth-seal-key, handed in by systemd */
    SEAL_FILE_OWN,        /* seal.key in data: made on the first start */
};

struct seal_file {
    char path[PATH_MAX];
    enum seal_file_origin origin;
    struct stat stat;
    uint8_t keys[SEAL_FILE_KEYS_MAX][CRYPTO_SEAL_KEY_LEN];
    size_t n_keys;
};

/* Where the keys are, without a look at them. *ret_exists: is there a file? ERR_SEALED: err_detail
 * is a sentence. */
err seal_file_find(const struct config *c, struct seal_file *ret_file, bool *ret_exists);
/* Its keys. Others than its owner (root or us) must not be able to read it. ERR_SEALED: err_detail
 * says what is wrong and what would be right, and nothing of what stands in it. seal_file_done is
 * due in any case. */
err seal_file_read(struct seal_file *f);
/* Wipes the keys. */
void seal_file_done(struct seal_file *f);

/* Writes a new key before those of the file, which need not be there. All at once, durably, with
 * the owner and mode of before. f->keys are as in the file then. */
err seal_file_put_new(struct seal_file *f, const uint8_t key[CRYPTO_SEAL_KEY_LEN], uint32_t id,
                      int64_t now_ms);

#endif
