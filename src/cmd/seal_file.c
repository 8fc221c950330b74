/* cmd/seal_file.c: finding, reading and writing the key file. What the keys are for is seal.c's.
 * Texts of keys are wiped; no message quotes a line. */
#include "cmd/seal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/file.h"
#include "crypto/crypto.h"
#include "util/base64.h"
#include "util/hex.h"
#include "util/timefmt.h"

enum { TEXT_MAX = 16 * 1024, HEX_LEN = 2 * CRYPTO_SEAL_KEY_LEN };

static const char CREDENTIAL[] = "berth-seal-key";

/* ---- finding ---- */

static bool set_path(struct seal_file *f, enum seal_file_origin origin, const char *dir,
                     const char *name)
{
    int n = snprintf(f->path, sizeof(f->path), "%s%s%s", dir, *dir != '\0' ? "/" : "", name);

    f->origin = origin;
    return n >= 0 && (size_t)n < sizeof(f->path);
}

static err look(struct seal_file *f, bool *ret_exists)
{
    if (stat(f->path, &f->stat) == 0) {
        *ret_exists = true;
        return OK;
    }
    *ret_exists = false;
    return errno == ENOENT ? OK
                           : err_set(ERR_SEALED, "the seal key %s: %s", f->path, strerror(errno));
}

err seal_file_find(const struct config *c, struct seal_file *ret_file, bool *ret_exists)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    bool fits;

    *ret_file = (struct seal_file){ 0 };
    if (*c->seal_key != '\0') {
        fits = set_path(ret_file, SEAL_FILE_NAMED, "", c->seal_key);
    } else {
        if (credentials != NULL && *credentials == '/' &&
            set_path(ret_file, SEAL_FILE_CREDENTIAL, credentials, CREDENTIAL)) {
            TRY(look(ret_file, ret_exists));
            if (*ret_exists) {
                return OK;
            }
        }
        fits = set_path(ret_file, SEAL_FILE_OWN, c->data, "seal.key");
    }
    return fits ? look(ret_file, ret_exists)
                : err_set(ERR_SEALED, "seal-key: the path of the file is too long");
}

/* ---- reading ---- */

/* systemd guards a credential by means of its own: an ACL, which shows as the group's mode. */
static err check_guard(const struct seal_file *f)
{
    if (!S_ISREG(f->stat.st_mode)) {
        return err_set(ERR_SEALED, "the seal key %s is not a file", f->path);
    }
    if (f->origin == SEAL_FILE_CREDENTIAL) {
        return OK;
    }
    if ((f->stat.st_mode & 077) != 0) {
        return err_set(ERR_SEALED,
                       "the seal key %s can be read or changed by others than its owner (mode "
                       "%04o): chmod 600 %s",
                       f->path, (unsigned)f->stat.st_mode & 07777, f->path);
    }
    if (f->stat.st_uid != 0 && f->stat.st_uid != geteuid()) {
        return err_set(ERR_SEALED,
                       "the seal key %s belongs to user %u, who is neither root nor the user that "
                       "berthd runs as: chown it",
                       f->path, (unsigned)f->stat.st_uid);
    }
    return OK;
}

static bool parse_key(struct span text, uint8_t ret_key[CRYPTO_SEAL_KEY_LEN])
{
    uint8_t bytes[CRYPTO_SEAL_KEY_LEN + 1];
    struct buf out = buf_over(bytes, sizeof(bytes));
    err e = text.len == HEX_LEN ? hex_decode(text, &out) : base64_decode(text, &out);
    bool is_key = err_is_ok(e) && out.len == CRYPTO_SEAL_KEY_LEN;

    if (is_key) {
        memcpy(ret_key, bytes, CRYPTO_SEAL_KEY_LEN);
    }
    crypto_wipe(bytes, sizeof(bytes));
    return is_key;
}

static err parse(struct seal_file *f, struct span text)
{
    struct span rest = text;

    f->n_keys = 0;
    for (int number = 1; !span_is_absent(rest); number++) {
        struct span line = span_trim(span_cut(&rest, '\n'));

        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }
        if (f->n_keys == SEAL_FILE_KEYS_MAX) {
            return err_set(ERR_SEALED, "%s: more than %d keys: take out those that no row uses",
                           f->path, SEAL_FILE_KEYS_MAX);
        }
        if (!parse_key(line, f->keys[f->n_keys])) {
            return err_set(ERR_SEALED,
                           "%s:%d: not a key: 32 bytes in base64 or hexadecimal, such as "
                           "`openssl rand -base64 32` prints",
                           f->path, number);
        }
        f->n_keys++;
    }
    return f->n_keys > 0 ? OK : err_set(ERR_SEALED, "%s: there is no key in it", f->path);
}

/* What is checked is what is read: by the descriptor. */
static err read_text(struct seal_file *f, uint8_t *text, size_t size, size_t *ret_len)
{
    int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t len = 0;
    ssize_t n = 1;
    err e = OK;

    if (fd < 0) {
        return err_set(ERR_SEALED, "the seal key %s: %s", f->path, strerror(errno));
    }
    if (fstat(fd, &f->stat) != 0) {
        e = err_set(ERR_SEALED, "the seal key %s: %s", f->path, strerror(errno));
    } else {
        e = check_guard(f);
    }
    while (err_is_ok(e) && n > 0 && len < size) {
        n = read(fd, text + len, size - len);
        if (n < 0) {
            e = err_set(ERR_SEALED, "the seal key %s: %s", f->path, strerror(errno));
        }
        len += n > 0 ? (size_t)n : 0;
    }
    (void)close(fd);
    if (err_is_ok(e) && len == size) {
        return err_set(ERR_SEALED, "%s: too large for a file of keys", f->path);
    }
    *ret_len = len;
    return e;
}

err seal_file_read(struct seal_file *f)
{
    uint8_t text[TEXT_MAX];
    size_t len = 0;
    err e = read_text(f, text, sizeof(text), &len);

    if (err_is_ok(e)) {
        e = parse(f, span_of(text, len));
    }
    crypto_wipe(text, sizeof(text));
    return e;
}

void seal_file_done(struct seal_file *f)
{
    crypto_wipe(f->keys, sizeof(f->keys));
    f->n_keys = 0;
}

/* ---- writing ---- */

static const char HEAD[] = "# Sealing keys of berthd: the first seals, all open. Who has them can "
                           "read the secrets of the store;\n# without them nobody can. Keep a copy "
                           "apart from the backups of the store.\n";

static void print_new(const uint8_t *key, uint32_t id, int64_t now_ms, struct buf *out)
{
    buf_printf(out, "# key %08x, made ", id);
    timefmt_iso(now_ms, out);
    buf_add_u8(out, '\n');
    base64_encode(span_of(key, CRYPTO_SEAL_KEY_LEN), out);
    buf_add_u8(out, '\n');
}

/* The old text, without our heading, follows the new key. */
static err print_file(struct seal_file *f, const uint8_t *key, uint32_t id, int64_t now_ms,
                      struct buf *out)
{
    struct span head = span_str(HEAD);
    uint8_t old[TEXT_MAX];
    size_t len = 0;
    struct span rest;
    err e = OK;

    buf_add(out, head);
    print_new(key, id, now_ms, out);
    if (f->n_keys > 0) {
        e = read_text(f, old, sizeof(old), &len);
        rest = span_of(old, len);
        buf_add(out, span_starts_with(rest, head) ? span_from(rest, head.len) : rest);
    }
    crypto_wipe(old, sizeof(old));
    TRY(e);
    return out->failed ? err_set(ERR_SEALED, "%s: too large for a file of keys", f->path) : OK;
}

/* A link stays one: what it leads to is replaced. */
static err write_file(struct seal_file *f, struct span text)
{
    char real[PATH_MAX];

    if (f->n_keys == 0) {
        return file_write(f->path, text, 0600);
    }
    return realpath(f->path, real) != NULL
               ? file_replace(real, text, &f->stat)
               : err_set(ERR_SEALED, "%s: %s", f->path, strerror(errno));
}

err seal_file_put_new(struct seal_file *f, const uint8_t key[CRYPTO_SEAL_KEY_LEN], uint32_t id,
                      int64_t now_ms)
{
    uint8_t memory[TEXT_MAX - 1];
    struct buf text = buf_over(memory, sizeof(memory));
    err e;

    if (f->n_keys == SEAL_FILE_KEYS_MAX) {
        return err_set(ERR_SEALED, "%s: it has %d keys: take out those that no row uses", f->path,
                       SEAL_FILE_KEYS_MAX);
    }
    e = print_file(f, key, id, now_ms, &text);
    if (err_is_ok(e)) {
        e = write_file(f, buf_span(&text));
    }
    crypto_wipe(memory, sizeof(memory));
    TRY(e);
    memmove(f->keys[1], f->keys[0], f->n_keys * CRYPTO_SEAL_KEY_LEN);
    memcpy(f->keys[0], key, CRYPTO_SEAL_KEY_LEN);
    f->n_keys++;
    return OK;
}
