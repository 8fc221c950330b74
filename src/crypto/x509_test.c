/* crypto/x509_test.c: the spellings of a certificate, and what is read from one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "crypto/x509.h"
#include "util/base64.h"
#include "util/hex.h"

/* openssl req -x509 -key k.pem -days 36500 -set_serial 0xA30102030405060708090A0B0C0D0E0F -utf8
 * -subj "/C=US/O=MSFT/OU=Azure IoT, second floor/CN=gerät" -addext extendedKeyUsage=clientAuth */
static const char sample[] = "-----BEGIN CERTIFICATE-----\n"
                             "MIICBzCCAa2gAwIBAgIRAKMBAgMEBQYHCAkKCwwNDg8wCgYIKoZIzj0EAwIwTzEL\n"
                             "MAkGA1UEBhMCVVMxDTALBgNVBAoMBE1TRlQxIDAeBgNVBAsMF0F6dXJlIElvVCwg\n"
                             "c2Vjb25kIGZsb29yMQ8wDQYDVQQDDAZnZXLDpHQwIBcNMjYxMTIxMjIzNDExWhgP\n"
                             "MjEyNjEwMjgyMjM0MTFaME8xCzAJBgNVBAYTAlVTMQ0wCwYDVQQKDARNU0ZUMSAw\n"
                             "HgYDVQQLDBdBenVyZSBJb1QsIHNlY29uZCBmbG9vcjEPMA0GA1UEAwwGZ2Vyw6R0\n"
                             "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEOFZ93gH9oIv641xf6xiWScC2fRSb\n"
                             "xKLdqvTJI6dwXebsULLi2W6bj3fMfoh/dIknyaQ8jBGc7IGUYkK5hO48LqNoMGYw\n"
                             "HQYDVR0OBBYEFAWD+hz1E5Ed/JATMlJaLesn64O/MB8GA1UdIwQYMBaAFAWD+hz1\n"
                             "E5Ed/JATMlJaLesn64O/MA8GA1UdEwEB/wQFMAMBAf8wEwYDVR0lBAwwCgYIKwYB\n"
                             "BQUHAwIwCgYIKoZIzj0EAwIDSAAwRQIhAJbLJt69kNTGZSasVo6hnLuzUo/WAKWF\n"
                             "cI7GJwouwumvAiB2VywaM+bMOodjGJQ9GYQTYNGvBqtFMN2+u9obysA8HQ==\n"
                             "-----END CERTIFICATE-----\n";

/* Nobody may be asked for its password. */
static const char encrypted_pem[] =
    "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n"
    "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n"
    "-----END CERTIFICATE-----\n";

static struct crypto *crypto;
static uint8_t der_bytes[2048];
static struct span der;

static void assert_ok(err e)
{
    if (!err_is_ok(e)) {
        fail_msg("%s: %s", err_name(e), err_detail());
    }
}

static struct crypto_cert *decoded(struct span text)
{
    struct crypto_cert *cert = NULL;

    assert_ok(crypto_x509_decode_any(crypto, text, &cert));
    return cert;
}

static int make_der(void **state)
{
    struct buf out = buf_over(der_bytes, sizeof(der_bytes));
    struct crypto_cert *cert;

    (void)state;
    assert_ok(crypto_new(CRYPTO_SERVING, &crypto));
    cert = decoded(span_str(sample));
    assert_ok(crypto_x509_encode(cert, &out));
    der = buf_span(&out);
    crypto_x509_free(cert);
    return 0;
}

static int free_crypto(void **state)
{
    (void)state;
    crypto_free(crypto);
    return 0;
}

static void assert_decodes(struct span text)
{
    AUTO(crypto_cert) struct crypto_cert *cert = decoded(text);
    uint8_t bytes[2048];
    struct buf again = buf_over(bytes, sizeof(bytes));

    assert_ok(crypto_x509_encode(cert, &again));
    assert_true(span_eq(buf_span(&again), der));
    assert_int_equal(ERR_peek_error(), 0);
}

static void assert_refused(struct span text)
{
    struct crypto_cert *cert = NULL;

    assert_int_equal(crypto_x509_decode_any(crypto, text, &cert).code, ERR_MALFORMED);
    assert_null(cert);
    assert_true(err_detail()[0] != '\0');
    assert_int_equal(ERR_peek_error(), 0);
}

static struct span encoded(struct span bytes, char *room, size_t size)
{
    struct buf out = buf_over(room, size);

    base64_encode(bytes, &out);
    assert_ok(buf_ok(&out));
    return buf_span(&out);
}

static void the_four_spellings(void **state)
{
    char once[4096], twice[8192], thrice[12288];
    struct span pem = span_str(sample);
    struct span text;

    (void)state;
    assert_decodes(der);
    assert_decodes(pem);
    assert_decodes(span_first(pem, pem.len - 1));
    text = encoded(der, once, sizeof(once));
    assert_decodes(text);
    text = encoded(text, twice, sizeof(twice));
    assert_decodes(text);
    assert_refused(encoded(text, thrice, sizeof(thrice)));
    text = encoded(pem, once, sizeof(once));
    assert_decodes(text);
    text = encoded(text, twice, sizeof(twice));
    assert_decodes(text);
}

static void pem_in_context(void **state)
{
    char text[8192];
    struct buf out = buf_over(text, sizeof(text));
    struct span rest = span_str(sample);

    (void)state;
    buf_add_str(&out, "\xef\xbb\xbfsubject=CN = x\r\n");
    while (rest.len > 0) {
        buf_add(&out, span_cut(&rest, '\n'));
        buf_add_str(&out, "\r\n");
    }
    buf_add_str(&out, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_decodes(buf_span(&out));
    /* Another kind of block before it is passed over. */
    out.len = 0;
    buf_add_str(&out, "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
                      "-----END EC PARAMETERS-----\n");
    buf_add_str(&out, sample);
    assert_decodes(buf_span(&out));
}

static void base64_with_white_space(void **state)
{
    char text[4096], spaced[8192];
    struct buf out = buf_over(spaced, sizeof(spaced));
    struct span rest = encoded(der, text, sizeof(text));

    (void)state;
    buf_add_str(&out, "  \r\n");
    while (rest.len > 0) {
        buf_add(&out, span_first(rest, 64));
        buf_add_str(&out, "\r\n");
        rest = span_from(rest, 64);
    }
    assert_decodes(buf_span(&out));
}

static void every_truncation_is_refused(void **state)
{
    char text[4096];
    struct span pem = span_str(sample);

    (void)state;
    for (size_t n = 0; n < der.len; n++) {
        assert_refused(span_first(der, n));
        assert_refused(encoded(span_first(der, n), text, sizeof(text)));
    }
    /* Up to the last hyphen of the end line. */
    for (size_t n = 0; n < pem.len - 1; n++) {
        assert_refused(span_first(pem, n));
    }
}

static void what_else_is_refused(void **state)
{
    static const char *const texts[] = {
        " ",
        "x",
        "AAAA",
        "MII",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        encrypted_pem,
    };
    uint8_t longer[sizeof(der_bytes)];
    char text[4096];
    struct crypto_cert *cert = NULL;

    (void)state;
    assert_refused(SPAN_NONE);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_refused(span_str(texts[i]));
    }
    memcpy(longer, der.data, der.len);
    longer[der.len] = '\n';
    assert_refused(span_of(longer, der.len + 1));
    assert_refused(encoded(span_of(longer, der.len + 1), text, sizeof(text)));
    assert_int_equal(crypto_x509_decode(crypto, span_str(sample), &cert).code, ERR_MALFORMED);
    assert_int_equal(crypto_x509_decode(crypto, SPAN_NONE, &cert).code, ERR_MALFORMED);
}

static void pem_comes_out_as_it_went_in(void **state)
{
    AUTO(crypto_cert) struct crypto_cert *cert = decoded(der);
    char text[sizeof(sample)];
    struct buf out = buf_over(text, sizeof(text));

    (void)state;
    assert_ok(crypto_x509_encode_pem(cert, &out));
    assert_string_equal(buf_cstr(&out), sample);
    out = buf_over(text, 100);
    assert_int_equal(crypto_x509_encode_pem(cert, &out).code, ERR_NOMEM);
    out = buf_over(text, 100);
    assert_int_equal(crypto_x509_encode(cert, &out).code, ERR_NOMEM);
}

static void assert_digest(const uint8_t *bytes, size_t len, const char *expected)
{
    char text[65];
    struct buf out = buf_over(text, sizeof(text));

    hex_encode_lower(span_of(bytes, len), &out);
    assert_string_equal(buf_cstr(&out), expected);
}

/* Expected values by `openssl x509 -fingerprint -dates`. */
static void sample_is_read(void **state)
{
    AUTO(crypto_cert) struct crypto_cert *cert = decoded(der);
    uint8_t sha256[CRYPTO_SHA256_LEN], sha1[CRYPTO_SHA1_LEN];
    struct crypto_x509_info info;
    char text[256];
    struct buf out = buf_over(text, sizeof(text));

    (void)state;
    assert_ok(crypto_x509_sha256(cert, sha256));
    assert_digest(sha256, sizeof(sha256),
                  "e86b23d5f589128efa0e14e85edf10dd29e4730739f13d5ded1527221c94333b");
    assert_ok(crypto_x509_sha1(cert, sha1));
    assert_digest(sha1, sizeof(sha1), "ba7f78eb4224b3d5804630a24c783108c00e17dd");
    assert_ok(crypto_x509_common_name(cert, &out));
    assert_string_equal(buf_cstr(&out), "ger\xc3\xa4t");
    out.len = 0;
    crypto_x509_subject(cert, &out);
    assert_string_equal(buf_cstr(&out),
                        "CN=ger\xc3\xa4t, OU=Azure IoT\\, second floor, O=MSFT, C=US");
    out.len = 0;
    crypto_x509_issuer(cert, &out);
    assert_string_equal(buf_cstr(&out),
                        "CN=ger\xc3\xa4t, OU=Azure IoT\\, second floor, O=MSFT, C=US");
    out.len = 0;
    crypto_x509_serial(cert, &out);
    assert_string_equal(buf_cstr(&out), "A30102030405060708090A0B0C0D0E0F");
    assert_ok(crypto_x509_info(cert, &info));
    assert_int_equal(info.version, 3);
    assert_true(info.not_before_ms == 1795300451000);
    assert_true(info.not_after_ms == 4948900451000);
}

struct name_entry {
    int kind; /* 0 ends the list */
    int type;
    const char *bytes;
    int len;
};

struct name_case {
    struct name_entry entries[3];
    enum err_code code;
    const char *common_name;
    const char *subject;
};

#define CN(type, bytes)                                                                            \
    {                                                                                              \
        NID_commonName, type, bytes, sizeof(bytes) - 1                                             \
    }
#define UTF8 V_ASN1_UTF8STRING

static const struct name_case name_cases[] = {
    { { { 0 } }, ERR_NOT_FOUND, NULL, "" },
    { { CN(UTF8, "a") }, ERR_NONE, "a", "CN=a" },
    { { { NID_organizationName, UTF8, "Org", 3 }, CN(UTF8, "a") }, ERR_NONE, "a", "CN=a, O=Org" },
    { { { NID_organizationName, UTF8, "Org", 3 } }, ERR_NOT_FOUND, NULL, "O=Org" },
    { { CN(V_ASN1_PRINTABLESTRING, "dev 1") }, ERR_NONE, "dev 1", "CN=dev 1" },
    { { CN(V_ASN1_IA5STRING, "a@b") }, ERR_NONE, "a@b", "CN=a@b" },
    { { CN(V_ASN1_T61STRING, "\xe9") }, ERR_NONE, "\xc3\xa9", "CN=\xc3\xa9" },
    { { CN(V_ASN1_BMPSTRING, "\0d\0e\0v\x20\xac") },
      ERR_NONE,
      "dev\xe2\x82\xac",
      "CN=dev\xe2\x82\xac" },
    { { CN(UTF8, "a"), CN(UTF8, "a") }, ERR_MALFORMED, NULL, "CN=a, CN=a" },
    { { CN(UTF8, "admin\0.evil") }, ERR_MALFORMED, NULL, "CN=admin\\00.evil" },
    { { CN(V_ASN1_BMPSTRING, "\0a\0\0") }, ERR_MALFORMED, NULL, "CN=a\\00" },
    { { CN(UTF8, "a\nb,c") }, ERR_NONE, "a\nb,c", "CN=a\\0Ab\\,c" },
};

static struct crypto_cert *cert_of(const struct name_case *t)
{
    X509 *native = X509_new();
    X509_NAME *name = X509_NAME_new();
    struct crypto_cert *cert;

    for (size_t i = 0; i < 3 && t->entries[i].kind != 0; i++) {
        const struct name_entry *e = &t->entries[i];
        X509_NAME_ENTRY *entry = X509_NAME_ENTRY_create_by_NID(
            NULL, e->kind, e->type, (const unsigned char *)e->bytes, e->len);

        assert_int_equal(X509_NAME_add_entry(name, entry, -1, 0), 1);
        X509_NAME_ENTRY_free(entry);
    }
    assert_int_equal(X509_set_subject_name(native, name), 1);
    X509_NAME_free(name);
    cert = crypto_x509_adopt(native);
    X509_free(native);
    return cert;
}

static void names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(name_cases) / sizeof(name_cases[0]); i++) {
        const struct name_case *t = &name_cases[i];
        AUTO(crypto_cert) struct crypto_cert *cert = cert_of(t);
        char text[64];
        struct buf out = buf_over(text, sizeof(text));

        assert_int_equal(crypto_x509_common_name(cert, &out).code, t->code);
        assert_string_equal(buf_cstr(&out), t->common_name != NULL ? t->common_name : "");
        out.len = 0;
        crypto_x509_subject(cert, &out);
        assert_string_equal(buf_cstr(&out), t->subject);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

static void common_name_needs_room(void **state)
{
    AUTO(crypto_cert) struct crypto_cert *cert = decoded(der);
    char text[5];
    struct buf out = buf_over(text, sizeof(text));

    (void)state;
    assert_int_equal(crypto_x509_common_name(cert, &out).code, ERR_NOMEM);
}

static void serial_of_zero(void **state)
{
    X509 *native = X509_new();
    AUTO(crypto_cert) struct crypto_cert *cert = crypto_x509_adopt(native);
    char text[8];
    struct buf out = buf_over(text, sizeof(text));
    struct crypto_x509_info info;

    (void)state;
    X509_free(native);
    crypto_x509_serial(cert, &out);
    assert_string_equal(buf_cstr(&out), "00");
    assert_int_equal(crypto_x509_info(cert, &info).code, ERR_MALFORMED); /* no dates either */
}

static void references(void **state)
{
    struct crypto_cert *cert = decoded(der);
    struct crypto_cert *again = crypto_x509_ref(cert);
    struct crypto_cert *adopted = crypto_x509_adopt(crypto_x509_native(cert));
    AUTO(crypto_cert) struct crypto_cert *other = decoded(span_str(sample));

    (void)state;
    crypto_x509_free(cert);
    crypto_x509_free(again);
    assert_true(crypto_x509_equal(adopted, other));
    crypto_x509_free(adopted);
    assert_null(crypto_x509_adopt(NULL));
    crypto_x509_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_four_spellings),
        cmocka_unit_test(pem_in_context),
        cmocka_unit_test(base64_with_white_space),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(what_else_is_refused),
        cmocka_unit_test(pem_comes_out_as_it_went_in),
        cmocka_unit_test(sample_is_read),
        cmocka_unit_test(names),
        cmocka_unit_test(common_name_needs_room),
        cmocka_unit_test(serial_of_zero),
        cmocka_unit_test(references),
    };

    return cmocka_run_group_tests(tests, make_der, free_crypto);
}
