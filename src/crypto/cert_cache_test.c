/* crypto/cert_cache_test.c: what is found again, and what goes first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/cert_cache.h"
#include "crypto/key.h"

enum { N = 8, CAPACITY = 3 };

static struct crypto *crypto;
static struct crypto_cert_cache *cache;
static uint8_t der[N][2048], sha256[N][CRYPTO_SHA256_LEN];
static size_t der_len[N];

static void make(struct crypto_key *key, uint8_t i)
{
    struct crypto_cert_spec spec = { .common_name = "CA",
                                     .not_after_ms = 2000000000000,
                                     .is_ca = true,
                                     .path_len = -1,
                                     .serial = { 1, i } };
    struct buf out = buf_over(der[i], sizeof der[i]);
    AUTO(crypto_cert) struct crypto_cert *cert = NULL;

    assert_true(err_is_ok(crypto_key_issue(crypto, &spec, key, NULL, key, &cert)));
    assert_true(err_is_ok(crypto_x509_encode(cert, &out)));
    assert_true(err_is_ok(crypto_x509_sha256(cert, sha256[i])));
    der_len[i] = out.len;
}

static int setup(void **state)
{
    AUTO(crypto_key) struct crypto_key *key = NULL;

    (void)state;
    assert_true(err_is_ok(crypto_new(CRYPTO_SERVING, &crypto)));
    assert_true(err_is_ok(crypto_key_generate(crypto, CRYPTO_KEY_EC_P256, &key)));
    for (uint8_t i = 0; i < N; i++) {
        make(key, i);
    }
    assert_true(err_is_ok(crypto_cert_cache_new(crypto, CAPACITY, &cache)));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    crypto_cert_cache_free(cache);
    crypto_free(crypto);
    return 0;
}

static struct span digest_of(int i)
{
    return span_of(sha256[i], CRYPTO_SHA256_LEN);
}

static struct crypto_cert *get(int i)
{
    struct crypto_cert *cert = NULL;
    uint8_t digest[CRYPTO_SHA256_LEN];

    assert_true(
        err_is_ok(crypto_cert_cache_get(cache, digest_of(i), span_of(der[i], der_len[i]), &cert)));
    assert_true(err_is_ok(crypto_x509_sha256(cert, digest)));
    assert_memory_equal(digest, sha256[i], sizeof digest);
    return cert;
}

/* Is it kept? Bytes that are no certificate are then not looked at. */
static bool is_kept(int i)
{
    struct crypto_cert *cert;

    return err_is_ok(crypto_cert_cache_get(cache, digest_of(i), SPAN("x"), &cert));
}

static void the_least_recently_used_goes_first(void **state)
{
    struct crypto_cert *first = get(0);
    AUTO(crypto_cert) struct crypto_cert *mine = crypto_x509_ref(get(1));
    uint8_t digest[CRYPTO_SHA256_LEN];

    (void)state;
    (void)get(2);
    assert_ptr_equal(get(0), first); /* parsed once; 1 is the oldest now */
    (void)get(3);
    assert_false(is_kept(1));
    assert_true(is_kept(0));
    assert_true(is_kept(2));
    assert_true(is_kept(3));
    (void)get(4);
    assert_false(is_kept(0));
    assert_true(err_is_ok(crypto_x509_sha256(mine, digest))); /* a reference keeps it */
}

/* Against a plain list as a model. */
static void a_long_run(void **state)
{
    int recent[CAPACITY] = { -1, -1, -1 };
    uint32_t random = 1;

    (void)state;
    for (int step = 0; step < 5000; step++) {
        int i, at = 0;

        random = random * 1664525 + 1013904223;
        i = (int)(random >> 16) % N;
        while (at < CAPACITY && recent[at] != i) {
            at++;
        }
        assert_int_equal(is_kept(i), at < CAPACITY);
        (void)get(i);
        at = at < CAPACITY ? at : CAPACITY - 1;
        memmove(&recent[1], &recent[0], (size_t)at * sizeof *recent);
        recent[0] = i;
    }
}

static void what_is_no_certificate(void **state)
{
    struct crypto_cert *cert;

    (void)state;
    assert_true(
        err_is(crypto_cert_cache_get(cache, digest_of(0), SPAN("x"), &cert), ERR_MALFORMED));
    assert_true(
        err_is(crypto_cert_cache_get(cache, SPAN("short"), SPAN("x"), &cert), ERR_MALFORMED));
    crypto_cert_cache_free(NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = { CASE(the_least_recently_used_goes_first), CASE(a_long_run),
                                        CASE(what_is_no_certificate) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
