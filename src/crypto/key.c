/* crypto/key.c: private keys as PEM, and certificates put together from a specification. Which
 * specifications make sense is known to ca/. */
#include "crypto/key.h"

#include <limits.h>
#include <stdio.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "crypto/context.h"

static EVP_PKEY *native_of(const struct crypto_key *key)
{
    return (EVP_PKEY *)key;
}

err crypto_key_generate(struct crypto *c, enum crypto_key_type type, struct crypto_key **ret_key)
{
    EVP_PKEY *key = NULL;

    switch (type) {
    case CRYPTO_KEY_EC_P256:
        key = EVP_PKEY_Q_keygen(c->lib, NULL, "EC", "P-256");
        break;
    case CRYPTO_KEY_EC_P384:
        key = EVP_PKEY_Q_keygen(c->lib, NULL, "EC", "P-384");
        break;
    case CRYPTO_KEY_RSA_2048:
        key = EVP_PKEY_Q_keygen(c->lib, NULL, "RSA", (size_t)2048);
        break;
    case CRYPTO_KEY_RSA_3072:
        key = EVP_PKEY_Q_keygen(c->lib, NULL, "RSA", (size_t)3072);
        break;
    case CRYPTO_KEY_RSA_4096:
        key = EVP_PKEY_Q_keygen(c->lib, NULL, "RSA", (size_t)4096);
        break;
    }
    if (key == NULL) {
        return crypto_fail("key generation");
    }
    *ret_key = (struct crypto_key *)key;
    return OK;
}

/* Without it OpenSSL asks at the terminal. */
static int no_password(char *text, int size, int is_writing, void *data)
{
    (void)text, (void)size, (void)is_writing, (void)data;
    return -1;
}

/* The same key over the filtered context. NULL when its kind is not passed on. */
static EVP_PKEY *move_to(OSSL_LIB_CTX *lib, EVP_PKEY *key)
{
    AUTO(evp_pkey_ctx)
    EVP_PKEY_CTX *into = EVP_PKEY_CTX_new_from_name(lib, EVP_PKEY_get0_type_name(key), NULL);
    OSSL_PARAM *params = NULL;
    EVP_PKEY *moved = NULL;

    if (into != NULL && EVP_PKEY_todata(key, EVP_PKEY_KEYPAIR, &params) == 1 &&
        EVP_PKEY_fromdata_init(into) == 1) {
        (void)EVP_PKEY_fromdata(into, &moved, EVP_PKEY_KEYPAIR, params);
    }
    OSSL_PARAM_free(params);
    return moved;
}

err crypto_key_decode_pem(struct crypto *c, struct span pem, struct crypto_key **ret_key)
{
    AUTO(bio) BIO *in = pem.len <= INT_MAX ? BIO_new_mem_buf(pem.data, (int)pem.len) : NULL;
    AUTO(evp_pkey) EVP_PKEY *key = NULL;

    if (in == NULL) {
        return ERR(NOMEM);
    }
    /* The filter passes no decoders of private keys on. */
    key = PEM_read_bio_PrivateKey_ex(in, NULL, no_password, NULL, crypto_context_whole(c), NULL);
    if (key == NULL) {
        (void)crypto_fail("private key");
        return (err){ ERR_MALFORMED };
    }
    if (crypto_is_filtered(c)) {
        EVP_PKEY *moved = move_to(c->lib, key);

        if (moved == NULL) {
            (void)crypto_fail("private key of this kind");
            return (err){ ERR_UNSUPPORTED };
        }
        EVP_PKEY_free(key);
        key = moved;
    }
    *ret_key = (struct crypto_key *)key;
    key = NULL;
    return OK;
}

err crypto_key_encode_pem(const struct crypto_key *key, struct buf *out)
{
    AUTO(bio) BIO *text = BIO_new(BIO_s_mem());
    char *bytes = NULL;
    long len;

    if (text == NULL || PEM_write_bio_PKCS8PrivateKey(text, native_of(key), NULL, NULL, 0,
                                                      no_password, NULL) != 1) {
        return crypto_fail("encoding a private key");
    }
    len = BIO_get_mem_data(text, &bytes);
    buf_add(out, span_of(bytes, (size_t)len));
    crypto_wipe(bytes, (size_t)len);
    return buf_ok(out);
}

void crypto_key_free(struct crypto_key *key)
{
    EVP_PKEY_free(native_of(key));
}

struct evp_pkey_st *crypto_key_native(const struct crypto_key *key)
{
    return native_of(key);
}

bool crypto_key_matches(const struct crypto_key *key, const struct crypto_cert *cert)
{
    bool is_same = X509_check_private_key(crypto_x509_native(cert), native_of(key)) == 1;

    ERR_clear_error();
    return is_same;
}

static bool set_serial(X509 *cert, const uint8_t random[16])
{
    uint8_t bytes[16];
    BIGNUM *number;
    bool is_set;

    memcpy(bytes, random, sizeof(bytes));
    /* Positive, and of the same length whatever the bytes (RFC 5280 section 4.1.2.2). */
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    is_set = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return is_set;
}

static bool set_names(X509 *cert, const char *common_name, const X509 *issuer)
{
    X509_NAME *name = X509_get_subject_name(cert);

    return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name,
                                      -1, -1, 0) == 1 &&
           X509_set_issuer_name(cert, issuer != NULL ? X509_get_subject_name(issuer) : name) == 1;
}

static bool add_extension(X509 *cert, X509V3_CTX *ctx, int kind, const char *value)
{
    X509_EXTENSION *extension;
    bool is_added;

    if (value == NULL) {
        return true;
    }
    extension = X509V3_EXT_nconf_nid(NULL, ctx, kind, value);
    is_added = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_added;
}

static bool add_extensions(X509 *cert, const struct crypto_cert_spec *spec, X509 *issuer)
{
    char constraints[64] = "critical,CA:FALSE";
    bool names_issuer = issuer != NULL && X509_get0_subject_key_id(issuer) != NULL;
    X509V3_CTX ctx;

    if (spec->is_ca && spec->path_len >= 0) {
        (void)snprintf(constraints, sizeof(constraints), "critical,CA:TRUE,pathlen:%d",
                       spec->path_len);
    } else if (spec->is_ca) {
        (void)snprintf(constraints, sizeof(constraints), "critical,CA:TRUE");
    }
    X509V3_set_ctx(&ctx, issuer != NULL ? issuer : cert, cert, NULL, NULL, 0);
    return add_extension(cert, &ctx, NID_basic_constraints, constraints) &&
           add_extension(cert, &ctx, NID_key_usage, spec->key_usage) &&
           add_extension(cert, &ctx, NID_ext_key_usage, spec->extended_usage) &&
           add_extension(cert, &ctx, NID_subject_alt_name, spec->subject_alt_name) &&
           add_extension(cert, &ctx, NID_subject_key_identifier, "hash") &&
           add_extension(cert, &ctx, NID_authority_key_identifier,
                         names_issuer ? "keyid:always" : NULL);
}

static const EVP_MD *digest_for(const EVP_PKEY *key)
{
    return EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_bits(key) == 384 ? EVP_sha384() : EVP_sha256();
}

err crypto_key_issue(struct crypto *c, const struct crypto_cert_spec *spec,
                     const struct crypto_key *subject_key, const struct crypto_cert *issuer,
                     const struct crypto_key *issuer_key, struct crypto_cert **ret_cert)
{
    X509 *parent = issuer != NULL ? crypto_x509_native(issuer) : NULL;
    AUTO(x509) X509 *cert = X509_new_ex(c->lib, NULL);
    unsigned char *der = NULL;
    int len;
    err e;

    if (cert == NULL || X509_set_version(cert, X509_VERSION_3) != 1 ||
        !set_serial(cert, spec->serial) || !set_names(cert, spec->common_name, parent) ||
        ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(spec->not_before_ms / 1000)) == NULL ||
        ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(spec->not_after_ms / 1000)) == NULL ||
        X509_set_pubkey(cert, native_of(subject_key)) != 1 || !add_extensions(cert, spec, parent) ||
        X509_sign(cert, native_of(issuer_key), digest_for(native_of(issuer_key))) == 0) {
        return crypto_fail("issuing a certificate");
    }
    /* Read back, so that what OpenSSL caches of a certificate is of the finished one. */
    len = i2d_X509(cert, &der);
    if (len <= 0) {
        return crypto_fail("issuing a certificate");
    }
    e = crypto_x509_decode(c, span_of(der, (size_t)len), ret_cert);
    OPENSSL_free(der);
    return e;
}
