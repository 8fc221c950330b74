/* crypto/x509.c: certificates as OpenSSL reads them. A struct crypto_cert is an X509 by another
 * name, so that nothing is copied or wrapped on the way from libssl.
 *
 * A path goes from a leaf to one anchor. What is trusted is the anchor alone, whether it signed
 * itself or not; everything between is help. No revocation is checked: who is revoked stands in the
 * store. */
#include "crypto/x509.h"

#include <limits.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "crypto/context.h"
#include "util/base64.h"
#include "util/hex.h"

/* Readers of OpenSSL take no const, for they fill caches. */
static X509 *native_of(const struct crypto_cert *cert)
{
    return (X509 *)cert;
}

struct crypto_cert *crypto_x509_adopt(struct x509_st *native)
{
    if (native != NULL) {
        (void)X509_up_ref(native);
    }
    return (struct crypto_cert *)native;
}

struct x509_st *crypto_x509_native(const struct crypto_cert *cert)
{
    return native_of(cert);
}

struct crypto_cert *crypto_x509_ref(struct crypto_cert *cert)
{
    return crypto_x509_adopt(native_of(cert));
}

void crypto_x509_free(struct crypto_cert *cert)
{
    X509_free(native_of(cert));
}

err crypto_x509_decode(struct crypto *c, struct span der, struct crypto_cert **ret_cert)
{
    const unsigned char *at = der.data;
    X509 *cert = X509_new_ex(c->lib, NULL);

    if (cert == NULL) {
        return ERR(NOMEM);
    }
    /* On failure d2i_X509 frees what it was given. */
    if (der.len == 0 || der.len > LONG_MAX || d2i_X509(&cert, &at, (long)der.len) == NULL) {
        (void)crypto_fail("certificate");
        X509_free(cert);
        return (err){ ERR_MALFORMED };
    }
    if (at != der.data + der.len) {
        X509_free(cert);
        return err_set(ERR_MALFORMED, "certificate: bytes behind it");
    }
    *ret_cert = (struct crypto_cert *)cert;
    return OK;
}

/* Without it OpenSSL asks at the terminal. */
static int no_password(char *text, int size, int is_writing, void *data)
{
    (void)text, (void)size, (void)is_writing, (void)data;
    return -1;
}

static err decode_pem(struct crypto *c, struct span pem, struct crypto_cert **ret_cert)
{
    unsigned char *der = NULL;
    long len = 0;
    AUTO(bio) BIO *in = pem.len <= INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
    err e;

    if (in == NULL) {
        return ERR(NOMEM);
    }
    if (PEM_bytes_read_bio(&der, &len, NULL, PEM_STRING_X509, in, no_password, NULL) != 1) {
        (void)crypto_fail("PEM certificate");
        return (err){ ERR_MALFORMED };
    }
    e = crypto_x509_decode(c, span_of(der, (size_t)len), ret_cert);
    OPENSSL_free(der);
    return e;
}

static bool holds_pem(struct span text)
{
    return text.len > 0 && memmem(text.data, text.len, "-----BEGIN", 10) != NULL;
}

/* Up to `layers` of base64 may be around it. `room` is as large as the text. */
static err decode_text(struct crypto *c, struct span text, int layers, uint8_t *room,
                       struct crypto_cert **ret_cert)
{
    if (text.len > 0 && text.data[0] == 0x30) { /* SEQUENCE; in base64 it would be "M" */
        return crypto_x509_decode(c, text, ret_cert);
    }
    if (holds_pem(text)) {
        return decode_pem(c, text, ret_cert);
    }
    /* Decoding in place: a byte is written once the character it stood in was read. */
    for (; layers > 0; layers--) {
        struct buf out = buf_over(room, text.len);

        if (!err_is_ok(base64_decode(text, &out))) {
            break;
        }
        text = buf_span(&out);
        if (holds_pem(text) || (text.len > 0 && text.data[0] == 0x30)) {
            return decode_text(c, text, 0, room, ret_cert);
        }
    }
    return err_set(ERR_MALFORMED, "neither PEM, DER nor base64 of these");
}

err crypto_x509_decode_any(struct crypto *c, struct span text, struct crypto_cert **ret_cert)
{
    uint8_t *room = malloc(text.len + 1);
    err e;

    if (room == NULL) {
        return ERR(NOMEM);
    }
    e = decode_text(c, text, 2, room, ret_cert);
    free(room);
    return e;
}

err crypto_x509_encode(const struct crypto_cert *cert, struct buf *out)
{
    int len = i2d_X509(native_of(cert), NULL);
    unsigned char *at;

    if (len <= 0) {
        return crypto_fail("encoding a certificate");
    }
    at = buf_reserve(out, (size_t)len);
    if (at != NULL) {
        (void)i2d_X509(native_of(cert), &at);
    }
    return buf_ok(out);
}

static void add_bio(struct buf *out, BIO *from)
{
    char *text = NULL;
    long len = BIO_get_mem_data(from, &text);

    buf_add(out, span_of(text, len > 0 ? (size_t)len : 0));
}

err crypto_x509_encode_pem(const struct crypto_cert *cert, struct buf *out)
{
    AUTO(bio) BIO *text = BIO_new(BIO_s_mem());

    if (text == NULL || PEM_write_bio_X509(text, native_of(cert)) != 1) {
        return crypto_fail("encoding a certificate");
    }
    add_bio(out, text);
    return buf_ok(out);
}

static err digest(const struct crypto_cert *cert, const EVP_MD *md, uint8_t *ret_digest)
{
    return X509_digest(native_of(cert), md, ret_digest, NULL) == 1
               ? OK
               : crypto_fail("digest of a certificate");
}

err crypto_x509_sha256(const struct crypto_cert *cert, uint8_t ret_digest[CRYPTO_SHA256_LEN])
{
    return digest(cert, EVP_sha256(), ret_digest);
}

err crypto_x509_sha1(const struct crypto_cert *cert, uint8_t ret_digest[CRYPTO_SHA1_LEN])
{
    return digest(cert, EVP_sha1(), ret_digest);
}

err crypto_x509_common_name(const struct crypto_cert *cert, struct buf *out)
{
    const X509_NAME *name = X509_get_subject_name(native_of(cert));
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    unsigned char *text = NULL;
    int len;

    if (at < 0) {
        return ERR(NOT_FOUND);
    }
    if (X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0) {
        return err_set(ERR_MALFORMED, "subject with several common names");
    }
    len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
    if (len < 0) {
        ERR_clear_error();
        return err_set(ERR_MALFORMED, "common name that is no text");
    }
    if (memchr(text, '\0', (size_t)len) != NULL) {
        OPENSSL_free(text);
        return err_set(ERR_MALFORMED, "common name with U+0000");
    }
    buf_add(out, span_of(text, (size_t)len));
    OPENSSL_free(text);
    return buf_ok(out);
}

/* Ill-formed text cannot occur: a name without a canonical form does not parse. */
static void print_name(const X509_NAME *name, struct buf *out)
{
    static const unsigned long layout = XN_FLAG_SEP_CPLUS_SPC | XN_FLAG_DN_REV | XN_FLAG_FN_SN;
    static const unsigned long escapes = ASN1_STRFLGS_RFC2253 & ~ASN1_STRFLGS_ESC_MSB;
    AUTO(bio) BIO *text = BIO_new(BIO_s_mem());

    if (text == NULL || X509_NAME_print_ex(text, name, 0, layout | escapes) < 0) {
        ERR_clear_error();
        out->failed = true;
        return;
    }
    add_bio(out, text);
}

void crypto_x509_subject(const struct crypto_cert *cert, struct buf *out)
{
    print_name(X509_get_subject_name(native_of(cert)), out);
}

void crypto_x509_issuer(const struct crypto_cert *cert, struct buf *out)
{
    print_name(X509_get_issuer_name(native_of(cert)), out);
}

int64_t crypto_x509_subject_hash(struct crypto *c, const struct crypto_cert *cert)
{
    return (int64_t)X509_NAME_hash_ex(X509_get_subject_name(native_of(cert)), c->lib, NULL, NULL);
}

int64_t crypto_x509_issuer_hash(struct crypto *c, const struct crypto_cert *cert)
{
    return (int64_t)X509_NAME_hash_ex(X509_get_issuer_name(native_of(cert)), c->lib, NULL, NULL);
}

bool crypto_x509_is_self_issued(const struct crypto_cert *cert)
{
    return X509_NAME_cmp(X509_get_subject_name(native_of(cert)),
                         X509_get_issuer_name(native_of(cert))) == 0;
}

bool crypto_x509_is_ca(const struct crypto_cert *cert)
{
    enum { BASIC_CONSTRAINTS = 1, VERSION_1_SELF_ISSUED = 3 };
    int how = X509_check_ca(native_of(cert));

    return how == BASIC_CONSTRAINTS || how == VERSION_1_SELF_ISSUED;
}

bool crypto_x509_equal(const struct crypto_cert *a, const struct crypto_cert *b)
{
    return X509_cmp(native_of(a), native_of(b)) == 0;
}

bool crypto_x509_may_have_issued(const struct crypto_cert *issuer, const struct crypto_cert *cert)
{
    int why = X509_check_issued(native_of(issuer), native_of(cert));

    ERR_clear_error();
    return why == X509_V_OK || why == X509_V_ERR_KEYUSAGE_NO_CERTSIGN;
}

bool crypto_x509_is_signed_by(struct crypto *c, const struct crypto_cert *cert,
                              const struct crypto_cert *issuer)
{
    EVP_PKEY *key = X509_get0_pubkey(native_of(issuer));
    bool is_signed = key != NULL && X509_verify(native_of(cert), key) == 1;

    (void)c;
    ERR_clear_error();
    return is_signed;
}

AUTO_DEFINE(bn, BIGNUM *, BN_free)

static bool is_number(const EVP_PKEY *key, const char *name, struct span value)
{
    AUTO(bn) BIGNUM *has = NULL;
    AUTO(bn) BIGNUM *wanted = NULL;

    if (value.len > INT_MAX || EVP_PKEY_get_bn_param(key, name, &has) != 1) {
        return false;
    }
    wanted = BN_bin2bn(value.data, (int)value.len, NULL);
    return wanted != NULL && BN_cmp(has, wanted) == 0;
}

bool crypto_x509_has_rsa_key(const struct crypto_cert *cert, struct span modulus, uint32_t exponent)
{
    const uint8_t e[] = { (uint8_t)(exponent >> 24), (uint8_t)(exponent >> 16),
                          (uint8_t)(exponent >> 8), (uint8_t)exponent };
    const EVP_PKEY *key = X509_get0_pubkey(native_of(cert));
    bool is_same = key != NULL && EVP_PKEY_is_a(key, "RSA") &&
                   is_number(key, OSSL_PKEY_PARAM_RSA_N, modulus) &&
                   is_number(key, OSSL_PKEY_PARAM_RSA_E, span_of(e, sizeof(e)));

    ERR_clear_error();
    return is_same;
}

static bool time_ms(const ASN1_TIME *t, int64_t *ret_ms)
{
    struct tm civil;

    if (ASN1_TIME_to_tm(t, &civil) != 1) {
        return false;
    }
    *ret_ms = (int64_t)timegm(&civil) * 1000;
    return true;
}

err crypto_x509_info(const struct crypto_cert *cert, struct crypto_x509_info *ret_info)
{
    struct crypto_x509_info info = { .version = (int)X509_get_version(native_of(cert)) + 1 };

    if (!time_ms(X509_get0_notBefore(native_of(cert)), &info.not_before_ms) ||
        !time_ms(X509_get0_notAfter(native_of(cert)), &info.not_after_ms)) {
        ERR_clear_error();
        return err_set(ERR_MALFORMED, "certificate with a validity that is no time");
    }
    *ret_info = info;
    return OK;
}

void crypto_x509_serial(const struct crypto_cert *cert, struct buf *out)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(native_of(cert));
    struct span bytes = span_of(ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial));

    hex_encode_upper(bytes.len > 0 ? bytes : SPAN("\0"), out);
}

/* 80 bits: no RSA below 1024, no SHA-1 signatures. */
enum { AUTH_LEVEL = 1 };

AUTO_DEFINE(x509_stack, STACK_OF(X509) *, sk_X509_free)

/* The certificates stay their owner's. NULL: no memory. */
static STACK_OF(X509) * stack_of(struct crypto_cert *const *certs, size_t n)
{
    STACK_OF(X509) *stack = sk_X509_new_reserve(NULL, (int)n);

    for (size_t i = 0; stack != NULL && i < n; i++) {
        (void)sk_X509_push(stack, crypto_x509_native(certs[i]));
    }
    return stack;
}

static bool configure(X509_STORE_CTX *path, const struct crypto_path_query *q)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(path);
    int purpose = q->purpose == CRYPTO_PURPOSE_CLIENT ? X509_PURPOSE_SSL_CLIENT : X509_PURPOSE_ANY;

    if (X509_STORE_CTX_set_purpose(path, purpose) != 1 ||
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST) !=
            1) {
        return false;
    }
    X509_VERIFY_PARAM_set_time(param, (time_t)(q->now_ms / 1000));
    X509_VERIFY_PARAM_set_depth(param, q->max_depth);
    X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
    return true;
}

/* Depth 0 is the leaf. */
static enum crypto_path outcome_of(int error, int depth)
{
    switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
        return CRYPTO_PATH_NONE;
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return CRYPTO_PATH_BAD_SIGNATURE;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return depth == 0 ? CRYPTO_PATH_LEAF_EXPIRED : CRYPTO_PATH_ISSUER_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return depth == 0 ? CRYPTO_PATH_LEAF_NOT_YET_VALID : CRYPTO_PATH_ISSUER_EXPIRED;
    case X509_V_ERR_INVALID_PURPOSE:
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_INVALID_NON_CA:
    case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
    case X509_V_ERR_CERT_REJECTED:
        return CRYPTO_PATH_WRONG_PURPOSE;
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
        return CRYPTO_PATH_TOO_LONG;
    default:
        return CRYPTO_PATH_INVALID;
    }
}

static enum crypto_path verify(X509_STORE_CTX *path, const char **ret_why)
{
    bool is_ok = X509_verify_cert(path) == 1;
    int error = X509_STORE_CTX_get_error(path);

    *ret_why = X509_verify_cert_error_string(error);
    if (is_ok && error == X509_V_OK) {
        return CRYPTO_PATH_OK;
    }
    ERR_clear_error();
    return outcome_of(error, X509_STORE_CTX_get_error_depth(path));
}

/* tcg-kp-EKCertificate, DER of the OID 2.23.133.8.1. */
static const uint8_t ek_usage[] = { 0x67, 0x81, 0x05, 0x08, 0x01 };

static bool has_ek_usage(X509 *cert)
{
    EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
    bool is_found = false;

    for (int i = 0; i < sk_ASN1_OBJECT_num(usages); i++) {
        const ASN1_OBJECT *o = sk_ASN1_OBJECT_value(usages, i);

        is_found =
            is_found || OBJ_obj2nid(o) == NID_anyExtendedKeyUsage ||
            span_eq(span_of(OBJ_get0_data(o), OBJ_length(o)), span_of(ek_usage, sizeof(ek_usage)));
    }
    EXTENDED_KEY_USAGE_free(usages);
    return is_found;
}

/* NULL: it may be. OpenSSL knows no purpose of this name. */
static const char *wrong_for_endorsement_key(X509 *cert)
{
    uint32_t flags = X509_get_extension_flags(cert);

    if ((flags & EXFLAG_CA) != 0) {
        return "an endorsement key's certificate must not be a CA's";
    }
    if ((flags & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(cert) & KU_KEY_ENCIPHERMENT) == 0) {
        return "its key usage lacks keyEncipherment";
    }
    return (flags & EXFLAG_XKUSAGE) == 0 || has_ek_usage(cert)
               ? NULL
               : "its extended key usage lacks tcg-kp-EKCertificate (2.23.133.8.1)";
}

static enum crypto_path check_purpose(const struct crypto_path_query *q, const char **ret_why)
{
    const char *wrong = q->purpose == CRYPTO_PURPOSE_ENDORSEMENT_KEY
                            ? wrong_for_endorsement_key(native_of(q->leaf))
                            : NULL;

    if (wrong == NULL) {
        return CRYPTO_PATH_OK;
    }
    *ret_why = wrong;
    return CRYPTO_PATH_WRONG_PURPOSE;
}

enum crypto_path crypto_x509_check_path(struct crypto *c, const struct crypto_path_query *q,
                                        const char **ret_why)
{
    /* A leaf that is itself trusted needs no issuer: what was sent with it shall not matter. */
    bool is_anchor = crypto_x509_equal(q->leaf, q->anchor);
    struct crypto_cert *anchor = (struct crypto_cert *)q->anchor;
    AUTO(x509_stack) STACK_OF(X509) *trusted = stack_of(&anchor, 1);
    AUTO(x509_stack)
    STACK_OF(X509) *untrusted = stack_of(q->intermediates, is_anchor ? 0 : q->n_intermediates);
    enum crypto_path outcome = CRYPTO_PATH_INVALID;
    const char *why = "out of memory";

    if (trusted != NULL && untrusted != NULL &&
        X509_STORE_CTX_init(c->path, NULL, crypto_x509_native(q->leaf), untrusted) == 1) {
        X509_STORE_CTX_set0_trusted_stack(c->path, trusted);
        if (configure(c->path, q)) {
            outcome = verify(c->path, &why);
        }
        X509_STORE_CTX_cleanup(c->path);
    }
    if (outcome == CRYPTO_PATH_OK) {
        outcome = check_purpose(q, &why);
    }
    if (ret_why != NULL) {
        *ret_why = why;
    }
    return outcome;
}
