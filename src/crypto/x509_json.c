/* crypto/x509_json.c: what a decision record keeps of certificates that were presented. */
#include "crypto/x509_json.h"

static void write_printed(struct json_writer *w, const char *member, const struct crypto_cert *cert,
                          void (*print)(const struct crypto_cert *, struct buf *))
{
    uint8_t room[1024];
    struct buf text = buf_over(room, sizeof room);

    print(cert, &text);
    json_write_text(w, member, buf_span(&text));
}

static err write_certificate(struct json_writer *w, const struct crypto_cert *cert)
{
    struct crypto_x509_info info = { 0 };
    uint8_t digest[CRYPTO_SHA256_LEN];

    TRY(crypto_x509_sha256(cert, digest));
    json_write_begin_object(w, NULL);
    write_printed(w, "subject", cert, crypto_x509_subject);
    write_printed(w, "issuer", cert, crypto_x509_issuer);
    write_printed(w, "serialNumber", cert, crypto_x509_serial);
    json_write_hex_upper(w, "sha256Thumbprint", span_of(digest, sizeof digest));
    if (err_is_ok(crypto_x509_info(cert, &info))) {
        json_write_time(w, "notBeforeUtc", info.not_before_ms);
        json_write_time(w, "notAfterUtc", info.not_after_ms);
    }
    json_write_end_object(w);
    return OK;
}

err crypto_x509_json_chain(struct crypto_cert *const *chain, size_t n, struct json_writer *w)
{
    json_write_begin_array(w, "chain");
    for (size_t i = 0; i < n; i++) {
        TRY(write_certificate(w, chain[i]));
    }
    json_write_end_array(w);
    return OK;
}
