/* crypto/seal_test.c: what is sealed opens in its place, under its key, whole, and no other way.
 * With BERTH_MEASURE set, also what it costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <pthread.h>

#include "crypto/crypto.h"
#include "crypto/seal.h"

enum { SEALED_MAX = 2048 };

static const uint8_t keys[3][CRYPTO_SEAL_KEY_LEN] = { { 1 }, { 2 }, { 3, 3 } };

static struct crypto_seal *make_ring(size_t n_keys, uint32_t *ret_ids)
{
    struct crypto_seal *s = NULL;

    assert_true(err_is_ok(crypto_seal_new(crypto_random, &s)));
    assert_int_equal(crypto_seal_current(s), 0);
    for (size_t i = 0; i < n_keys; i++) {
        assert_true(err_is_ok(crypto_seal_add(s, keys[i], &ret_ids[i])));
    }
    crypto_seal_use(s, ret_ids[0]);
    return s;
}

static void test_round_trip(void **state)
{
    static const size_t lengths[] = { 0, 1, 15, 16, 17, 64, 1000 };
    uint8_t plain[1000], sealed[SEALED_MAX], again[SEALED_MAX], opened[SEALED_MAX];
    uint32_t ids[2], id = 0;
    struct crypto_seal *s = make_ring(2, ids);

    (void)state;
    crypto_random(plain, sizeof(plain));
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        size_t len = lengths[i];
        struct span text = span_of(plain, len), whole = span_of(sealed, len + CRYPTO_SEAL_ADDED);

        for (size_t k = 0; k < 2; k++) {
            memset(sealed, 0xaa, sizeof(sealed));
            assert_true(err_is_ok(crypto_seal_seal(s, ids[k], SPAN("here"), text, sealed)));
            assert_int_equal(sealed[whole.len], 0xaa);
            assert_true(crypto_seal_key_of(whole, &id));
            assert_int_equal(id, ids[k]);
            assert_true(err_is_ok(crypto_seal_open(s, SPAN("here"), whole, opened)));
            assert_memory_equal(opened, plain, len);
        }
        assert_true(err_is_ok(crypto_seal_seal(s, ids[1], SPAN("here"), text, again)));
        assert_memory_not_equal(again, sealed, whole.len); /* another nonce */
    }
    crypto_seal_free(s);
}

/* Against OpenSSL's one-shot use, by the form that seal.h documents. */
static void test_form(void **state)
{
    static const char plain[] = "sixteen and more bytes";
    uint8_t sealed[SEALED_MAX], opened[SEALED_MAX];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    uint32_t id;
    struct crypto_seal *s = make_ring(1, &id);
    int len = 0, n = (int)sizeof(plain);

    (void)state;
    assert_true(
        err_is_ok(crypto_seal_seal(s, id, SPAN("a place"), span_of(plain, sizeof(plain)), sealed)));
    assert_int_equal(sealed[0], 1);
    assert_int_equal(EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, keys[0], sealed + 5), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, 16, sealed + 17 + n), 1);
    assert_int_equal(EVP_DecryptUpdate(ctx, NULL, &len, (const uint8_t *)"a place", 7), 1);
    assert_int_equal(EVP_DecryptUpdate(ctx, opened, &len, sealed + 17, n), 1);
    assert_int_equal(EVP_DecryptFinal_ex(ctx, opened + n, &len), 1);
    assert_memory_equal(opened, plain, sizeof(plain));
    EVP_CIPHER_CTX_free(ctx);
    crypto_seal_free(s);
}

static enum err_code open_code(struct crypto_seal *s, struct span place, struct span sealed)
{
    uint8_t opened[SEALED_MAX];
    enum err_code code;

    memset(opened, 0x5a, sizeof(opened));
    code = crypto_seal_open(s, place, sealed, opened).code;
    for (size_t i = 0;
         code != ERR_NONE && sealed.len > CRYPTO_SEAL_ADDED && i < sealed.len - CRYPTO_SEAL_ADDED;
         i++) {
        assert_true(opened[i] == 0 || opened[i] == 0x5a); /* nothing of it is given away */
    }
    return code;
}

static void test_changed(void **state)
{
    uint8_t sealed[SEALED_MAX];
    uint32_t id;
    struct crypto_seal *s = make_ring(1, &id);
    struct span plain = SPAN("a key of thirty-two bytes or so."), place = SPAN("here");
    size_t len = plain.len + CRYPTO_SEAL_ADDED;

    (void)state;
    assert_true(err_is_ok(crypto_seal_seal(s, id, place, plain, sealed)));
    for (size_t i = 0; i < len; i++) {
        for (int bit = 1; bit < 256; bit <<= 1) {
            enum err_code want = i >= 1 && i < 5 ? ERR_SEALED : ERR_CORRUPT;

            sealed[i] ^= (uint8_t)bit;
            assert_int_equal(open_code(s, place, span_of(sealed, len)), want);
            sealed[i] ^= (uint8_t)bit;
        }
    }
    for (size_t n = 0; n < len; n++) {
        assert_int_equal(open_code(s, place, span_of(sealed, n)), ERR_CORRUPT);
    }
    sealed[len] = 0;
    assert_int_equal(open_code(s, place, span_of(sealed, len + 1)), ERR_CORRUPT);
    assert_int_equal(open_code(s, SPAN("her"), span_of(sealed, len)), ERR_CORRUPT);
    assert_int_equal(open_code(s, SPAN("there"), span_of(sealed, len)), ERR_CORRUPT);
    assert_int_equal(open_code(s, place, span_of(sealed, len)), ERR_NONE);
    crypto_seal_free(s);
}

static void test_keys(void **state)
{
    uint8_t sealed[SEALED_MAX], key[CRYPTO_SEAL_KEY_LEN] = { 9 };
    uint32_t ids[3], other, id;
    struct crypto_seal *s = make_ring(3, ids), *t = make_ring(1, &other);
    struct span whole = span_of(sealed, 4 + CRYPTO_SEAL_ADDED);

    (void)state;
    assert_int_equal(other, ids[0]); /* the ID is the key's */
    assert_true(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    assert_true(err_is_ok(crypto_seal_add(s, keys[1], &id)));
    assert_int_equal(id, ids[1]);
    crypto_seal_use(s, ids[2]);
    assert_int_equal(crypto_seal_current(s), ids[2]);
    assert_false(crypto_seal_has(t, ids[2]));
    assert_true(err_is_ok(crypto_seal_seal(s, ids[2], SPAN("x"), SPAN("text"), sealed)));
    assert_int_equal(open_code(t, SPAN("x"), whole), ERR_SEALED);
    assert_non_null(strstr(err_detail(), "not in the ring"));
    assert_true(err_is_ok(crypto_seal_add(t, keys[2], &id)));
    assert_int_equal(open_code(t, SPAN("x"), whole), ERR_NONE);
    for (int i = 1; i < CRYPTO_SEAL_KEYS_MAX - 1; i++) {
        key[1] = (uint8_t)i;
        assert_true(err_is_ok(crypto_seal_add(t, key, &id)));
    }
    key[1] = 0xff;
    assert_true(err_is(crypto_seal_add(t, key, &id), ERR_TOO_LARGE));
    assert_int_equal(open_code(t, SPAN("x"), whole), ERR_NONE);
    crypto_seal_free(t);
    crypto_seal_free(s);
    crypto_seal_free(NULL);
}

/* ---- threads ---- */

enum { THREADS = 4, ROUNDS = 2000 };

struct worker {
    struct crypto_seal *seal;
    const uint32_t *ids;
    unsigned number;
    unsigned n_bad;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    uint8_t sealed[SEALED_MAX], opened[SEALED_MAX];
    char text[32];

    for (unsigned i = 0; i < ROUNDS; i++) {
        int n = snprintf(text, sizeof(text), "%u of %u", i, w->number);
        struct span plain = span_of(text, (size_t)n);
        uint32_t id = i % 8 == 0 ? crypto_seal_current(w->seal) : w->ids[i % 2];
        err e = crypto_seal_seal(w->seal, id, SPAN("t"), plain, sealed);

        if (err_is_ok(e)) {
            e = crypto_seal_open(w->seal, SPAN("t"), span_of(sealed, plain.len + CRYPTO_SEAL_ADDED),
                                 opened);
        }
        w->n_bad += !err_is_ok(e) || memcmp(opened, text, plain.len) != 0;
    }
    return NULL;
}

/* While another key is added and put to use. */
static void test_threads(void **state)
{
    uint32_t ids[3];
    struct crypto_seal *s = make_ring(2, ids);
    struct worker workers[THREADS];
    pthread_t threads[THREADS];

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){ s, ids, i, 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    assert_true(err_is_ok(crypto_seal_add(s, keys[2], &ids[2])));
    crypto_seal_use(s, ids[2]);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(workers[i].n_bad, 0);
    }
    crypto_seal_free(s); /* this thread's context, too */
}

/* ---- cost ---- */

static double now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void test_cost(void **state)
{
    enum { N = 200000 };
    uint8_t sealed[SEALED_MAX], opened[SEALED_MAX], plain[64] = { 0 };
    uint32_t id;
    struct crypto_seal *s = make_ring(1, &id);
    struct span place = SPAN("device primary_key hub.example.com some-device-of-a-fleet");
    double start;

    (void)state;
    if (getenv("BERTH_MEASURE") == NULL) {
        crypto_seal_free(s);
        skip();
    }
    start = now_ns();
    for (int i = 0; i < N; i++) {
        (void)crypto_seal_seal(s, id, place, span_of(plain, sizeof(plain)), sealed);
    }
    print_message("seal 64 bytes: %.0f ns\n", (now_ns() - start) / N);
    start = now_ns();
    for (int i = 0; i < N; i++) {
        (void)crypto_seal_open(s, place, span_of(sealed, sizeof(plain) + CRYPTO_SEAL_ADDED),
                               opened);
    }
    print_message("open 64 bytes: %.0f ns\n", (now_ns() - start) / N);
    crypto_seal_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_form),
        cmocka_unit_test(test_changed),    cmocka_unit_test(test_keys),
        cmocka_unit_test(test_threads),    cmocka_unit_test(test_cost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
