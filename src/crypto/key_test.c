/* crypto/key_test.c: keys to PEM and back, and what stands in an issued certificate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/x509v3.h>

#include "crypto/key.h"

static const int64_t now_ms = 1700000000000;
static const enum crypto_profile profiles[] = { CRYPTO_SERVING, CRYPTO_FULL };

struct type_case {
    enum crypto_key_type type;
    const char *name;
    int bits;
};

static const struct type_case types[] = {
    { CRYPTO_KEY_EC_P256, "EC", 256 },
    { CRYPTO_KEY_EC_P384, "EC", 384 },
    { CRYPTO_KEY_RSA_2048, "RSA", 2048 },
};

static const struct crypto_cert_spec plain = {
    .common_name = "dev-1",
    .not_before_ms = now_ms,
    .not_after_ms = now_ms + 86400000,
    .path_len = -1,
    .serial = { 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
};

static bool is_of_filter(const struct crypto_key *key)
{
    const OSSL_PROVIDER *provider = EVP_PKEY_get0_provider(crypto_key_native(key));

    return strcmp(OSSL_PROVIDER_get0_name(provider), "berth-filter") == 0;
}

/* Through PEM and back, in both directions between the profiles. */
static void keys_survive_pem(void **state)
{
    (void)state;
    for (size_t p = 0; p < 2; p++) {
        AUTO(crypto) struct crypto *from = NULL;
        AUTO(crypto) struct crypto *to = NULL;

        assert_true(err_is_ok(crypto_new(profiles[p], &from)));
        assert_true(err_is_ok(crypto_new(profiles[1 - p], &to)));
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
            AUTO(crypto_key) struct crypto_key *key = NULL;
            AUTO(crypto_key) struct crypto_key *again = NULL;
            AUTO(crypto_cert) struct crypto_cert *cert = NULL;
            char text[4096];
            struct buf pem = buf_over(text, sizeof(text));

            assert_true(err_is_ok(crypto_key_generate(from, types[i].type, &key)));
            assert_true(EVP_PKEY_is_a(crypto_key_native(key), types[i].name));
            assert_int_equal(EVP_PKEY_get_bits(crypto_key_native(key)), types[i].bits);
            assert_true(err_is_ok(crypto_key_encode_pem(key, &pem)));
            assert_true(span_starts_with(buf_span(&pem), SPAN("-----BEGIN PRIVATE KEY-----\n")));
            assert_true(err_is_ok(crypto_key_decode_pem(to, buf_span(&pem), &again)));
            assert_int_equal(EVP_PKEY_eq(crypto_key_native(key), crypto_key_native(again)), 1);
            assert_int_equal(is_of_filter(again), crypto_is_filtered(to));
            assert_true(err_is_ok(crypto_key_issue(to, &plain, again, NULL, again, &cert)));
            assert_true(crypto_key_matches(again, cert));
            assert_true(crypto_key_matches(key, cert));
            assert_true(crypto_x509_is_signed_by(from, cert, cert));
        }
    }
}

static void traditional_pem(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        AUTO(crypto) struct crypto *full = NULL;
        AUTO(crypto) struct crypto *serving = NULL;
        AUTO(crypto_key) struct crypto_key *key = NULL;
        AUTO(crypto_key) struct crypto_key *again = NULL;
        BIO *text = BIO_new(BIO_s_mem());
        char *bytes;
        long len;

        assert_true(err_is_ok(crypto_new(CRYPTO_FULL, &full)));
        assert_true(err_is_ok(crypto_new(CRYPTO_SERVING, &serving)));
        assert_true(err_is_ok(crypto_key_generate(full, types[i].type, &key)));
        assert_int_equal(PEM_write_bio_PrivateKey_traditional(text, crypto_key_native(key), NULL,
                                                              NULL, 0, NULL, NULL),
                         1);
        len = BIO_get_mem_data(text, &bytes);
        assert_null(memmem(bytes, (size_t)len, "BEGIN PRIVATE", 13));
        assert_true(err_is_ok(crypto_key_decode_pem(serving, span_of(bytes, (size_t)len), &again)));
        assert_int_equal(EVP_PKEY_eq(crypto_key_native(key), crypto_key_native(again)), 1);
        BIO_free(text);
    }
}

/* openssl genpkey -algorithm ed25519 */
static const char ed25519_pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIBrUdmP7ABp5hMGW5HRr9qCOW6plNokFLxM9RbRlRFOB\n"
    "-----END PRIVATE KEY-----\n";
/* Body and headers of an encrypted key; nobody may be asked for its password. */
static const char encrypted_pem[] =
    "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
    "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
    "MC4CAQAwBQYDK2VwBCIEIBrUdmP7ABp5hMGW5HRr9qCOW6plNokFLxM9RbRlRFOB\n"
    "-----END EC PRIVATE KEY-----\n";

static void bad_pem_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "text",
        "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        encrypted_pem,
    };

    (void)state;
    for (size_t p = 0; p < 2; p++) {
        AUTO(crypto) struct crypto *c = NULL;
        AUTO(crypto_key) struct crypto_key *key = NULL;
        err e;

        assert_true(err_is_ok(crypto_new(profiles[p], &c)));
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
            e = crypto_key_decode_pem(c, span_str(texts[i]), &key);
            assert_int_equal(e.code, ERR_MALFORMED);
        }
        e = crypto_key_decode_pem(c, span_str(ed25519_pem), &key);
        assert_int_equal(e.code, crypto_is_filtered(c) ? ERR_UNSUPPORTED : ERR_NONE);
    }
}

static void foreign_key_does_not_match(void **state)
{
    AUTO(crypto) struct crypto *c = NULL;
    AUTO(crypto_key) struct crypto_key *mine = NULL;
    AUTO(crypto_key) struct crypto_key *other = NULL;
    AUTO(crypto_key) struct crypto_key *rsa = NULL;
    AUTO(crypto_cert) struct crypto_cert *cert = NULL;

    (void)state;
    assert_true(err_is_ok(crypto_new(CRYPTO_SERVING, &c)));
    assert_true(err_is_ok(crypto_key_generate(c, CRYPTO_KEY_EC_P256, &mine)));
    assert_true(err_is_ok(crypto_key_generate(c, CRYPTO_KEY_EC_P256, &other)));
    assert_true(err_is_ok(crypto_key_generate(c, CRYPTO_KEY_RSA_2048, &rsa)));
    assert_true(err_is_ok(crypto_key_issue(c, &plain, mine, NULL, mine, &cert)));
    assert_true(crypto_key_matches(mine, cert));
    assert_false(crypto_key_matches(other, cert));
    assert_false(crypto_key_matches(rsa, cert));
}

static void specification_is_followed(void **state)
{
    static const struct crypto_cert_spec ca_spec = {
        .common_name = "Test CA \xc3\xa9",
        .not_before_ms = now_ms,
        .not_after_ms = now_ms + 86400000,
        .is_ca = true,
        .path_len = 1,
        .key_usage = "critical,keyCertSign,cRLSign",
        .serial = { 1 },
    };
    struct crypto_cert_spec spec = plain;
    AUTO(crypto) struct crypto *c = NULL;
    AUTO(crypto_key) struct crypto_key *ca_key = NULL;
    AUTO(crypto_key) struct crypto_key *key = NULL;
    AUTO(crypto_cert) struct crypto_cert *ca = NULL;
    AUTO(crypto_cert) struct crypto_cert *cert = NULL;
    X509 *x, *parent;

    (void)state;
    spec.key_usage = "critical,digitalSignature";
    spec.extended_usage = "clientAuth";
    spec.subject_alt_name = "DNS:localhost,IP:127.0.0.1";
    assert_true(err_is_ok(crypto_new(CRYPTO_SERVING, &c)));
    assert_true(err_is_ok(crypto_key_generate(c, CRYPTO_KEY_EC_P384, &ca_key)));
    assert_true(err_is_ok(crypto_key_generate(c, CRYPTO_KEY_EC_P256, &key)));
    assert_true(err_is_ok(crypto_key_issue(c, &ca_spec, ca_key, NULL, ca_key, &ca)));
    assert_true(err_is_ok(crypto_key_issue(c, &spec, key, ca, ca_key, &cert)));
    parent = crypto_x509_native(ca);
    x = crypto_x509_native(cert);
    assert_int_equal(X509_check_ca(parent), 1);
    assert_int_equal(X509_get_pathlen(parent), 1);
    assert_int_equal(X509_get_key_usage(parent), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    assert_int_equal(X509_get_signature_nid(parent), NID_ecdsa_with_SHA384);
    assert_null(X509_get0_authority_key_id(parent));
    assert_int_equal(X509_check_ca(x), 0);
    assert_int_equal(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_CLIENT);
    assert_int_equal(X509_get_signature_nid(x), NID_ecdsa_with_SHA384);
    assert_int_equal(X509_check_host(x, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
    assert_int_equal(
        ASN1_OCTET_STRING_cmp(X509_get0_subject_key_id(parent), X509_get0_authority_key_id(x)), 0);
    assert_true(crypto_x509_may_have_issued(ca, cert));
}

static void impossible_specifications_are_refused(void **state)
{
    struct crypto_cert_spec specs[4] = { plain, plain, plain, plain };
    AUTO(crypto) struct crypto *c = NULL;
    AUTO(crypto_key) struct crypto_key *key = NULL;
    struct crypto_cert *cert = NULL;

    (void)state;
    specs[0].common_name = "0123456789012345678901234567890123456789012345678901234567890123+";
    specs[1].key_usage = "noSuchUsage";
    specs[2].subject_alt_name = "IP:not-an-address";
    specs[3].common_name = "";
    assert_true(err_is_ok(crypto_new(CRYPTO_SERVING, &c)));
    assert_true(err_is_ok(crypto_key_generate(c, CRYPTO_KEY_EC_P256, &key)));
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(crypto_key_issue(c, &specs[i], key, NULL, key, &cert).code, ERR_CRYPTO);
        assert_null(cert);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_survive_pem),
        cmocka_unit_test(traditional_pem),
        cmocka_unit_test(bad_pem_is_refused),
        cmocka_unit_test(foreign_key_does_not_match),
        cmocka_unit_test(specification_is_followed),
        cmocka_unit_test(impossible_specifications_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
