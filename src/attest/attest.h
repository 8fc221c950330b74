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

/* What a device says of its TPM (reference dps-device-api.md 6.5). */
struct claim_tpm {
    struct span endorsement_key;  /* TPM2B_PUBLIC; absent: the claim is not about a TPM */
    struct span storage_root_key; /* the same; absent: not sent */
    struct crypto_cert *const *certificates; /* of the endorsement key, then its intermediates */
    size_t n_certificates;
};

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
    struct claim_tpm tpm;
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
/* SHA-256 of the certificate that proved it, or of the TPM's keys; absent for a symmetric key. */
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

/* Keys that were wrapped for the TPM of a claim (attest_tpm_evidence), of one registration ID;
 * NULL: there is none. */
struct attest_challenges {
    const struct challenge *open, *used;
};

/* What an enrollment is judged with. */
struct attest_trust {
    const struct attest_anchor *anchors;
    size_t n_anchors;
    struct crypto_cert *const
        *intermediates; /* what the device sent and what is stored, any order */
    size_t n_intermediates;
    struct attest_challenges challenges; /* of a TPM */
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

/* ---- TPM ---- */

static inline bool attest_tpm_is_claimed(const struct claim *claim)
{
    return !span_is_absent(claim->tpm.endorsement_key);
}

/* What holds for a TPM before any enrollment is looked at: both keys are those of a TPM
 * (TPM_KEY_MALFORMED, with a detail), and a token, if there is one, is for this registration. */
err attest_tpm_precheck(const struct env *env, const struct claim *claim,
                        struct verdict *ret_verdict);
/* What holds besides before groups are looked at: the endorsement key's certificate is there and is
 * this key's, and the registration ID is made of the key, so that no TPM has another's name. */
err attest_tpm_precheck_group(const struct env *env, const struct claim *claim,
                              struct verdict *ret_verdict);
/* SHA-256 of both keys as received: what stands for the TPM in records. After a precheck. */
err attest_tpm_evidence(const struct env *env, const struct claim *claim,
                        uint8_t ret_sha256[CRYPTO_SHA256_LEN]);
/* May the token read what became of the registration that its key registered (or, by a lookup, is
 * about to)? */
err attest_tpm_judge_token(const struct env *env, const struct claim *claim,
                           const struct attest_challenges *challenges, struct verdict *ret_verdict);

enum { ATTEST_TPM_KEY_LEN = 32 };
/* Wraps a key for the claim's TPM alone, into the arena: the activation blob. After a precheck.
 * ERR_CRYPTO, ERR_NOMEM. */
err attest_tpm_wrap(const struct env *env, const struct claim *claim,
                    const uint8_t key[ATTEST_TPM_KEY_LEN], struct span *ret_blob);
/* May an enrollment have this key? ERR_MALFORMED: err_detail says why not. */
err attest_tpm_check_key(struct span tpm2b_public, bool is_endorsement_key);

/* A group's device key (reference dps-device-api.md 6.3): HMAC-SHA256 by the group's key over the
 * registration ID. Also for our own tools. */
err attest_symkey_derive(struct crypto *c, struct span group_key, struct span registration_id,
                         uint8_t ret_key[CRYPTO_SHA256_LEN]);

#endif
