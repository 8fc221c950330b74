/* cmd/berth/import_state.c: the state as JSON, and what tells one file from another. */
#include "cmd/berth/import_state.h"

#include <errno.h>
#include <unistd.h>

#include "cmd/berth/file.h"
#include "util/hex.h"
#include "json/writer.h"

enum { DIGEST_BYTES = 64 * 1024, VERSION = 1 };

const char *berth_import_state_path(struct cli *cli, const char *file)
{
    return berth_cli_printf(cli, "%s.berth-import", file);
}

err berth_import_state_digest(struct cli *cli, int fd, struct import_state *state, int64_t limit)
{
    static uint8_t bytes[DIGEST_BYTES];
    uint8_t digest[CRYPTO_SHA256_LEN];
    struct buf text = buf_over(state->digest, sizeof(state->digest) - 1);
    size_t want = limit > 0 && limit < DIGEST_BYTES ? (size_t)limit : DIGEST_BYTES, len = 0;
    ssize_t n = 1;

    while (len < want && n > 0) {
        n = pread(fd, bytes + len, want - len, (off_t)len);
        if (n < 0) {
            return err_set(ERR_IO, "the file cannot be read: %s", strerror(errno));
        }
        len += (size_t)n;
    }
    TRY(crypto_sha256(cli->crypto, span_of(bytes, len), digest));
    hex_encode_lower(span_of(digest, sizeof(digest)), &text);
    (void)buf_cstr(&text);
    state->digest_len = (int64_t)len;
    return OK;
}

static const struct {
    const char *name;
    size_t offset;
} NUMBERS[] = {
    { "digestBytes", offsetof(struct import_state, digest_len) },
    { "offset", offsetof(struct import_state, offset) },
    { "line", offsetof(struct import_state, line) },
    { "sent", offsetof(struct import_state, sent) },
    { "done", offsetof(struct import_state, done) },
    { "alreadyThere", offsetof(struct import_state, there) },
    { "failed", offsetof(struct import_state, failed) },
    { "errorsBytes", offsetof(struct import_state, errors_len) },
};

static const struct {
    const char *name;
    size_t offset;
} TEXTS[] = {
    { "mode", offsetof(struct import_state, mode) },
    { "collection", offsetof(struct import_state, collection) },
    { "host", offsetof(struct import_state, host) },
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

err berth_import_state_read(struct cli *cli, const char *path, struct import_state *ret_state)
{
    struct import_state state = { .mode = NULL };
    AUTO(json) json *document = NULL;
    struct span text, digest;
    int64_t version = 0;

    TRY(berth_file_read(&cli->arena, path, &text));
    if (!err_is_ok(json_parse(text, 2, &document)) ||
        !err_is_ok(json_get_int(document, "version", &version)) || version != VERSION) {
        return err_set(ERR_CORRUPT, "%s is not the state of an import", path);
    }
    for (size_t i = 0; i < COUNT(NUMBERS); i++) {
        int64_t *number = (int64_t *)(void *)((char *)&state + NUMBERS[i].offset);

        if (!err_is_ok(json_get_int(document, NUMBERS[i].name, number)) || *number < 0) {
            return err_set(ERR_CORRUPT, "%s: %s is not a number", path, NUMBERS[i].name);
        }
    }
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        struct span value = json_text(json_member(document, TEXTS[i].name));

        *(const char **)(void *)((char *)&state + TEXTS[i].offset) = berth_cli_cstr(cli, value);
    }
    digest = json_text(json_member(document, "digest"));
    if (digest.len != sizeof(state.digest) - 1 || state.line < 1) {
        return err_set(ERR_CORRUPT, "%s is damaged", path);
    }
    memcpy(state.digest, digest.data, digest.len);
    *ret_state = state;
    return OK;
}

err berth_import_state_write(const char *path, const struct import_state *state)
{
    uint8_t memory[2048];
    struct buf out = buf_over(memory, sizeof(memory));
    struct json_writer w = json_writer_over(&out);

    json_write_begin_object(&w, NULL);
    json_write_int(&w, "version", VERSION);
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        json_write_str(&w, TEXTS[i].name,
                       *(const char *const *)(const void *)((const char *)state + TEXTS[i].offset));
    }
    json_write_str(&w, "digest", state->digest);
    for (size_t i = 0; i < COUNT(NUMBERS); i++) {
        json_write_int(&w, NUMBERS[i].name,
                       *(const int64_t *)(const void *)((const char *)state + NUMBERS[i].offset));
    }
    json_write_end_object(&w);
    buf_add_str(&out, "\n");
    TRY(buf_ok(&out));
    return berth_file_write(path, buf_span(&out), 0600, true);
}
