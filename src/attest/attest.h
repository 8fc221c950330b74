/* attest/attest.h: from a claim to an identity or a refusal. A claim is what a device says of
 * itself, untrusted by type; an identity is proof that it may use one enrollment. Only this folder
 * makes a struct identity, and registering needs one. Each way of proving (enum attestation_type)
 * is one row of a table and one file. */
#ifndef ATTEST_ATTEST_H
#define ATTEST_ATTEST_H

#include "crypto/x509.h"
#include "model/env.h"
#include "model/reason.h"
#include "model/records.h"

/* Everything in it was presented by a stranger. Spans live as long as the request. */
struct claim {
    struct span id_scope;
    struct span registration_id;
    enum operation operation;
    enum transport transport;
    struct span peer; /* address, for the record */
    struct crypto_cert *const
        *chain; /* client certificates, leaf first; possession of the leaf's key is proven by TLS */
    size_t n_chain;
    struct span token;        /* shared access signature, or absent */
    struct span payload;      /* JSON, or absent */
    struct span operation_id; /* OPERATION_STATUS */
};

/* Proof. Opaque outside attest/: read it through the functions below. */
struct identity {
    struct enrollment enrollment_;
    struct span registration_id_;
    uint8_t evidence_sha256_[CRYPTO_SHA256_LEN];
    bool has_evidence_;
    struct span keys_[SLOTS];
    size_t proving_slot_;
};
const struct enrollment *attest_identity_enrollment(const struct identity *id);
struct span attest_identity_registration_id(const struct identity *id);
/* SHA-256 of the certificate that proved it; absent for a symmetric key. */
struct span attest_identity_evidence(const struct identity *id);
/* The device's own symmetric keys, a group's being derived; absent for another proof. */
struct span attest_identity_key(const struct identity *id, size_t slot);
/* Which of them signed the token. */
size_t attest_identity_proving_slot(const struct identity *id);

/* One stored CA certificate that an enrollment accepts. */
struct attest_anchor {
    const struct crypto_cert *cert;
    struct span sha256; /* its digest, for the record */
    bool usable;        /* false: uploaded, but its possession is not proven */
    const char *source; /* "signing certificate", "CA reference": for the record */
};

/* What an enrollment is judged with. */
struct attest_trust {
    const struct attest_anchor *anchors;
    size_t n_anchors;
    struct crypto_cert *const
        *intermediates; /* what the device sent and what is stored, any order */
    size_t n_intermediates;
};

/* How a claim fared with one enrollment. */
struct attest_judgement {
    struct verdict verdict;
    bool is_match; /* the evidence belongs to this enrollment (though perhaps expired, disabled …):
                      the search ends here */
    const struct attest_anchor *anchor; /* of the trust, the one it was judged by; NULL: none */
    const char *why; /* OpenSSL's words on a path that failed, or which key signed; NULL: none */
    struct identity identity; /* when granted */
};

/* Does the claim prove the right to this enrollment? The caller has chosen the enrollment and
 * gathered its trust; a disabled enrollment is judged like any other and then refused with
 * ENROLLMENT_DISABLED, so that only the genuine device learns it. A forged path is no match, even
 * when something else is wrong with it too. ERR_NOMEM, ERR_CRYPTO. */
err attest_judge(const struct env *env, const struct claim *claim,
                 const struct enrollment *enrollment, const struct attest_trust *trust,
                 struct attest_judgement *ret_judgement);

/* What holds for X.509 before any enrollment is looked at: a leaf is there, readable, and its CN is
 * the registration ID (compared without case). */
err attest_x509_precheck(const struct env *env, const struct claim *claim,
                         struct verdict *ret_verdict);

/* What holds for a token before any key is tried: it is there, well-formed, and for this very
 * registration. */
err attest_symkey_precheck(const struct env *env, const struct claim *claim,
                           struct verdict *ret_verdict);

/* A group's device key (reference dps-device-api.md 6.3): HMAC-SHA256 by the group's key over the
 * registration ID. Also for our own tools. */
err attest_symkey_derive(struct crypto *c, struct span group_key, struct span registration_id,
                         uint8_t ret_key[CRYPTO_SHA256_LEN]);

#endif
