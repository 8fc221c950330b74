// links: berth_crypto
/* tests/fuzz/fuzz_x509.c: certificates in every spelling, every reader, and a path of the
 * certificate to itself. What parses, encodes and parses again. */
#include "crypto/x509.h"
#include "fuzz.h"

static uint8_t room[1 << 20];

static void read_all(struct crypto *c, const struct crypto_cert *cert)
{
    struct buf out = buf_over(room, sizeof(room));
    uint8_t digest[CRYPTO_SHA256_LEN];
    struct crypto_x509_info info;

    (void)crypto_x509_sha256(cert, digest);
    (void)crypto_x509_sha1(cert, digest);
    (void)crypto_x509_common_name(cert, &out);
    (void)crypto_x509_info(cert, &info);
    crypto_x509_serial(cert, &out);
    crypto_x509_subject(cert, &out);
    crypto_x509_issuer(cert, &out);
    (void)crypto_x509_subject_hash(c, cert);
    (void)crypto_x509_issuer_hash(c, cert);
    (void)crypto_x509_is_self_issued(cert);
    (void)crypto_x509_is_ca(cert);
    (void)crypto_x509_may_have_issued(cert, cert);
    (void)crypto_x509_is_signed_by(c, cert, cert);
    FUZZ_CHECK(!out.failed || out.len > sizeof(room) / 2);
}

static void check_path(struct crypto *c, struct crypto_cert *cert)
{
    struct crypto_path_query q = {
        .leaf = cert,
        .anchor = cert,
        .intermediates = &cert,
        .n_intermediates = 1,
        .now_ms = 1800000000000,
        .max_depth = 8,
    };
    const char *why = NULL;

    (void)crypto_x509_check_path(c, &q, &why);
    FUZZ_CHECK(why != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct crypto *c;
    AUTO(crypto_cert) struct crypto_cert *cert = NULL;
    AUTO(crypto_cert) struct crypto_cert *again = NULL;
    struct buf out = buf_over(room, sizeof(room));

    if (c == NULL) {
        FUZZ_CHECK(err_is_ok(crypto_new(CRYPTO_SERVING, &c)));
    }
    if (size > sizeof(room) / 8 ||
        !err_is_ok(crypto_x509_decode_any(c, span_of(data, size), &cert))) {
        return 0;
    }
    FUZZ_CHECK(err_is_ok(crypto_x509_encode(cert, &out)));
    FUZZ_CHECK(err_is_ok(crypto_x509_decode(c, buf_span(&out), &again)));
    FUZZ_CHECK(crypto_x509_equal(cert, again));
    read_all(c, cert);
    check_path(c, cert);
    return 0;
}
