/* crypto/x509_json.c: what a decision record, the service API and custom allocation show of
 * certificates. */
#include "crypto/x509_json.h"

#include <arpa/inet.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "util/utf8.h"

enum {
    NAME_LEN = 2048, /* bytes; a longer one is cut */
    ALT_NAMES = 64,
    ALT_NAME_LEN = 512, /* bytes; a longer one is passed over */
};

static void write_printed(struct json_writer *w, const char *member, const struct crypto_cert *cert,
                          void (*print)(const struct crypto_cert *, struct buf *))
{
    uint8_t room[NAME_LEN];
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

err crypto_x509_json_info(const struct crypto_cert *cert, struct json_writer *w)
{
    struct crypto_x509_info info;
    uint8_t sha1[CRYPTO_SHA1_LEN], sha256[CRYPTO_SHA256_LEN];

    TRY(crypto_x509_info(cert, &info));
    TRY(crypto_x509_sha1(cert, sha1));
    TRY(crypto_x509_sha256(cert, sha256));
    write_printed(w, "subjectName", cert, crypto_x509_subject);
    json_write_hex_upper(w, "sha1Thumbprint", span_of(sha1, sizeof(sha1)));
    json_write_hex_upper(w, "sha256Thumbprint", span_of(sha256, sizeof(sha256)));
    write_printed(w, "issuerName", cert, crypto_x509_issuer);
    json_write_time(w, "notBeforeUtc", info.not_before_ms);
    json_write_time(w, "notAfterUtc", info.not_after_ms);
    write_printed(w, "serialNumber", cert, crypto_x509_serial);
    json_write_int(w, "version", info.version);
    return OK;
}

/* As text in `room`; absent: not one that is shown. */
static struct span alt_name_text(const GENERAL_NAME *name, char room[INET6_ADDRSTRLEN])
{
    int kind;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &kind);
    struct span bytes =
        kind == GEN_DNS || kind == GEN_URI || kind == GEN_EMAIL || kind == GEN_IPADD
            ? span_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value))
            : SPAN_NONE;

    if (kind == GEN_IPADD) {
        int family = bytes.len == 4 ? AF_INET : bytes.len == 16 ? AF_INET6 : AF_UNSPEC;

        return family == AF_UNSPEC
                   ? SPAN_NONE
                   : span_str(inet_ntop(family, bytes.data, room, INET6_ADDRSTRLEN));
    }
    return bytes.len > 0 && bytes.len <= ALT_NAME_LEN && utf8_is_text(bytes) ? bytes : SPAN_NONE;
}

/* Those of one kind. *n: written so far, of all. */
static void write_alt_names(const GENERAL_NAMES *names, int kind, const char *member, int *n,
                            struct json_writer *w)
{
    bool is_begun = false;

    for (int i = 0; i < sk_GENERAL_NAME_num(names) && *n < ALT_NAMES; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        char room[INET6_ADDRSTRLEN];
        struct span text = name->type == kind ? alt_name_text(name, room) : SPAN_NONE;

        if (span_is_absent(text)) {
            continue;
        }
        if (!is_begun) {
            json_write_begin_array(w, member);
        }
        is_begun = true;
        json_write_text(w, NULL, text);
        ++*n;
    }
    if (is_begun) {
        json_write_end_array(w);
    }
}

void crypto_x509_json_alt_names(const struct crypto_cert *cert, struct json_writer *w)
{
    GENERAL_NAMES *names =
        X509_get_ext_d2i(crypto_x509_native(cert), NID_subject_alt_name, NULL, NULL);
    int n = 0;

    if (names == NULL) {
        return;
    }
    json_write_begin_object(w, "subjectAltNames");
    write_alt_names(names, GEN_DNS, "dns", &n, w);
    write_alt_names(names, GEN_URI, "uri", &n, w);
    write_alt_names(names, GEN_EMAIL, "email", &n, w);
    write_alt_names(names, GEN_IPADD, "ip", &n, w);
    json_write_end_object(w);
    GENERAL_NAMES_free(names);
}
