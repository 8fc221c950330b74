/* tpm/blob_test.c: activation blobs, opened as a TPM opens them. */
#include "tpm/soft_test.h"

#include "util/hex.h"

static struct crypto *serving, *full;
static struct soft_tpm tpm, other;
static const uint8_t key[TPM_BLOB_KEY_LEN] = "an HMAC key of thirty-two bytes";

static int setup(void **state)
{
    (void)state;
    assert_true(err_is_ok(crypto_new(CRYPTO_SERVING, &serving)));
    assert_true(err_is_ok(crypto_new(CRYPTO_FULL, &full)));
    soft_tpm_open(full, &tpm);
    soft_tpm_open(full, &other);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    soft_tpm_close(&tpm);
    soft_tpm_close(&other);
    crypto_free(serving);
    crypto_free(full);
    return 0;
}

static struct span make(struct span ek, struct span srk, uint8_t room[TPM_BLOB_MAX])
{
    struct env env = { .crypto = serving, .random = crypto_random };
    struct buf out = buf_over(room, TPM_BLOB_MAX);
    struct tpm_public ek_public, srk_public;

    assert_true(err_is_ok(tpm_public_decode(ek, TPM_ROLE_ENDORSEMENT, &ek_public)));
    assert_true(err_is_ok(tpm_public_decode(srk, TPM_ROLE_STORAGE, &srk_public)));
    assert_true(err_is_ok(tpm_blob_make(&env, &ek_public, &srk_public, key, &out)));
    return buf_span(&out);
}

static void the_tpm_it_is_for_loads_it(void **state)
{
    uint8_t room[TPM_BLOB_MAX], loaded[32] = { 0 };
    struct span blob = make(tpm.ek_public, tpm.srk_public, room);

    (void)state;
    assert_int_equal(SOFT_TPM_LOADED, soft_tpm_load(&tpm, blob, loaded));
    assert_memory_equal(key, loaded, sizeof(key));
}

/* The layout that the SDKs parse: five sized parts, and the size of an empty sixth. */
static void its_parts_are_those_of_the_sdks(void **state)
{
    static const size_t sizes[] = { 2 + 32 + 2 + 16, 256, 2 + 32 + 2 + 32 + 74, 256, 48, 0 };
    uint8_t room[TPM_BLOB_MAX];
    struct cursor at = cursor_over(make(tpm.ek_public, tpm.srk_public, room));

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_int_equal(sizes[i], cursor_lp16(&at).len);
    }
    assert_true(err_is_ok(cursor_done(&at)));
}

static void no_other_tpm_does(void **state)
{
    static const struct {
        const struct soft_tpm *ek_of, *srk_of;
        enum soft_tpm_result result;
    } cases[] = {
        { &other, &other, SOFT_TPM_NO_CREDENTIAL },
        { &other, &tpm, SOFT_TPM_NO_CREDENTIAL },
        { &tpm, &other, SOFT_TPM_NO_CREDENTIAL }, /* the credential names the SRK */
    };
    uint8_t room[TPM_BLOB_MAX], loaded[32];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct span blob = make(cases[i].ek_of->ek_public, cases[i].srk_of->srk_public, room);

        assert_int_equal(cases[i].result, soft_tpm_load(&tpm, blob, loaded));
    }
}

/* Each byte of each part counts. */
static void a_blob_that_was_tampered_with_is_not_loaded(void **state)
{
    uint8_t room[TPM_BLOB_MAX], changed[TPM_BLOB_MAX], loaded[32];
    struct span blob = make(tpm.ek_public, tpm.srk_public, room);

    (void)state;
    for (size_t i = 0; i < blob.len; i++) {
        memcpy(changed, blob.data, blob.len);
        changed[i] ^= 1;
        assert_int_not_equal(SOFT_TPM_LOADED,
                             soft_tpm_load(&tpm, span_of(changed, blob.len), loaded));
    }
    for (size_t len = 0; len < blob.len; len++) {
        assert_int_equal(SOFT_TPM_MALFORMED, soft_tpm_load(&tpm, span_first(blob, len), loaded));
    }
}

static void two_blobs_of_one_key_differ_in_all_that_is_secret(void **state)
{
    uint8_t rooms[2][TPM_BLOB_MAX];
    struct cursor a = cursor_over(make(tpm.ek_public, tpm.srk_public, rooms[0]));
    struct cursor b = cursor_over(make(tpm.ek_public, tpm.srk_public, rooms[1]));

    (void)state;
    for (int part = 0; part < 5; part++) {
        assert_false(span_eq(cursor_lp16(&a), cursor_lp16(&b)));
    }
}

/* HMAC-SHA-256 counter mode by hand: Python's hmac over 00000001 "STORAGE" 00 context 00000080. */
static void kdfa_is_that_of_the_standard(void **state)
{
    static const char expected[] = "e16ac8414511cb7a1572c03e38d8333c";
    uint8_t seed[32], out[16], text[33];
    struct buf hex = buf_over(text, sizeof(text));

    (void)state;
    for (size_t i = 0; i < sizeof(seed); i++) {
        seed[i] = (uint8_t)i;
    }
    assert_true(err_is_ok(crypto_wrap_kdfa(serving, span_of(seed, sizeof(seed)), SPAN("STORAGE"),
                                           SPAN("context"), out, sizeof(out))));
    hex_encode_lower(span_of(out, sizeof(out)), &hex);
    assert_string_equal(expected, buf_cstr(&hex));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tpm_it_is_for_loads_it),
        cmocka_unit_test(its_parts_are_those_of_the_sdks),
        cmocka_unit_test(no_other_tpm_does),
        cmocka_unit_test(a_blob_that_was_tampered_with_is_not_loaded),
        cmocka_unit_test(two_blobs_of_one_key_differ_in_all_that_is_secret),
        cmocka_unit_test(kdfa_is_that_of_the_standard),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
