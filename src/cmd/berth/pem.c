/* cmd/berth/pem.c: certificate files: PEM bundles and DER. Parsing itself is crypto/'s. */
#include "cmd/berth/pem.h"

#include "cmd/berth/file.h"
#include "cmd/berth/view.h"
#include "util/base64.h"
#include "util/hex.h"

static const struct span BEGIN = { (const uint8_t *)"-----BEGIN CERTIFICATE-----", 27 };
static const struct span END = { (const uint8_t *)"-----END CERTIFICATE-----", 25 };
static const struct span PRIVATE = { (const uint8_t *)"PRIVATE KEY-----", 16 };

/* Where `what` begins in the text, or text.len. */
static size_t find(struct span text, struct span what)
{
    const uint8_t *at = text.len > 0 ? memmem(text.data, text.len, what.data, what.len) : NULL;

    return at ? (size_t)(at - text.data) : text.len;
}

static bool has(struct span text, struct span what)
{
    return find(text, what) < text.len;
}

static err encode_base64(struct cli *cli, struct span der, struct span *ret_text)
{
    struct buf out = arena_buf(&cli->arena);

    base64_encode(der, &out);
    return arena_buf_end(&cli->arena, &out, ret_text);
}

err berth_pem_read(struct cli *cli, const char *path, struct span *ret_text)
{
    AUTO(crypto_cert) struct crypto_cert *certificate = NULL;
    struct span text;

    TRY(berth_file_read(&cli->arena, path, &text));
    if (has(text, PRIVATE)) {
        return err_set(ERR_MALFORMED,
                       "%s holds a private key: give a file with the certificate alone", path);
    }
    if (!err_is_ok(crypto_x509_decode_any(cli->crypto, text, &certificate))) {
        return err_set(ERR_MALFORMED, "%s is not a certificate (PEM or DER)", path);
    }
    if (!has(text, BEGIN) && text.data[0] == 0x30) {
        return encode_base64(cli, text, ret_text);
    }
    *ret_text = text;
    return OK;
}

void berth_pem_free_certificates(struct crypto_cert **certificates, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        crypto_x509_free(certificates[i]);
        certificates[i] = NULL;
    }
}

static err decode_all(struct cli *cli, struct span text, struct crypto_cert **certificates,
                      size_t *n)
{
    if (!has(text, BEGIN)) {
        TRY(crypto_x509_decode_any(cli->crypto, text, &certificates[0]));
        *n = 1;
        return OK;
    }
    for (;;) {
        size_t end;

        text = span_from(text, find(text, BEGIN));
        if (text.len == 0) {
            return OK;
        }
        end = find(text, END) + END.len;
        if (end > text.len || *n == BERTH_PEM_CERTIFICATES_MAX) {
            return ERR(MALFORMED);
        }
        TRY(crypto_x509_decode_any(cli->crypto, span_first(text, end), &certificates[*n]));
        ++*n;
        text = span_from(text, end);
    }
}

err berth_pem_read_certificates(struct cli *cli, const char *path,
                                struct crypto_cert *certificates[BERTH_PEM_CERTIFICATES_MAX],
                                size_t *ret_n)
{
    struct span text;
    size_t n = 0;
    err e;

    TRY(berth_file_read(&cli->arena, path, &text));
    e = decode_all(cli, text, certificates, &n);
    if (!err_is_ok(e) || n == 0) {
        berth_pem_free_certificates(certificates, n);
        return err_set(ERR_MALFORMED, "%s holds no readable certificate, or more than %d", path,
                       BERTH_PEM_CERTIFICATES_MAX);
    }
    *ret_n = n;
    return OK;
}

err berth_pem_format(struct cli *cli, struct crypto_cert *const *certificates, size_t n,
                     struct span *ret_text)
{
    struct buf out = arena_buf(&cli->arena);

    for (size_t i = 0; i < n; i++) {
        TRY(crypto_x509_encode_pem(certificates[i], &out));
    }
    return arena_buf_end(&cli->arena, &out, ret_text);
}

static void show_digest(const char *title, struct span digest)
{
    char memory[2 * CRYPTO_SHA256_LEN];
    struct buf text = buf_over(memory, sizeof(memory));

    hex_encode_upper(digest, &text);
    berth_view_line(title, buf_span(&text));
}

err berth_pem_show_thumbprints(const struct crypto_cert *certificate)
{
    uint8_t sha1[CRYPTO_SHA1_LEN], sha256[CRYPTO_SHA256_LEN];

    TRY(crypto_x509_sha1(certificate, sha1));
    TRY(crypto_x509_sha256(certificate, sha256));
    show_digest("SHA-1", span_of(sha1, sizeof(sha1)));
    show_digest("SHA-256", span_of(sha256, sizeof(sha256)));
    return OK;
}

err berth_pem_show(struct cli *cli, const struct crypto_cert *certificate)
{
    char subject_memory[1024], issuer_memory[1024];
    struct buf subject = buf_over(subject_memory, sizeof(subject_memory));
    struct buf issuer = buf_over(issuer_memory, sizeof(issuer_memory));
    struct crypto_x509_info info;

    TRY(crypto_x509_info(certificate, &info));
    crypto_x509_subject(certificate, &subject);
    crypto_x509_issuer(certificate, &issuer);
    TRY(buf_ok(&subject));
    TRY(buf_ok(&issuer));
    berth_view_line("subject", buf_span(&subject));
    berth_view_line("issuer", buf_span(&issuer));
    berth_view_line("valid from", berth_view_time(cli, info.not_before_ms));
    berth_view_line("expires", berth_view_time(cli, info.not_after_ms));
    return berth_pem_show_thumbprints(certificate);
}
