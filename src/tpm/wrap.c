/* tpm/wrap.c: encrypting for a TPM without one (TPM 2.0 Library, part 1, sections 23 and 24).
 *
 * Both ways are alike. A random seed goes to an RSA key of the TPM by OAEP, under a label that says
 * what for. From the seed come a symmetric key, bound to a Name, and an integrity key:
 *
 *     outer(seed, Name, x) = TPM2B_DIGEST(HMAC(KDFa(seed, "INTEGRITY"), e || Name)) || e
 *                        e = AES-CFB(KDFa(seed, "STORAGE", Name), x)
 *
 * A credential is outer() over the TPM2B_DIGEST of its value, where Name is that of the object that
 * must be loaded beside the EK. A duplicate is outer() over the inner wrapper of its object's
 * sensitive area, where Name is that of the object itself:
 *
 *     inner(key, s) = AES-CFB(key, TPM2B_DIGEST(SHA-256(s || Name)) || s)
 *
 * Keys derived from a seed, and the inner key, encrypt once: so the initialization vector may be
 * zero, as the standard has it. Random bytes are env's, but for OAEP's padding. */
#include "tpm/wrap.h"

#include <tss2/tss2_mu.h>

enum {
    SEED_LEN = CRYPTO_SHA256_LEN, /* of the parent's name algorithm */
    /* Larger than any part that is assembled here. */
    PART_MAX = 256,
};

static err hmac_of_two(struct crypto *c, struct span key, struct span a, struct span b,
                       uint8_t ret_mac[CRYPTO_SHA256_LEN])
{
    uint8_t room[PART_MAX];
    struct buf both = buf_over(room, sizeof(room));

    buf_add(&both, a);
    buf_add(&both, b);
    TRY(buf_ok(&both));
    return crypto_hmac_sha256(c, key, buf_span(&both), ret_mac);
}

/* The outer wrapper, as one TPM2B. */
static err wrap_outer(struct crypto *c, struct span seed, struct span name, struct span plain,
                      struct buf *out)
{
    uint8_t aes_key[CRYPTO_WRAP_AES_KEY_LEN], mac_key[CRYPTO_SHA256_LEN], mac[CRYPTO_SHA256_LEN];
    uint8_t room[PART_MAX];
    struct buf encrypted = buf_over(room, sizeof(room));
    err e = crypto_wrap_kdfa(c, seed, SPAN("STORAGE"), name, aes_key, sizeof(aes_key));

    if (err_is_ok(e)) {
        e = crypto_wrap_kdfa(c, seed, SPAN("INTEGRITY"), SPAN_NONE, mac_key, sizeof(mac_key));
    }
    if (err_is_ok(e)) {
        e = crypto_wrap_aes_cfb(c, aes_key, plain, &encrypted);
    }
    if (err_is_ok(e)) {
        e = hmac_of_two(c, span_of(mac_key, sizeof(mac_key)), buf_span(&encrypted), name, mac);
    }
    crypto_wipe(aes_key, sizeof(aes_key));
    crypto_wipe(mac_key, sizeof(mac_key));
    TRY(e);
    buf_add_u16(out, (uint16_t)(sizeof(UINT16) + sizeof(mac) + encrypted.len));
    buf_add_lp16(out, span_of(mac, sizeof(mac)));
    buf_add(out, buf_span(&encrypted));
    return buf_ok(out);
}

/* The seed for the TPM, as TPM2B_ENCRYPTED_SECRET. The label's closing NUL is part of it. */
static err wrap_seed(struct crypto *c, const struct tpm_public *to, struct span label,
                     struct span seed, struct buf *out)
{
    buf_add_u16(out, TPM_PUBLIC_MODULUS_LEN);
    return crypto_wrap_oaep(c, &to->key, label, seed, out);
}

err tpm_wrap_credential(const struct env *env, const struct tpm_public *ek,
                        const uint8_t name[TPM_PUBLIC_NAME_LEN], struct span value, struct buf *out)
{
    struct span name_span = span_of(name, TPM_PUBLIC_NAME_LEN);
    uint8_t seed[SEED_LEN], room[PART_MAX];
    struct buf plain = buf_over(room, sizeof(room));
    err e;

    env->random(seed, sizeof(seed));
    buf_add_lp16(&plain, value);
    e = buf_ok(&plain);
    if (err_is_ok(e)) {
        e = wrap_outer(env->crypto, span_of(seed, sizeof(seed)), name_span, buf_span(&plain), out);
    }
    if (err_is_ok(e)) {
        e = wrap_seed(env->crypto, ek, SPAN("IDENTITY\0"), span_of(seed, sizeof(seed)), out);
    }
    crypto_wipe(seed, sizeof(seed));
    crypto_wipe(room, sizeof(room));
    return e;
}

/* ---- the duplicated key ---- */

static err marshal_failed(void)
{
    return err_set(ERR_CRYPTO, "tpm2-tss cannot write a structure of ours");
}

/* TPM2B_SENSITIVE. The seed keeps the public digest from telling anything of the key. */
static err marshal_sensitive(const struct env *env, struct span key, TPM2B_SENSITIVE *s,
                             struct buf *out)
{
    TPMT_SENSITIVE *area = &s->sensitiveArea;
    size_t written = 0;

    area->sensitiveType = TPM2_ALG_KEYEDHASH;
    area->seedValue.size = CRYPTO_SHA256_LEN;
    env->random(area->seedValue.buffer, CRYPTO_SHA256_LEN);
    area->sensitive.bits.size = (UINT16)key.len;
    memcpy(area->sensitive.bits.buffer, key.data, key.len);
    if (Tss2_MU_TPM2B_SENSITIVE_Marshal(s, out->data, out->cap, &written) != TSS2_RC_SUCCESS) {
        return marshal_failed();
    }
    out->len = written;
    return OK;
}

/* An unrestricted HMAC key that is used with an empty password, as the SDKs do, and that repeated
 * failures elsewhere do not lock. */
static err make_public(struct crypto *c, const TPMT_SENSITIVE *s, TPM2B_PUBLIC *ret)
{
    uint8_t room[PART_MAX];
    struct buf hidden = buf_over(room, sizeof(room));
    TPM2B_PUBLIC p = {
        .publicArea = {
            .type = TPM2_ALG_KEYEDHASH,
            .nameAlg = TPM2_ALG_SHA256,
            .objectAttributes =
                TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT,
            .parameters.keyedHashDetail.scheme = {
                .scheme = TPM2_ALG_HMAC,
                .details.hmac.hashAlg = TPM2_ALG_SHA256,
            },
            .unique.keyedHash.size = CRYPTO_SHA256_LEN,
        },
    };
    err e;

    buf_add(&hidden, span_of(s->seedValue.buffer, s->seedValue.size));
    buf_add(&hidden, span_of(s->sensitive.bits.buffer, s->sensitive.bits.size));
    e = crypto_sha256(c, buf_span(&hidden), p.publicArea.unique.keyedHash.buffer);
    crypto_wipe(room, sizeof(room));
    *ret = p;
    return e;
}

/* The Name of what is made here: the public area is what follows the TPM2B's size. */
static err name_of(struct crypto *c, struct span public_bytes,
                   uint8_t ret_name[TPM_PUBLIC_NAME_LEN])
{
    struct tpm_public p = { .bytes = public_bytes };

    return tpm_public_name(c, &p, ret_name);
}

static err wrap_inner(struct crypto *c, const uint8_t inner_key[CRYPTO_WRAP_AES_KEY_LEN],
                      struct span name, struct span sensitive, struct buf *out)
{
    uint8_t digest[CRYPTO_SHA256_LEN], room[PART_MAX], plain_room[PART_MAX];
    struct buf hashed = buf_over(room, sizeof(room));
    struct buf plain = buf_over(plain_room, sizeof(plain_room));
    err e;

    buf_add(&hashed, sensitive);
    buf_add(&hashed, name);
    e = crypto_sha256(c, buf_span(&hashed), digest);
    buf_add_lp16(&plain, span_of(digest, sizeof(digest)));
    buf_add(&plain, sensitive);
    if (err_is_ok(e)) {
        e = plain.failed || hashed.failed
                ? ERR(NOMEM)
                : crypto_wrap_aes_cfb(c, inner_key, buf_span(&plain), out);
    }
    crypto_wipe(room, sizeof(room));
    crypto_wipe(plain_room, sizeof(plain_room));
    return e;
}

/* TPM2B_PRIVATE and TPM2B_ENCRYPTED_SECRET. */
static err wrap_sensitive(const struct env *env, const struct tpm_public *srk,
                          const uint8_t inner_key[CRYPTO_WRAP_AES_KEY_LEN], struct span name,
                          struct span sensitive, struct buf *out)
{
    uint8_t seed[SEED_LEN], room[PART_MAX];
    struct buf inner = buf_over(room, sizeof(room));
    err e;

    env->random(seed, sizeof(seed));
    e = wrap_inner(env->crypto, inner_key, name, sensitive, &inner);
    if (err_is_ok(e)) {
        e = wrap_outer(env->crypto, span_of(seed, sizeof(seed)), name, buf_span(&inner), out);
    }
    if (err_is_ok(e)) {
        e = wrap_seed(env->crypto, srk, SPAN("DUPLICATE\0"), span_of(seed, sizeof(seed)), out);
    }
    crypto_wipe(seed, sizeof(seed));
    return e;
}

err tpm_wrap_key(const struct env *env, const struct tpm_public *srk,
                 const uint8_t inner_key[CRYPTO_WRAP_AES_KEY_LEN], struct span key, struct buf *out)
{
    uint8_t sensitive_room[PART_MAX], public_room[PART_MAX], name[TPM_PUBLIC_NAME_LEN];
    struct buf sensitive = buf_over(sensitive_room, sizeof(sensitive_room));
    TPM2B_SENSITIVE s = { 0 };
    TPM2B_PUBLIC p;
    size_t written = 0;
    err e = marshal_sensitive(env, key, &s, &sensitive);

    if (err_is_ok(e)) {
        e = make_public(env->crypto, &s.sensitiveArea, &p);
    }
    if (err_is_ok(e) && Tss2_MU_TPM2B_PUBLIC_Marshal(&p, public_room, sizeof(public_room),
                                                     &written) != TSS2_RC_SUCCESS) {
        e = marshal_failed();
    }
    if (err_is_ok(e)) {
        e = name_of(env->crypto, span_of(public_room, written), name);
    }
    if (err_is_ok(e)) {
        e = wrap_sensitive(env, srk, inner_key, span_of(name, sizeof(name)), buf_span(&sensitive),
                           out);
    }
    crypto_wipe(&s, sizeof(s));
    crypto_wipe(sensitive_room, sizeof(sensitive_room));
    TRY(e);
    buf_add(out, span_of(public_room, written));
    return buf_ok(out);
}
