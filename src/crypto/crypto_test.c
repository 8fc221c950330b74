/* crypto/crypto_test.c: contexts and primitives against published vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/err.h>

#include "crypto/crypto.h"
#include "crypto/hmac.h"
#include "util/hex.h"

static const enum crypto_profile profiles[] = { CRYPTO_SERVING, CRYPTO_FULL };

static void assert_hex(const uint8_t *bytes, size_t len, const char *expected)
{
    char text[65];
    struct buf out = buf_over(text, sizeof(text));

    hex_encode_lower(span_of(bytes, len), &out);
    assert_string_equal(buf_cstr(&out), expected);
}

/* FIPS 180-4 examples. */
static void sha256(void **state)
{
    uint8_t digest[CRYPTO_SHA256_LEN];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        AUTO(crypto) struct crypto *c = NULL;

        assert_true(err_is_ok(crypto_new(profiles[i], &c)));
        assert_true(err_is_ok(crypto_sha256(c, SPAN("abc"), digest)));
        assert_hex(digest, sizeof(digest),
                   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_true(err_is_ok(crypto_sha256(c, SPAN_NONE, digest)));
        assert_hex(digest, sizeof(digest),
                   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}

struct hmac_case {
    struct span key, message;
    const char *mac;
};

#define AA10 "\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"
#define AA60 AA10 AA10 AA10 AA10 AA10 AA10

/* RFC 4231, with a key longer than a block too; no key at all; one once more behind a longer key.
 */
static const struct hmac_case hmac_cases[] = {
    { { (const uint8_t *)"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"
                         "\x0b\x0b",
        20 },
      { (const uint8_t *)"Hi There", 8 },
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7" },
    { { (const uint8_t *)"Jefe", 4 },
      { (const uint8_t *)"what do ya want for nothing?", 28 },
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
    { { (const uint8_t *)AA60 AA60 AA10 "\xaa", 131 },
      { (const uint8_t *)"Test Using Larger Than Block-Size Key - Hash Key First", 54 },
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54" },
    { { NULL, 0 },
      { NULL, 0 },
      "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad" },
    { { (const uint8_t *)"Jefe", 4 },
      { (const uint8_t *)"what do ya want for nothing?", 28 },
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" },
};

static void hmac_sha256(void **state)
{
    uint8_t mac[CRYPTO_SHA256_LEN];

    (void)state;
    for (size_t p = 0; p < 2; p++) {
        AUTO(crypto) struct crypto *c = NULL;

        assert_true(err_is_ok(crypto_new(profiles[p], &c)));
        for (size_t i = 0; i < sizeof(hmac_cases) / sizeof(hmac_cases[0]); i++) {
            const struct hmac_case *t = &hmac_cases[i];

            assert_true(err_is_ok(crypto_hmac_sha256(c, t->key, t->message, mac)));
            assert_hex(mac, sizeof(mac), t->mac);
        }
    }
}

/* A key made ready serves again and again, and beside others. */
static void hmac_of_a_ready_key(void **state)
{
    enum { N = sizeof(hmac_cases) / sizeof(hmac_cases[0]) };
    AUTO(crypto) struct crypto *c = NULL;
    struct crypto_hmac *ready[N];
    uint8_t mac[CRYPTO_SHA256_LEN];

    (void)state;
    assert_true(err_is_ok(crypto_new(CRYPTO_SERVING, &c)));
    for (size_t i = 0; i < N; i++) {
        assert_true(err_is_ok(crypto_hmac_new(c, hmac_cases[i].key, &ready[i])));
    }
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < N; i++) {
            assert_true(err_is_ok(crypto_hmac_of(ready[i], hmac_cases[i].message, mac)));
            assert_hex(mac, sizeof(mac), hmac_cases[i].mac);
        }
    }
    for (size_t i = 0; i < N; i++) {
        crypto_hmac_free(ready[i]);
    }
    crypto_hmac_free(NULL);
}

static void equal(void **state)
{
    (void)state;
    assert_true(crypto_equal(SPAN("same"), SPAN("same")));
    assert_false(crypto_equal(SPAN("same"), SPAN("sane")));
    assert_false(crypto_equal(SPAN("same"), SPAN("sam")));
    assert_true(crypto_equal(SPAN(""), SPAN_NONE));
}

static void wipe_and_random(void **state)
{
    static const uint8_t zeros[1000];
    uint8_t a[1000], b[1000];

    (void)state;
    memset(a, 0, sizeof(a));
    memset(b, 0, sizeof(b));
    crypto_random(a, sizeof(a));
    crypto_random(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_memory_not_equal(a + 900, zeros, 100);
    crypto_random(b, 0);
    crypto_wipe(a, sizeof(a));
    assert_memory_equal(a, zeros, sizeof(a));
}

static void failure_takes_the_oldest_error(void **state)
{
    (void)state;
    ERR_raise_data(ERR_LIB_X509, ERR_R_PASSED_NULL_PARAMETER, "first");
    ERR_raise_data(ERR_LIB_SSL, ERR_R_MALLOC_FAILURE, "second");
    assert_int_equal(crypto_fail("doing it").code, ERR_CRYPTO);
    assert_non_null(strstr(err_detail(), "doing it: "));
    assert_non_null(strstr(err_detail(), "x509"));
    assert_int_equal(ERR_peek_error(), 0);
    assert_int_equal(crypto_fail("again").code, ERR_CRYPTO);
    assert_non_null(strstr(err_detail(), "again: "));
}

static void free_takes_nothing(void **state)
{
    (void)state;
    crypto_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256),
        cmocka_unit_test(hmac_sha256),
        cmocka_unit_test(hmac_of_a_ready_key),
        cmocka_unit_test(equal),
        cmocka_unit_test(wipe_and_random),
        cmocka_unit_test(failure_takes_the_oldest_error),
        cmocka_unit_test(free_takes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
