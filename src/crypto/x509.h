/* crypto/x509.h: reading certificates and checking paths, all by OpenSSL. Who is trusted is decided
 * in attest/: here a path is built and checked to exactly one anchor that the caller names. */
#ifndef CRYPTO_X509_H
#define CRYPTO_X509_H

#include "crypto/crypto.h"
#include "util/buf.h"

/* A parsed certificate (an X509 with a reference of its own). May be used by another thread than
 * the one that parsed it, one at a time. */
struct crypto_cert;
struct x509_st;

/* Takes a reference to an X509 that libssl handed out. NULL gives NULL. */
struct crypto_cert *crypto_x509_adopt(struct x509_st *native);
struct x509_st *crypto_x509_native(const struct crypto_cert *cert);
struct crypto_cert *crypto_x509_ref(struct crypto_cert *cert);
void crypto_x509_free(struct crypto_cert *cert);
AUTO_DEFINE(crypto_cert, struct crypto_cert *, crypto_x509_free)

/* One DER certificate, no bytes behind it. ERR_MALFORMED. */
err crypto_x509_decode(struct crypto *c, struct span der, struct crypto_cert **ret_cert);
/* The four input spellings of reference dps-service-api.md 4.4: PEM, base64(DER), base64(PEM),
 * base64(base64(DER)); and plain DER. A PEM with several certificates gives the first; other blocks
 * and text before it are passed over. ERR_MALFORMED; ERR_NOMEM. */
err crypto_x509_decode_any(struct crypto *c, struct span text, struct crypto_cert **ret_cert);
/* DER into `out`. */
err crypto_x509_encode(const struct crypto_cert *cert, struct buf *out);
/* PEM into `out`. */
err crypto_x509_encode_pem(const struct crypto_cert *cert, struct buf *out);

err crypto_x509_sha256(const struct crypto_cert *cert, uint8_t ret_digest[CRYPTO_SHA256_LEN]);
err crypto_x509_sha1(const struct crypto_cert *cert, uint8_t ret_digest[CRYPTO_SHA1_LEN]);

/* The subject's only common name as UTF-8. ERR_NOT_FOUND when there is none, ERR_MALFORMED when
 * there are several or it holds U+0000; ERR_NOMEM. */
err crypto_x509_common_name(const struct crypto_cert *cert, struct buf *out);
/* "CN=x, OU=Azure IoT, O=MSFT": most specific first (reference dps-service-api.md 4.4). */
void crypto_x509_subject(const struct crypto_cert *cert, struct buf *out);
void crypto_x509_issuer(const struct crypto_cert *cert, struct buf *out);
/* A number equal for names that compare equal (X509_NAME_hash_ex); not unique. */
int64_t crypto_x509_subject_hash(struct crypto *c, const struct crypto_cert *cert);
int64_t crypto_x509_issuer_hash(struct crypto *c, const struct crypto_cert *cert);
bool crypto_x509_is_self_issued(const struct crypto_cert *cert);
/* Basic constraints say CA:TRUE (or a version 1 self-issued one). */
bool crypto_x509_is_ca(const struct crypto_cert *cert);
bool crypto_x509_equal(const struct crypto_cert *a, const struct crypto_cert *b);
/* Do the names (and key identifiers) allow that `issuer` issued `cert`? No signature is checked. */
bool crypto_x509_may_have_issued(const struct crypto_cert *issuer, const struct crypto_cert *cert);
/* A plain signature check, for proof of possession. */
bool crypto_x509_is_signed_by(struct crypto *c, const struct crypto_cert *cert,
                              const struct crypto_cert *issuer);

/* Is the certificate's public key this RSA key? The modulus is big-endian. */
bool crypto_x509_has_rsa_key(const struct crypto_cert *cert, struct span modulus,
                             uint32_t exponent);

struct crypto_x509_info {
    int64_t not_before_ms, not_after_ms;
    int version; /* 3 for v3 */
};
err crypto_x509_info(const struct crypto_cert *cert, struct crypto_x509_info *ret_info);
/* Upper-case hex. */
void crypto_x509_serial(const struct crypto_cert *cert, struct buf *out);

/* How a path check ended. Of several failings the one that OpenSSL meets first. */
enum crypto_path {
    CRYPTO_PATH_OK,
    CRYPTO_PATH_NONE, /* the leaf does not lead to the anchor */
    CRYPTO_PATH_BAD_SIGNATURE,
    CRYPTO_PATH_LEAF_EXPIRED,
    CRYPTO_PATH_LEAF_NOT_YET_VALID,
    CRYPTO_PATH_ISSUER_EXPIRED, /* or not yet valid: an intermediate or the anchor */
    CRYPTO_PATH_WRONG_PURPOSE,  /* leaf not for this, or an issuer that may not issue */
    CRYPTO_PATH_TOO_LONG,
    CRYPTO_PATH_INVALID, /* anything else; *ret_why has OpenSSL's words */
};

/* What the leaf must be for. */
enum crypto_purpose {
    CRYPTO_PURPOSE_CLIENT, /* TLS client authentication, down the whole path */
    /* A TPM's endorsement key (TCG EK Credential Profile 2.x, 3.2 and 3.5): no CA; key usage, if
     * there is one, has keyEncipherment; extended key usage, if there is one, tcg-kp-EKCertificate
     * or any. The profile lets both be missing, and asks nothing of a CA but to be one. */
    CRYPTO_PURPOSE_ENDORSEMENT_KEY,
};

struct crypto_path_query {
    const struct crypto_cert *leaf;
    enum crypto_purpose purpose;
    const struct crypto_cert *anchor; /* trusted as it is, self-signed or not (partial chain) */
    struct crypto_cert *const *intermediates; /* untrusted help, any order; may hold the anchor */
    size_t n_intermediates;
    int64_t now_ms;
    int max_depth; /* certificates between leaf and anchor */
};

/* Builds and checks one path with X509_verify_cert. *ret_why: OpenSSL's static words, or ours on
 * the purpose. */
enum crypto_path crypto_x509_check_path(struct crypto *c, const struct crypto_path_query *q,
                                        const char **ret_why);

#endif
