/* ca/profile_test.c: each profile's certificate is what it says, and good for that alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/x509v3.h>

#include "ca/profile.h"
#include "model/limits.h"

#define DAY_MS 86400000LL
static const int64_t now_ms = 1700000000000;

static struct crypto *crypto;
static struct crypto_key *ca_key, *key;

static void assert_ok(err e)
{
    if (!err_is_ok(e)) {
        fail_msg("%s: %s", err_name(e), err_detail());
    }
}

static int make_keys(void **state)
{
    (void)state;
    assert_ok(crypto_new(CRYPTO_SERVING, &crypto));
    assert_ok(crypto_key_generate(crypto, CRYPTO_KEY_EC_P256, &ca_key));
    assert_ok(crypto_key_generate(crypto, CRYPTO_KEY_EC_P256, &key));
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    crypto_key_free(ca_key);
    crypto_key_free(key);
    crypto_free(crypto);
    return 0;
}

static struct crypto_cert *issued(const struct ca_request *r)
{
    struct crypto_cert *cert = NULL;

    assert_ok(ca_profile_issue(crypto, r, &cert));
    return cert;
}

static struct crypto_cert *new_root(int lifetime_days)
{
    return issued(&(struct ca_request){ .profile = CA_PROFILE_ROOT,
                                        .common_name = "Root",
                                        .subject_key = ca_key,
                                        .now_ms = now_ms,
                                        .lifetime_days = lifetime_days,
                                        .serial = { 1 } });
}

/* Under the root, all else at its default. */
static struct ca_request request(enum ca_profile profile, const struct crypto_cert *root)
{
    return (struct ca_request){ .profile = profile,
                                .common_name = "x",
                                .subject_key = key,
                                .issuer = root,
                                .issuer_key = root != NULL ? ca_key : NULL,
                                .now_ms = now_ms,
                                .serial = { 2 } };
}

struct profile_case {
    enum ca_profile profile;
    const char *name;
    int days;
    int check_ca;
    uint32_t key_usage, extended_usage;
};

static const struct profile_case profile_cases[] = {
    { CA_PROFILE_ROOT, "root", 3652, 1, KU_KEY_CERT_SIGN | KU_CRL_SIGN, UINT32_MAX },
    { CA_PROFILE_INTERMEDIATE, "intermediate", 1826, 1, KU_KEY_CERT_SIGN | KU_CRL_SIGN,
      UINT32_MAX },
    { CA_PROFILE_DEVICE, "device", 365, 0, KU_DIGITAL_SIGNATURE, XKU_SSL_CLIENT },
    { CA_PROFILE_VERIFICATION, "verification", 1, 0, KU_DIGITAL_SIGNATURE, XKU_SSL_CLIENT },
    { CA_PROFILE_SERVER, "server", 397, 0, KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT,
      XKU_SSL_SERVER },
};

static void profiles_are_what_they_say(void **state)
{
    AUTO(crypto_cert) struct crypto_cert *root = new_root(0);

    (void)state;
    for (size_t i = 0; i < sizeof(profile_cases) / sizeof(profile_cases[0]); i++) {
        const struct profile_case *t = &profile_cases[i];
        struct ca_request r = request(t->profile, t->profile == CA_PROFILE_ROOT ? NULL : root);
        AUTO(crypto_cert) struct crypto_cert *cert = issued(&r);
        X509 *native = crypto_x509_native(cert);
        struct crypto_x509_info info;

        assert_string_equal(ca_profile_name(t->profile), t->name);
        assert_int_equal(ca_profile_lifetime_days(t->profile), t->days);
        assert_int_equal(X509_check_ca(native), t->check_ca);
        assert_int_equal(X509_get_pathlen(native), -1);
        assert_int_equal(X509_get_key_usage(native), t->key_usage);
        assert_int_equal(X509_get_extended_key_usage(native), t->extended_usage);
        assert_ok(crypto_x509_info(cert, &info));
        assert_true(info.not_before_ms == now_ms - LIMIT_CERTIFICATE_BACKDATE_MS);
        assert_true(info.not_after_ms == now_ms + t->days * DAY_MS);
        assert_int_equal(info.version, 3);
    }
}

struct use_case {
    enum ca_profile profile;
    enum crypto_path outcome; /* as a device's certificate under the root */
};

static const struct use_case use_cases[] = {
    { CA_PROFILE_DEVICE, CRYPTO_PATH_OK },
    { CA_PROFILE_VERIFICATION, CRYPTO_PATH_OK },
    { CA_PROFILE_SERVER, CRYPTO_PATH_WRONG_PURPOSE },
    { CA_PROFILE_INTERMEDIATE, CRYPTO_PATH_WRONG_PURPOSE },
};

static void certificates_serve_their_purpose(void **state)
{
    AUTO(crypto_cert) struct crypto_cert *root = new_root(0);

    (void)state;
    for (size_t i = 0; i < sizeof(use_cases) / sizeof(use_cases[0]); i++) {
        struct ca_request r = request(use_cases[i].profile, root);
        AUTO(crypto_cert) struct crypto_cert *cert = issued(&r);
        struct crypto_path_query q = { .leaf = cert, .anchor = root, .now_ms = now_ms };

        assert_int_equal(crypto_x509_check_path(crypto, &q, NULL), use_cases[i].outcome);
    }
}

static void validity_stays_within_the_issuers(void **state)
{
    AUTO(crypto_cert) struct crypto_cert *root = new_root(30);
    struct ca_request r = request(CA_PROFILE_DEVICE, root);
    struct crypto_x509_info info, of_root;
    AUTO(crypto_cert) struct crypto_cert *whole = issued(&r);
    AUTO(crypto_cert) struct crypto_cert *brief = NULL;
    AUTO(crypto_cert) struct crypto_cert *early = NULL;

    (void)state;
    assert_ok(crypto_x509_info(root, &of_root));
    assert_ok(crypto_x509_info(whole, &info));
    assert_true(info.not_after_ms == of_root.not_after_ms);
    r.lifetime_days = 7;
    brief = issued(&r);
    assert_ok(crypto_x509_info(brief, &info));
    assert_true(info.not_after_ms == now_ms + 7 * DAY_MS);
    assert_true(info.not_before_ms == now_ms - LIMIT_CERTIFICATE_BACKDATE_MS);
    r.now_ms = of_root.not_before_ms;
    early = issued(&r);
    assert_ok(crypto_x509_info(early, &info));
    assert_true(info.not_before_ms == of_root.not_before_ms);
}

static void path_length_is_set(void **state)
{
    AUTO(crypto_cert) struct crypto_cert *root = new_root(0);
    struct ca_request r = request(CA_PROFILE_INTERMEDIATE, root);
    AUTO(crypto_cert) struct crypto_cert *cert = NULL;

    (void)state;
    r.has_path_len = true;
    cert = issued(&r);
    assert_int_equal(X509_get_pathlen(crypto_x509_native(cert)), 0);
}

static void server_has_its_names(void **state)
{
    struct ca_request r = request(CA_PROFILE_SERVER, NULL);
    AUTO(crypto_cert) struct crypto_cert *cert = NULL;

    (void)state;
    r.subject_alt_name = "DNS:hub.local,DNS:localhost,IP:127.0.0.1,IP:::1";
    cert = issued(&r);
    assert_int_equal(X509_check_host(crypto_x509_native(cert), "hub.local", 0, 0, NULL), 1);
    assert_int_equal(X509_check_ip_asc(crypto_x509_native(cert), "::1", 0), 1);
    assert_true(crypto_x509_is_self_issued(cert));
}

#define EIGHT      "12345678"
#define SIXTY_FOUR EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT
#define E_ACUTE_8  "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
#define E_ACUTE_64 E_ACUTE_8 E_ACUTE_8 E_ACUTE_8 E_ACUTE_8 E_ACUTE_8 E_ACUTE_8 E_ACUTE_8 E_ACUTE_8

struct name_case {
    const char *common_name;
    enum err_code code;
};

static const struct name_case name_cases[] = {
    { "", ERR_MALFORMED },     { "x", ERR_NONE },
    { SIXTY_FOUR, ERR_NONE },  { SIXTY_FOUR "9", ERR_MALFORMED },
    { E_ACUTE_64, ERR_NONE },  { E_ACUTE_64 "9", ERR_MALFORMED },
    { "caf\xc3", ERR_CRYPTO }, { "\xff", ERR_CRYPTO },
    { "a,b=c/d#e", ERR_NONE },
};

static void common_names(void **state)
{
    AUTO(crypto_cert) struct crypto_cert *root = new_root(0);

    (void)state;
    for (size_t i = 0; i < sizeof(name_cases) / sizeof(name_cases[0]); i++) {
        struct ca_request r = request(CA_PROFILE_DEVICE, root);
        AUTO(crypto_cert) struct crypto_cert *cert = NULL;
        char text[256];
        struct buf out = buf_over(text, sizeof(text));

        r.common_name = name_cases[i].common_name;
        assert_int_equal(ca_profile_issue(crypto, &r, &cert).code, name_cases[i].code);
        if (cert != NULL) {
            assert_ok(crypto_x509_common_name(cert, &out));
            assert_string_equal(buf_cstr(&out), r.common_name);
        }
    }
}

enum { N_BAD = 12 };

static void bad_requests_are_refused(void **state)
{
    AUTO(crypto_cert) struct crypto_cert *root = new_root(30);
    struct ca_request device = request(CA_PROFILE_DEVICE, root);
    AUTO(crypto_cert) struct crypto_cert *leaf = issued(&device);
    struct ca_request bad[N_BAD];
    static const enum err_code codes[N_BAD] = {
        ERR_MALFORMED,    ERR_MALFORMED,    ERR_MALFORMED,    ERR_MALFORMED,
        ERR_MALFORMED,    ERR_MALFORMED,    ERR_MALFORMED,    ERR_MALFORMED,
        ERR_PRECONDITION, ERR_PRECONDITION, ERR_PRECONDITION, ERR_CRYPTO,
    };

    (void)state;
    for (size_t i = 0; i < N_BAD; i++) {
        bad[i] = device;
    }
    bad[0].lifetime_days = -1;
    bad[1].lifetime_days = LIMIT_CERTIFICATE_DAYS + 1;
    bad[2].has_path_len = true;
    bad[3] = request(CA_PROFILE_INTERMEDIATE, root);
    bad[3].has_path_len = true;
    bad[3].path_len = -1;
    bad[4].subject_alt_name = "DNS:x";
    bad[5].issuer = NULL;
    bad[5].issuer_key = NULL;
    bad[6].issuer_key = NULL;
    bad[7] = request(CA_PROFILE_ROOT, root);
    bad[8].issuer = leaf;
    bad[8].issuer_key = key;
    bad[9].issuer_key = key;
    bad[10].now_ms = now_ms + 31 * DAY_MS;
    bad[11] = request(CA_PROFILE_SERVER, root);
    bad[11].subject_alt_name = "IP:localhost";
    for (size_t i = 0; i < N_BAD; i++) {
        struct crypto_cert *cert = NULL;
        err e = ca_profile_issue(crypto, &bad[i], &cert);

        if (e.code != codes[i]) {
            fail_msg("request %zu: %s", i, err_name(e));
        }
        assert_null(cert);
        assert_true(err_detail()[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(profiles_are_what_they_say),
        cmocka_unit_test(certificates_serve_their_purpose),
        cmocka_unit_test(validity_stays_within_the_issuers),
        cmocka_unit_test(path_length_is_set),
        cmocka_unit_test(server_has_its_names),
        cmocka_unit_test(common_names),
        cmocka_unit_test(bad_requests_are_refused),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
