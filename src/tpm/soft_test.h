/* tpm/soft_test.h: for tests: a TPM without a TPM: an EK and an SRK whose private halves are at
 * hand, and what TPM2_ActivateCredential and TPM2_Import do with an activation blob. Written from
 * the standard on other primitives than tpm/ uses (KDFa by plain HMAC, private RSA), so that an
 * error in one is no error in the other. */
#ifndef TPM_SOFT_TEST_H
#define TPM_SOFT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "crypto/key.h"
#include "tpm/blob.h"
#include "util/cursor.h"

struct soft_tpm {
    struct crypto *crypto;
    struct crypto_key *ek, *srk;
    uint8_t ek_bytes[TPM_PUBLIC_MAX], srk_bytes[TPM_PUBLIC_MAX];
    struct span ek_public, srk_public; /* TPM2B_PUBLIC */
};

/* How far a blob was opened. */
enum soft_tpm_result {
    SOFT_TPM_LOADED,
    SOFT_TPM_MALFORMED,
    SOFT_TPM_NO_CREDENTIAL, /* TPM2_ActivateCredential fails */
    SOFT_TPM_NO_IMPORT,     /* TPM2_Import fails */
    SOFT_TPM_NO_LOAD,       /* TPM2_Load fails: the private half is not the public one's */
};

static const uint8_t soft_tpm_policy[32] = {
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
};

/* TPM2B_PUBLIC of an RSA-2048 storage key, byte by byte. */
static inline struct span soft_tpm_public(const struct crypto_key *key, uint32_t attributes,
                                          struct span policy, uint8_t *room)
{
    struct buf out = buf_over(room, TPM_PUBLIC_MAX);
    BIGNUM *n = NULL;
    uint8_t modulus[TPM_PUBLIC_MODULUS_LEN];

    assert_int_equal(1, EVP_PKEY_get_bn_param(crypto_key_native(key), OSSL_PKEY_PARAM_RSA_N, &n));
    assert_int_equal(sizeof modulus, BN_bn2binpad(n, modulus, sizeof modulus));
    BN_free(n);
    buf_add_u16(&out, 0);      /* its size: below */
    buf_add_u16(&out, 0x0001); /* RSA */
    buf_add_u16(&out, 0x000b); /* SHA-256 */
    buf_add_u32(&out, attributes);
    buf_add_lp16(&out, policy);
    buf_add_u16(&out, 0x0006); /* AES */
    buf_add_u16(&out, 128);
    buf_add_u16(&out, 0x0043); /* CFB */
    buf_add_u16(&out, 0x0010); /* no scheme */
    buf_add_u16(&out, 2048);
    buf_add_u32(&out, 0);
    buf_add_lp16(&out, span_of(modulus, sizeof modulus));
    assert_false(out.failed);
    room[0] = (uint8_t)((out.len - 2) >> 8);
    room[1] = (uint8_t)(out.len - 2);
    return buf_span(&out);
}

static inline struct span soft_tpm_ek_public(const struct crypto_key *key, uint8_t *room)
{
    return soft_tpm_public(key, 0x000300b2, span_of(soft_tpm_policy, sizeof soft_tpm_policy), room);
}

static inline struct span soft_tpm_srk_public(const struct crypto_key *key, uint8_t *room)
{
    return soft_tpm_public(key, 0x00030472, SPAN(""), room);
}

/* `c` must know private RSA keys and outlive it. */
static inline void soft_tpm_open(struct crypto *c, struct soft_tpm *t)
{
    *t = (struct soft_tpm){ .crypto = c };
    assert_true(err_is_ok(crypto_key_generate(c, CRYPTO_KEY_RSA_2048, &t->ek)));
    assert_true(err_is_ok(crypto_key_generate(c, CRYPTO_KEY_RSA_2048, &t->srk)));
    t->ek_public = soft_tpm_ek_public(t->ek, t->ek_bytes);
    t->srk_public = soft_tpm_srk_public(t->srk, t->srk_bytes);
}

static inline void soft_tpm_close(struct soft_tpm *t)
{
    crypto_key_free(t->ek);
    crypto_key_free(t->srk);
    t->ek = t->srk = NULL;
}

static inline bool soft_tpm_decrypt(const struct crypto_key *key, struct span label,
                                    struct span secret, uint8_t ret_seed[32])
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, crypto_key_native(key), NULL);
    unsigned char *copy = OPENSSL_memdup(label.data, label.len);
    uint8_t room[TPM_PUBLIC_MODULUS_LEN];
    size_t len = sizeof room;
    bool is_done;

    assert_int_equal(1, EVP_PKEY_decrypt_init(ctx));
    assert_int_equal(1, EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING));
    assert_int_equal(1, EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()));
    assert_int_equal(1, EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()));
    assert_int_equal(1, EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, copy, (int)label.len));
    is_done = EVP_PKEY_decrypt(ctx, room, &len, secret.data, secret.len) == 1 && len == 32;
    EVP_PKEY_CTX_free(ctx);
    if (is_done) {
        memcpy(ret_seed, room, 32);
    }
    return is_done;
}

static inline void soft_tpm_kdfa(struct crypto *c, const uint8_t seed[32], const char *label,
                                 struct span context, uint32_t bits, uint8_t ret_key[32])
{
    uint8_t room[128];
    struct buf text = buf_over(room, sizeof room);

    buf_add_u32(&text, 1);
    buf_add(&text, span_of(label, strlen(label) + 1));
    buf_add(&text, context);
    buf_add_u32(&text, bits);
    assert_false(text.failed);
    assert_true(err_is_ok(crypto_hmac_sha256(c, span_of(seed, 32), buf_span(&text), ret_key)));
}

static inline void soft_tpm_aes(const uint8_t *key, struct span in, uint8_t *ret_plain)
{
    static const uint8_t zero[16];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;

    assert_int_equal(1, EVP_DecryptInit_ex(ctx, EVP_aes_128_cfb128(), NULL, key, zero));
    assert_int_equal(1, EVP_DecryptUpdate(ctx, ret_plain, &n, in.data, (int)in.len));
    EVP_CIPHER_CTX_free(ctx);
}

/* Takes the outer wrapper off; false when its integrity does not hold. */
static inline bool soft_tpm_unwrap(struct crypto *c, const uint8_t seed[32], struct span name,
                                   struct span wrapped, uint8_t *room, struct span *ret_plain)
{
    struct cursor at = cursor_over(wrapped);
    struct span mac = cursor_lp16(&at);
    struct span encrypted = cursor_rest(&at);
    uint8_t key[32], expected[32], text_room[512];
    struct buf text = buf_over(text_room, sizeof text_room);

    soft_tpm_kdfa(c, seed, "INTEGRITY", SPAN_NONE, 256, key);
    buf_add(&text, encrypted);
    buf_add(&text, name);
    assert_false(text.failed);
    assert_true(err_is_ok(crypto_hmac_sha256(c, span_of(key, 32), buf_span(&text), expected)));
    if (!err_is_ok(cursor_ok(&at)) || !span_eq(mac, span_of(expected, 32))) {
        return false;
    }
    soft_tpm_kdfa(c, seed, "STORAGE", name, 128, key);
    soft_tpm_aes(key, encrypted, room);
    *ret_plain = span_of(room, encrypted.len);
    return true;
}

static inline void soft_tpm_name(struct crypto *c, struct span area, uint8_t ret_name[34])
{
    ret_name[0] = 0x00;
    ret_name[1] = 0x0b;
    assert_true(err_is_ok(crypto_sha256(c, area, ret_name + 2)));
}

/* The inner wrapper, and what TPM2_Load checks. */
static inline enum soft_tpm_result soft_tpm_import(struct crypto *c, struct span inner_key,
                                                   struct span name, struct span area,
                                                   struct span wrapped, uint8_t ret_key[32])
{
    uint8_t room[512], digest[32], text_room[512];
    struct buf text = buf_over(text_room, sizeof text_room);
    struct cursor at;
    struct span integrity, sensitive, seed, key;

    if (inner_key.len != 16) {
        return SOFT_TPM_NO_IMPORT;
    }
    soft_tpm_aes(inner_key.data, wrapped, room);
    at = cursor_over(span_of(room, wrapped.len));
    integrity = cursor_lp16(&at);
    sensitive = cursor_rest(&at);
    buf_add(&text, sensitive);
    buf_add(&text, name);
    assert_true(err_is_ok(crypto_sha256(c, buf_span(&text), digest)));
    if (!err_is_ok(cursor_ok(&at)) || !span_eq(integrity, span_of(digest, 32))) {
        return SOFT_TPM_NO_IMPORT;
    }
    at = cursor_over(sensitive);
    if (cursor_u16(&at) != sensitive.len - 2 || cursor_u16(&at) != 0x0008 ||
        cursor_lp16(&at).len != 0) {
        return SOFT_TPM_NO_IMPORT;
    }
    seed = cursor_lp16(&at);
    key = cursor_lp16(&at);
    if (!err_is_ok(cursor_done(&at)) || seed.len != 32 || key.len != 32) {
        return SOFT_TPM_NO_IMPORT;
    }
    text = buf_over(text_room, sizeof text_room);
    buf_add(&text, seed);
    buf_add(&text, key);
    assert_true(err_is_ok(crypto_sha256(c, buf_span(&text), digest)));
    if (!span_eq(span_from(area, area.len - 32), span_of(digest, 32))) {
        return SOFT_TPM_NO_LOAD;
    }
    memcpy(ret_key, key.data, 32);
    return SOFT_TPM_LOADED;
}

/* KEYEDHASH, SHA-256, userWithAuth noDA sign, no policy, HMAC with SHA-256. */
static inline bool soft_tpm_is_hmac_key(struct span area)
{
    static const uint8_t head[] = { 0x00, 0x08, 0x00, 0x0b, 0x00, 0x04, 0x04, 0x40,
                                    0x00, 0x00, 0x00, 0x05, 0x00, 0x0b, 0x00, 0x20 };

    return area.len == sizeof head + 32 &&
           span_eq(span_first(area, sizeof head), span_of(head, sizeof head));
}

/* What a device does with a blob: activates the credential with EK and SRK, imports below the SRK,
 * loads. *ret_key: the HMAC key, which a TPM would keep. */
static inline enum soft_tpm_result soft_tpm_load(const struct soft_tpm *t, struct span blob,
                                                 uint8_t ret_key[32])
{
    struct cursor at = cursor_over(blob);
    struct span credential = cursor_lp16(&at), credential_secret = cursor_lp16(&at);
    struct span duplicate = cursor_lp16(&at), duplicate_secret = cursor_lp16(&at);
    struct span area = cursor_lp16(&at), uri = cursor_lp16(&at);
    uint8_t seed[32], name[34], value_room[512], wrapped_room[512];
    struct span value, wrapped;

    (void)uri;
    if (!err_is_ok(cursor_done(&at)) || credential.len > 256 || duplicate.len > 256 ||
        !soft_tpm_is_hmac_key(area)) {
        return SOFT_TPM_MALFORMED;
    }
    soft_tpm_name(t->crypto, span_from(t->srk_public, 2), name);
    if (!soft_tpm_decrypt(t->ek, SPAN("IDENTITY\0"), credential_secret, seed) ||
        !soft_tpm_unwrap(t->crypto, seed, span_of(name, 34), credential, value_room, &value)) {
        return SOFT_TPM_NO_CREDENTIAL;
    }
    at = cursor_over(value);
    value = cursor_lp16(&at);
    if (!err_is_ok(cursor_done(&at))) {
        return SOFT_TPM_NO_CREDENTIAL;
    }
    soft_tpm_name(t->crypto, area, name);
    if (!soft_tpm_decrypt(t->srk, SPAN("DUPLICATE\0"), duplicate_secret, seed) ||
        !soft_tpm_unwrap(t->crypto, seed, span_of(name, 34), duplicate, wrapped_room, &wrapped)) {
        return SOFT_TPM_NO_IMPORT;
    }
    return soft_tpm_import(t->crypto, value, span_of(name, 34), area, wrapped, ret_key);
}

#endif
