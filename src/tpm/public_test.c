/* tpm/public_test.c: which public keys are taken for an EK and an SRK. */
#include "tpm/soft_test.h"

#include <stdlib.h>

#include "util/base32.h"
#include "util/hex.h"

/* Of swtpm 0.7: tpm2_createek -G rsa, and tpm2_createprimary -C o -G rsa2048:aes128cfb -a
 * 'restricted|decrypt|fixedtpm|fixedparent|noda|userwithauth|sensitivedataorigin'; both read by
 * tpm2_readpublic -f tss. The SRK's name as tpm2_readpublic -n gives it; the registration ID as
 * `openssl dgst -sha256 -binary | base32` does. */
static const char swtpm_ek[] =
    "013a0001000b000300b20020837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa"
    "00060080004300100800000000000100ba69458eff6696c340764b2f136f97afd155618edb498b1cf542c2a1"
    "6bd43ee608d8568be38aae858f7528beb65e88f640c76694f218ced4dd80b7513dff52438e4e96b215ccc9f3"
    "d7148868e9a5e44936ee1419027d91b3c428f88e15d6b124304a2da8fa9b121020a957d07089b5253badd4a5"
    "e37d72e469d582b67ccf59849c6becd319c44534a1fd716f459fc37e953fac43fd48c41cc3df3c36e5168c11"
    "00cb24c9e2a0a48f86daa2cd4eeddeb222c195411323f82f905900dcd5b5c1191fc2209621f19ed9efbc5e94"
    "744758d18409fe6eb129fb2a9e1cc7ad8227e7c63286b82540cdda76082d9c7d50626ab5bcf5eaf61e24602c"
    "83b71bd5f56cb15d";
static const char swtpm_srk[] =
    "011a0001000b000304720000000600800043001008000000000001009f0bafea06eaf11db2e0434d18e7f42b"
    "1a626d60c73215dbb5fee8b9af28971d8afad01a509ab246e3cbb46908cab7dbd6e078af0a28d370eb0b930a"
    "b4be535204e8a7822545b596daddad45a8a960445c60c4a11a3f880d73665bc0f23d27019fa8a160b1a103d4"
    "21e7a0d66cd197a6e3dd5fedf0d1f8b393ca10eef8c375aa4ed52bd6c9c3c9158d1318966495dcdfc6a12aeb"
    "15cc7cebee3f03c6f75895a46966538883e6a213de2afff3e9850926524fabdcb16522a386d66833e9ae359f"
    "9d3e3308e7547084d2da0ab3850225285235066b94f1d98a1004103a3f095ebce7ba7aeee1be77394220a729"
    "1b1f892e2ee08e4f1603508835f8937926588965";
static const char swtpm_srk_name[] =
    "000b3253b5f4f57acb9dcd2569f97ea90955cda838c0e57b41d78857af8d6e73f592";
static const char swtpm_id[] = "qkotvzxe757wrli5hzpicm5ou73rrsl7gkluub3ac45nbnvphrjq";

struct bytes {
    uint8_t room[TPM_PUBLIC_MAX + 1];
    size_t len;
};

static struct bytes bytes_of(const char *hex)
{
    struct bytes b = { 0 };
    struct buf out = buf_over(b.room, sizeof(b.room));

    assert_true(err_is_ok(hex_decode(span_str(hex), &out)));
    b.len = out.len;
    return b;
}

static bool is_taken(const struct bytes *b, enum tpm_role role)
{
    /* Room of its own, so that a sanitizer sees a read beyond. */
    uint8_t *copy = malloc(b->len + 1);
    struct tpm_public p;
    err e;

    assert_non_null(copy);
    memcpy(copy, b->room, b->len);
    e = tpm_public_decode(span_of(copy, b->len), role, &p);
    assert_true(err_is_ok(e) || err_is(e, ERR_MALFORMED));
    free(copy);
    return err_is_ok(e);
}

static void a_tpms_own_keys_are_read(void **state)
{
    struct bytes ek = bytes_of(swtpm_ek), srk = bytes_of(swtpm_srk);
    struct crypto *c;
    struct tpm_public p;
    uint8_t name[TPM_PUBLIC_NAME_LEN], digest[CRYPTO_SHA256_LEN], room[128];
    struct buf text = buf_over(room, sizeof(room));

    (void)state;
    assert_true(err_is_ok(crypto_new(CRYPTO_SERVING, &c)));
    assert_true(err_is_ok(tpm_public_decode(span_of(ek.room, ek.len), TPM_ROLE_ENDORSEMENT, &p)));
    assert_int_equal(TPM_PUBLIC_MODULUS_LEN, p.key.modulus.len);
    assert_int_equal(65537, p.key.exponent);
    assert_true(err_is_ok(crypto_sha256(c, p.bytes, digest)));
    base32_encode_lower(span_of(digest, sizeof(digest)), &text);
    assert_string_equal(swtpm_id, buf_cstr(&text));

    assert_true(err_is_ok(tpm_public_decode(span_of(srk.room, srk.len), TPM_ROLE_STORAGE, &p)));
    assert_true(err_is_ok(tpm_public_name(c, &p, name)));
    text = buf_over(room, sizeof(room));
    hex_encode_lower(span_of(name, sizeof(name)), &text);
    assert_string_equal(swtpm_srk_name, buf_cstr(&text));
    crypto_free(c);
}

static void the_test_tpm_has_the_same_form(void **state)
{
    struct bytes ek = bytes_of(swtpm_ek), srk = bytes_of(swtpm_srk);
    struct crypto *c;
    struct soft_tpm soft;

    (void)state;
    assert_true(err_is_ok(crypto_new(CRYPTO_FULL, &c)));
    soft_tpm_open(c, &soft);
    assert_int_equal(ek.len, soft.ek_public.len);
    assert_memory_equal(ek.room, soft.ek_public.data, ek.len - TPM_PUBLIC_MODULUS_LEN);
    assert_int_equal(srk.len, soft.srk_public.len);
    assert_memory_equal(srk.room, soft.srk_public.data, srk.len - TPM_PUBLIC_MODULUS_LEN);
    soft_tpm_close(&soft);
    crypto_free(c);
}

static void nothing_shorter_or_longer_is_taken(void **state)
{
    static const char *const keys[] = { swtpm_ek, swtpm_srk };

    (void)state;
    for (int role = TPM_ROLE_ENDORSEMENT; role <= TPM_ROLE_STORAGE; role++) {
        struct bytes b = bytes_of(keys[role]);
        size_t whole = b.len;

        assert_true(is_taken(&b, (enum tpm_role)role));
        for (b.len = 0; b.len < whole; b.len++) {
            assert_false(is_taken(&b, (enum tpm_role)role));
            if (b.len >= 2) { /* a size that agrees */
                struct bytes cut = b;

                cut.room[0] = (uint8_t)((b.len - 2) >> 8);
                cut.room[1] = (uint8_t)(b.len - 2);
                assert_false(is_taken(&cut, (enum tpm_role)role));
            }
        }
        b.len = whole + 1;
        assert_false(is_taken(&b, (enum tpm_role)role));
        b.room[1]++; /* … and a size that agrees */
        assert_false(is_taken(&b, (enum tpm_role)role));
    }
}

/* An EK has one spelling: no byte before its modulus may be another. */
static void each_byte_of_the_template_counts(void **state)
{
    struct bytes ek = bytes_of(swtpm_ek);

    (void)state;
    for (size_t i = 0; i < ek.len - TPM_PUBLIC_MODULUS_LEN; i++) {
        for (int bit = 0; bit < 8; bit++) {
            struct bytes changed = ek;

            changed.room[i] ^= (uint8_t)(1 << bit);
            assert_false(is_taken(&changed, TPM_ROLE_ENDORSEMENT));
        }
    }
}

static void what_an_srk_must_be(void **state)
{
    static const struct {
        const char *what;
        size_t at;
        uint8_t value;
        bool is_taken;
    } cases[] = {
        { "SHA-384 for names", 5, 0x0c, false },
        { "not restricted", 7, 0x02, false },
        { "not for decryption", 7, 0x01, false },
        { "signs too", 7, 0x07, false },
        { "may leave the TPM", 9, 0x70, false },
        { "may leave its parent", 9, 0x62, false },
        { "made elsewhere", 9, 0x52, false },
        { "used by its policy alone", 9, 0x32, false },
        { "under dictionary attack protection", 8, 0x00, true },
        { "AES-256", 14, 0x01, false },
        { "CBC", 17, 0x42, false },
        { "RSA-1024", 20, 0x04, false },
        { "exponent 3", 25, 0x03, false },
        { "modulus with a leading zero", 28, 0x00, false },
        { "even modulus", 283, 0x00, false },
        { "elliptic curve", 3, 0x23, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes b = bytes_of(swtpm_srk);

        b.room[cases[i].at] = cases[i].value;
        if (is_taken(&b, TPM_ROLE_STORAGE) != cases[i].is_taken) {
            fail_msg("%s", cases[i].what);
        }
    }
}

/* 65537 spelled out is the same exponent: an SRK's spelling is its device's own affair. */
static void an_srk_may_spell_its_exponent_out(void **state)
{
    struct bytes b = bytes_of(swtpm_srk);

    (void)state;
    b.room[23] = 1;
    b.room[25] = 1;
    assert_true(is_taken(&b, TPM_ROLE_STORAGE));
}

static void neither_is_the_other(void **state)
{
    struct bytes ek = bytes_of(swtpm_ek), srk = bytes_of(swtpm_srk);

    (void)state;
    assert_false(is_taken(&srk, TPM_ROLE_ENDORSEMENT));
    assert_false(is_taken(&ek, TPM_ROLE_STORAGE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tpms_own_keys_are_read),
        cmocka_unit_test(the_test_tpm_has_the_same_form),
        cmocka_unit_test(nothing_shorter_or_longer_is_taken),
        cmocka_unit_test(each_byte_of_the_template_counts),
        cmocka_unit_test(what_an_srk_must_be),
        cmocka_unit_test(an_srk_may_spell_its_exponent_out),
        cmocka_unit_test(neither_is_the_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
