/* crypto/x509_ek_test.c: certificates of endorsement keys: what they may be for, and whose key they
 * hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "crypto/key.h"

#define DAY_MS 86400000LL
static const int64_t now_ms = 1700000000000;

static struct crypto *crypto;
static struct crypto_key *ca_key, *key, *ec_key;
static struct crypto_cert *ca;

static struct crypto_cert *issue(const struct crypto_key *subject_key, bool is_ca,
                                 const char *key_usage, const char *extended_usage)
{
    struct crypto_cert_spec spec = { .common_name = "EK",
                                     .not_before_ms = now_ms - DAY_MS,
                                     .not_after_ms = now_ms + DAY_MS,
                                     .is_ca = is_ca,
                                     .path_len = -1,
                                     .key_usage = key_usage,
                                     .extended_usage = extended_usage,
                                     .serial = { 7 } };
    struct crypto_cert *cert;

    assert_true(err_is_ok(crypto_key_issue(crypto, &spec, subject_key, ca, ca_key, &cert)));
    return cert;
}

static int setup(void **state)
{
    (void)state;
    assert_true(err_is_ok(crypto_new(CRYPTO_SERVING, &crypto)));
    assert_true(err_is_ok(crypto_key_generate(crypto, CRYPTO_KEY_EC_P256, &ca_key)));
    assert_true(err_is_ok(crypto_key_generate(crypto, CRYPTO_KEY_EC_P256, &ec_key)));
    assert_true(err_is_ok(crypto_key_generate(crypto, CRYPTO_KEY_RSA_2048, &key)));
    ca = issue(ca_key, true, "critical,keyCertSign", "2.23.133.8.1"); /* as some makers' are */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    crypto_x509_free(ca);
    crypto_key_free(ca_key);
    crypto_key_free(ec_key);
    crypto_key_free(key);
    crypto_free(crypto);
    return 0;
}

static void what_it_may_be_for(void **state)
{
    static const struct {
        const char *key_usage, *extended_usage;
        bool is_ca;
        enum crypto_path expected;
    } cases[] = {
        { "critical,keyEncipherment", "2.23.133.8.1", false, CRYPTO_PATH_OK },
        { "keyEncipherment,keyAgreement", "clientAuth,2.23.133.8.1", false, CRYPTO_PATH_OK },
        { "critical,keyEncipherment", NULL, false, CRYPTO_PATH_OK },
        { NULL, "2.23.133.8.1", false, CRYPTO_PATH_OK },
        { NULL, "anyExtendedKeyUsage", false, CRYPTO_PATH_OK },
        { NULL, NULL, false, CRYPTO_PATH_OK },
        { "critical,digitalSignature", "2.23.133.8.1", false, CRYPTO_PATH_WRONG_PURPOSE },
        { "critical,keyEncipherment", "clientAuth", false, CRYPTO_PATH_WRONG_PURPOSE },
        { "critical,keyEncipherment", "2.23.133.8.3", false, CRYPTO_PATH_WRONG_PURPOSE },
        { NULL, NULL, true, CRYPTO_PATH_WRONG_PURPOSE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AUTO(crypto_cert)
        struct crypto_cert *cert =
            issue(key, cases[i].is_ca, cases[i].key_usage, cases[i].extended_usage);
        struct crypto_path_query q = { .leaf = cert,
                                       .purpose = CRYPTO_PURPOSE_ENDORSEMENT_KEY,
                                       .anchor = ca,
                                       .now_ms = now_ms,
                                       .max_depth = 8 };
        const char *why;

        if (crypto_x509_check_path(crypto, &q, &why) != cases[i].expected) {
            fail_msg("case %zu: %s", i, why);
        }
        /* Dates and anchors count as for any other certificate. */
        q.now_ms += 2 * DAY_MS;
        assert_int_not_equal(CRYPTO_PATH_OK, crypto_x509_check_path(crypto, &q, &why));
    }
}

static void whose_key_it_holds(void **state)
{
    AUTO(crypto_cert) struct crypto_cert *cert = issue(key, false, NULL, NULL);
    AUTO(crypto_cert) struct crypto_cert *ec_cert = issue(ec_key, false, NULL, NULL);
    uint8_t modulus[257] = { 0 }; /* with a leading zero: the same number */
    BIGNUM *n = NULL;

    (void)state;
    assert_int_equal(1, EVP_PKEY_get_bn_param(crypto_key_native(key), OSSL_PKEY_PARAM_RSA_N, &n));
    assert_int_equal(256, BN_bn2binpad(n, modulus + 1, 256));
    BN_free(n);
    assert_true(crypto_x509_has_rsa_key(cert, span_of(modulus + 1, 256), 65537));
    assert_true(crypto_x509_has_rsa_key(cert, span_of(modulus, 257), 65537));
    assert_false(crypto_x509_has_rsa_key(cert, span_of(modulus + 1, 256), 3));
    assert_false(crypto_x509_has_rsa_key(cert, span_of(modulus + 1, 255), 65537));
    assert_false(crypto_x509_has_rsa_key(cert, SPAN_NONE, 65537));
    assert_false(crypto_x509_has_rsa_key(ec_cert, span_of(modulus + 1, 256), 65537));
    modulus[200] ^= 1;
    assert_false(crypto_x509_has_rsa_key(cert, span_of(modulus + 1, 256), 65537));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_may_be_for),
        cmocka_unit_test(whose_key_it_holds),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
